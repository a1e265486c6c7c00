"""Participation in small markets: arrivals, patience, word of mouth, and the causes that end stays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from market_runs import Played, play, small
from test_market_laws import Inspector

from agents.participation import ExitCause

UNTRAINED = {"learning": {"enabled": False}}
CALM = {"deposit": 0.0, "admission_fee": 0.0, "audit_rate": 0.0, "expel_after": 0}
STEADY: dict[str, Any] = {"arrival_rate": 0.0, "departure_rate": 0.0, "adaptation": "none", "strategies": ["honest"]}


def people(rule: Any = "strict", outside: Any = -10.0, horizon: int = 6, **population: Any) -> Played:
    """Honest owners that train in name only, with these rules of participation and nothing else to move them."""
    given = {**STEADY, "participation": rule, "types": {"outside_option": outside, "wealth": 100.0}, **population}
    return play(small(horizon=horizon, population=given, enforcement=CALM, **UNTRAINED), Inspector())


def causes(run: Played) -> set[str]:
    return set(run.table("episodes")["exit_cause"])


def arrivals(run: Played) -> pd.Series:
    events = run.table("events")
    return events[events["kind"] == "arrive"]["tick"] / run.simulation.world.window_ticks


def test_processes_add_up_and_each_has_its_own_arrivals() -> None:
    waves = {"name": "cohorts", "times": [1.5, 3.0], "sizes": [4, 2]}
    alone = people(initial=3, arrivals=[waves])
    seen = arrivals(alone)
    assert seen.value_counts().sort_index().to_dict() == {0.0: 3, 1.5: 4, 3.0: 2}
    both = arrivals(people(initial=3, arrivals=[waves, {"name": "self_exciting", "rate": 1.0}]))
    assert set(seen) < set(both)
    assert both.is_monotonic_increasing


def test_a_trace_brings_persons_and_takes_them_away(tmp_path) -> None:
    file = tmp_path / "visits.csv"
    file.write_text("arrive,leave\n60,150\n30,\n90,95\n")
    run = people(initial=1, arrivals=[{"name": "trace", "file": str(file), "leave": "leave"}])
    stays = run.table("episodes").set_index("owner")
    second = 1_000_000
    assert stays["joined_tick"].sort_index().tolist() == [0, 30 * second, 60 * second, 90 * second]
    assert stays["left_tick"].sort_index().tolist()[2:] == [150 * second, 95 * second]
    expected = ["end_of_run", "end_of_run", "end_of_trace", "end_of_trace"]
    assert stays["exit_cause"].sort_index().tolist() == expected


def test_who_is_late_for_its_own_trace_does_not_join(tmp_path) -> None:
    file = tmp_path / "visits.csv"
    file.write_text("arrive,leave\n90,90\n")
    run = people(initial=1, arrivals=[{"name": "trace", "file": str(file), "leave": "leave"}])
    assert len(run.table("episodes")) == 1
    assert "decline" in set(run.table("events")["kind"])


def test_chance_moves_owners_away() -> None:
    run = people(departure_rate=0.3)
    assert causes(run) == {"moved_away", "end_of_run"}


def disappointing(rule: dict[str, Any], **population: Any) -> Played:
    """A market that pays nothing: every round costs what training costs, and the outside option pays 0.

    Who is in it expected to gain by the model; training is off, so nothing comes of that.
    """
    types = {"outside_option": 0.0, "wealth": 100.0, "model_value": 20.0, "cost": 0.01}
    given = {**STEADY, "participation": rule, "types": types, **population}
    return play(
        small(horizon=9, population=given, enforcement=CALM, market={"mechanism": "free"}, **UNTRAINED), Inspector()
    )


def rounds_stayed(run: Played) -> np.ndarray:
    return run.table("episodes").query("exit_kind == 'voluntary'")["rounds_taken"].to_numpy()


@pytest.mark.parametrize("patience", ["in_a_row", "total"])
def test_the_disappointed_leave_when_their_patience_is_over(patience: str) -> None:
    run = disappointing({"name": "strict", "patience": 3}, patience=patience)
    assert causes(run) == {"disappointed"}
    assert set(rounds_stayed(run)) <= {3, 4}  # going takes a moment, in which a round may open


def test_loyalty_keeps_owners_longer() -> None:
    plain, loyal = (
        disappointing({"name": "strict", "patience": 3}, patience=kind)
        for kind in ("in_a_row", {"name": "loyal", "per_round": 0.5})
    )
    assert rounds_stayed(loyal).min() >= rounds_stayed(plain).min() + 2


def test_drawn_patience_differs_between_persons() -> None:
    assert len(set(rounds_stayed(disappointing({"name": "strict", "patience": 3}, patience="drawn")))) > 2


def test_regret_drives_owners_out_sooner_the_higher_its_rate() -> None:
    slow, fast = (disappointing({"name": "regret_hazard", "rate": rate}) for rate in (0.05, 50.0))
    assert causes(fast) == {"regret"}
    assert "end_of_run" in causes(slow)
    assert rounds_stayed(fast).mean() < 2.5


def test_what_was_put_in_keeps_owners_in() -> None:
    run = disappointing({"name": "sunk_cost", "weight": 100.0})
    assert causes(run) == {"end_of_run"}
    population = run.simulation.population
    spent = run.table("owners").query("moment == 'round'").groupby("owner")["training_cost"].apply(list)
    for owner, costs in spent.items():
        expected = sum(cost * 0.9 ** (len(costs) - 1 - place) for place, cost in enumerate(costs))
        assert population.invested[owner] == pytest.approx(expected)


def test_the_content_are_talked_out_of_the_market_by_their_peers() -> None:
    # Costs differ much: most train for little and are content, and a few have so high costs that the mean is not.
    costs = {"kind": "lognormal", "median": 0.005, "sigma": 1.5}
    types = {"outside_option": -0.12, "wealth": 100.0, "model_value": 20.0, "cost": costs}
    market = {"mechanism": "free", "neighbours": 13}

    def ends(rule: dict[str, Any]) -> set[str]:
        given = {**STEADY, "participation": rule, "types": types}
        return causes(play(small(horizon=6, population=given, enforcement=CALM, market=market, **UNTRAINED)))

    assert ends({"name": "word_of_mouth", "weight": 0.9}) >= {"word_of_mouth"}
    assert ends({"name": "strict"}) == {"disappointed", "end_of_run"}


def test_every_cause_has_a_name_of_its_own_for_the_table() -> None:
    assert len({cause.name.lower() for cause in ExitCause}) == 13
