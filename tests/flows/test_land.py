"""Landing: exactly once, with reasons, in whole batches or not at all."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pyarrow.parquet as pq
import pytest

from connectors.event_log import EventLog
from connectors.event_log.kafka import KafkaEventLog
from flows.backlog import backlog
from flows.dead_letters import DeadLetter, dead_letters, replay, rising
from flows.land import Landed, land
from flows.opening import event_log, lake_of, repairs
from flows.settings import LandSettings, Settings
from schemas.errors import QualityError, StorageError
from schemas.records import STATEMENTS, Record, StoredRecord, Topic
from tests.broker import Broker
from tests.end_to_end.kills import landed_under_fire
from tests.end_to_end.workers import landed_under_faults
from tests.home import landed_ids
from tests.object_store import ObjectStore
from tests.processes import until


def statement(number: int, **more: Any) -> dict[str, Any]:
    return {
        "id": f"00000000-0000-4000-8000-{number:012d}",
        "actor": {"mbox": f"mailto:p{number % 5}@example.org"},
        "verb": {"id": "http://adlnet.gov/expapi/verbs/answered"},
        "object": {"id": "https://example.org/a"},
        **more,
    }


def put(settings: Settings, *values: bytes | dict[str, Any]) -> None:
    with event_log(settings) as log:
        log.append(
            STATEMENTS,
            [Record(None, one if isinstance(one, bytes) else orjson.dumps(one), {"source": "t"}) for one in values],
        )


def test_what_waits_is_landed_once(settings: Settings) -> None:
    put(settings, *(statement(n) for n in range(100)))
    assert land(settings).landed == 100
    assert land(settings) == Landed()
    put(settings, statement(100))
    assert land(settings).landed == 1
    assert sorted(landed_ids(settings)) == sorted(statement(n)["id"] for n in range(101))


def test_bad_records_become_dead_letters_with_everything_needed(settings: Settings) -> None:
    bad = orjson.dumps(statement(1, result={"score": {"scaled": 7}}))
    put(settings, statement(0), bad, b"{not json", statement(2, timestamp="1960-01-01T00:00:00Z"))
    done = land(settings)
    assert (done.landed, done.rejected) == (1, 3)
    with event_log(settings) as log:
        letters = {letter.clause: letter for letter in dead_letters(log)}
    assert set(letters) == {"xAPI-Data 2.4.5.1", "RFC 8259", "expectations/statements.json"}
    letter = letters["xAPI-Data 2.4.5.1"]
    assert letter.value == bad
    assert letter.path == "/result/score/scaled"
    assert letter.origin.startswith("xapi.statements-")
    assert letter.source == "t"


def test_a_batch_with_too_many_rejects_stops_and_loses_nothing(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, land=LandSettings(max_reject_share=0.2, reject_share_from=10))
    put(settings, *(statement(n) for n in range(10)), *(b"nonsense" for _ in range(10)))
    with pytest.raises(QualityError, match="land.max_reject_share"):
        land(settings)
    with event_log(settings) as log:
        assert list(dead_letters(log)) == []
        assert sum(end - first for _, first, end in backlog(settings, log).values()) == 20
    assert landed_ids(settings) == []
    tolerant = settings.model_copy(update={"land": LandSettings(max_reject_share=1)})
    assert land(tolerant).landed == 10


def test_mended_records_go_round_again(settings: Settings, real_statements: list[dict[str, Any]]) -> None:
    strict = settings.model_copy(update={"land": LandSettings(repairs_off=frozenset({"*"}))})
    put(strict, *real_statements, b"never json")
    assert land(strict).rejected == 9
    with event_log(settings) as log:
        assert replay(log, list(dead_letters(log)), repairs(settings), "1.0.3") == (8, 1)
        assert [letter.value for letter in dead_letters(log)] == [b"never json"]
        assert replay(log, list(dead_letters(log)), repairs(settings), "1.0.3") == (0, 1)
    done = land(settings)
    assert (done.landed, done.repaired) == (8, 8)
    assert len(landed_ids(settings)) == 125


def test_files_stand_under_the_day_their_records_were_received(settings: Settings) -> None:
    put(settings, *(statement(n) for n in range(4)))
    with event_log(settings) as log:
        days = [
            datetime(2026, 1, 1, 23, 59, tzinfo=UTC),
            datetime(2026, 1, 2, tzinfo=UTC),
            datetime(2026, 1, 1, tzinfo=UTC),
        ]
        land(settings, _Dated(log, [int(day.timestamp() * 1000) for day in days]))
    files = lake_of(settings).published()
    by_partition = {file.partition for file in files}
    assert sum(pq.read_metadata(file.path).num_rows for file in files) == 4
    for partition in by_partition:
        mine = sorted(file for file in files if file.partition == partition)
        assert [file.day for file in mine] == sorted(file.day for file in mine)
        assert all(later.first == earlier.last + 1 for earlier, later in pairwise(mine))


class _Dated:
    """An event log whose records were appended at other times: what Kafka holds after a night, or a clock's step."""

    def __init__(self, log: EventLog, times: list[int]) -> None:
        self._log, self._times, self._read = log, times, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    def read(self, topic: str, partition: int, begin: int, end: int) -> Any:
        for record in self._log.read(topic, partition, begin, end):
            self._read += 1
            yield record._replace(timestamp=self._times[self._read % len(self._times)])


