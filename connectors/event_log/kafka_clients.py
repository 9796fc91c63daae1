"""What clients of kafka-python 3.0 leave open or wait for without end while a broker is away."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from kafka.errors import KafkaTimeoutError
from kafka.net.compat import KafkaNetClient


def opened(kind: Callable[..., Any], **options: Any) -> Any:
    """A client of a kind. One that finds no broker leaves neither thread nor socket behind."""
    connections: list[KafkaNetClient] = []

    def connect(**configs: Any) -> KafkaNetClient:
        connections.append(KafkaNetClient(**configs))
        return connections[0]

    try:
        return kind(kafka_client=connect, **options)
    except BaseException:
        for one in connections:
            one.close()
        raise


def commit(producer: Any, seconds: float) -> None:
    """commit_transaction(), which by itself knows no timeout. KafkaTimeoutError where no answer comes within so many seconds."""
    result = producer._transaction_manager.begin_commit()
    producer._sender.wakeup()
    if not result.wait(seconds * 1000):
        raise KafkaTimeoutError(f"No answer to the commit for {seconds:g} s")


def abandon(producer: Any) -> None:
    """Close a producer without what it has not sent. close(0) by itself leaves the thread where something waits."""
    producer._sender.force_close()
    with suppress(KafkaTimeoutError):
        producer.close(timeout=1)
