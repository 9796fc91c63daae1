"""`make bench`: every performance figure as a ratio in one run, as a table and in bench.json.

python -m tests.benchmarks [landing levels marts calibration alignment memory kafka receiver pages] [--small]
"""

import argparse
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("PREFECT_LOGGING_LEVEL", "ERROR")
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "180")
os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("parts", nargs="*")
    arguments.add_argument("--small", action="store_true", help="a tenth of the size, to try the benchmark itself")
    given = arguments.parse_args()
    scale = 10 if given.small else 1
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="proficio-bench-") as folder:
        os.environ.setdefault("PREFECT_HOME", f"{folder}/prefect")
        from tests.benchmarks import alignment, calibration, kafka, landing, levels, marts, pages, receiver

        parts: dict[str, Callable[[Path, int], list[dict[str, Any]]]] = {
            "landing": landing.speed,
            "levels": levels.speed,
            "marts": marts.speed,
            "calibration": calibration.speed,
            "alignment": alignment.speed,
            "memory": landing.memory,
            "kafka": kafka.speed,
            "receiver": receiver.speed,
            "pages": pages.speed,
        }
        for part in given.parts or parts:
            rows += parts[part](Path(folder) / part, scale)
    Path("bench.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    width = max(len(row["what"]) for row in rows)
    print(f"{'what':{width}}  {'figure':>12}  {'bar':>10}  met")
    for row in rows:
        print(f"{row['what']:{width}}  {row['figure']:>12,.3f}  {row['bar']:>10}  {'yes' if row['met'] else 'NO'}")


if __name__ == "__main__":
    main()
