"""What the soak has found: markets that broke a law once, each as small as it could be made."""

from __future__ import annotations

import pytest
from market_runs import small
from pydantic import ValidationError

from scenarios.soak.markets import random_scenario
from scenarios.soak.trial import try_market


def test_accounts_of_privacy_that_a_lever_opens_are_in_a_checkpoint() -> None:
    lever = {"round": 1, "set": {"market.mechanism": {"name": "privacy_auction", "rule": "pac"}}}
    scenario = small(horizon=3, learning={"enabled": False}, interventions=[lever])
    verdict = try_market(scenario, again=False, broken_off_after=2)
    assert (verdict.broken, verdict.said) == ("", "")


def test_a_market_with_falsified_data_can_be_gone_on_with() -> None:
    attackers = [{"name": "attack_backdoor"}, {"name": "attack_label_flip"}, {"name": "honest"}]
    scenario = small(horizon=2, population={"initial": 5, "strategies": attackers, "assignment": [0, 1, 2, 2, 2]})
    verdict = try_market(scenario, again=False, broken_off_after=1)
    assert (verdict.broken, verdict.said) == ("", "")


def test_the_first_round_may_be_abandoned_before_anything_was_planned() -> None:
    restart = {"name": "server_restart", "start": 5.0, "duration": 20.0, "open_round": "abandoned"}
    scenario = small(horizon=2, learning={"enabled": False}, faults=[restart])
    verdict = try_market(scenario, again=False)
    assert (verdict.broken, verdict.said) == ("", "")
    assert verdict.rounds == 2


def test_a_lever_that_contradicts_what_owners_train_by_is_refused_before_anything_is_played() -> None:
    lever = {"round": 1, "set": {"market.mechanism": {"name": "ipfl", "dissimilarity_penalty": 1.0}}}
    learning = {"personalization": {"name": "proximal_centre"}}
    market = {"mechanism": {"name": "ipfl", "dissimilarity_penalty": 2.0}}
    with pytest.raises(ValidationError, match="one lambda"):
        small(horizon=2, market=market, learning=learning, interventions=[lever])


def test_uploads_of_an_earlier_round_may_begin_to_train_at_a_center_in_a_later_one() -> None:
    verdict = try_market(random_scenario(12, 62), again=False)
    assert (verdict.broken, verdict.said) == ("", "")
