"""Evaluating and calibrating: on the evidence in the warehouse, or on a file of answers."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from connectors.storage import storage_errors
from connectors.warehouse import frame
from flows.opening import calibration, definitions
from flows.settings import Settings
from schemas.errors import InputError
from transforms.answers import Answers, Floats, from_columns, from_table
from transforms.calibration import Calibration, to_json
from transforms.evaluation import by_group, chances, enough, scores, split
from transforms.fitting import calibrate as fit
from transforms.fitting import predicted, refit
from transforms.metrics import log_loss

Tell = Callable[[str], None]

_EVIDENCE = """
select
    cast(evidence.person_key as varchar) as person, cast(evidence.statement_id as varchar) as statement_id,
    evidence.competency, evidence.activity_id, levels.cut, evidence.outcome, evidence.counted_weight as weight,
    alignments.guess, alignments.slip, epoch_us(evidence.occurred_at) / 86400000000.0 as day,
    case when evidence.previous_outcome is null then 0 when evidence.previous_outcome >= 0.5 then 2 else 1 end as retry,
    coalesce(statements.platform, '(none)') as platform, evidence.source
from int_evidence_in_force as evidence
inner join framework_levels as levels on evidence.level = levels.level
inner join stg_statements as statements on evidence.statement_id = statements.statement_id
inner join int_alignments as alignments
    on statements.alignment_key = alignments.alignment_key and evidence.competency = alignments.competency
order by evidence.person_key, evidence.occurred_at, evidence.statement_id, evidence.competency
"""


@dataclass(frozen=True)
class Evaluation:
    """Scores of each model on people that none was fitted on; by group where asked; outcomes and chances behind them."""

    rows: int
    models: dict[str, dict[str, float]]
    groups: list[dict[str, Any]]
    outcome: Floats
    chances: dict[str, Floats]


def evaluate_answers(path: Path, tell: Tell = lambda text: None) -> Evaluation:
    """Fit on the first two thirds of the users of a file of answers (`from_table`), test on the rest."""
    answers = from_table(_table(path), str(path))
    _check(answers, str(path))
    fitted, tested = split(answers)
    return _evaluation(len(answers.competency), tested, chances(fitted, tested, Calibration(), tell=tell), None)


def evaluate(settings: Settings, by: str | None = None, tell: Tell = lambda text: None) -> Evaluation:
    """The same on the evidence in the warehouse, people by their keys, with the calibration that is in use beside it."""
    chosen = definitions(settings).framework
    table = frame(settings.warehouse, _EVIDENCE)
    answers = _answers(table, [competency.id for competency in chosen.competencies])
    _check(answers, "The warehouse")
    if by is not None and by not in ("platform", "source", "competency"):
        table[by] = _attribute(settings, by, table["person"])
    fitted, tested = split(answers)
    in_use = calibration(settings, chosen)
    found = chances(fitted, tested, in_use, in_use, tell)
    groups = None
    if by is not None:
        first = answers.row_starts[:-1][len(fitted.day) :]
        groups = table[by].iloc[first].tolist()
    return _evaluation(len(answers.competency), tested, found, groups)


def _attribute(settings: Settings, name: str, people: pd.Series) -> pd.Series:
    """The value of an attribute for each person, (none) where it has none."""
    given = frame(
        settings.warehouse, "select cast(person_key as varchar) as person, attribute, value from lake.attributes"
    )
    known = sorted(given["attribute"].unique())
    if name not in known:
        raise InputError(
            f"--by {name} is not known.",
            f"Group by {', '.join(('platform', 'source', 'competency', *known))}; more by identity.attributes in the settings.",
        )
    values = given[given["attribute"] == name].set_index("person")["value"]
    return people.map(values).fillna("(none)")


def calibrate(settings: Settings, tell: Tell = lambda text: None) -> dict[str, Any]:
    """Fit parameters and difficulties to the evidence in the warehouse, and keep them if they predict better.

    A fifth of the people is held out to compare with what is in use; the version kept is then fitted on everyone.
    """
    chosen = definitions(settings).framework
    in_use = calibration(settings, chosen)
    answers = _answers(frame(settings.warehouse, _EVIDENCE), [competency.id for competency in chosen.competencies])
    _check(answers, "The warehouse")
    everyone = np.random.default_rng(0).permutation(answers.people)
    held_out = np.sort(everyone[: answers.people // 5])
    tested, fitted = answers.of(held_out), answers.of(np.sort(everyone[answers.people // 5 :]))
    trial = fit(fitted, in_use.parameters, tell=tell)
    before = log_loss(tested.answer_outcome, predicted(tested, in_use))
    after = log_loss(tested.answer_outcome, predicted(tested, trial))
    told = {
        "people": answers.people, "answers": len(answers.day), "held_out_people": len(held_out),
        "log_loss_in_use": before, "log_loss_calibrated": after, "in_use": in_use.parameters.version,
    }  # fmt: skip
    if after >= before:
        return {**told, "kept": None}
    return {**told, "kept": _keep(settings, refit(answers, trial.parameters, trial.shrinkage), told)}


def _keep(settings: Settings, found: Calibration, told: dict[str, Any]) -> str:
    """Write a calibration as the next version; every later estimate is made with it."""
    number = 1 + max((int(path.stem) for path in settings.calibrations.glob("[0-9]*.json")), default=0)
    version = f"calibrated-{number:04d}"
    parameters = replace(found.parameters, version=version)
    fitted_on = {**told, "calibrated_at": datetime.now(UTC).isoformat(timespec="seconds")}
    target = settings.calibrations / f"{number:04d}.json"
    with storage_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_suffix(".tmp")
        temporary.write_bytes(to_json(replace(found, parameters=parameters, fitted_on=fitted_on)))
        temporary.replace(target)
    return version


def _evaluation(rows: int, tested: Answers, found: dict[str, Floats], groups: list[str] | None) -> Evaluation:
    outcome = tested.answer_outcome
    return Evaluation(
        rows=rows,
        models={name: scores(outcome, chance) for name, chance in found.items()},
        groups=by_group(groups, outcome, found["proficio"]) if groups else [],
        outcome=outcome,
        chances=found,
    )


def _answers(table: pd.DataFrame, competencies: list[str]) -> Answers:
    return from_columns(
        person=table["person"], order=table["statement_id"], day=table["day"].to_numpy(float),
        competency=table["competency"], activity=table["activity_id"], pitch=table["cut"].to_numpy(float),
        outcome=table["outcome"].to_numpy(float), weight=table["weight"].to_numpy(float),
        guess=table["guess"].to_numpy(float), slip=table["slip"].to_numpy(float),
        retry=table["retry"].to_numpy(int), competencies=competencies,
    )  # fmt: skip


def _check(answers: Answers, where: str) -> None:
    if not enough(answers):
        raise InputError(
            f"{where} holds {len(answers.day)} answers of {answers.people} people: too few to fit and to test on.",
            "At least 30 people are needed, with successes and failures. Until then the defaults are in use.",
        )


def _table(path: Path) -> pd.DataFrame:
    readers: dict[str, Callable[[Path], pd.DataFrame]] = {".parquet": pd.read_parquet, ".csv": pd.read_csv}
    if path.suffix not in readers:
        raise InputError(f"{path}: expected a file ending in .parquet or .csv.", "Convert it.")
    try:
        return readers[path.suffix](path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}", "Give a Parquet or CSV file.") from None
