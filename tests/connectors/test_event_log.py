"""One contract for both event logs: SQLite, and a real Kafka broker."""

import gc
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest
from kafka.partitioner import murmur2

from connectors.event_log import EventLog
from connectors.event_log.kafka import KafkaEventLog
from connectors.event_log.sqlite import SqliteEventLog
from schemas.errors import InputError, StorageError, UnavailableError
from schemas.records import Record, StoredRecord, Topic
from tests.broker import Broker
from tests.processes import until


@pytest.fixture(params=["sqlite", pytest.param("kafka", marks=pytest.mark.kafka)])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:{tmp_path / 'events.db'}"
    broker: Broker = request.getfixturevalue("broker")
    return f"kafka:{broker.address}"


def opened(address: str) -> EventLog:
    kind, place = address.split(":", 1)
    return SqliteEventLog(Path(place)) if kind == "sqlite" else KafkaEventLog(place, delivery_seconds=30)


@pytest.fixture
def log(address: str) -> Iterator[EventLog]:
    one = opened(address)
    yield one
    one.close()


@pytest.fixture
def topic(log: EventLog) -> str:
    name = f"t-{uuid4().hex[:8]}"
    assert log.create([Topic(name, partitions=3)]) == [name]
    return name


@pytest.mark.kafka
def test_a_transaction_that_broke_off_is_not_there_and_stops_nobody(broker: Broker) -> None:
    def transactional() -> KafkaEventLog:
        return KafkaEventLog(broker.address, delivery_seconds=30, transactional_id=name)

    name = f"t-{uuid4().hex[:8]}"
    first, plain = transactional(), KafkaEventLog(broker.address)
    first.create([Topic(name, partitions=3)])
    assert first.append(name, [Record(str(n), b"whole") for n in range(20)]) == 20
    producer = first._open_producer()
    producer.begin_transaction()
    first._send(producer, name, [Record(str(n), b"half") for n in range(20)])  # and then its process ends
    assert {record.value for record in everything(plain, name)} == {b"whole"}
    second = transactional()
    second.append(name, [Record("x", b"after")])
    plain.append(name, [Record("x", b"plain")])
    assert sorted(record.value for record in everything(plain, name)) == [b"after", b"plain", *[b"whole"] * 20]
    assert sorted(record.value for record in everything(second, name)) == [b"after", b"plain", *[b"whole"] * 20]
    with pytest.raises(UnavailableError):
        first.append(name, [Record("x", b"fenced")])
    for log in (first, second, plain):
        log.close()


def everything(log: EventLog, topic: str) -> list[StoredRecord]:
    return [
        record for partition, offsets in log.offsets(topic).items() for record in log.read(topic, partition, *offsets)
    ]


def test_a_topic_is_created_once(log: EventLog, topic: str) -> None:
    assert log.create([Topic(topic, partitions=9)]) == []
    assert log.offsets(topic) == {0: (0, 0), 1: (0, 0), 2: (0, 0)}


def test_records_come_back_as_they_went_in(log: EventLog, topic: str) -> None:
    sent = [
        Record("ada", b'{"a": 1}', {"source": "test", "umlaut": "ä"}),
        Record(None, b"\x00\xff"),
        Record("tomb", None),
    ]
    before = time.time_ns() // 1_000_000
    assert log.append(topic, sent) == 3
    found = {record.key: record for record in everything(log, topic)}
    assert found["ada"].value == b'{"a": 1}'
    assert found["ada"].headers == {"source": "test", "umlaut": "ä"}
    assert found[None].value == b"\x00\xff"
    assert found["tomb"].value is None
    assert before - 1000 <= found["ada"].timestamp <= time.time_ns() // 1_000_000 + 1000


def test_records_of_one_key_keep_their_order_in_one_partition(log: EventLog, topic: str) -> None:
    for start in range(0, 300, 100):
        log.append(topic, [Record(f"key{n % 7}", str(n).encode()) for n in range(start, start + 100)])
    by_key: dict[str | None, list[StoredRecord]] = {}
    for record in everything(log, topic):
        by_key.setdefault(record.key, []).append(record)
    for key, records in by_key.items():
        assert len({record.partition for record in records}) == 1
        assert [int(record.value or b"") for record in records] == sorted(n for n in range(300) if f"key{n % 7}" == key)
        assert [record.offset for record in records] == sorted(record.offset for record in records)


def test_keys_choose_partitions_as_kafkas_default_partitioner_does(log: EventLog, topic: str) -> None:
    keys = [f"mailto:learner{n}@example.org" for n in range(50)]
    log.append(topic, [Record(key, b"x") for key in keys])
    expected = {key: (murmur2(key.encode()) & 0x7FFFFFFF) % 3 for key in keys}
    assert {record.key: record.partition for record in everything(log, topic)} == expected


def test_reading_starts_where_it_is_told_and_ends_before_the_end(log: EventLog, topic: str) -> None:
    log.append(topic, [Record("one", str(n).encode()) for n in range(5000)])
    partition = next(number for number, offsets in log.offsets(topic).items() if offsets.end)
    assert [int(record.value or b"") for record in log.read(topic, partition, 1234, 4321)] == list(range(1234, 4321))
    assert list(log.read(topic, partition, 5000, 5000)) == []
    assert [record.offset for record in log.read(topic, partition, 0, 3)] == [0, 1, 2]


