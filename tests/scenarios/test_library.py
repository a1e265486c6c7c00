"""The ready-made scenarios: they load, explain themselves, play, and show what they say they show."""

from __future__ import annotations

import pytest
import yaml
from market_runs import Played, play

from learning.data import data_folder
from scenarios.loading import LIBRARY, library, load_scenario

NAMES = sorted(library())
SEEDS = (1, 2, 3)


@pytest.mark.parametrize("name", NAMES)
def test_a_ready_made_scenario_is_explained_by_its_own_comments(name: str) -> None:
    text = (LIBRARY / f"{name}.yaml").read_text()
    scenario = load_scenario(name)
    assert scenario.name == name
    assert scenario.title
    assert len(scenario.description) > 80
    assert text.startswith("# ")


def test_the_quickstart_is_a_whole_market() -> None:
    scenario = load_scenario("quickstart")
    run = play(scenario)
    rounds, events, episodes = run.table("rounds"), run.table("events"), run.table("episodes")
    owners = run.table("owners")
    assert scenario.data.dataset == "digits"
    assert len(rounds) >= 60
    assert rounds["active"].iloc[0] >= 40
    assert owners["strategy"].nunique() == 5
    assert set(events["kind"]) >= {"join", "leave", "report", "update", "audit", "guilty", "switch"}
    assert rounds["lying"].sum() > 0
    assert rounds["free_riding"].sum() > 0
    assert rounds["late"].sum() > 0
    assert rounds["left_midway"].sum() > 0
    assert {"voluntary", "expelled", "censored"} <= set(episodes["exit_kind"])
    assert (episodes["stay"] > 1).any(), "somebody comes back"
    assert (episodes["person"] != episodes["owner"]).any(), "somebody comes back under a new identity"
    assert rounds["accuracy"].iloc[-1] > 0.85


@pytest.mark.skipif(not (data_folder() / "mnist.npz").exists(), reason="the MNIST data set is not on this machine")
def test_the_mnist_market_trains_a_cnn_for_a_hundred_owners() -> None:
    run = play(load_scenario("mnist_market", overrides=["horizon=2"]))
    assert run.simulation.world.federation.model.name == "cnn"
    assert run.table("rounds")["active"].iloc[0] >= 95
    assert run.table("rounds")["trained"].min() > 15


def test_the_free_rider_scenarios_differ_in_enforcement_only() -> None:
    collapse, deterred = (
        yaml.safe_load((LIBRARY / f"free_rider_{name}.yaml").read_text()) for name in ("collapse", "deterred")
    )
    assert "enforcement" not in collapse
    assert deterred.pop("enforcement")
    for text in ("name", "title", "description"):
        collapse.pop(text), deterred.pop(text)
    assert collapse == deterred


@pytest.fixture(scope="module", params=SEEDS)
def contrast(request) -> tuple[Played, Played]:
    return tuple(play(load_scenario(f"free_rider_{name}"), seed=request.param) for name in ("collapse", "deterred"))


def honest_at_the_end(run: Played) -> int:
    owners = run.table("owners")
    last = owners[(owners["moment"] == "final") & (owners["status"] == "active")]
    return int((last["strategy"] == "honest").sum())


def test_without_enforcement_free_riders_spread_honest_owners_go_and_accuracy_falls(contrast) -> None:
    rounds = contrast[0].table("rounds")
    share = rounds["free_riding"] / rounds["arrived"].clip(lower=1)
    assert share.iloc[0] < 0.35
    assert share.max() > 0.9
    assert honest_at_the_end(contrast[0]) <= 3
    assert rounds["accuracy"].iloc[-1] < rounds["accuracy"].max() - 0.3


def test_with_audits_and_deposits_they_do_not(contrast) -> None:
    rounds = contrast[1].table("rounds")
    assert rounds["free_riding"].tail(10).mean() < 3
    assert honest_at_the_end(contrast[1]) >= 20
    assert rounds["accuracy"].iloc[-1] > 0.9
    assert rounds["accuracy"].iloc[-1] > rounds["accuracy"].max() - 0.05


def test_both_worlds_start_with_the_same_persons(contrast) -> None:
    first, second = (run.table("owners").query("round == 0 and moment == 'round'") for run in contrast)
    truth = ["owner", "person", "data_size", "quality", "cost", "strategy"]
    both = set(first["owner"]) & set(second["owner"])
    assert len(both) >= 50
    assert (
        first[first["owner"].isin(both)][truth].values.tolist()
        == second[second["owner"].isin(both)][truth].values.tolist()
    )


def test_the_cifar10_baseline_has_the_shape_of_the_published_benchmark() -> None:
    scenario = load_scenario("fedavg_cifar10")
    assert (scenario.population.initial, scenario.round.invited, scenario.horizon) == (1_000, 50, 1_500)
    assert (scenario.learning.model, scenario.learning.batch_size, scenario.learning.epochs) == ("simple_cnn", 10, 1)


@pytest.mark.skipif(not (data_folder() / "mnist.npz").exists(), reason="the MNIST data set is not on this machine")
def test_in_the_fedavg_baseline_everybody_trains_and_no_money_moves() -> None:
    run = play(load_scenario("fedavg_mnist", overrides=["horizon=2", "data.train_limit=3000", "data.test_limit=1000"]))
    rounds, owners = run.table("rounds"), run.table("owners")
    assert rounds["arrived"].tolist() == [100, 100]
    assert (owners["payment"] == 0).all()
    assert (owners["training_cost"] == 0).all()
    assert rounds["accuracy"].iloc[-1] > 0.2
