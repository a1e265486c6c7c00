"""A round's rules one by one: deadlines, stragglers, buffers, centers, leaving in the middle."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from market_runs import play, small

HONEST = {"strategies": [{"name": "honest"}], "arrival_rate": 0.0, "departure_rate": 0.0, "adaptation": "none"}


def honest(**change: Any):
    """A market of honest owners that nobody leaves by chance, and nobody audits."""
    population = {**HONEST, **change.pop("population", {})}
    return small(**{"enforcement": {"audit_rate": 0.0}, **change}, population=population)


def test_updates_after_the_deadline_are_dropped_and_not_paid() -> None:
    slow = honest(population={"types": {"link_time": 30.0, "compute_rate": 1000.0}}, round={"train_deadline": 20.0})
    run = play(slow)
    rounds, owners = run.table("rounds"), run.table("owners")
    assert rounds["late"].sum() > 0
    assert (rounds["arrived"] + rounds["late"] + rounds["left_midway"] == rounds["selected"]).all()
    late = owners[owners["took_part"] & ~owners["arrived"] & (owners["moment"] == "round")]
    assert len(late) > 0
    assert (late["payment"] == 0).all()
    assert (late["weight"] == 0).all()


def test_a_waiting_round_takes_every_update_however_long_it_takes() -> None:
    slow = {"population": {"types": {"link_time": 60.0}}, "horizon": 12}
    rounds = play(honest(**slow, round={"late": "wait"})).table("rounds")
    assert (rounds["late"] == 0).all()
    assert (rounds["arrived"] == rounds["selected"] - rounds["left_midway"]).all()
    assert len(rounds) < 12, "rounds overrun their windows"
    assert (rounds["opened_tick"].to_numpy()[1:] >= rounds["closed_tick"].to_numpy()[:-1]).all()


def test_an_asynchronous_round_merges_stale_updates_of_earlier_rounds() -> None:
    slow = honest(
        population={"types": {"link_time": 40.0}, "initial": 20},
        round={"late": "buffer", "buffer_size": 4, "train_deadline": 40.0},
    )
    run = play(slow)
    rounds, events = run.table("rounds"), run.table("events")
    assert rounds["staleness_mean"].max() > 0
    merged = events[events["kind"] == "aggregate"]
    assert merged["value"].tolist() == list(range(1, len(merged) + 1))
    assert (rounds["late"] == 0).all()
    weights = run.table("owners").groupby("round")["weight"].sum()
    assert all(total == pytest.approx(1.0) or total == 0.0 for total in weights)


def test_a_buffer_of_one_merges_every_update_by_itself() -> None:
    events = play(honest(round={"late": "buffer", "buffer_size": 1})).table("events")
    counts = events["kind"].value_counts()
    assert counts["aggregate"] == counts["update"]


def test_an_owner_that_leaves_midway_forfeits_the_round_and_its_update_never_arrives() -> None:
    hasty = honest(population={"departure_rate": 2.0, "initial": 30, "types": {"link_time": 20.0}})
    run = play(hasty)
    events, rounds = run.table("events"), run.table("rounds")
    assert rounds["left_midway"].sum() > 0
    for _, stay in events[events["owner"] >= 0].groupby("owner"):
        gone = False
        for kind in stay["kind"]:
            if kind in ("arrive", "join"):
                gone = False
            assert not gone, f"{kind} after leaving"
            gone = kind == "leave"


def test_training_takes_simulated_time_by_data_and_speed() -> None:
    fast = play(honest(population={"types": {"compute_rate": 1e6, "link_time": 0.0}}))
    slow = play(honest(population={"types": {"compute_rate": 5.0, "link_time": 0.0}}))
    for run, least, most in ((fast, 0.0, 0.01), (slow, 0.2, 41.0)):
        events = run.table("events")
        start = events[events["kind"] == "plan"].set_index("round")["tick"]
        updates = events[events["kind"] == "update"]
        seconds = (updates["tick"] - updates["round"].map(start)) / 1e6
        assert least <= seconds.min()
        assert seconds.max() <= most


def test_computing_centers_serve_one_after_another_when_slots_are_few() -> None:
    centers = {"count": 1, "slots": 1, "rate": 50.0}
    run = play(honest(centers=centers, population={"types": {"link_time": 0.0}}, learning={"enabled": False}))
    events, owners = run.table("events"), run.table("owners").query("moment == 'round' and round == 0")
    starts = events[(events["kind"] == "start") & (events["round"] == 0)]
    size = owners.set_index("owner")["data_size"]
    service = starts["owner"].map(size).to_numpy() / 50.0 * 1e6
    gaps = np.diff(starts["tick"].to_numpy())
    assert np.allclose(gaps, service[:-1], atol=1), "the next one starts when the one before is done"


def test_only_the_invited_answer() -> None:
    rounds = play(honest(round={"invited": 5}, population={"initial": 20})).table("rounds")
    assert (rounds["participants"] <= 5).all()
    assert (rounds["active"] > 5).any()


def test_reports_that_would_miss_the_deadline_are_not_sent() -> None:
    rounds = play(honest(population={"types": {"think_time": 15.0}}, round={"report_deadline": 5.0})).table("rounds")
    assert (rounds["participants"] < rounds["active"]).all()


def test_shapley_is_measured_only_when_the_mechanism_asks() -> None:
    few = {"name": "shapley", "permutations": 3}
    run = play(honest(market={"mechanism": "shapley"}, learning={"contribution": few}, horizon=3))
    paid = run.table("owners").query("moment == 'round'")
    assert paid["payment"].nunique() > 3, "contributions differ"
    assert run.table("rounds")["paid"].max() == pytest.approx(20.0, abs=1e-4)


def test_free_riders_pay_nothing_and_train_nothing() -> None:
    owners = play(small()).table("owners").query("moment == 'round'")
    forged = owners[owners["arrived"] & ~owners["trained"]]
    assert len(forged) > 0
    assert (forged["training_cost"] == 0).all()
    trained = owners[owners["trained"]]
    assert np.allclose(trained["training_cost"], trained["cost"] * trained["data_size"], atol=1e-6)


def test_copying_a_peer_leaves_an_edge_from_the_copier_to_its_source() -> None:
    run = play(small(population={"strategies": ["honest", "free_rider_copy"], "adaptation": "none"}))
    edges, owners = run.table("edges"), run.table("owners")
    between = edges[(edges["user"] >= 0) & (edges["source"] >= 0)]
    copiers = set(owners[owners["strategy"] == "free_rider_copy"]["owner"])
    assert len(between) > 0
    assert set(between["user"]) <= copiers
    assert run.simulation.graph.to_networkx().number_of_edges() > 0


@pytest.mark.parametrize("late", ["drop", "buffer"])
def test_updates_that_are_not_finite_are_quarantined_and_count_as_not_arrived(late: str) -> None:
    run = play(honest(learning={"learning_rate": 1e38}, round={"late": late, "buffer_size": 3}))
    assert "quarantine" in set(run.table("events")["kind"])
    owners = run.table("owners").query("moment == 'round'")
    assert (owners[owners["took_part"] & ~owners["arrived"]]["payment"] == 0).all()
    assert np.isfinite(run.simulation.world.federation.weights.numpy()).all()
    assert np.isfinite(run.table("rounds")["welfare"]).all()
