"""Logs as JSON: each line an object with its run, and nobody named in any."""

import json

from tests.home import GOOD, Home


def test_every_line_is_an_object_with_its_run_and_what_failed_says_what_mends_it(home: Home) -> None:
    home("ingest", "-", stdin=b"\n".join([json.dumps(GOOD).encode(), b'{"actor": 1}']))
    told = home("run", "--json", expect=4, PROFICIO_LOGS__FORMAT="json", PROFICIO_LAND__MAX_REJECT_SHARE="1",
                PROFICIO_SOURCES__GIT__REPOSITORIES='["/srv/nowhere"]')  # fmt: skip
    said = [json.loads(line) for line in told.splitlines()]
    assert [one["exit_code"] for one in said if "exit_code" in one] == [4]
    logged = [one for one in said if "logger" in one]
    assert len(logged) >= 8 and all({"time", "level", "message"} <= set(line) for line in logged)
    of_tasks = {line["task_run_name"]: line["flow_run_id"] for line in logged if "task_run_name" in line}
    assert {"land", "estimate", "quality", "publish"} <= set(of_tasks)
    assert len(set(of_tasks.values())) == 1
    assert "example.org" not in "".join(json.dumps(line) for line in logged)
    hint = "Give the path of a repository's folder"
    failed = [line["message"] for line in logged if line["level"] == "ERROR" and hint in line["message"]]
    assert failed and "/srv/nowhere is no Git repository" in failed[0]
    assert hint in home("status")