def test_an_event_log_that_was_replaced_is_noticed(settings: Settings) -> None:
    put(settings, *(statement(n) for n in range(50)))
    land(settings)
    for path in settings.home.glob("events.db*"):
        path.unlink()
    put(settings, statement(1))
    with pytest.raises(StorageError, match="event log ends at"):
        land(settings)


def test_killed_at_random_places_every_statement_lands_once(tmp_path: Path) -> None:
    done = landed_under_fire(tmp_path / "home", statements=20_000, kills=3, broker=None, seed=3)
    assert done["landed"] == done["sent"] == 20_000
    assert done["kills_in_the_middle"] > 1


@pytest.mark.kafka
def test_killed_with_a_broker_that_restarts_every_statement_lands_once(kafka_can_run: None, tmp_path: Path) -> None:
    broker = Broker(tmp_path / "kafka")
    try:
        done = landed_under_fire(tmp_path / "home", statements=20_000, kills=3, broker=broker, seed=4)
    finally:
        broker.kill()
    assert done["landed"] == done["sent"] == 20_000
    assert done["kills_in_the_middle"] > 1
    assert done["broker_restarts"] == 2


@pytest.mark.kafka
def test_many_workers_killed_and_paused_land_every_statement_once(kafka_can_run: None, tmp_path: Path) -> None:
    done = landed_under_faults(tmp_path, statements=12_000, workers=2, faults=2, seed=5)
    assert done["landed"] == done["sent"] == 12_000


def test_killed_beside_a_store_where_requests_fail_every_statement_lands_once(tmp_path: Path) -> None:
    with ObjectStore(tmp_path / "s3", faults=0.1, seed=7) as store:
        done = landed_under_fire(tmp_path / "home", statements=10_000, kills=2, broker=None, seed=7, store=store)
    met = store.counts()
    assert done["landed"] == done["sent"] == 10_000
    assert done["kills_in_the_middle"] > 0
    assert {"refused", "lost", "late", "slow"} <= met.keys(), met


@pytest.mark.slow
@pytest.mark.kafka
def test_workers_killed_and_paused_over_a_store_land_every_statement_once(kafka_can_run: None, tmp_path: Path) -> None:
    with ObjectStore(tmp_path / "s3", faults=0.05, seed=8) as store:
        done = landed_under_faults(tmp_path, statements=12_000, workers=2, faults=2, seed=8, store=store)
    assert done["landed"] == done["sent"] == 12_000


@pytest.mark.kafka
def test_members_share_the_partitions_and_take_over_what_one_leaves(broker: Broker) -> None:
    log = KafkaEventLog(broker.address)
    name = f"shared-{uuid4()}"
    log.create([Topic(name, 4)])
    with log.member(name, name, 6) as one:
        until(lambda: len(one()) == 4, 120)
        with log.member(name, name, 6) as other:
            until(lambda: (len(one()), len(other())) == (2, 2), 120)
            assert one() | other() == {0, 1, 2, 3}
        until(lambda: len(one()) == 4, 120)
    log.close()


def test_a_record_carries_its_time_and_place() -> None:
    assert StoredRecord("t", 1, 2, 3, None, b"", {}).place == "t-1@2"


def test_a_source_whose_rejects_rise_is_told() -> None:
    now = datetime(2026, 3, 10, tzinfo=UTC)

    def letters(source: str, count: int, days: float) -> list[DeadLetter]:
        return [DeadLetter(f"{n}", source, "", "", "", now - timedelta(days=days), b"") for n in range(count)]

    steady = [one for days in range(8) for one in letters("steady", 20, days + 0.5)]
    found = rising(
        [*steady, *letters("broken", 30, 0.5), *letters("broken", 14, 3), *letters("few", 9, 0.5), *letters("old", 99, 9)],
        now, least=10, rise=3,
    )  # fmt: skip
    assert found == [("broken", 30, 2.0)]
    assert rising(steady, now, least=10, rise=0.9) == [("steady", 20, 20.0)]
