"""Evaluating and calibrating from the command line, on a file of answers and on landed evidence."""

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import orjson
import pandas as pd
import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from flows.cli import app
from flows.estimate import estimate
from flows.evaluate import calibrate, evaluate
from flows.land import land
from flows.opening import calibration, definitions, event_log
from flows.settings import IdentitySettings, Settings
from schemas.errors import InputError, ProficioError
from schemas.records import STATEMENTS, Record
from transforms.estimator import Parameters
from transforms.simulation import cohort, statements


def answers(items: bool) -> pd.DataFrame:
    random = np.random.default_rng(1)
    rows = []
    for person in range(60):
        ability = random.normal()
        for order in range(30):
            item = int(random.integers(20))
            right = int(random.random() < 1 / (1 + np.exp((item - 10) / 5 - ability)))
            rows += [(f"u{person:03d}", order, f"i{item}", skill, right) for skill in {item % 3, item % 4}]
    table = pd.DataFrame(rows, columns=["user_id", "order_in_user", "item_id", "skill_id", "correct"])
    return table if items else table.drop(columns="item_id")


@pytest.mark.parametrize("items", [True, False])
def test_answers_are_evaluated_beside_the_baselines(tmp_path: Path, items: bool) -> None:
    path = tmp_path / "answers.parquet"
    answers(items).to_parquet(path)
    drawn = tmp_path / "reliability.svg"
    done = CliRunner().invoke(app, ["evaluate", "--answers", str(path), "--json", "--diagram", str(drawn)])
    told = json.loads(done.stdout)
    assert told["rows"] == len(answers(items))
    assert set(told["models"]) == {"proficio", "best_lr", "pfa", "elo", "item_mean"}
    assert told["models"]["proficio"]["auc"] > (told["models"]["item_mean"]["auc"] if items else 0.6)
    assert all(0 < one["log_loss"] < 0.75 and 0 <= one["ece"] < 0.2 for one in told["models"].values())
    assert drawn.read_text().count("<circle") > 10


@pytest.mark.parametrize(
    ("table", "wrong"),
    [
        (pd.DataFrame({"user_id": [1], "correct": [1]}), "lacks order_in_user, skill_id"),
        (pd.DataFrame({"user_id": [1], "order_in_user": [1], "skill_id": ["s"], "correct": [3]}), "between 0 and 1"),
        (
            pd.DataFrame({"user_id": [1], "order_in_user": [1], "skill_id": [None], "correct": [1]}),
            "rows without skill_id",
        ),
        (pd.DataFrame({"user_id": [1], "order_in_user": [1], "skill_id": ["s"], "correct": [1]}), "too few"),
        (pd.DataFrame(columns=["user_id", "order_in_user", "skill_id", "correct"]), "holds no answers"),
    ],
)
def test_what_is_no_table_of_answers_is_refused(tmp_path: Path, table: pd.DataFrame, wrong: str) -> None:
    path = tmp_path / "answers.csv"
    table.to_csv(path, index=False)
    result = CliRunner().invoke(app, ["evaluate", "--answers", str(path)])
    assert isinstance(result.exception, InputError)
    assert wrong in str(result.exception)


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    # The key orders the people, and so decides who is held out.
    settings = Settings(home=tmp_path_factory.mktemp("evaluate"), identity=IdentitySettings(key=SecretStr("k" * 32)))
    chosen = definitions(settings).framework
    truth = Parameters(
        general_sd=1.8, specific_sd=1.2
    )  # other than the defaults suppose, so that there is something to learn
    group = cohort(chosen, 80, 4, truth)
    with event_log(settings) as log:
        made = statements(group, chosen, datetime(2026, 6, 1, tzinfo=UTC), 100, 4, truth)
        log.append(STATEMENTS, [Record(one["actor"]["mbox"], orjson.dumps(one), {"source": "lms"}) for one in made])
        land(settings, log)
    estimate(settings)
    return settings


def test_evidence_is_evaluated_by_group(landed: Settings) -> None:
    done = evaluate(landed, by="competency")
    assert done.models["proficio"]["auc"] > 0.6
    assert "proficio_in_use" in done.models
    assert len(done.groups) == 14
    assert sum(one["answers"] for one in done.groups) == len(done.outcome)
    with pytest.raises(InputError, match="--by colour is not known"):
        evaluate(landed, by="colour")


def test_a_calibration_is_kept_where_it_predicts_better_and_used_by_the_next_estimate(landed: Settings) -> None:
    first = calibrate(landed)
    assert first["kept"] == "calibrated-0001"
    assert first["log_loss_calibrated"] < first["log_loss_in_use"]
    chosen = definitions(landed).framework
    assert calibration(landed, chosen).fitted_on["people"] == 80
    done = estimate(landed)
    assert done.full_refresh
    second = calibrate(landed)  # what is in use was fitted on the people that are now held out: hard to beat
    assert second["kept"] is None
    assert [path.name for path in landed.calibrations.iterdir()] == ["0001.json"]


def test_a_broken_calibration_is_refused_with_its_place(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    settings.calibrations.mkdir(parents=True)
    (settings.calibrations / "0001.json").write_text("{}")
    with pytest.raises(ProficioError, match="0001.json is no calibration"):
        estimate(settings)
