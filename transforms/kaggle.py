"""What Kaggle tells of people's work, as statements. Accounts are Kaggle's web address and the user name.

Medals follow https://www.kaggle.com/progression. Kaggle leaves the votes of novices out, which its API does not tell apart:
the medal of a notebook, dataset or model is the highest that its votes allow.
"""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid5

from schemas.xapi import Statement
from transforms.commits import FEATURES, VOCABULARY
from transforms.statements import NAMESPACE

SITE = "https://www.kaggle.com"
_RANK = f"{VOCABULARY}/extensions/rank"
_TEAMS = f"{VOCABULARY}/extensions/teams"
_VOTES = f"{VOCABULARY}/extensions/votes"
_BY_VOTES = ((50, "gold"), (20, "silver"), (5, "bronze"))


def entered(user: str, slug: str, title: str) -> Statement:
    """A competition that a person takes part in. Kaggle does not say since when: it counts from when it is received."""
    return _statement(user, "entered", _competition(slug, title), None, slug)


def submitted(user: str, slug: str, title: str, ref: int, at: datetime, scored: bool, score: float | None) -> Statement:
    """A submission to a competition: whether it could be scored, and the public score, whose bounds nobody tells."""
    activity = {
        "objectType": "Activity",
        "id": f"{SITE}/competitions/{slug}/submissions#{ref}",
        "definition": {
            "type": f"{VOCABULARY}/activity-types/competition-submission", "name": {"en": f"Submission to {title}"},
        },
    }  # fmt: skip
    result = {"success": scored, **({"score": {"raw": score}} if score is not None else {})}
    return _statement(user, "submitted", activity, at, str(ref), result=result, parent=_competition(slug, title))


def ranked(user: str, slug: str, title: str, closed: datetime, rank: int, teams: int, awards: bool) -> Statement:
    """The final rank in a competition, scaled to the percentile rank (teams − rank + ½) / teams."""
    medal = _by_rank(rank, teams) if awards else None
    result = {
        "completion": True,
        "score": {"scaled": round((teams - rank + 0.5) / teams, 6)},
        "extensions": {_RANK: rank, _TEAMS: teams},
    }
    return _statement(user, "ranked", _competition(slug, title), closed, f"{rank}/{teams}", [_feature(medal)], result)


def published(
    user: str, kind: str, url: str, title: str, version: datetime, votes: int, languages: tuple[str, ...] = (),
    is_new: bool = True,
) -> Statement:  # fmt: skip
    """A notebook, dataset or model as it stands: its version by date, what its votes allow.

    Where the version is not new but its medal is, it counts from when it is received: nobody says when the votes came.
    """
    activity = {
        "objectType": "Activity",
        "id": url,
        "definition": {"type": f"{VOCABULARY}/activity-types/{kind}", "name": {"en": title[:500]}},
    }
    medal = medal_by_votes(votes)
    features = [_feature(medal), *(f"language:{language}" for language in languages)]
    # The id is of version and medal, not of each vote: only a new medal tells more.
    mark = f"{version.isoformat()} {medal}"
    return _statement(
        user, "published", activity, version if is_new else None, mark, features, {"extensions": {_VOTES: votes}}
    )


def medal_by_votes(votes: int) -> str | None:
    """The medal that so many votes allow."""
    return next((medal for least, medal in _BY_VOTES if votes >= least), None)


def _by_rank(rank: int, teams: int) -> str | None:
    """The medal of a rank in a competition that awards points, by the table of Kaggle's progression system."""
    if teams < 250:
        bounds = (0.1 * teams if teams < 100 else 10, 0.2 * teams, 0.4 * teams)
    elif teams < 1000:
        bounds = (10 + 0.002 * teams, 50, 100)
    else:
        bounds = (10 + 0.002 * teams, 0.05 * teams, 0.1 * teams)
    return next(
        (medal for bound, medal in zip(bounds, ("gold", "silver", "bronze"), strict=True) if rank <= bound), None
    )


def _competition(slug: str, title: str) -> dict[str, Any]:
    return {
        "objectType": "Activity",
        "id": f"{SITE}/competitions/{slug}",
        "definition": {"type": f"{VOCABULARY}/activity-types/competition", "name": {"en": title[:500]}},
    }


def _feature(medal: str | None) -> str | None:
    return f"medal:{medal}" if medal else None


def _statement(
    user: str, verb: str, activity: dict[str, Any], at: datetime | None, mark: str, features: list[str | None] | None = None,
    result: dict[str, Any] | None = None, parent: dict[str, Any] | None = None,
) -> Statement:  # fmt: skip
    told = [one for one in features or [] if one]
    return {
        "id": str(uuid5(NAMESPACE, f"kaggle\n{activity['id']}\n{verb}\n{user}\n{mark}")),
        "actor": {"objectType": "Agent", "name": user, "account": {"homePage": SITE, "name": user}},
        "verb": {"id": f"{VOCABULARY}/verbs/{verb}", "display": {"en": verb}},
        "object": activity,
        **({"result": result} if result else {}),
        "context": {
            "platform": "Kaggle",
            **({"contextActivities": {"parent": [parent]}} if parent else {}),
            **({"extensions": {FEATURES: told}} if told else {}),
        },
        **({"timestamp": at.astimezone(UTC).isoformat()} if at else {}),
    }
