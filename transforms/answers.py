"""Evidence of many people as flat arrays, in the order that they gave it: what calibration and evaluation run on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from schemas.errors import InputError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
_REQUIRED = ("user_id", "order_in_user", "skill_id", "correct")


@dataclass(frozen=True)
class Answers:
    """Answers of people, ordered by person and time. An answer that needs several competencies is several rows.

    `person_starts` (people + 1) index answers, `row_starts` (answers + 1) index rows; `day` is one number an answer,
    everything from `competency` on one a row. `activity` is -1 where unknown; `retry` is 0 at the first attempt of a
    person at an activity, 1 after a failure, 2 after a success; `earlier` counts the person's rows on the competency before;
    `pitch` is the cut of the level that the activity is pitched at; `guess` and `slip` are NaN where the parameters decide.
    """

    competencies: tuple[str, ...]
    activities: tuple[str, ...]
    person_starts: Integers
    row_starts: Integers
    day: Floats
    competency: Integers
    activity: Integers
    pitch: Floats
    outcome: Floats
    weight: Floats
    guess: Floats
    slip: Floats
    retry: Integers
    earlier: Integers

    @property
    def people(self) -> int:
        """How many people answered."""
        return len(self.person_starts) - 1

    @property
    def answer_of_row(self) -> Integers:
        """For each row the answer that it belongs to."""
        return np.repeat(np.arange(len(self.day)), np.diff(self.row_starts))

    @property
    def answer_outcome(self) -> Floats:
        """One outcome an answer: the mean of its rows'."""
        return np.asarray(np.add.reduceat(self.outcome, self.row_starts[:-1]) / np.diff(self.row_starts))

    def of(self, people: Integers) -> "Answers":
        """The answers of some people, by their positions."""
        answers = _ranges(self.person_starts, people)
        rows = _ranges(self.row_starts, answers)
        columns = ("competency", "activity", "pitch", "outcome", "weight", "guess", "slip", "retry", "earlier")
        return replace(
            self,
            person_starts=_starts(np.diff(self.person_starts)[people]),
            row_starts=_starts(np.diff(self.row_starts)[answers]),
            day=self.day[answers],
            **{name: getattr(self, name)[rows] for name in columns},
        )


def from_table(table: pd.DataFrame, where: str) -> Answers:
    """Answers from columns user_id, order_in_user, skill_id, correct (0 to 1) and, where known, item_id and timestamp.

    Rows with one order_in_user of a user are one answer that needs several skills. Timestamps are seconds or date-times.
    InputError for a missing column, an empty table, or a value of `correct` outside 0 to 1.
    """
    missing = [name for name in _REQUIRED if name not in table.columns]
    if missing:
        raise InputError(
            f"{where} lacks {', '.join(missing)}; it has {', '.join(map(str, table.columns))}.",
            f"Give the columns {', '.join(_REQUIRED)}, and item_id and timestamp where they are known.",
        )
    blank = [name for name in _REQUIRED if table[name].isna().any()]
    if blank or table.empty:
        what = f"has rows without {', '.join(blank)}" if blank else "holds no answers"
        raise InputError(f"{where} {what}.", "Leave such rows out.")
    ordered = table.sort_values(["user_id", "order_in_user"], kind="stable").drop_duplicates(
        ["user_id", "order_in_user", "skill_id"]
    )
    correct = ordered["correct"].to_numpy(np.float64)
    if ((correct < 0) | (correct > 1)).any():
        raise InputError(f"{where}: correct must lie between 0 and 1; found {correct.min()} to {correct.max()}.", "")
    has_items = "item_id" in ordered.columns and ordered["item_id"].notna().any()
    return from_columns(
        person=ordered["user_id"],
        order=ordered["order_in_user"],
        day=_days(ordered["timestamp"]) if "timestamp" in ordered.columns else np.zeros(len(ordered)),
        competency=ordered["skill_id"],
        activity=ordered["item_id"] if has_items else None,
        pitch=np.zeros(len(ordered)),
        outcome=correct,
        weight=np.ones(len(ordered)),
    )


