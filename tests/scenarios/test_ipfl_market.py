"""The market for personal models alive: real training, bills that are paid or refused, attackers, late joiners.

Zhang, Chai, Ye, Wang, Chen 2025, "Incentivizing inclusive contributions in model sharing markets". Figures that the
paper prints are played here, not computed.
"""

from __future__ import annotations

from itertools import permutations
from math import sqrt
from typing import Any

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from market_runs import Played, merged, play
from test_market_laws import Inspector, watch_for_ghosts

from learning.data import load_dataset
from market.graph_metrics import EdgeColumns, communities, degree_gini, density, edge_turnover, modularity, reciprocity
from market.ipfl.mechanism import BILL, LATE_FEE
from scenarios.recorder import MemoryRecorder
from scenarios.schema import Scenario
from scenarios.simulation import Simulation

MICRO = 1e-6
"""Money is paid in whole millionths, so that a booked amount is up to half of one from the bill."""

SHARED: dict[str, Any] = {
    "name": "shared",
    "horizon": 6,
    "population": {
        "initial": 6,
        "types": {
            "gain_scale": 8000.0,
            "sharing_cost": 1.0,
            "wealth": 1000.0,
            **dict.fromkeys(("cost", "model_value", "outside_option", "link_time", "think_time"), 0.0),
        },
        "participation": {"name": "strict", "patience": 1000},
    },
    "data": {"dataset": "digits", "partition": "iid", "quality": 1.0, "train_limit": 480, "test_limit": 200},
    "learning": {"learning_rate": 0.05, "personalization": {"name": "proximal_centre"}},
    "market": {"mechanism": {"name": "ipfl"}, "budget": 0.0, "treasury": 0.0, "revenue": 0.0, "neighbours": 0},
    "recording": {"network_every": 1},
}
PEERS = ("fedavg", "fedprox", "ditto", "fedamp", "cfl", "fedfomo", "pfedgraph")
ATTACKS = ("attack_shuffle", "attack_sign_flip", "attack_same_value", "attack_random")


def shared(**change: Any) -> Scenario:
    """Six owners with 80 samples each and K / N = 100, with some parts changed."""
    return Scenario.model_validate(merged(SHARED, change))


def by_peers(method: str, **change: Any) -> Scenario:
    """The same owners, but a learning method decides who uses whose model, and nobody pays."""
    learning = {"personalization": {"name": method}, **change.pop("learning", {})}
    return shared(learning=learning, market={"mechanism": {"name": "model_sharing"}}, **change)


def ipfl(**params: Any) -> dict[str, Any]:
    return {"mechanism": {"name": "ipfl", **params}}


def with_last(strategy: str, **params: Any) -> dict[str, Any]:
    """Everybody is honest but the last of six owners."""
    return {"strategies": [{"name": "honest"}, {"name": strategy, **params}], "assignment": [0, 0, 0, 0, 0, 1]}


def in_rounds(run: Played) -> pd.DataFrame:
    owners = run.table("owners")
    return owners[owners["moment"] == "round"]


def at_the_end(run: Played) -> pd.DataFrame:
    owners = run.table("owners")
    return owners[owners["moment"] == "final"].set_index("owner")


def edges_in(run: Played, number: int) -> set[tuple[int, int]]:
    edges = run.table("edges")
    rows = edges[edges["round"] == number]
    return set(zip(rows["user"].tolist(), rows["source"].tolist(), strict=True))


def ends(run: Played) -> set[int]:
    """Everybody who ever bought or sold."""
    edges = run.table("edges")
    return set(edges["user"]) | set(edges["source"])


def cumulative(run: Played) -> np.ndarray:
    return run.simulation.population.utility_total


def moved(run: Played, kind: str) -> pd.DataFrame:
    transfers = run.table("transfers")
    return transfers[transfers["kind"] == kind]


