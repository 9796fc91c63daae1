"""The event log on Kafka beside bare kafka-python with the same settings."""

import time
from pathlib import Path
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from connectors.event_log.kafka import KafkaEventLog
from schemas.records import Record, Topic
from tests.broker import Broker, can_run


def speed(folder: Path, scale: int) -> list[dict[str, Any]]:
    """Produce and consume records of 1 kB; the log's share of bare kafka-python's speed."""
    if not can_run():
        print("Kafka is left out: Java 17 and Maven are needed.")
        return []
    count = 200_000 // scale
    value = b"x" * 1000
    broker = Broker(folder)
    try:
        log = KafkaEventLog(broker.address)
        log.create([Topic("ours", 6), Topic("bare", 6)])
        started = time.perf_counter()
        for start in range(0, count, 5_000):
            log.append("ours", [Record(str(start + place), value) for place in range(5_000)])
        ours_out = count / (time.perf_counter() - started)
        bare_out = _bare_produce(broker.address, count, value, log)
        started = time.perf_counter()
        read = sum(
            1 for partition, offsets in log.offsets("ours").items() for _ in log.read("ours", partition, *offsets)
        )
        ours_in = read / (time.perf_counter() - started)
        bare_in = _bare_consume(broker.address, count)
        log.close()
        assert read == count
    finally:
        broker.kill()
    return [
        {"what": "Kafka append, records/s", "figure": ours_out, "bar": "", "met": True},
        {"what": "Kafka append / bare produce with a flush each 5,000", "figure": ours_out / bare_out, "bar": "", "met": True},
        {"what": "Kafka read, records/s", "figure": ours_in, "bar": "", "met": True},
        {"what": "Kafka read / bare consume", "figure": ours_in / bare_in, "bar": "", "met": True},
    ]  # fmt: skip


def _bare_produce(address: str, count: int, value: bytes, log: KafkaEventLog) -> float:
    producer = KafkaProducer(bootstrap_servers=[address], **log._producer_options)
    started = time.perf_counter()
    for start in range(0, count, 5_000):
        for place in range(5_000):
            producer.send("bare", key=str(start + place).encode(), value=value)
        producer.flush()
    seconds = time.perf_counter() - started
    producer.close()
    return count / seconds


def _bare_consume(address: str, count: int) -> float:
    consumer = KafkaConsumer(
        bootstrap_servers=[address], enable_auto_commit=False, max_poll_records=2000, fetch_max_bytes=16 << 20,
        max_partition_fetch_bytes=8 << 20,
    )  # fmt: skip
    partitions = [TopicPartition("bare", number) for number in range(6)]
    consumer.assign(partitions)
    consumer.seek_to_beginning()
    started, read = time.perf_counter(), 0
    while read < count:
        read += sum(len(records) for records in consumer.poll(timeout_ms=1000).values())
    seconds = time.perf_counter() - started
    consumer.close()
    return count / seconds