def from_columns(
    person: pd.Series,
    order: pd.Series,
    day: Floats,
    competency: pd.Series,
    activity: pd.Series | None,
    pitch: Floats,
    outcome: Floats,
    weight: Floats,
    guess: Floats | None = None,
    slip: Floats | None = None,
    retry: Integers | None = None,
    competencies: Sequence[str] | None = None,
) -> Answers:
    """Answers from columns that are ordered by person and then by time; `order` is alike for rows of one answer.

    Without `retry`, any earlier answer of the person on the same activity and competency is an attempt before.
    """
    person_codes = pd.factorize(person)[0]
    order_codes = pd.factorize(order)[0]
    new_person = np.append(True, person_codes[1:] != person_codes[:-1])
    new_answer = new_person | np.append(True, order_codes[1:] != order_codes[:-1])
    answer_starts = np.flatnonzero(new_answer)
    if competencies is None:
        competency_codes, names = pd.factorize(competency, sort=True)
    else:
        competency_codes, names = pd.Index(competencies).get_indexer(pd.Index(competency)), pd.Index(competencies)
    activity_codes, activities = (
        pd.factorize(activity, sort=True)
        if activity is not None
        else (np.full(len(person), -1), pd.Index([], dtype="str"))
    )
    unknown = np.full(len(person), np.nan)
    return Answers(
        competencies=tuple(map(str, names)),
        activities=tuple(map(str, activities)),
        person_starts=np.append(np.flatnonzero(new_person[answer_starts]), len(answer_starts)).astype(np.int64),
        row_starts=np.append(answer_starts, len(person)).astype(np.int64),
        day=np.asarray(day, dtype=np.float64)[answer_starts],
        competency=np.asarray(competency_codes, dtype=np.int64),
        activity=np.asarray(activity_codes, dtype=np.int64),
        pitch=np.asarray(pitch, dtype=np.float64),
        outcome=np.asarray(outcome, dtype=np.float64),
        weight=np.asarray(weight, dtype=np.float64),
        guess=unknown if guess is None else np.asarray(guess, dtype=np.float64),
        slip=unknown if slip is None else np.asarray(slip, dtype=np.float64),
        retry=_retries(person_codes, competency_codes, activity_codes, np.asarray(outcome)) if retry is None else retry,
        earlier=_earlier(person_codes, competency_codes),
    )


def _earlier(person: Integers, competency: Integers) -> Integers:
    """How many rows of the person on the competency came before each."""
    return np.asarray(pd.Series(competency).groupby([person, competency]).cumcount(), dtype=np.int64)


def _retries(person: Integers, competency: Integers, activity: Integers, outcome: Floats) -> Integers:
    """0, 1 or 2 a row: no earlier attempt at this activity and competency, the last one failed, it succeeded."""
    frame = pd.DataFrame({"person": person, "competency": competency, "activity": activity, "outcome": outcome})
    before = frame.groupby(["person", "competency", "activity"])["outcome"].shift()
    retry = np.where(before.isna(), 0, np.where(before >= 0.5, 2, 1))
    return np.where(activity < 0, 0, retry).astype(np.int64)


def _days(timestamps: pd.Series) -> Floats:
    if pd.api.types.is_numeric_dtype(timestamps):
        return np.asarray(timestamps.to_numpy(np.float64) / 86_400)
    moments = pd.to_datetime(timestamps, utc=True)
    return np.asarray((moments - moments.min()).dt.total_seconds().to_numpy(np.float64) / 86_400)


def _starts(lengths: Integers) -> Integers:
    return np.append(0, np.cumsum(lengths)).astype(np.int64)


def _ranges(starts: Integers, chosen: Integers) -> Integers:
    """The positions that the chosen ranges cover, one after the other."""
    lengths = starts[chosen + 1] - starts[chosen]
    offsets = np.repeat(starts[chosen] - _starts(lengths)[:-1], lengths)
    return np.asarray(np.arange(lengths.sum()) + offsets, dtype=np.int64)