@pytest.fixture(scope="module")
def three_tasks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Three pairs of owners; each pair tells three digits apart that the others never see. 80 samples each."""
    digits = load_dataset("digits")
    kept = [np.flatnonzero(digits.y_train // 3 == group)[:160] for group in range(3)]
    tested = np.flatnonzero(digits.y_test < 9)[:200]
    rows, path = np.concatenate(kept), tmp_path_factory.mktemp("data") / "tasks.npz"
    np.savez(path, x_train=digits.x_train[rows], y_train=digits.y_train[rows], groups=np.repeat(np.arange(3), 160),
             x_test=digits.x_test[tested], y_test=digits.y_test[tested])  # fmt: skip
    return {"dataset": str(path), "partition": {"name": "natural", "shards_of": [2, 2, 2]}, "train_limit": None}


# ---- the published figures, alive -----------------------------------------------------------------------------------

TEN = {"initial": 10, "types": {"gain_scale": 5000.0}}
DEALT_TO_TEN = {"train_limit": 500}


def test_skew_everybody_buys_two_models_in_every_round() -> None:
    """Ten owners of equal size: 50 (10 (1 - 1/sqrt 3) - 2) = 111.32, the paper's bar for CIFAR-10-Skew."""
    run = play(shared(horizon=50, population=TEN, data=DEALT_TO_TEN, market=ipfl(dissimilarity_penalty=0.1)))
    owners = in_rounds(run)
    assert len(owners) == 500
    assert (owners["purchases"] == 2).all()
    assert cumulative(run).mean() == pytest.approx(111.32, abs=0.01)


def test_mix_finance_everybody_buys_its_twin(three_tasks: dict[str, Any]) -> None:
    """Six owners, two of a kind: 50 (10 - sqrt 50 - 1) = 96.45, the paper's figure for Mix-Finance."""
    run = play(shared(horizon=50, data=three_tasks, market=ipfl(dissimilarity_penalty=1.0)))
    assert all(edges_in(run, number) == {(k, k ^ 1) for k in range(6)} for number in range(50))
    assert cumulative(run).mean() == pytest.approx(96.45, abs=0.01)


@pytest.mark.parametrize(
    ("change", "published"),
    [({"population": TEN, "data": DEALT_TO_TEN}, -108.11), ({}, 45.88)],
    ids=["CIFAR-10-Skew", "Mix-Finance"],
)
def test_under_fedavg_everybody_uses_everybody_and_bears_the_cost_of_it(
    change: dict[str, Any], published: float
) -> None:
    run = play(by_peers("fedavg", horizon=50, **change))
    owners = in_rounds(run)
    assert (owners["sales"] == len(cumulative(run)) - 1).all()
    assert cumulative(run) == pytest.approx(published, abs=0.01)


# ---- what a round is worth ------------------------------------------------------------------------------------------

UNLIKE: dict[str, Any] = {
    "types": {
        "gain_scale": {"name": "uniform", "low": 3000.0, "high": 12000.0},
        "sharing_cost": {"name": "uniform", "low": 0.1, "high": 1.5},
    }
}
CLUSTERED: dict[str, Any] = {"partition": {"name": "clustered", "clusters": 2}}


@pytest.mark.parametrize("payment_rule", ["ipfl", "critical", "vcg"])
def test_cumulative_utility_is_the_sum_of_equation_3_over_rounds(payment_rule: str) -> None:
    """U_i = G_i - c_i * sales - p_i, added up from the tables of edges and transfers."""
    run = play(shared(population=UNLIKE, data=CLUSTERED, market=ipfl(payment_rule=payment_rule)))
    owners, bills = at_the_end(run), moved(run, BILL)
    size, scale, cost = (owners[name].to_numpy() for name in ("data_size", "gain_scale", "sharing_cost"))
    total = np.zeros(len(owners))
    for number in range(6):
        edges = edges_in(run, number)
        bought = np.array([sum(size[source] for user, source in edges if user == i) for i in range(len(owners))])
        sales = np.array([sum(source == i for _, source in edges) for i in range(len(owners))])
        total += np.sqrt(scale / size) - np.sqrt(scale / (size + bought)) - cost * sales
    np.subtract.at(total, bills["payer"].to_numpy(), bills["amount_micro"].to_numpy() * MICRO)
    np.add.at(total, bills["payee"].to_numpy(), bills["amount_micro"].to_numpy() * MICRO)
    np.testing.assert_allclose(cumulative(run), total, rtol=0, atol=1e-9)
    assert len(bills) > 6


