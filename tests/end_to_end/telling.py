"""Levels told under fire: `proficio feedback` is killed while Moodle errs, hangs, limits and hangs up after having done the work.

By hand, at full size:  python -m tests.end_to_end.telling --levels 10000 --kills 10
"""

import argparse
import random
import signal
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.home import Home
from tests.levels import level, publish_levels
from tests.moodle import LEVELS, TOKEN, Moodle

_COMPETENCIES = 10
_SETTINGS = """
[[sinks.moodle]]
name = "campus"
url = "{url}"
token_file = "token"
messages = "changes"
timeout_seconds = 1
patience_seconds = 60
policy = {{ consent = "assumed" }}
"""


def told_under_fire(folder: Path, levels: int, kills: int, faults: float, seed: int = 1) -> dict[str, int]:
    """Tell so many changed levels; each person ends with the right ratings, each rating and message is there once."""
    draw = random.Random(seed)
    competencies = [f"competency-{number}" for number in range(_COMPETENCIES)]
    moodle = Moodle(competencies)
    home = Home(folder)
    (folder / "token").write_text(TOKEN)
    with (folder / "proficio.toml").open("a") as file:
        file.write(_SETTINGS.format(url=moodle.url))
    people = [f"p{number}" for number in range(-(-levels // _COMPETENCIES))]
    for person in people:
        moodle.enrol(person)
    pairs = [(person, competency) for person in people for competency in competencies][:levels]
    before = {pair: draw.randint(1, 4) for pair in pairs}
    publish_levels(
        home.settings, [level(f"mailto:{who}@example.org", before[who, what], competency=what) for who, what in pairs]
    )
    home("feedback")
    after = {pair: one % 4 + 1 for pair, one in before.items()}
    publish_levels(
        home.settings,
        [level(f"mailto:{who}@example.org", after[who, what], competency=what, pieces=20) for who, what in pairs],
    )
    met: Counter[str] = Counter()

    def fault(_: str) -> str | None:
        kind = draw.choice(("before", "after", "slow", "busy")) if draw.random() < faults else None
        met.update([kind] if kind else [])
        return kind

    moodle.fault, moodle.slow_seconds = fault, 1.5
    done_before, killed = len(moodle.evidence), 0
    while killed < kills:
        ends_at = done_before + levels * (killed + 1) // (kills + 1)
        process = home.start("feedback")
        while len(moodle.evidence) < ends_at and process.poll() is None:
            time.sleep(0.01)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            killed += 1
        process.wait()
    for _ in range(20):
        process = home.start("feedback")
        if process.wait() == 0:
            break
    assert process.returncode == 0
    wrong = [pair for pair in pairs if moodle.rated(*pair) != LEVELS[after[pair] - 1]]
    ratings = Counter((one["userid"], one["competencyid"]) for one in moodle.evidence)
    texts = Counter((one["useridto"], one["text"]) for one in moodle.messages)
    moodle.close()
    assert not wrong, wrong[:5]
    assert set(ratings.values()) == {2}
    assert set(texts.values()) == {1}
    assert len(texts) == 2 * levels
    return {"levels": levels, "killed": killed, **met}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--levels", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--faults", type=float, default=0.004, help="share of calls that fail")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(told_under_fire(Path(folder), chosen.levels, chosen.kills, chosen.faults))
    print("Every rating is right; none and no message came twice.")


if __name__ == "__main__":
    main()
