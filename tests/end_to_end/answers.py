"""By hand: a public data set of answers through landing and dbt, against the reference estimator.

    python -m tests.end_to_end.answers ANSWERS.parquet

Every answer becomes a statement, every skill a competency. A calibration is fitted first, so that difficulties, slopes,
practice, guessing and slips are all at work. Prints how many levels were compared and the largest difference.
"""

import sys
import tempfile
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import numpy as np
import orjson
import pandas as pd

from connectors import warehouse
from connectors.dbt import DbtProject
from flows.estimate import estimate
from flows.land import land
from flows.opening import definitions, event_log
from flows.settings import Settings
from schemas.alignment import Match, Rule
from schemas.definitions import Definitions
from schemas.framework import Competency, Framework, Group
from schemas.records import STATEMENTS, Record
from transforms.answers import from_columns
from transforms.calibration import Calibration
from transforms.estimator import Evidence, Parameters, fold
from transforms.estimator import estimate as reference
from transforms.fitting import calibrate
from transforms.seeds import seeds

START = datetime(2000, 1, 1, tzinfo=UTC)  # a person's answers are a day apart


def main(path: Path) -> None:
    table = pd.read_parquet(path).drop_duplicates(["user_id", "order_in_user", "skill_id"])
    table = table.sort_values(["user_id", "order_in_user"], kind="stable").reset_index(drop=True)
    table["competency"] = "skill-" + table["skill_id"].astype(str)
    table["answer"] = table["user_id"].astype(str) + "-" + table["order_in_user"].astype(str)
    table["activity"] = "https://answers.example.org/" + table.get("item_id", table["skill_id"]).astype(str)
    names = sorted(table["competency"].unique())
    shipped = definitions(Settings())
    chosen = shipped.framework.model_copy(
        update={"groups": [Group(id="skills", name="Skills", description="Of the data.", competencies=[
            Competency(id=name, name=name, description=name) for name in names])]}
    )  # fmt: skip
    calibration = _calibration(table, chosen)
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(home=Path(folder))
        rules = [Rule(name=name, match=Match(course=f"https://answers.example.org/skills/{name}"), competency=name,
                      level="intermediate", weight=1.0, outcome="success") for name in names]  # fmt: skip
        given = Definitions(chosen, tuple(rules))
        project = DbtProject(
            settings.home / "dbt", seeds(given, calibration), settings.warehouse, settings.compiled_folder, "4GB"
        )
        with event_log(settings) as log:
            log.append(STATEMENTS, [Record(one["actor"]["mbox"], orjson.dumps(one)) for one in _statements(table)])
            print(f"{land(settings, log).landed:,} answers landed")
        estimate(settings, project=project)
        found = warehouse.rows(settings.warehouse, "select * from mart_levels inner join dim_person using (person)")
    wanted = _reference(table, calibration, names)
    columns = ("ability_mean", "ability_sd", "ability_low", "ability_high", "evidence_weight")
    largest = 0.0
    for row in found:
        one = wanted[row["mail_address"], row["competency"]]
        differences = [abs(row[name] - getattr(one, name)) for name in columns]
        differences += [abs(row[f"p_at_least_{k}"] - one.p_at_least[k - 1]) for k in range(1, 5)]
        largest = max(largest, *differences)
    assert len(found) == len(wanted)
    print(f"{len(found):,} levels of {table['user_id'].nunique():,} people compared; largest difference {largest:.1e}")
    assert largest < 1e-9


def _calibration(table: pd.DataFrame, chosen: Framework) -> Calibration:
    pitch = np.full(len(table), chosen.levels[1].cut)
    answers = from_columns(
        table["user_id"], table["answer"], table["order_in_user"].to_numpy(float), table["competency"], table["activity"],
        pitch, table["correct"].to_numpy(float), np.ones(len(table)),
    )  # fmt: skip
    found = calibrate(answers, Parameters(), tell=print)
    print(found.parameters)
    return found


def _statements(table: pd.DataFrame) -> list[dict[str, object]]:
    made = []
    for number, (_, rows) in enumerate(table.groupby(["user_id", "order_in_user"], sort=False)):
        first = rows.iloc[0]
        made.append(
            {
                "id": str(UUID(int=number)),
                "actor": {"mbox": f"mailto:u{first['user_id']}@example.org"},
                "verb": {"id": "http://adlnet.gov/expapi/verbs/answered"},
                "object": {"id": first["activity"]},
                "result": {"success": bool(first["correct"])},
                "context": {"contextActivities": {"grouping": [
                    {"id": f"https://answers.example.org/skills/{name}"} for name in rows["competency"]]}},
                "timestamp": (START + timedelta(days=int(first["order_in_user"]))).isoformat(),
            }
        )  # fmt: skip
    return made


def _reference(table: pd.DataFrame, calibration: Calibration, names: list[str]) -> dict[tuple[str, str], object]:
    parameters = calibration.parameters
    pieces = defaultdict(list)
    for row in table.itertuples():
        difficulty, slope = calibration.activities[row.activity]
        difficulty += parameters.difficulty(2) + calibration.difficulty_of(row.competency)
        moment = START + timedelta(days=int(row.order_in_user))
        pieces[row.user_id].append(
            Evidence(row.competency, row.activity, difficulty, float(row.correct), 1.0, moment, row.answer, slope,
                     practice=calibration.practice_of(row.competency))
        )  # fmt: skip
    return {
        (f"mailto:u{person}@example.org", one.competency): one
        for person, evidence in pieces.items()
        for one in reference(fold(evidence, parameters), names, parameters)
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
