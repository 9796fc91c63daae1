"""Proposals for alignment rules: how often the first one is right."""

import pytest

from flows.opening import definitions
from flows.settings import Settings
from transforms.suggestion import suggest


@pytest.mark.parametrize(("embedded", "share"), [(False, 0.6), (True, 0.7)])
def test_the_first_proposal_is_mostly_that_of_the_shipped_rules(embedded: bool, share: float) -> None:
    chosen = definitions(Settings())
    known = [
        (word.strip("*"), rule.competency)
        for rule in chosen.rules
        if rule.name.startswith("subject-") and isinstance(rule.match.activity_name, list)
        for word in rule.match.activity_name
    ]
    found = suggest([word for word, _ in known], chosen.framework, embedded)
    right = sum(one is not None and one.competency == wanted for one, (_, wanted) in zip(found, known, strict=True))
    print(f"\n{right} of {len(known)} first proposals are those of the shipped rules")
    assert right / len(known) > share  # one of 14 by chance


@pytest.mark.parametrize("embedded", [False, True])
def test_what_is_like_nothing_gets_no_proposal(embedded: bool) -> None:
    chosen = definitions(Settings()).framework
    assert suggest(["xqzw", "Advanced collaboration"], chosen, embedded)[0] is None
    proposal = suggest(["Advanced collaboration"], chosen, embedded)[0]
    assert proposal is not None
    assert (proposal.competency, proposal.level) == ("collaboration", "advanced")
    assert 0.5 < proposal.confidence <= 1