def test_realised_and_published_utility_agree_up_to_rounding_of_money() -> None:
    owners = in_rounds(play(shared(population=UNLIKE, data=CLUSTERED)))
    np.testing.assert_allclose(owners["utility"], owners["paper_utility"], rtol=0, atol=6 * MICRO)
    assert (owners["utility"] > -6 * MICRO).all(), "individually rational in every round"
    assert owners["utility"].max() > 1.0


def test_bills_are_paid_in_full_and_add_up_to_nothing() -> None:
    run = play(shared(population=UNLIKE, data=CLUSTERED))
    bills, edges = moved(run, BILL), run.table("edges")
    named = edges[["round", "user", "source"]].to_numpy()
    assert bills[["round", "payer", "payee"]].to_numpy().tolist() == named.tolist()
    np.testing.assert_allclose(bills["amount_micro"] * MICRO, edges["payment"], rtol=0, atol=MICRO)
    sums = in_rounds(run).groupby("round")["net_payment"].sum()
    np.testing.assert_allclose(sums, 0.0, rtol=0, atol=1e-12)
    assert run.simulation.world.ledger.imbalance() == 0


def test_owners_without_money_buy_with_what_they_sell_for(three_tasks: dict[str, Any]) -> None:
    """Twins buy from each other: what each receives covers what it spends, so nobody is bankrupt and no bill is cut."""
    run = play(shared(population={"types": {"wealth": 0.0}}, data=three_tasks, market=ipfl(dissimilarity_penalty=1.0)))
    bills, edges = moved(run, BILL), run.table("edges")
    assert len(bills) == 6 * 6
    np.testing.assert_allclose(bills["amount_micro"] * MICRO, edges["payment"], rtol=0, atol=MICRO)
    assert (at_the_end(run)["status"] == "active").all()


# ---- roles ----------------------------------------------------------------------------------------------------------


def test_who_gains_nothing_buys_nothing_and_who_loses_too_much_sells_nothing() -> None:
    """Sellers have K = 0; buyers have a sharing cost of 1000, as the paper's code sets it."""
    roles = {
        "gain_scale": {"name": "table", "values": [0.0, 0.0, 8000.0, 8000.0, 8000.0, 8000.0]},
        "sharing_cost": {"name": "table", "values": [0.5, 0.5, 1000.0, 1000.0, 0.5, 0.5]},
    }
    owners = in_rounds(play(shared(population={"types": roles}))).groupby("owner")[["purchases", "sales"]].sum()
    assert (owners.loc[[0, 1], "purchases"] == 0).all()
    assert (owners.loc[[2, 3], "sales"] == 0).all()
    assert (owners.loc[[0, 1], "sales"] > 0).all()
    assert (owners.loc[[2, 3, 4, 5], "purchases"] > 0).all()


@pytest.mark.parametrize("payment_rule", ["ipfl", "critical", "vcg"])
@pytest.mark.parametrize("strategy", ["honest", "misreport_sharing_cost", "learning_reporter"])
def test_an_owner_with_a_cost_of_null_never_sells_and_has_finite_accounts(payment_rule: str, strategy: str) -> None:
    costs = {"sharing_cost": {"name": "table", "values": [1.0, 1.0, 1.0, 1.0, 1.0, None]}}
    enforcement = {"audit_rate": 1.0, "deposit": 1.0}
    people = {**with_last(strategy), "types": costs}
    run = play(shared(population=people, market=ipfl(payment_rule=payment_rule), enforcement=enforcement))
    owners = in_rounds(run)
    last = owners[owners["owner"] == 5]
    assert np.isinf(last[["sharing_cost", "reported_sharing_cost"]]).all(axis=None)
    assert (last["sales"] == 0).all()
    assert last["purchases"].sum() > 0
    assert owners.loc[owners["owner"] < 5, "sales"].sum() > 0
    assert np.isfinite(owners[["utility", "paper_utility", "sharing_loss", "net_payment"]]).all(axis=None)
    assert run.simulation.world.ledger.imbalance() == 0