def test_many_producers_at_once_lose_and_double_nothing(address: str, log: EventLog, topic: str) -> None:
    def produce(producer: int) -> None:
        mine = opened(address)
        for batch in range(5):
            mine.append(topic, [Record(f"p{producer}", f"{producer}-{batch}-{n}".encode()) for n in range(100)])
        mine.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(produce, range(8)))
    found = [record.value for record in everything(log, topic)]
    assert len(found) == len(set(found)) == 8 * 5 * 100
    places = [(record.partition, record.offset) for record in everything(log, topic)]
    assert len(places) == len(set(places))


def test_a_crash_in_mid_append_tears_no_record_and_doubles_none(address: str, log: EventLog, topic: str) -> None:
    script = (
        "import sys; from tests.connectors.test_event_log import opened; from schemas.records import Record\n"
        "log = opened(sys.argv[1]); print('ready', flush=True); n = 0\n"
        "while True:\n"
        "    log.append(sys.argv[2], [Record('k', b'%08d' % (n + i) + b'x' * 2000) for i in range(500)]); n += 500\n"
        "    print(n, flush=True)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script, address, topic], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    acknowledged = 0
    for line in process.stdout:
        acknowledged = 0 if line.startswith("ready") else int(line)
        if acknowledged >= 2000:
            break
    time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    acknowledged = max([acknowledged, *(int(line) for line in process.stdout)])
    process.wait()
    found = [int((record.value or b"")[:8]) for record in everything(log, topic)]
    assert found == list(range(len(found)))
    assert len(found) >= acknowledged
    log.append(topic, [Record("k", b"after")])
    assert everything(log, topic)[-1].value == b"after"


def test_a_compacted_topic_keeps_the_newest_of_each_key(log: EventLog) -> None:
    name = f"c-{uuid4().hex[:8]}"
    log.create([Topic(name, partitions=1, compacted=True)])
    log.append(name, [Record("a", b"1"), Record("b", b"1"), Record("a", b"2")])
    log.append(name, [Record("a", b"3"), Record("c", None)])
    newest = {record.key: record.value for record in everything(log, name)}
    assert newest == {"a": b"3", "b": b"1", "c": None}
    assert [record.offset for record in everything(log, name) if record.key == "a"][-1] == 3


def test_a_missing_topic_is_told_with_its_mending(log: EventLog) -> None:
    with pytest.raises(UnavailableError) as error:
        log.offsets("no-such-topic")
    assert "no-such-topic" in str(error.value)
    assert "proficio init" in error.value.hint


def test_a_broker_that_is_down_is_told_and_leaves_nothing_open(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "kafka")  # a captured record would keep the socket of its error
    log = KafkaEventLog("127.0.0.1:9", {"bootstrap_timeout_ms": 300}, delivery_seconds=1)
    tries = (
        lambda: log.offsets("t"),
        lambda: log.append("t", [Record("k", b"v")]),
        lambda: log.create([Topic("t", 1)]),
    )
    gc.collect()  # what earlier tests left is not counted
    threads, files = threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))
    for one in tries:
        with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:9"):
            one()
    gc.collect()
    assert threading.active_count() <= threads
    assert len(list(Path("/proc/self/fd").iterdir())) <= files


@pytest.mark.kafka
def test_a_record_that_is_too_large_for_kafka_is_told(broker: Broker) -> None:
    log = KafkaEventLog(broker.address, max_record_bytes=10_000)
    log.create([Topic("large", 1)])
    with pytest.raises(InputError, match="larger than the event log takes"):
        log.append("large", [Record("k", os.urandom(100_000))])
    log.close()


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "events.db").write_bytes(b"this is no SQLite file, however one looks at it" * 100)
    with pytest.raises(StorageError, match="events.db"):
        SqliteEventLog(tmp_path / "events.db")


def test_an_error_in_the_middle_of_an_append_leaves_nothing_of_it(tmp_path: Path) -> None:
    log = SqliteEventLog(tmp_path / "events.db")
    log.create([Topic("t", 1)])

    def records() -> Iterator[Record]:
        yield Record("k", b"1")
        raise InputError("the source broke")

    with pytest.raises(InputError):
        log.append("t", records())
    assert everything(log, "t") == []
    assert log.append("t", [Record("k", b"2")]) == 1


@pytest.mark.kafka
def test_a_broker_that_goes_is_told_in_time_and_found_when_it_is_back(tmp_path: Path) -> None:
    broker = Broker(tmp_path / "kafka")
    writer = KafkaEventLog(broker.address, delivery_seconds=3, transactional_id="one")
    reader = KafkaEventLog(broker.address, delivery_seconds=3)
    writer.create([Topic("t", 2)])
    tries = [lambda: writer.append("t", [Record("k", b"v")]), lambda: reader.offsets("t")]
    for one in tries:
        one()
    broker.kill()
    for one in tries:
        begun = time.monotonic()
        with pytest.raises(UnavailableError):
            one()
        assert time.monotonic() - begun < 30
    broker.start()
    begun = time.monotonic()
    for one in tries:
        while True:
            try:
                one()
                break
            except UnavailableError:
                assert time.monotonic() - begun < 90
    until(lambda: len(everything(reader, "t")) == 2, 60)  # readers see what is committed once its markers are written
    for log in (writer, reader):
        log.close()
    broker.kill()
