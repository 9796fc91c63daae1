"""Gives the rights of acls.yaml on Kafka: `python infra/kafka/acls.py proficio.toml`. Run again, it changes nothing."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from kafka import KafkaAdminClient
from kafka.admin import ACL, ACLOperation, ACLPermissionType, ACLResourcePatternType, ResourcePattern, ResourceType

from flows import settings_file
from flows.opening import kafka_options

_ASKED = Path(__file__).with_name("acls.yaml")


def acls() -> Iterator[ACL]:
    """The rights as Kafka has them, from any host."""
    asked: dict[str, list[dict[str, Any]]] = yaml.safe_load(_ASKED.read_text("utf-8"))
    for principal, rights in asked.items():
        for right in rights:
            operations = right.pop("operations")
            ((kind, name),) = right.items()
            prefix = name.endswith("*") and name != "*"
            pattern = ResourcePattern(
                ResourceType[kind.upper()],
                name.removesuffix("*") if prefix else name,
                ACLResourcePatternType.PREFIXED if prefix else ACLResourcePatternType.LITERAL,
            )
            for operation in operations:
                yield ACL(f"User:{principal}", "*", ACLOperation[operation.upper()], ACLPermissionType.ALLOW, pattern)


def main() -> None:
    settings = settings_file.load(Path(sys.argv[1]))
    admin = KafkaAdminClient(
        bootstrap_servers=settings.event_log.bootstrap_servers.split(","), **kafka_options(settings)
    )
    try:
        given = list(acls())
        failed = admin.create_acls(given)["failed"]
    finally:
        admin.close()
    if failed:
        sys.exit(f"Not given: {failed}")
    sys.stdout.write(f"{len(given)} rights given.\n")


if __name__ == "__main__":
    main()