@pytest.mark.parametrize("payment_rule", ["ipfl", "critical", "vcg"])
def test_trade_stays_among_owners_that_learn_the_same(three_tasks: dict[str, Any], payment_rule: str) -> None:
    run = play(shared(data=three_tasks, market=ipfl(payment_rule=payment_rule)))
    assert ends(run) == set(range(6))
    edges = run.table("edges")
    assert (edges["user"] // 2 == edges["source"] // 2).all()
    assert (run.table("network")["communities"] == 3).all()


@pytest.mark.parametrize("method", [*PEERS, "local"])
def test_peers_share_for_nothing(method: str) -> None:
    run = play(by_peers(method, horizon=3))
    owners, edges = in_rounds(run), run.table("edges")
    assert set(run.table("transfers")["kind"]) == {"endowment"}
    assert (edges["payment"] == 0).all()
    assert (owners["net_payment"] == 0).all()
    assert (len(edges) > 0) == (method != "local")
    np.testing.assert_allclose(owners["utility"], owners["paper_utility"], rtol=0, atol=1e-12)


# ---- attackers and free riders --------------------------------------------------------------------------------------


@pytest.mark.parametrize("attack", ATTACKS)
def test_nobody_buys_from_an_attacker(attack: str) -> None:
    run = play(shared(population=with_last(attack), market=ipfl(dissimilarity_penalty=3.0)))
    owners = in_rounds(run).groupby("owner")
    assert owners["sales"].sum()[5] == 0
    assert (owners["sales"].sum()[:5] > 0).all()
    assert cumulative(run)[5] >= 0, "all it has is what it buys"
    honest = play(shared(market=ipfl(dissimilarity_penalty=3.0)))
    assert cumulative(run)[5] < cumulative(honest)[5]


@pytest.mark.parametrize("attack", ["attack_same_value", "attack_random"])
def test_under_fedavg_everybody_uses_the_attacker_and_suffers(attack: str) -> None:
    mlp = {"model": "mlp", "learning_rate": 0.1}  # a softmax model does not mind one number added to all its weights
    attacked = play(by_peers("fedavg", population=with_last(attack), learning=mlp))
    honest = play(by_peers("fedavg", learning=mlp))
    assert (in_rounds(attacked).groupby("owner")["sales"].sum() == 6 * 5).all()
    assert at_the_end(attacked)["accuracy"].mean() < at_the_end(honest)["accuracy"].mean() - 0.1
    # It has no less than an honest owner: nobody could tell.
    assert cumulative(attacked)[5] == cumulative(honest)[5]
    safe = ipfl(dissimilarity_penalty=3.0)
    protected = play(shared(population=with_last(attack), learning=mlp, market=safe))
    assert at_the_end(protected)["accuracy"][:5].mean() > at_the_end(attacked)["accuracy"][:5].mean() + 0.1


@pytest.mark.parametrize(
    ("rider", "upload", "penalty"),
    [("free_rider_stealthy", "own_last", 0.0), ("free_rider_copy", "peer_copy", 0.5)],
)
def test_what_a_stealthy_rider_sells_is_worth_nothing_to_who_buys_it(rider: str, upload: str, penalty: float) -> None:
    """Its buyers pay for data that is not behind it. A copy is as near to them as what it is a copy of."""
    market = ipfl(dissimilarity_penalty=penalty)
    run = play(shared(population={**with_last(rider), **UNLIKE}, data=CLUSTERED, market=market))
    owners = in_rounds(run).set_index(["round", "owner"])
    assert (owners.xs(5, level="owner")["upload"] == upload).all()
    assert not owners.xs(5, level="owner")["trained"].any()
    edges = run.table("edges").query("weight > 0 and payment > 0")
    for (number, user), rows in edges.groupby(["round", "user"]):
        size, scale = owners.loc[(number, user), ["data_size", "gain_scale"]]
        behind = sum(owners.loc[(number, source), "data_size"] for source in rows["source"] if source != 5)
        expected = sqrt(scale / size) - sqrt(scale / (size + behind))
        assert owners.loc[(number, user), "sharing_gain"] == pytest.approx(expected, abs=1e-9)
    assert 5 in set(edges["source"]), "somebody was taken in"
    assert (moved(run, BILL).query("payee == 5")["amount_micro"] > 0).all()


def test_a_rider_that_trained_at_first_is_bought_from_at_a_penalty_that_keeps_plain_riders_out() -> None:
    market = ipfl(dissimilarity_penalty=3.0)

    def sales(**params: object) -> list[int]:
        run = play(shared(population=with_last("free_rider_stealthy", **params), market=market))
        rider = in_rounds(run).set_index("owner").loc[5]
        assert rider["trained"].tolist() == [number < params.get("train_rounds", 0) for number in range(len(rider))]
        return rider["sales"].tolist()

    assert sum(sales()) == 0
    assert min(sales(train_rounds=2)) > 0


# ---- uploads that are no numbers ------------------------------------------------------------------------------------


def test_uploads_that_are_no_numbers_are_quarantined_and_reach_nobody() -> None:
    """Some owners have data so noisy that their training diverges; the others deal with each other as before."""
    data = {"quality": {"name": "choice", "values": [0.0, 1.0]}, "max_feature_noise": 100.0, "max_label_noise": 0.0}
    run = play(shared(data=data, learning={"model": "tabular", "learning_rate": 0.2, "momentum": 0.9, "epochs": 3}))
    owners, events = in_rounds(run).set_index(["round", "owner"]), run.table("events")
    caught = events[events["kind"] == "quarantine"]
    clean = set(run.simulation.population.quality.nonzero()[0].tolist())
    assert len(caught) > 6
    assert not clean & set(caught["owner"])
    for number, owner in zip(caught["round"], caught["owner"], strict=True):
        assert not owners.loc[(number, owner), "arrived"]
        assert owner not in {party for pair in edges_in(run, number) for party in pair}
        assert owners.loc[(number, owner), "utility"] == 0
    held = owners[owners["arrived"]]
    assert np.isfinite(held[["accuracy", "loss"]]).all(axis=None)
    bought = owners[owners["purchases"] > 0].reset_index()
    assert set(bought["round"]) & set(caught["round"]), "trade goes on in such a round"


def test_a_market_in_which_all_training_diverges_goes_on_without_trade() -> None:
    run = play(shared(horizon=3, learning={"learning_rate": 1e38}))
    rounds = run.table("rounds")
    assert len(rounds) == 3
    assert (rounds["arrived"] == 0).all()
    assert (run.table("events")["kind"] == "quarantine").sum() == 18
    assert len(run.table("edges")) == 0
    assert run.simulation.world.ledger.imbalance() == 0


# ---- pay or quit ----------------------------------------------------------------------------------------------------

UNDERSELLING: dict[str, Any] = {
    **with_last("misreport_sharing_cost", factor=0.001),
    "types": {"sharing_cost": {"name": "table", "values": [1.0, 1.0, 1.0, 1.0, 1.0, 50.0]}},
}
"""The last owner says that sharing costs it next to nothing, and loses on every sale."""


@pytest.fixture(scope="module")
def quitting() -> Played:
    return play(shared(population={**UNDERSELLING, "confirmation": "strict"}, learning={"learning_rate": 0.02}))


def test_an_owner_that_would_lose_quits_before_anything_is_booked(quitting: Played) -> None:
    episodes = quitting.table("episodes").set_index("owner")
    assert episodes["exit_kind"].to_dict() == {**dict.fromkeys(range(5), "censored"), 5: "quit"}
    left = episodes.loc[5, "left_round"]
    lost = in_rounds(quitting).set_index(["round", "owner"]).loc[(left, 5)]
    assert lost["arrived"]
    assert lost[["purchases", "sales", "net_payment", "utility"]].tolist() == [0, 0, 0, 0]
    assert at_the_end(quitting).loc[5, "status"] == "left"


def test_who_has_quit_has_no_row_and_no_column_any_more(quitting: Played) -> None:
    left = quitting.table("episodes").set_index("owner").loc[5, "left_round"]
    assert not edges_in(quitting, left), "everybody wanted the cheapest model only, and did not get it"
    for number in range(left + 1, 6):
        parties = {party for pair in edges_in(quitting, number) for party in pair}
        assert 5 not in parties
        assert parties, "the others go on"
    assert 5 not in quitting.simulation.graph
    assert (in_rounds(quitting).query("round > @left")["owner"] != 5).all()
    np.testing.assert_allclose(in_rounds(quitting).groupby("round")["net_payment"].sum(), 0.0, rtol=0, atol=1e-12)
    assert quitting.simulation.world.ledger.imbalance() == 0


def test_who_leaves_keeps_the_best_model_that_it_ever_had() -> None:
    """Personal models that get worse: with a step this long, some rounds undo what the rounds before had learnt."""
    run = play(shared(horizon=8, population={"departure_rate": 0.3}, learning={"learning_rate": 2.0}))
    final, accuracy = at_the_end(run), in_rounds(run).groupby("owner")["accuracy"]
    gone = final.index[final["status"] == "left"].intersection(accuracy.max().dropna().index)
    assert len(gone) > 2
    assert final.loc[gone, "accuracy"].tolist() == accuracy.max()[gone].tolist()
    assert (accuracy.last()[gone] < accuracy.max()[gone]).any(), "their last was not their best"


def test_who_quits_by_chance_bears_some_losses_first() -> None:
    strategies = [{"name": "misreport_sharing_cost", "factor": 0.001}]
    confirmation = {"name": "probabilistic", "probability": 0.3}
    population = {"strategies": strategies, "types": {"sharing_cost": 20.0}, "confirmation": confirmation}
    run = play(shared(horizon=10, population=population))
    episodes, owners = run.table("episodes"), in_rounds(run)
    assert {"quit"} <= set(episodes["exit_kind"])
    assert (owners["utility"] < -1).any(), "some pay although they lose"
    losing = owners[owners["utility"] < -1]
    stayed = losing.merge(episodes, on="owner").query("left_round > round")
    assert len(stayed) == len(losing), "a loss that was booked was confirmed: who quits books none"


def test_nobody_quits_where_bills_are_always_paid() -> None:
    run = play(shared(population={**UNDERSELLING, "confirmation": "always"}))
    assert (run.table("episodes")["exit_kind"] == "censored").all()
    assert cumulative(run)[5] < -50


def test_who_cannot_pay_is_bankrupt_and_gets_nothing() -> None:
    """The last owner sells nothing, so that its small purse empties."""
    types = {
        "sharing_cost": {"name": "table", "values": [1.0] * 5 + [1000.0]},
        "wealth": {"name": "table", "values": [1000.0] * 5 + [7.0]},
    }
    run = play(shared(population={"types": types}, market=ipfl(dissimilarity_penalty=0.0)))
    episode = run.table("episodes").set_index("owner").loc[5]
    left = episode["left_round"]
    assert episode["exit_kind"] == "bankrupt"
    assert 0 < left < 5
    assert at_the_end(run).loc[5, "status"] == "bankrupt"
    bought = run.table("edges").query("user == 5")
    assert (bought["round"] < left).all()
    assert at_the_end(run).loc[5, "wallet"] == pytest.approx(7.0 - bought["payment"].sum(), abs=10 * MICRO)
    assert (at_the_end(run).loc[:4, "status"] == "active").all()
    assert run.simulation.world.ledger.imbalance() == 0


# ---- late uploads and late joiners ----------------------------------------------------------------------------------


def test_a_late_upload_is_left_out_of_the_round_which_goes_on() -> None:
    types = {"link_time": {"name": "table", "values": [0.0] * 5 + [60.0]}}
    run = play(shared(horizon=12, population={"types": types}, market=ipfl(dissimilarity_penalty=0.0)))
    last = in_rounds(run).query("owner == 5").set_index("round")
    assert 0 < last["arrived"].sum() < 12
    for number in range(12):
        trading = {party for pair in edges_in(run, number) for party in pair}
        assert (5 in trading) == last.loc[number, "arrived"]
        assert trading >= set(range(5))
    late = last[~last["arrived"]]
    assert (late[["purchases", "sales", "net_payment", "utility"]] == 0).all(axis=None)
    assert run.table("rounds")["late"].sum() == len(late)


def test_a_round_in_which_every_upload_is_late_completes() -> None:
    run = play(shared(horizon=3, population={"types": {"link_time": 1e6}}))
    assert run.table("rounds")["arrived"].tolist() == [0, 0, 0]
    assert len(run.table("edges")) == 0


LATE: dict[str, Any] = {
    "initial": 5,
    "arrival_times": [130.0],  # the third round opens at 120 seconds
    "types": {"sharing_cost": {"name": "table", "values": [1.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.5]}},
}
"""Two rounds are closed when the last owner comes, whose model is the cheapest of all."""
SHARDS = {"shards": 6}


def test_a_late_joiner_buys_on_probation_and_sells_afterwards() -> None:
    market = ipfl(dissimilarity_penalty=0.0, probation_rounds=3)
    last = in_rounds(play(shared(horizon=9, population=LATE, data=SHARDS, market=market))).query("owner == 5")
    assert last["round"].min() == 2
    last = last[last["arrived"]].set_index("round")
    assert last.index.tolist() == [3, 4, 5, 6, 7, 8]
    assert (last["purchases"] > 0).all()
    assert (last.loc[3:5, "sales"] == 0).all()
    assert last.loc[6:, "sales"].sum() > 0


def test_a_late_joiner_far_from_everybody_stays_on_probation() -> None:
    market = ipfl(dissimilarity_penalty=0.0, probation_rounds=1, probation_distance=0.0)
    last = in_rounds(play(shared(horizon=9, population=LATE, data=SHARDS, market=market))).query("owner == 5")
    assert last["purchases"].sum() > 0
    assert last["sales"].sum() == 0


def test_the_admission_fee_is_paid_once_to_who_was_there_before() -> None:
    market = ipfl(dissimilarity_penalty=0.0, admission_fee_share=0.5)
    run = play(shared(population={**LATE, "arrival_times": [130.0, 130.0]}, data={"shards": 7}, market=market))
    fees, bills = moved(run, LATE_FEE), moved(run, BILL)
    missed = run.table("episodes").set_index("owner")["joined_round"]
    assert missed[[5, 6]].tolist() == [2, 2]
    assert set(fees["payer"]) == {5, 6}
    assert (fees["round"] == 3).all()
    assert set(fees["payee"]) <= set(range(5))
    first = bills[(bills["round"] == 3) & bills["payer"].isin([5, 6]) & (bills["payee"] < 5)]
    assert fees[["payer", "payee"]].to_numpy().tolist() == first[["payer", "payee"]].to_numpy().tolist()
    # Rounds 0 and 1, and round 2, which was open when they came.
    np.testing.assert_allclose(fees["amount_micro"], 0.5 * 3 * first["amount_micro"].to_numpy(), atol=2)
    owners = in_rounds(run).query("round == 3").set_index("owner")
    net = np.zeros(7)
    for table in (fees, bills[bills["round"] == 3]):
        np.add.at(net, table["payer"].to_numpy(), table["amount_micro"].to_numpy() * MICRO)
        np.subtract.at(net, table["payee"].to_numpy(), table["amount_micro"].to_numpy() * MICRO)
    np.testing.assert_allclose(owners["net_payment"].sort_index(), net, rtol=0, atol=20 * MICRO)


def test_a_fee_that_is_not_worth_it_is_refused_and_the_joiner_quits() -> None:
    population = {**LATE, "confirmation": "strict"}
    run = play(shared(population=population, data=SHARDS, market=ipfl(admission_fee_share=100.0)))
    episode = run.table("episodes").set_index("owner").loc[5]
    assert (episode["exit_kind"], episode["left_round"]) == ("quit", 3)
    assert len(moved(run, LATE_FEE)) == 0
    assert 5 not in ends(run)


def test_a_fee_is_still_due_where_the_first_purchase_fell_through() -> None:
    """The newcomer's first seller quits the moment that it is sold from; the other one is dearer, and is paid then."""
    population = {
        "initial": 2,
        "arrival_times": [70.0],
        "types": {
            "gain_scale": {"name": "table", "values": [0.0, 0.0, 8000.0]},
            "sharing_cost": {"name": "table", "values": [2.0, 50.0, 1.0]},
            "outside_option": {"name": "table", "values": [0.0, 0.0, -5.0]},
        },
        "strategies": [{"name": "honest"}, {"name": "misreport_sharing_cost", "factor": 0.001}],
        "assignment": [0, 1, 0],
        "confirmation": "strict",
    }
    market = ipfl(dissimilarity_penalty=0.0, admission_fee_share=0.2)
    run = play(shared(horizon=5, population=population, data={"shards": 3, "train_limit": 240}, market=market))
    assert run.table("episodes").set_index("owner").loc[1, ["exit_kind", "left_round"]].tolist() == ["quit", 2]
    assert [edges_in(run, number) for number in range(5)] == [set(), set(), set(), {(2, 0)}, {(2, 0)}]
    fee, bill = moved(run, LATE_FEE), moved(run, BILL)
    assert fee[["round", "payer", "payee"]].to_numpy().tolist() == [[3, 2, 0]]
    assert fee["amount_micro"].iloc[0] == pytest.approx(0.2 * 2 * bill["amount_micro"].iloc[0], abs=2)


# ---- sanctions ------------------------------------------------------------------------------------------------------


def test_under_sanction_an_owner_neither_buys_nor_sells_nor_pays() -> None:
    enforcement = {"deposit": 1.0, "audit_rate": 1.0, "probation_rounds": 3, "slash_share": 0.1}
    liar = with_last("misreport_sharing_cost", factor=0.5)
    run = play(shared(horizon=9, population=liar, market=ipfl(dissimilarity_penalty=0.0), enforcement=enforcement))
    last = in_rounds(run).query("owner == 5").set_index("round")
    # The table shows the standing after the round.
    sanctioned = last["on_probation"].shift(1, fill_value=False)
    assert 0 < sanctioned.sum() < 9
    figures = ["purchases", "sales", "net_payment", "sharing_gain", "sharing_loss"]
    assert (last.loc[sanctioned, figures] == 0).all(axis=None)
    assert (last.loc[~sanctioned, "purchases"] > 0).all()


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
        assert row.edge_turnover == pytest.approx(edge_turnover(before or columns, columns))
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


def test_whoever_comes_back_brings_its_best_model_and_pays_for_what_it_missed() -> None:
    population = {
        "departure_rate": 0.15,
        "participation": {"name": "strict", "return_delay": 60.0},
        "types": {"wealth": 1e6},
    }
    market = ipfl(dissimilarity_penalty=0.0, admission_fee_share=1.0)
    run = play(shared(horizon=16, population=population, market=market))
    back = run.table("episodes").query("stay == 2 and rounds_taken > 1")["owner"]
    assert len(back)
    owners = in_rounds(run)
    fees = moved(run, LATE_FEE)
    for owner in back:
        rows = owners[(owners["owner"] == owner) & owners["arrived"]].sort_values("round")
        before, after = rows[rows["stay"] == 1]["accuracy"], rows[rows["stay"] == 2]["accuracy"]
        if len(before) > 2:
            assert after.iloc[0] >= 0.8 * before.max()
    assert set(fees["payer"]) <= set(run.table("episodes").query("stay > 1")["owner"])
    assert len(fees)


def test_a_late_upload_is_a_training_of_the_own_model_all_the_same() -> None:
    links = {"name": "table", "values": [1e5, 0.0, 0.0, 0.0]}
    run = play(
        shared(
            horizon=4,
            population={"initial": 4, "types": {"link_time": links}},
            data={"shards": 4},
            round={"late": "drop"},
            market=ipfl(),
        )
    )
    slow = in_rounds(run).query("owner == 0").sort_values("round")
    assert not slow["arrived"].any()
    assert 0 not in ends(run)
    assert slow["accuracy"].iloc[-1] > slow["accuracy"].iloc[0]


def test_only_models_that_were_got_can_be_copied() -> None:
    population = {"strategies": [{"name": "honest"}, {"name": "free_rider_copy"}], "assignment": [0, 0, 0, 1]}
    market = {**ipfl(dissimilarity_penalty=0.5), "neighbours": 4}
    run = play(shared(horizon=4, population=population, market=market))
    edges = run.table("edges")
    assert not edges.duplicated(["round", "user", "source"]).any()
    copies = edges[(edges["user"] == 3) & edges["dissimilarity"].isna()]
    bought = edges[(edges["user"] == 3) & edges["dissimilarity"].notna()]
    assert set(copies["source"]) <= set(bought["source"])
