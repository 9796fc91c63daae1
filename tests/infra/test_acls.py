"""Rights on a real Kafka with an authorizer: each part can do its work with infra/kafka/acls, and nothing else."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from connectors.event_log.kafka import KafkaEventLog
from schemas.errors import UnavailableError
from schemas.records import LEVELS, REJECTED, STATEMENTS, Record, Topic
from tests.broker import SCRIPT, Broker, can_run

PASSWORD = "for-the-test"
USERS = (
    "admin",
    "proficio-setup",
    "proficio-receiver",
    "proficio-source",
    "proficio-pipeline",
    "proficio-privacy",
    "levels-reader",
)
LOGIN = {"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "PLAIN", "sasl_plain_password": PASSWORD}
PROPERTIES = f"""
listeners=SASL_PLAINTEXT://127.0.0.1:${{PORT}},CONTROLLER://127.0.0.1:${{CONTROLLER_PORT}}
advertised.listeners=SASL_PLAINTEXT://127.0.0.1:${{PORT}}
listener.security.protocol.map=SASL_PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT
security.inter.broker.protocol=SASL_PLAINTEXT
sasl.mechanism.inter.broker.protocol=PLAIN
sasl.enabled.mechanisms=PLAIN
listener.name.sasl_plaintext.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \\
 username="admin" password="{PASSWORD}" {" ".join(f'user_{name}="{PASSWORD}"' for name in USERS)};
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:admin;User:ANONYMOUS
"""

pytestmark = pytest.mark.skipif(not can_run(), reason="Java and Maven are needed for a broker")


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    folder = tmp_path_factory.mktemp("acls")
    one = Broker(folder, PROPERTIES, **LOGIN, sasl_plain_username="admin")
    settings = folder / "proficio.toml"
    options = "\n".join(
        f'{name} = "{value}"'
        for name, value in {**LOGIN, "sasl_plain_username": "admin"}.items()
        if "password" not in name
    )
    settings.write_text(
        f'[event_log]\nkind = "kafka"\nbootstrap_servers = "{one.address}"\n[event_log.options]\n{options}\n'
    )
    for _ in range(2):
        given = subprocess.run(
            [sys.executable, SCRIPT.parent / "acls.py", settings], capture_output=True, text=True, check=False,
            env={**os.environ, "PROFICIO_EVENT_LOG__PASSWORD": PASSWORD, "PYTHONPATH": str(SCRIPT.parents[2])},
        )  # fmt: skip
        assert "rights given" in given.stdout, given.stderr
    assert log(one, "proficio-setup").create(Topic(name, 1) for name in (STATEMENTS, REJECTED, LEVELS))
    for topic in (STATEMENTS, REJECTED, LEVELS):
        log(one, "admin").append(topic, [Record("k", b"{}")] * 3)
    yield one
    one.kill()


def log(broker: Broker, user: str, transactional_id: str | None = None) -> KafkaEventLog:
    return KafkaEventLog(
        broker.address, {**LOGIN, "sasl_plain_username": user}, delivery_seconds=5, transactional_id=transactional_id
    )


def appends(topic: str, transactional_id: str | None = None) -> Callable[[Broker, str], object]:
    return lambda broker, user: log(broker, user, transactional_id).append(topic, [Record("k", b"{}")])


def reads(topic: str) -> Callable[[Broker, str], object]:
    def read(broker: Broker, user: str) -> None:
        one = log(broker, user)
        offsets = one.offsets(topic)[0]
        assert list(one.read(topic, 0, offsets.begin, offsets.end))

    return read


def takes_out(broker: Broker, user: str) -> None:
    one = log(broker, user)
    one.forget(STATEMENTS, list(log(broker, "admin").read(STATEMENTS, 0, 0, 1)))


MAY = {
    "append statements": (appends(STATEMENTS), {"proficio-receiver", "proficio-source", "proficio-pipeline", "proficio-privacy"}),
    "append in a transaction": (appends(STATEMENTS, "proficio-receiver-1"), {"proficio-receiver"}),
    "append dead letters": (appends(REJECTED), {"proficio-source", "proficio-pipeline", "proficio-privacy"}),
    "tell levels": (appends(LEVELS), {"proficio-pipeline", "proficio-privacy"}),
    "read statements": (reads(STATEMENTS), {"proficio-receiver", "proficio-pipeline", "proficio-privacy"}),
    "read dead letters": (reads(REJECTED), {"proficio-pipeline", "proficio-privacy"}),
    "read levels": (reads(LEVELS), {"proficio-pipeline", "proficio-privacy", "levels-reader"}),
    "take out statements": (takes_out, {"proficio-privacy"}),
}  # fmt: skip


@pytest.mark.parametrize("what", MAY)
@pytest.mark.parametrize("user", USERS[1:])
def test_each_part_may_do_its_work_and_nothing_else(broker: Broker, what: str, user: str) -> None:
    do, allowed = MAY[what]
    if user in allowed:
        do(broker, user)
    else:
        with pytest.raises(UnavailableError, match="Authorization|does not exist|cannot be used"):
            do(broker, user)
