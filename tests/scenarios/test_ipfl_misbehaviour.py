"""Who spoils the market for personal models: attackers, free riders, uploads that are no numbers, sanctions."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from market_runs import play
from sharing_runs import (
    ATTACKS,
    CLUSTERED,
    UNLIKE,
    at_the_end,
    by_peers,
    cumulative,
    edges_in,
    in_rounds,
    ipfl,
    moved,
    shared,
    with_last,
)

from market.ipfl.mechanism import BILL

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


def test_only_models_that_were_got_can_be_copied() -> None:
    population = {"strategies": [{"name": "honest"}, {"name": "free_rider_copy"}], "assignment": [0, 0, 0, 1]}
    market = {**ipfl(dissimilarity_penalty=0.5), "neighbours": 4}
    run = play(shared(horizon=4, population=population, market=market))
    edges = run.table("edges")
    assert not edges.duplicated(["round", "user", "source"]).any()
    copies = edges[(edges["user"] == 3) & edges["dissimilarity"].isna()]
    bought = edges[(edges["user"] == 3) & edges["dissimilarity"].notna()]
    assert set(copies["source"]) <= set(bought["source"])
