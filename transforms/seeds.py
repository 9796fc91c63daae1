"""dbt seeds from the framework, the alignment rules and the estimator's parameters: file name → CSV text."""

import csv
import io
from collections.abc import Iterable, Sequence
from itertools import product
from typing import Any

from schemas.framework import Framework, Rule
from transforms.calibration import Calibration


def seeds(
    framework: Framework, rules: Sequence[Rule], calibration: Calibration, group_share: float = 0.0
) -> dict[str, str]:
    """Every seed of the dbt project. Floats are written so that reading them gives the same number again."""
    parameters = calibration.parameters
    levels = {level.id: number for number, level in enumerate(framework.levels, start=1)}
    groups = [(group, number) for number, group in enumerate(framework.groups, start=1)]
    return {
        "framework_levels": _csv(
            ("level", "level_id", "level_name", "level_description", "cut", "difficulty"),
            [
                (levels[level.id], level.id, level.name, level.description, level.cut, float(parameters.difficulty(n)))
                for n, level in enumerate(framework.levels, start=1)
            ],
        ),
        "framework_competency_groups": _csv(
            ("group_number", "group_id", "group_name", "group_description"),
            [(number, group.id, group.name, group.description) for group, number in groups],
        ),
        "framework_competencies": _csv(
            ("competency_number", "competency", "competency_name", "competency_description", "group_id"),
            [
                (number, competency.id, competency.name, competency.description, group_id)
                for number, (competency, group_id) in enumerate(
                    ((competency, group.id) for group, _ in groups for competency in group.competencies), start=1
                )
            ],
        ),
        "framework_applications": _csv(
            ("application", "application_name", "application_description", "examples"),
            [(one.id, one.name, one.description, "; ".join(one.examples)) for one in framework.applications],
        ),
        "framework_tools": _csv(
            ("tool", "tool_name", "kind", "tool_description"),
            [(one.id, one.name, one.kind, one.description) for one in framework.tools],
        ),
        "framework_continuous_learning": _csv(
            ("topic_id", "topic_name", "topic_description"),
            [(one.id, one.name, one.description) for one in framework.continuous_learning],
        ),
        "alignment_rules": _csv(
            ("rule_number", "rule_name", "verb_id", "activity_type", "platform", "source", "activity_id_like",
             "activity_name_like", "course_like", "feature_like", "competency", "level", "weight", "guess", "slip",
             "outcome_kind", "outcome_value"),
            [
                (number, *row)
                for number, row in enumerate((row for rule in rules for row in _rule_rows(rule, levels)), start=1)
            ],
        ),
        "estimator_parameters": _csv(
            ("parameters_version", "framework_id", "framework_version", "slope", "fast_retention", "other_retention",
             "slow_retention", "half_life_days", "after_failure", "after_success", "guess", "slip", "minimum_weight",
             "grid_step", "group_share"),
            [(parameters.version, framework.id, framework.version, parameters.slope, parameters.fast_retention,
              parameters.other_retention, parameters.slow_retention, parameters.half_life_days,
              parameters.after_failure, parameters.after_success, parameters.guess, parameters.slip,
              parameters.minimum_weight, parameters.step, group_share)],
        ),
        "estimator_competencies": _csv(
            ("competency", "difficulty", "practice"),
            [
                (competency.id, calibration.difficulty_of(competency.id), calibration.practice_of(competency.id))
                for competency in framework.competencies
            ],
        ),
        "estimator_activities": _csv(
            ("activity_id", "difficulty", "slope"), [(name, *pair) for name, pair in calibration.activities.items()]
        ),
        "estimator_grid": _csv(
            ("point", "ability", "general_prior", *(f"above_level_{n}" for n in range(1, len(levels) + 1))),
            [
                (k, float(parameters.grid[k]), float(parameters.general_prior[k]), *map(float, parameters.above[:, k]))
                for k in range(parameters.points)
            ],
        ),
        "estimator_transition": _csv(
            ("general_point", "point", "probability"),
            [
                (g, k, float(parameters.transition[g, k]))
                for g, k in product(range(parameters.points), range(parameters.points))
            ],
        ),
    }  # fmt: skip


def _rule_rows(rule: Rule, levels: dict[str, int]) -> Iterable[tuple[Any, ...]]:
    """One row for each combination of the values a rule lists, so that the join in SQL is on equality."""
    match = rule.match
    kind, value = ("fixed", rule.outcome) if isinstance(rule.outcome, float) else (rule.outcome, None)
    for verb, activity_type, platform, source in product(
        *(
            tuple(one) if isinstance(one, list) else (one,)
            for one in (match.verb, match.activity_type, match.platform, match.source)
        )
    ):
        patterns = [_like(one) for one in (match.activity_id, match.activity_name, match.course, match.feature)]
        yield (rule.name, verb, activity_type, platform, source, *patterns, rule.competency, levels[rule.level],
               rule.weight, rule.guess, rule.slip, kind, value)  # fmt: skip


def _like(pattern: str | None) -> str | None:
    """A pattern with * as SQL LIKE has it, with ! as the escape character."""
    if pattern is None:
        return None
    for special in "!%_":
        pattern = pattern.replace(special, f"!{special}")
    return pattern.replace("*", "%")


def _csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(["" if value is None else repr(value) if isinstance(value, float) else value for value in row]
                     for row in rows)  # fmt: skip
    return text.getvalue()
