"""Tables and graph of the market for personal models, and its laws under whatever rules."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from market_runs import Played, play
from sharing_runs import ATTACKS, CLUSTERED, MICRO, PEERS, UNLIKE, at_the_end, by_peers, in_rounds, ipfl, shared
from test_market_laws import Inspector, watch_for_ghosts

from market.graph_metrics import EdgeColumns, communities, degree_gini, density, edge_turnover, modularity, reciprocity
from market.ipfl.mechanism import LATE_FEE
from scenarios.recorder import MemoryRecorder
from scenarios.schema import Scenario
from scenarios.simulation import Simulation

# ---- tables and the graph -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def busy() -> Played:
    """Unlike owners that come, go, lie and copy."""
    return play(busy_scenario())


def busy_scenario() -> Scenario:
    liars = ("misreport_size", "attack_random", "free_rider_copy", "free_rider_stealthy")
    strategies = [{"name": "honest", "share": 4.0}, *({"name": name} for name in liars)]
    population = {
        "initial": 10,
        "arrival_rate": 1.0,
        "departure_rate": 0.1,
        "strategies": strategies,
        "confirmation": {"name": "probabilistic"},
        "types": {**UNLIKE["types"], "link_time": 8.0, "wealth": 30.0},
    }
    market = ipfl(dissimilarity_penalty=1.0, admission_fee_share=0.2, probation_rounds=1)
    data = {**CLUSTERED, "shards": 12}
    return shared(horizon=10, population=population, data=data, market={**market, "neighbours": 2})


def test_the_same_seed_gives_the_same_tables_to_the_last_bit(busy: Played) -> None:
    again, other = play(busy_scenario()), play(busy_scenario(), seed=2)
    for name in ("owners", "rounds", "edges", "network", "transfers", "episodes", "events"):
        pd.testing.assert_frame_equal(again.table(name), busy.table(name), check_exact=True)
    assert not other.table("edges").equals(busy.table("edges"))


def test_the_network_table_holds_the_key_figures_of_the_edges_table(busy: Played) -> None:
    network, rounds = busy.table("network"), in_rounds(busy)
    before = None
    assert len(network) == 10
    for row in network.itertuples():
        here = rounds.query("round == @row.round")
        edges = busy.table("edges").query("round == @row.round")
        # Who quit or went bankrupt in the round was still there when the network was looked at.
        owners = np.sort(here["owner"].to_numpy())
        among = edges[edges["user"].isin(owners) & edges["source"].isin(owners)]
        pairs = among[["user", "source"]].drop_duplicates().to_numpy()
        columns = EdgeColumns(pairs[:, 0], pairs[:, 1])
        assert row.edges == len(pairs)
        assert row.density == pytest.approx(density(columns, owners))
        assert row.reciprocity == pytest.approx(reciprocity(columns))
        assert row.degree_gini == pytest.approx(degree_gini(columns, owners))
        group = communities(columns, owners)
        assert row.communities == len(np.unique(group))
        assert row.modularity == pytest.approx(modularity(columns, owners, group))
        assert row.edge_turnover == pytest.approx(edge_turnover(before, columns), nan_ok=before is None)
        assert row.payment == pytest.approx(among["payment"].sum())
        assert row.dissimilarity == pytest.approx(among["dissimilarity"].mean(), nan_ok=True)
        before = columns


def test_the_network_is_looked_at_every_so_many_rounds() -> None:
    run = play(shared(horizon=8, recording={"network_every": 3}))
    assert run.table("network")["round"].tolist() == [0, 3, 6]


def test_the_graph_remembers_what_was_used_paid_and_measured() -> None:
    run = play(shared(population=UNLIKE, data=CLUSTERED))
    graph: nx.DiGraph[int] = run.simulation.graph.owners
    edges = run.table("edges")
    assert set(graph.edges) == set(zip(edges["user"], edges["source"], strict=True))
    for (user, source), uses in edges.sort_values("round").groupby(["user", "source"]):
        attributes = dict(graph.edges[user, source])
        assert attributes.pop("payment") == pytest.approx(uses["payment"].sum(), abs=1e-9)
        assert attributes == {
            "weight": 1.0,
            "dissimilarity": uses["dissimilarity"].iloc[-1],
            "uses": len(uses),
            "since_round": uses["round"].iloc[0],
            "last_round": uses["round"].iloc[-1],
            "open": True,
        }


def test_a_collaboration_weight_is_a_share_of_the_model_that_an_owner_gets() -> None:
    run = play(by_peers("fedavg", horizon=2, data={"partition": {"name": "quantity_skew"}}))
    size = at_the_end(run)["data_size"]
    assert len(size.unique()) > 1
    for user, source in permutations(range(6), 2):
        assert run.simulation.graph.owners.edges[user, source]["weight"] == pytest.approx(size[source] / size.sum())


# ---- laws -----------------------------------------------------------------------------------------------------------


strategy = st.sampled_from(
    [
        {"name": "honest"},
        {"name": "misreport_size", "factor": 3.0},
        {"name": "misreport_size", "factor": 0.2, "spread": 0.5},
        {"name": "misreport_sharing_cost", "factor": 0.1},
        {"name": "misreport_gain_scale", "factor": 3.0},
        {"name": "free_rider_copy"},
        {"name": "free_rider_replay"},
        {"name": "free_rider_stealthy"},
        *({"name": attack} for attack in ATTACKS),
    ]
)

share = st.sampled_from([0.0, 0.3, 1.0])


owned_markets = st.fixed_dictionaries(
    {
        "horizon": st.integers(1, 5),
        "seed": st.integers(0, 2**40),
        "population": st.fixed_dictionaries(
            {
                "initial": st.integers(1, 8),
                "arrival_rate": st.sampled_from([0.0, 2.0]),
                "departure_rate": st.sampled_from([0.0, 0.4]),
                "strategies": st.lists(strategy, min_size=1, max_size=4),
                "types": st.fixed_dictionaries(
                    {
                        "gain_scale": st.sampled_from([0.0, 8000.0, {"name": "choice", "values": [0.0, 2e4]}]),
                        "sharing_cost": st.sampled_from([0.0, 1.0, {"name": "choice", "values": [0.2, 3.0, 1000.0]}]),
                        "cost": st.sampled_from([0.0, 0.002]),
                        "wealth": st.sampled_from([0.0, 3.0, 100.0]),
                        "link_time": st.sampled_from([0.0, 40.0]),
                    }
                ),
                "participation": st.sampled_from(
                    [{"name": "strict", "return_delay": 30.0, "whitewash": 1.0}, {"name": "strict", "patience": 1000}]
                ),
                "confirmation": st.sampled_from(["always", "strict", "probabilistic"]),
            }
        ),
        "data": st.sampled_from([{}, {"partition": {"name": "clustered", "clusters": 1}, "shards": 5}]),
        "learning": st.fixed_dictionaries(
            {
                "learning_rate": st.sampled_from([0.05, 0.05, 1e30]),
                "personalization": st.sampled_from(
                    ["proximal_centre", {"name": "proximal_centre", "distance": "squared_l2"}, *PEERS, "local"]
                ),
            }
        ),
        "round": st.fixed_dictionaries(
            {"late": st.sampled_from(["drop", "wait"]), "invited": st.sampled_from([None, 3])}
        ),
        "market": st.fixed_dictionaries(
            {
                "payment_rule": st.sampled_from(["ipfl", "critical", "vcg"]),
                "graph_stop_rule": st.sampled_from(["break", "skip"]),
                "admission_fee_share": share,
                "probation_rounds": st.integers(0, 2),
            }
        ),
        "enforcement": st.fixed_dictionaries(
            {"deposit": st.sampled_from([0.0, 1.5]), "audit_rate": share, "probation_rounds": st.integers(0, 2)}
        ),
    }
)


@settings(max_examples=60)
@given(change=owned_markets)
def test_whatever_the_rules_the_market_for_models_keeps_its_laws(change: dict[str, Any]) -> None:
    method = change["learning"]["personalization"]
    bought = method == "proximal_centre" or isinstance(method, dict)
    mechanism = {"name": "ipfl", **change["market"]} if bought else {"name": "model_sharing"}
    scenario = shared(**{**change, "market": {"mechanism": mechanism, "neighbours": 1}})
    recorder, inspector = MemoryRecorder(), Inspector()
    simulation = Simulation(scenario=scenario, device="cpu", recorder=recorder, probes=[inspector])
    watch_for_ghosts(simulation)
    simulation.run()
    population, world = simulation.population, simulation.world
    assert simulation.now == scenario.horizon * world.window_ticks
    owners, edges, transfers = (recorder.table(name) for name in ("owners", "edges", "transfers"))
    rounds = owners[owners["moment"] == "round"]

    # money: wallets are what the transfers say, and between owners nothing is lost
    money = np.zeros(len(population))
    for side, sign in (("payee", 1), ("payer", -1)):
        rows = transfers[(transfers[side] >= 0) & (transfers[f"{side}_book"] == "wallet")]
        np.add.at(money, rows[side].to_numpy(), sign * rows["amount_micro"].to_numpy())
    assert np.array_equal(money, world.ledger.wallet)
    if len(rounds):
        sums = rounds.groupby("round")[["net_payment", "payment"]].sum()
        np.testing.assert_allclose(sums, 0.0, rtol=0, atol=1e-9)
    # whoever confirms pays in full, and is booked what it pays
    np.testing.assert_allclose(rounds["payment"], -rounds["net_payment"], rtol=0, atol=len(population) * MICRO)

    # utility is gain - loss - bill - training - fines, and the run's is the sum
    parts = rounds["sharing_gain"] - rounds["sharing_loss"] + rounds["payment"] - rounds["training_cost"]
    np.testing.assert_allclose(rounds["utility"], parts - rounds["penalty"] + rounds["model_benefit"], atol=1e-9)
    summary = recorder.table("runs").iloc[0]
    assert population.utility_total.sum() == pytest.approx(summary["owner_utility"], abs=1e-6)
    assert recorder.table("episodes")["utility"].sum() == pytest.approx(summary["owner_utility"], abs=1e-6)

    # who deals has sent something in time, and is counted
    here = rounds.set_index(["round", "owner"])
    trade = edges[edges["weight"].notna() & ~edges["dissimilarity"].isna()] if bought else edges
    for side, count in (("user", "purchases"), ("source", "sales")):
        counted = trade.groupby(["round", side]).size()
        assert (counted.rename_axis(["round", "owner"]).reindex(here.index, fill_value=0) >= here[count]).all()
        assert here.loc[here[count] > 0, "arrived"].all()
    # nobody has a model that is no numbers
    assert not np.isinf(owners["accuracy"]).any()
    # every stay has one end
    episodes = recorder.table("episodes")
    assert len(episodes) == population.stay.sum() == world.totals.joins
    quits = episodes[episodes["exit_kind"] == "quit"]
    assert scenario.population.confirmation.name != "always" or quits.empty
    # among honest owners nobody loses by trade, admission fees apart
    if bought and {part.name for part in scenario.population.strategies} == {"honest"}:
        surplus = here["sharing_gain"] - here["sharing_loss"] - here["net_payment"]
        assert (surplus + _fees(transfers, here) > -1e-6).all()


def _fees(transfers: pd.DataFrame, here: pd.DataFrame) -> np.ndarray:
    """Admission fees paid, by round and owner, in money."""
    fees = transfers[transfers["kind"] == LATE_FEE].groupby(["round", "payer"])["amount_micro"].sum() * MICRO
    return fees.rename_axis(["round", "owner"]).reindex(here.index, fill_value=0.0).to_numpy()
