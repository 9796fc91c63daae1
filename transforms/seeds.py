"""dbt seeds from the framework, the alignment rules and the estimator's parameters: file name → CSV text."""

import csv
import io
from collections.abc import Iterable, Sequence
from itertools import product
from typing import Any

from schemas.alignment import Rule
from schemas.criteria import Criterion
from schemas.definitions import Definitions
from schemas.roles import Role
from transforms.calibration import Calibration
from transforms.patterns import as_like, patterns


def seeds(definitions: Definitions, calibration: Calibration, group_share: float = 0.0) -> dict[str, str]:
    """Every seed of the dbt project. Floats are written so that reading them gives the same number again."""
    framework, parameters = definitions.framework, calibration.parameters
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
            ("competency_number", "competency", "competency_name", "competency_description", "group_id", "retired",
             *(f"descriptor_{n}" for n in range(1, len(levels) + 1))),
            [
                (number, competency.id, competency.name, competency.description, group_id, str(competency.retired).lower(),
                 *(competency.levels.get(level.id) for level in framework.levels))
                for number, (competency, group_id) in enumerate(
                    ((competency, group.id) for group, _ in groups for competency in group.competencies), start=1
                )
            ],
        ),
        "framework_former_ids": _csv(
            ("former_id", "competency"), [(former, one.id) for one in framework.competencies for former in one.formerly]
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
        **_alignment(definitions.rules, levels),
        "alignment_activity_types": _csv(
            ("type_number", "activity_type", "interaction_type", "verb", "guess", "slip", "only_latest"),
            [
                (number, one.activity_type and as_like(one.activity_type), one.interaction_type, one.verb and as_like(one.verb),
                 one.guess, one.slip, str(one.only_latest).lower())
                for number, one in enumerate(definitions.activity_types, start=1)
            ],
        ),
        **_roles(definitions.roles, levels),
        **_criteria(definitions.criteria, levels),
        "estimator_parameters": _csv(
            ("parameters_version", "framework_id", "framework_version", "slope", "fast_retention", "other_retention",
             "slow_retention", "half_life_days", "after_failure", "after_success", "guess", "slip", "minimum_weight",
             "grid_step", "group_share", "repetition", "practice_curve"),
            [(parameters.version, framework.id, framework.version, parameters.slope, parameters.fast_retention,
              parameters.other_retention, parameters.slow_retention, parameters.half_life_days,
              parameters.after_failure, parameters.after_success, parameters.guess, parameters.slip,
              parameters.minimum_weight, parameters.step, group_share, parameters.repetition,
              parameters.practice_curve)],
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
            ("point", "ability", "general_prior"),
            [
                (k, float(parameters.grid[k]), float(parameters.general_prior[k]))
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


def _alignment(rules: Sequence[Rule], levels: dict[str, int]) -> dict[str, str]:
    """Rules, the conditions of each, and the patterns that conditions ask for, each pattern once."""
    known = {text: (number, one) for number, (text, one) in enumerate(
        patterns(text for rule in rules for condition in rule.match.conditions for text in condition).items(), start=1
    )}  # fmt: skip
    numbered = list(enumerate(rules, start=1))
    extensions = sorted({iri for rule in rules for iri in rule.match.extensions_used})
    return {
        "alignment_rules": _csv(
            ("rule_number", "rule_name", "condition_count", "competency", "level", "weight", "guess", "slip",
             "outcome_kind", "outcome_value", "evidence_kind", "applications", "tools", "topics"),
            [
                (number, rule.name, len(rule.match.conditions), rule.competency,
                 rule.level and levels[rule.level], rule.weight,
                 rule.guess, rule.slip, *(("fixed", rule.outcome) if isinstance(rule.outcome, float) else (rule.outcome, None)),
                 rule.kind, " ".join(rule.applications) or None, " ".join(rule.tools) or None, " ".join(rule.topics) or None)
                for number, rule in numbered
            ],
        ),
        "alignment_conditions": _csv(
            ("rule_number", "condition_number", "pattern_number"),
            [
                (number, place, known[text][0])
                for number, rule in numbered
                for place, condition in enumerate(rule.match.conditions, start=1)
                for text in sorted(condition)
            ],
        ),
        "alignment_patterns": _csv(
            ("pattern_number", "pattern", "is_exact", "anchor", "anchor_length"),
            [
                (number, one.text, str(one.is_exact).lower(), one.anchor, one.anchor and len(one.anchor))
                for number, one in known.values()
            ],
        ),
        "alignment_extensions": _csv(("extension",), [(iri,) for iri in extensions]),
    }  # fmt: skip


def _roles(roles: Sequence[Role], levels: dict[str, int]) -> dict[str, str]:
    return {
        "roles": _csv(
            ("role_number", "role", "role_name", "role_description"),
            [(number, role.id, role.name, role.description) for number, role in enumerate(roles, start=1)],
        ),
        "role_requirements": _csv(
            ("role", "competency", "required_level"),
            [(role.id, competency, levels[level]) for role in roles for competency, level in role.requires.items()],
        ),
    }


def _criteria(criteria: Sequence[Criterion], levels: dict[str, int]) -> dict[str, str]:
    """Criteria, and for each way to meet one the conditions that must hold together."""
    return {
        "criteria": _csv(
            ("criterion", "criterion_name", "criterion_description", "competency", "level"),
            [(one.id, one.name, one.description, one.competency, levels[one.level]) for one in criteria],
        ),
        "criteria_conditions": _csv(
            ("criterion", "alternative_number", "condition_number", "activity", "kinds", "least_level", "least_outcome",
             "least_count"),
            [
                (one.id, alternative, number, condition.activity and as_like(condition.activity),
                 " ".join(condition.kind) if condition.kind else None,
                 levels[condition.level] if condition.level else 1, condition.outcome, condition.count)
                for one in criteria
                for alternative, conditions in enumerate(one.needs.alternatives, start=1)
                for number, condition in enumerate(conditions, start=1)
            ],
        ),
    }  # fmt: skip


def _csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(["" if value is None else repr(value) if isinstance(value, float) else value for value in row]
                     for row in rows)  # fmt: skip
    return text.getvalue()
