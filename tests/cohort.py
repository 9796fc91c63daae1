"""A simulated cohort in four teams whose marts are published, with a few statements that are refused or that no rule takes."""

from datetime import UTC, datetime

import orjson

from flows.opening import definitions
from tests.home import GOOD, Home
from transforms.estimator import Parameters
from transforms.simulation import cohort, statements

TEAMS = ("Data", "Design", "Sales", "Web")


def publish(home: Home, people: int, days: int, seed: int) -> None:
    """Land, estimate and publish what so many people did in so many days."""
    teams = [f"learner{number:04d}@example.org,{TEAMS[number % 4]}" for number in range(1, people + 1)]
    (home.folder / "people.csv").write_text("\n".join(["account,team", *teams]) + "\n")
    chosen = definitions(home.settings).framework
    parameters = Parameters(cuts=tuple(level.cut for level in chosen.levels))
    told = statements(cohort(chosen, people, seed, parameters), chosen, datetime.now(UTC), days, seed, parameters)
    odd = [{**GOOD, "object": {"id": f"https://nowhere.example.org/{number}"}} for number in range(5)]
    home("ingest", "-", stdin=b"\n".join([orjson.dumps(one) for one in [*told, *odd]] + [b'{"actor": 1}'] * 3))
    given = {"PROFICIO_IDENTITY__ATTRIBUTES": str(home.folder / "people.csv"), "PROFICIO_LAND__MAX_REJECT_SHARE": "1"}
    home("land", **given)
    home("estimate", "--daily", **given)
    home("publish", **given)
