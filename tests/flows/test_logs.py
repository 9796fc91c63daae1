"""Logs as JSON: each line an object with its run, and nobody named in any."""

import json

from tests.home import GOOD, Home


def test_every_line_is_an_object_with_its_run(home: Home) -> None:
    home("ingest", "-", stdin=b"\n".join([json.dumps(GOOD).encode(), b'{"actor": 1}']))
    told = home("run", "--json", PROFICIO_LOGS__FORMAT="json", PROFICIO_LAND__MAX_REJECT_SHARE="1")
    lines = [json.loads(line) for line in told.splitlines()]
    logged = [line for line in lines if "logger" in line]
    assert len(logged) >= 8 and all({"time", "level", "message"} <= set(line) for line in logged)
    of_tasks = {line["task_run_name"]: line["flow_run_id"] for line in logged if "task_run_name" in line}
    assert {"land", "estimate", "quality", "publish"} <= set(of_tasks)
    assert len(set(of_tasks.values())) == 1
    assert "example.org" not in "".join(json.dumps(line) for line in logged)
