"""The event log on Apache Kafka, by kafka-python."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic
from kafka.errors import KafkaError, MessageSizeTooLargeError, TopicAlreadyExistsError

from connectors.event_log import Door, Membership, Offsets, kafka_clients, open_door
from schemas.errors import InputError, ProficioError, UnavailableError
from schemas.records import LEVELS, Record, StoredRecord, Topic

_IDLE_SECONDS = 60
_DAY_MS = "86400000"
# What a tombstone takes out is gone from the disk within a day, and the tombstone within another.
_COMPACTED = {"cleanup.policy": "compact", "max.compaction.lag.ms": _DAY_MS, "delete.retention.ms": _DAY_MS}
_ANSWER_MS = 200
_TRANSACTION_SECONDS = 30  # after which the broker gives up what a process that ended left open


class KafkaEventLog:
    """See `EventLog`. The producer is idempotent and waits for all in-sync replicas.

    `options` are kafka-python's own names (`security_protocol`, `sasl_mechanism`, `ssl_cafile` …) and reach every client.
    With a `transactional_id`, which one process at a time may have, an append is all there or not at all (KIP-98); what a
    process of that id left open is decided when the next one asks for offsets or appends. Readers see what is decided.
    """

    singly = False

    def __init__(
        self,
        bootstrap_servers: str,
        options: Mapping[str, Any] | None = None,
        max_record_bytes: int = 1_000_000,
        compression: str | None = "zstd",
        delivery_seconds: float = 60.0,
        transactional_id: str | None = None,
        door: Door = open_door,
    ) -> None:
        self._door = door
        self._transactional_id = transactional_id
        self._servers = bootstrap_servers
        self._delivery_seconds = delivery_seconds
        self._options = {
            "bootstrap_servers": bootstrap_servers.split(","),
            "client_id": "proficio",
            "reconnect_backoff_max_ms": 2_000,  # a broker that is back is found at once, and not within half a minute
            "bootstrap_timeout_ms": int(min(15.0, delivery_seconds) * 1000),
            **(options or {}),
        }
        self._producer_options = {
            "acks": "all",
            "enable_idempotence": True,
            "compression_type": compression,
            "linger_ms": 5,
            "batch_size": 262_144,
            "max_request_size": max_record_bytes + 16_384,
            "delivery_timeout_ms": int(delivery_seconds * 1000),
            "request_timeout_ms": min(30_000, int(delivery_seconds * 500)),
            "max_block_ms": int(delivery_seconds * 1000),
            "allow_auto_create_topics": False,
        }
        if transactional_id:
            self._producer_options |= {
                "transactional_id": transactional_id,
                "transaction_timeout_ms": _TRANSACTION_SECONDS * 1000,
            }
        self._producer: Any = None
        self._consumer: Any = None

    def create(self, topics: Iterable[Topic]) -> list[str]:
        """Create the topics that are not there yet; their names."""
        with self._errors():
            admin = kafka_clients.opened(KafkaAdminClient, **self._options)
            try:
                known = set(admin.list_topics())
                missing = [topic for topic in topics if topic.name not in known]
                for topic in missing:
                    configs = _COMPACTED if topic.compacted else {}
                    try:
                        admin.create_topics(
                            [NewTopic(topic.name, topic.partitions, topic.replication_factor, topic_configs=configs)]
                        )
                    except TopicAlreadyExistsError:
                        continue
            finally:
                admin.close()
        return [topic.name for topic in missing]

    def append(self, topic: str, records: Iterable[Record]) -> int:
        """Append records, and return how many once all in-sync replicas have every one of them."""
        records = self._door(topic, records)
        with self._errors(topic):
            producer = self._open_producer()
            try:
                if not self._transactional_id:
                    return self._send(producer, topic, records)
                producer.begin_transaction()
                count = self._send(producer, topic, records)
                kafka_clients.commit(producer, self._delivery_seconds)
            except BaseException:
                self._producer = None  # the next one, of the same id, decides what this one left open
                kafka_clients.abandon(producer)
                raise
            return count

    def _send(self, producer: Any, topic: str, records: Iterable[Record]) -> int:
        futures = [
            producer.send(
                topic,
                key=None if record.key is None else record.key.encode(),
                value=record.value,
                headers=[(name, value.encode()) for name, value in record.headers.items()] if record.headers else [],
            )
            for record in records
        ]
        producer.flush(self._delivery_seconds)
        for future in futures:
            if not future.succeeded():
                future.get(timeout=0)  # raises what went wrong
        return len(futures)

    def offsets(self, topic: str) -> dict[int, Offsets]:
        """For each partition of a topic, the offsets that can be read now."""
        with self._errors(topic):
            if self._transactional_id:
                self._open_producer()
            consumer = self._open_consumer()
            partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
            if not partitions:
                raise UnavailableError(f"Topic {topic} does not exist on {self._servers}.", "Create it: proficio init.")
            begins, ends = consumer.beginning_offsets(partitions), consumer.end_offsets(partitions)
        return {item.partition: Offsets(begins[item], ends[item]) for item in sorted(partitions)}

    def read(self, topic: str, partition: int, begin: int, end: int) -> Iterator[StoredRecord]:
        """The records at offsets begin ≤ offset < end, in order."""
        if begin >= end:
            return
        place = TopicPartition(topic, partition)
        idle = 0
        with self._errors(topic):
            consumer = self._open_consumer()
            consumer.assign([place])
            consumer.seek(place, begin)
            while consumer.position(place) < end:
                batch = consumer.poll(timeout_ms=1000, max_records=2000).get(place, ())
                idle = 0 if batch else idle + 1
                if idle > _IDLE_SECONDS:
                    raise UnavailableError(
                        f"Kafka at {self._servers} sent nothing from {topic}-{partition} for {_IDLE_SECONDS} s.",
                        "Check the broker: proficio doctor.",
                    )
                for message in batch:
                    if message.offset >= end:
                        return
                    yield StoredRecord(
                        topic,
                        partition,
                        message.offset,
                        message.timestamp,
                        None if message.key is None else message.key.decode(errors="replace"),
                        message.value,
                        {name: value.decode(errors="replace") for name, value in message.headers}
                        if message.headers
                        else {},
                    )

    @contextmanager
    def member(self, topic: str, group: str, session_seconds: float) -> Iterator[Membership]:
        """Be a member of a consumer group, among whom Kafka's coordinator shares the partitions; joined when first asked."""
        session = int(session_seconds * 1000)
        consumer: Any = None

        def mine() -> frozenset[int]:
            nonlocal consumer
            with self._errors(topic):
                if consumer is None:
                    consumer = kafka_clients.opened(
                        KafkaConsumer, **self._options, group_id=group, enable_auto_commit=False,
                        auto_offset_reset="latest", session_timeout_ms=session, heartbeat_interval_ms=session // 4,
                        request_timeout_ms=max(30_000, session + 5_000), allow_auto_create_topics=False,
                    )  # fmt: skip
                    consumer.subscribe([topic])
                consumer.poll(timeout_ms=_ANSWER_MS)  # answers the coordinator; what is read, `read` reads
                consumer.pause(*consumer.assignment())
                return frozenset(place.partition for place in consumer.assignment())

        try:
            yield mine
        finally:
            if consumer is not None:
                consumer.close(autocommit=False)

    def forget(self, topic: str, records: Iterable[StoredRecord]) -> None:
        """Take out everything up to the last of these records in each partition, or give their keys a tombstone."""
        doomed = list(records)
        if not doomed:
            return
        if topic == LEVELS:
            self.append(topic, [Record(one.key, None) for one in doomed])
            return
        ends: dict[TopicPartition, int] = {}
        for one in doomed:
            place = TopicPartition(topic, one.partition)
            ends[place] = max(ends.get(place, 0), one.offset + 1)
        with self._errors(topic):
            admin = kafka_clients.opened(KafkaAdminClient, **self._options)
            try:
                admin.delete_records(ends)
            finally:
                admin.close()

    def close(self) -> None:
        """Close the connections."""
        for client in (self._producer, self._consumer):
            if client is not None:
                client.close()
        self._producer = self._consumer = None

    def _open_producer(self) -> Any:
        if self._producer is None:
            producer = kafka_clients.opened(KafkaProducer, **self._options, **self._producer_options)
            try:
                if self._transactional_id:
                    producer.init_transactions()
            except BaseException:
                kafka_clients.abandon(producer)
                raise
            self._producer = producer
        return self._producer

    def _open_consumer(self) -> Any:
        if self._consumer is None:
            self._consumer = kafka_clients.opened(
                KafkaConsumer, **self._options, enable_auto_commit=False, auto_offset_reset="none",
                request_timeout_ms=min(30_000, int(self._delivery_seconds * 1000)),
                allow_auto_create_topics=False, isolation_level="read_committed", max_poll_records=2000,
                fetch_max_bytes=16 << 20, max_partition_fetch_bytes=8 << 20,
            )  # fmt: skip
        return self._consumer

    @contextmanager
    def _errors(self, topic: str = "") -> Iterator[None]:
        try:
            yield
        except ProficioError:
            raise
        except MessageSizeTooLargeError as error:
            raise InputError(
                f"A record for {topic} is larger than the event log takes: {error}.",
                "Raise event_log.max_record_bytes and the topic's max.message.bytes.",
            ) from error
        except (KafkaError, OSError) as error:
            raise UnavailableError(
                f"Kafka at {self._servers} cannot be used{f' for {topic}' if topic else ''}: "
                f"{error if isinstance(error, KafkaError) else repr(error)}.",
                "Check event_log.bootstrap_servers, that the broker runs and that the topics exist: proficio doctor.",
            ) from error
