"""The compose file, checked by Compose itself; what it starts runs elsewhere."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

INFRA = Path(__file__).parents[2] / "infra"


def test_the_compose_file_is_valid() -> None:
    for command in (["docker", "compose"], ["docker-compose"]):
        if (
            shutil.which(command[0])
            and subprocess.run([*command, "version"], capture_output=True, check=False).returncode == 0
        ):
            done = subprocess.run(
                [*command, "-f", str(INFRA / "compose.yaml"), "--profile", "scale", "--profile", "receivers", "config"],
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            assert {"kafka", "prefect", "worker", "worker-estimate", "landing", "receiver", "postgres", "balancer"} <= {
                line.strip(" :") for line in done.stdout.splitlines()
            }
            return
    if os.environ.get("CI") == "true":
        pytest.fail("Compose is missing (Debian: apt-get install docker-compose)")
    pytest.skip("Compose is not installed (Debian: apt-get install docker-compose)")
