"""The market for personal models alive: real training, bills that are paid or refused, attackers, late joiners.

Zhang, Chai, Ye, Wang, Chen 2025, "Incentivizing inclusive contributions in model sharing markets". Figures that the
paper prints are played here, not computed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from market_runs import play
from sharing_runs import (
    CLUSTERED,
    MICRO,
    PEERS,
    UNLIKE,
    at_the_end,
    by_peers,
    cumulative,
    edges_in,
    ends,
    in_rounds,
    ipfl,
    moved,
    shared,
    with_last,
)

from learning.data import load_dataset
from market.ipfl.mechanism import BILL


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


def test_training_is_paid_for_on_the_samples_that_are_trained_on_and_not_on_those_held_back() -> None:
    owners = in_rounds(play(by_peers("fedfomo", horizon=2, population={"types": {"cost": 0.01}})))
    np.testing.assert_allclose(owners["training_cost"], 0.01 * (80 - 8), rtol=0, atol=MICRO)
