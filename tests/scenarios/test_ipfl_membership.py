"""Who stays in the market for personal models: pay or quit, late uploads, late joiners, those who come back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from market_runs import Played, play
from sharing_runs import MICRO, at_the_end, cumulative, edges_in, ends, in_rounds, ipfl, moved, shared, with_last

from market.ipfl.mechanism import BILL, LATE_FEE

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
