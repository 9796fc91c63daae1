"""A level in words: how sure it is, what it rests on, what moved it. Read by learners and by those who rate them."""

from collections.abc import Mapping
from typing import Any

from transforms.languages import N_, Language

_TOLD = 2  # pieces of evidence that are named


def note(change: Mapping[str, Any], language: Language, link: str = "") -> str:
    """Why a level is what it is, as plain text: a row of mart_levels, with `reasons`, rows of mart_explanations of it.

    `reasons` are named in their order. The text has neither < nor >, which Moodle takes for markup.
    """
    level = language.text(
        "{level} in {competency}, {certainty}.",
        level=change["reported_level_name"],
        competency=change["competency_name"],
        certainty=certainty(chance(change), language),
    )
    said = [level, rests_on(change, language)]
    if named := [_named(reason, language) for reason in change.get("reasons", ())[:_TOLD]]:
        said.append(language.text("What moved it most: {pieces}.", pieces="; ".join(named)))
    if link:
        said.append(language.text("Why: {link}", link=link))
    return " ".join(said).translate({ord("<"): "‹", ord(">"): "›"})


def message(change: Mapping[str, Any], language: Language) -> str:
    """A change of level as a sentence to the learner."""
    told, now = change["told_level"], change["reported_level"]
    if told is not None and now < told:
        template = N_("Your level in {competency} is now seen as {level}.")
    else:
        template = N_("You reached {level} in {competency}.")
    sentence = language.text(template, level=change["reported_level_name"], competency=change["competency_name"])
    return f"{sentence} {rests_on(change, language)}"


def rests_on(change: Mapping[str, Any], language: Language) -> str:
    """What a level rests on: how many pieces of evidence, the newest of which day."""
    return language.plural(
        "It rests on {number} piece of evidence, of {day}.",
        "It rests on {number} pieces of evidence, the newest of {day}.",
        change["evidence_count"],
        day=language.date(change["last_evidence_at"]),
    )


def chance(change: Mapping[str, Any]) -> float:
    """The probability that the person is at the level told or above."""
    level = change["reported_level"]
    return float(change[f"p_at_least_{level}"]) if level else 1 - float(change["p_at_least_1"])


def certainty(share: float, language: Language) -> str:
    """A probability in words, with its figure."""
    if share >= 0.95:
        said = N_("almost certain ({share})")
    elif share >= 0.8:
        said = N_("very likely ({share})")
    elif share >= 0.6:
        said = N_("likely ({share})")
    else:
        said = N_("about as likely as not ({share})")
    return language.text(said, share=language.percent(share))


def _named(reason: Mapping[str, Any], language: Language) -> str:
    template = N_("{activity}, done well") if reason["outcome"] >= 0.5 else N_("{activity}, not yet done well")
    return language.text(template, activity=reason["activity_name"] or reason["activity_id"])
