"""Setting up a competency framework in a Moodle by its web services. What is there already stays as it is."""

from typing import Any, NamedTuple

from connectors.moodle import MoodleRefusal, WebServices
from schemas.errors import InputError
from schemas.framework import Framework
from transforms.framework_moodle import HTML, TAXONOMIES, description, paragraph, scale_configuration, scale_values

_SCALES_TRIED = 100
_SYSTEM_CONTEXT = 1


class SetUp(NamedTuple):
    """How many competencies and groups were made, how many were there, on which scale."""

    made: int
    there: int
    scale: int


def set_up(moodle: WebServices, framework: Framework, scale: int | None = None) -> SetUp:
    """Make the framework, its groups and competencies where they are missing, by ID number.

    Moodle's web services make no scale: one with the levels as values is looked for (or given by its id). InputError where
    there is none.
    """
    there = frameworks(moodle)
    found = next((one for one in there if one["idnumber"] == framework.id), None)
    if found is None:
        chosen: int = scale or _scale(moodle, framework, [int(one["scaleid"]) for one in there])
        found = moodle.call(
            "core_competency_create_competency_framework",
            done=lambda: any(one["idnumber"] == framework.id for one in frameworks(moodle)),
            competencyframework={
                "shortname": framework.title[:100], "idnumber": framework.id, "description": "", "descriptionformat": HTML,
                "visible": 1, "scaleid": chosen, "scaleconfiguration": scale_configuration(framework, chosen),
                "contextid": _SYSTEM_CONTEXT, "taxonomies": TAXONOMIES,
            },
        )  # fmt: skip
        found = found or next(one for one in frameworks(moodle) if one["idnumber"] == framework.id)
    known = {one["idnumber"]: int(one["id"]) for one in competencies(moodle, found["id"])}
    before = len(known)
    for group in framework.groups:
        _make(moodle, known, found["id"], group.id, group.name, paragraph(group.description), 0)
        for one in group.competencies:
            if not one.retired:
                _make(moodle, known, found["id"], one.id, one.name, description(framework, one), known[group.id])
    return SetUp(len(known) - before, before, int(found["scaleid"]))


def frameworks(moodle: WebServices) -> list[dict[str, Any]]:
    """The frameworks of the whole site."""
    return list(
        moodle.call(
            "core_competency_list_competency_frameworks", sort="shortname", order="ASC", skip=0, limit=0,
            context={"contextlevel": "system"}, includes="children", onlyvisible=1, query="",
        )
    )  # fmt: skip


def competencies(moodle: WebServices, framework: int) -> list[dict[str, Any]]:
    """The competencies of a framework."""
    filters = [{"column": "competencyframeworkid", "value": framework}]
    return list(
        moodle.call(
            "core_competency_list_competencies", filters=filters, sort="shortname", order="ASC", skip=0, limit=0
        )
    )


def values_of_scale(moodle: WebServices, scale: int) -> list[str] | None:
    """The values of a scale, from its first on; None where it is not there or the token may not see it."""
    try:
        return [str(one["name"]).strip() for one in moodle.call("core_competency_get_scale_values", scaleid=scale)]
    except MoodleRefusal:
        return None


def _make(
    moodle: WebServices, known: dict[str, int], framework: int, idnumber: str, name: str, about: str, parent: int
) -> None:
    if idnumber in known:
        return

    def made() -> int | None:
        return next((int(one["id"]) for one in competencies(moodle, framework) if one["idnumber"] == idnumber), None)

    answer = moodle.call(
        "core_competency_create_competency", done=lambda: made() is not None,
        competency={
            "shortname": name[:100], "idnumber": idnumber, "description": about, "descriptionformat": HTML, "parentid": parent,
            "competencyframeworkid": framework,
        },
    )  # fmt: skip
    known[idnumber] = int(answer["id"]) if answer else made() or 0


def _scale(moodle: WebServices, framework: Framework, likely: list[int]) -> int:
    wanted = [value.lower() for value in scale_values(framework)]
    scale: int
    for scale in [*likely, *range(1, _SCALES_TRIED + 1)]:
        values = values_of_scale(moodle, scale)
        if values is not None and [value.lower() for value in values] == wanted:
            return scale
    raise InputError(
        f"Moodle has no scale with the values {', '.join(scale_values(framework))}, and its web services make none.",
        "Add it (Site administration, Grades, Scales) and run this again; or import what --csv writes, which makes it too.",
    )
