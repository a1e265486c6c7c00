"""Rivals alive: what they are told, make, train on, earn and pay, with every posting in the books."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from market_runs import Played, merged, play
from test_market_laws import Inspector

from market.cocogen.rivalry import Pairs
from scenarios.cli import main
from scenarios.errors import BadInput
from scenarios.loading import load_scenario
from scenarios.recorder import Recorder
from scenarios.report import write_report
from scenarios.results import open_run
from scenarios.schema import Scenario
from scenarios.simulation import Simulation
from scenarios.summary import stays

RIVALS: dict[str, Any] = {
    "name": "rivals",
    "horizon": 3,
    "window": 120.0,
    "population": {
        "initial": 6,
        "types": {
            "profitability": {"name": "uniform", "low": 20.0, "high": 50.0},
            "generation_cost": {"name": "uniform", "low": 0.004, "high": 0.012},
            "cost": 0.001,
            "model_value": 0.0,
            "outside_option": 0.0,
            "wealth": 50.0,
            "compute_rate": 100.0,
            "link_time": 1.0,
        },
    },
    "data": {"train_limit": 360, "test_limit": 150, "quality": 1.0},
    "learning": {"generation": {"public": 60, "fit_seconds": 3.0, "seconds_per_sample": 0.02}},
    "market": {
        "mechanism": {
            "name": "cocogen",
            "redistribution_rate": 0.02,
            "synthetic_quality": 0.2,
            "synthetic_volume_cap": 200.0,
        },
        "competition": {"name": "pairs", "mean_intensity": 0.02},
        "budget": 0.0,
        "treasury": 0.0,
        "revenue": 0.0,
        "neighbours": 0,
    },
}
UNTRAINED = {
    "learning": {"enabled": False, "generation": None},
    "market": {"mechanism": {**RIVALS["market"]["mechanism"], "pays_for": "curve"}},
}


def rivals(**change: Any) -> Scenario:
    return Scenario.model_validate(merged(RIVALS, change))


def mechanism(**change: Any) -> dict[str, Any]:
    return {"mechanism": {**RIVALS["market"]["mechanism"], **change}}


def after(run: Played, number: int | None = None) -> Any:
    owners = run.table("owners")
    owners = owners[owners["moment"] == "round"]
    return owners if number is None else owners[owners["round"] == number].set_index("owner")


@pytest.fixture(scope="module")
def played() -> Played:
    return play(rivals(), Inspector())


def test_owners_make_what_they_are_told_and_pay_for_it(played: Played) -> None:
    owners = after(played)
    assert (owners["synthetic_volume"] == owners["told_volume"]).all()
    assert owners["told_volume"].between(0, 200).all()
    assert (owners["told_volume"] > 0).any()
    np.testing.assert_allclose(owners["generation_spent"], owners["generation_cost"] * owners["told_volume"], atol=1e-6)
    transfers = played.table("transfers")
    booked = transfers.loc[transfers["kind"] == "generation cost", "amount_micro"].sum()
    assert booked == pytest.approx(1e6 * owners["generation_spent"].sum(), abs=1)


def test_utility_is_what_was_earned_less_what_was_spent_and_lost(played: Played) -> None:
    owners = after(played)
    parts = owners["payment"] - owners["training_cost"] - owners["generation_spent"] - owners["competition_loss"]
    np.testing.assert_allclose(owners["utility"], parts, atol=1e-9)
    np.testing.assert_allclose(owners["training_cost"], 0.001 * owners["data_size"], atol=1e-6)


def test_the_model_pays_by_its_measured_accuracy_on_own_labels(played: Played) -> None:
    owners, transfers = after(played, 2), played.table("transfers")
    pay = transfers[(transfers["kind"] == "performance pay") & (transfers["round"] == 2)].set_index("payee")
    expected = owners["profitability"] * owners["own_performance"]
    np.testing.assert_allclose(1e-6 * pay["amount_micro"].sort_index(), expected, atol=1e-6)
    np.testing.assert_allclose(owners["own_performance"], owners["accuracy"])


def test_rivals_with_better_models_cost_what_the_formula_says(played: Played) -> None:
    owners = after(played, 2)
    world = played.simulation.world
    competition = world.rivalry.among(owners["person"].to_numpy(), world.streams)
    profit, own = owners["profitability"].to_numpy(), owners["own_performance"].to_numpy()
    lost = [sum(competition[i, j] * profit[j] * (own[j] - own[i]) for j in range(6)) for i in range(6)]
    np.testing.assert_allclose(owners["competition_loss"], lost, atol=1e-9)
    np.testing.assert_allclose(owners["competition_pressure"], competition @ profit)


def test_deposits_are_locked_at_the_plan_and_cover_the_redistribution(played: Played) -> None:
    transfers = played.table("transfers")
    for number in range(3):
        here = transfers[transfers["round"] == number]
        locked = here[here["kind"] == "redistribution deposit"].groupby("payer")["amount_micro"].sum()
        back = here[here["kind"] == "redistribution deposit back"].groupby("payee")["amount_micro"].sum()
        paid = here[here["kind"] == "redistribution"].groupby("payer")["amount_micro"].sum()
        assert locked.to_dict() == back.to_dict()
        assert len(paid) > 0
        assert all(paid[owner] <= locked[owner] + 2 for owner in paid.index)
    assert (after(played)["deposit"] == 0).all()


def test_label_distance_is_measured_from_the_shards(played: Played) -> None:
    owners, world = after(played, 0), played.simulation.world
    shards = world.federation.shards
    everybody = shards.sizes @ shards.class_mix / shards.sizes.sum()
    expected = np.abs(shards.class_mix[owners["person"]] - everybody).sum(axis=1)
    np.testing.assert_allclose(owners["emd"], expected, atol=1e-12)
    assert (owners["emd"] == owners["reported_emd"]).all()


def test_images_are_kept_once_and_look_like_what_was_trained_on(played: Played) -> None:
    images, world = played.table("images"), played.simulation.world
    assert set(images["round"]) == {0}
    assert set(images["generated"]) == {True, False}
    assert images.groupby(["generated", "label"]).size().max() <= 9
    shards = world.federation.shards
    first = images[~images["generated"]].iloc[0]
    levels = np.frombuffer(bytes.fromhex(first["levels"]), dtype=np.uint8).reshape(1, 8, 8)
    begin, end = shards.offsets[first["owner"]], shards.offsets[first["owner"] + 1]
    own = shards.x[begin:end][shards.y[begin:end] == first["label"]]
    own = np.rint(255 * (own.numpy() - float(shards.x.min())) / float(shards.x.max() - shards.x.min()))
    assert (own == levels).all(axis=(1, 2, 3)).any()


def test_the_report_shows_generated_images_beside_real_ones(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "run")
    Simulation(scenario=rivals(horizon=1), device="cpu", recorder=recorder).run()
    page = write_report(tmp_path / "run").read_text(encoding="utf-8")
    assert "Synthetic samples of the first round" in page
    assert (tmp_path / "run" / "plots" / "generated_images.png").stat().st_size > 5000


def test_generation_takes_time_on_the_clock() -> None:
    still = play(rivals(learning={"generation": {"fit_seconds": 0.0, "seconds_per_sample": 0.0, "public": 60}}))
    slow = play(rivals(learning={"generation": {"fit_seconds": 5.0, "seconds_per_sample": 0.0, "public": 60}}))
    ticks = [
        run.table("events").query("kind == 'update' and round == 0").set_index("owner")["tick"] for run in (still, slow)
    ]
    told = after(still, 0)["told_volume"]
    waited = ticks[1] - ticks[0]
    assert (waited[told > 0] == 5_000_000).all()
    assert (waited[told == 0] == 0).all()


def test_training_is_on_real_and_synthetic_data() -> None:
    runs = [play(rivals(market=mechanism(rule=rule))) for rule in ("vcfl", "equilibrium")]
    accuracy = [run.table("rounds")["accuracy"].tolist() for run in runs]
    assert accuracy[0] != accuracy[1]
    assert runs[0].table("rounds")["synthetic_volume"].tolist() == [0.0] * 3
    twice = play(rivals(market=mechanism(rule="equilibrium"))).table("rounds")["accuracy"].tolist()
    assert twice == accuracy[1]


def test_a_shirker_saves_its_cost_is_paid_all_the_same_and_audits_find_it() -> None:
    change = {"strategies": [{"name": "honest"}, {"name": "generate_nothing"}], "assignment": [1, 0, 0, 0, 0, 0]}
    lazy = play(rivals(population=change, enforcement={"deposit": 1.0, "audit_rate": 1.0}), Inspector())
    honest = play(rivals(enforcement={"deposit": 1.0, "audit_rate": 1.0}))
    owners = after(lazy, 0)
    assert owners.at[0, "told_volume"] == after(honest, 0).at[0, "told_volume"] > 0
    assert owners.at[0, "synthetic_volume"] == owners.at[0, "generation_spent"] == 0
    assert owners["flagged"].tolist() == [True, *[False] * 5]
    moved = [run.table("transfers").query("kind == 'redistribution' and round == 0") for run in (lazy, honest)]
    assert moved[0]["amount_micro"].tolist() == moved[1]["amount_micro"].tolist()


def test_overstating_the_label_distance_asks_for_more_and_costs_the_others_compensation() -> None:
    ring = {"strategies": [{"name": "honest"}, {"name": "generation_ring", "factor": 1.8, "made_share": 0.2}]}
    ring["assignment"] = [1, 1, 0, 0, 0, 0]
    told, said = after(play(rivals(**UNTRAINED)), 0), after(play(rivals(**UNTRAINED, population=ring)), 0)
    assert (said["told_volume"][:2] > told["told_volume"][:2]).all()
    assert (said["reported_emd"][:2] > said["emd"][:2]).all()
    assert said["synthetic_volume"][:2].tolist() == np.rint(0.2 * said["told_volume"][:2]).tolist()
    assert said["violation"].tolist() == [True, True, False, False, False, False]
    gained = [frame["payment"] - frame["profitability"] * frame["own_performance"] for frame in (told, said)]
    assert gained[1][:2].sum() > gained[0][:2].sum()


def test_where_nobody_asks_for_synthetic_data_there_is_none_to_shirk() -> None:
    change = {"market": {"mechanism": "free", "competition": None}, "learning": {"generation": None}}
    shirkers = {"strategies": [{"name": "generate_nothing"}]}
    owners = after(
        play(rivals(**change, population=shirkers, enforcement={"audit_rate": 1.0, "deposit": 1.0}, horizon=1))
    )
    assert not owners["violation"].any()
    assert not owners["flagged"].any()


def test_in_the_scenario_of_churn_audits_find_those_who_do_not_keep_their_word() -> None:
    run = play(load_scenario("cocogen_churn", overrides=["horizon=15"]), Inspector())
    owners = after(run)
    found, rounds = owners[owners["flagged"]], run.table("rounds")
    assert set(found["strategy"]) <= {"generation_ring", "generate_nothing", "misreport_generation_cost"}
    assert len(found) > 0
    assert rounds["active"].nunique() > 3
    lazy = owners[(owners["strategy"] == "generate_nothing") & owners["arrived"]]
    assert (lazy["synthetic_volume"] == 0).all()
    assert (lazy["told_volume"] > 0).any()


def test_who_generates_too_little_money_for_it_makes_what_it_can_pay() -> None:
    poor = {"types": {**RIVALS["population"]["types"], "wealth": 0.3, "generation_cost": 0.01}}
    owners = after(play(rivals(population=poor, horizon=1), Inspector()), 0)
    limited = owners["told_volume"] * 0.01 > 0.3
    assert limited.any()
    assert (owners["synthetic_volume"][limited] < owners["told_volume"][limited]).all()
    assert (owners["wallet"] >= 0).all()


def test_rivals_come_and_go_and_the_game_is_that_of_who_is_there() -> None:
    moving = {"arrival_rate": 2.0, "departure_rate": 0.4, "participation": {"name": "strict", "return_delay": 50.0}}
    run = play(rivals(population=moving, horizon=6, data={"shards": 12}), Inspector())
    rounds, owners = run.table("rounds"), after(run)
    assert run.table("runs").at[0, "exits"] > 0
    assert rounds["active"].nunique() > 1
    number = int(rounds["active"].idxmax())
    here = owners[(owners["round"] == number) & owners["arrived"]]
    assert here["told_volume"].gt(0).any()


def test_one_alone_trains_and_competes_with_nobody() -> None:
    run = play(rivals(population={"initial": 1}), Inspector())
    owners = after(run)
    assert len(owners) == 3
    assert owners["competition_loss"].tolist() == owners["competition_pressure"].tolist() == [0.0] * 3
    assert (owners["emd"] == 0).all()
    assert not run.table("transfers")["kind"].isin(["redistribution", "redistribution deposit"]).any()


def test_rounds_go_on_when_everybody_has_left() -> None:
    run = play(rivals(population={"initial": 2, "departure_rate": 3.0}, horizon=4), Inspector())
    rounds = run.table("rounds")
    assert len(rounds) == 4
    assert rounds["active"].iloc[-1] == rounds["synthetic_volume"].iloc[-1] == 0


def test_the_paper_utility_without_training_is_that_of_the_static_game_on_what_is_true() -> None:
    owners = after(play(rivals(**UNTRAINED)), 0)
    # Without training the curve pays.
    np.testing.assert_allclose(owners["utility"] + owners["training_cost"], owners["paper_utility"], atol=1e-5)


def test_a_forged_upload_brings_no_data_by_the_curve() -> None:
    forgers = {"strategies": [{"name": "honest"}, {"name": "free_rider_noise"}], "assignment": [1, 0, 0, 0, 0, 0]}
    honest, forged = (after(play(rivals(**UNTRAINED, population=change)), 0) for change in ({}, forgers))
    gross = forged["utility"] + forged["training_cost"]
    np.testing.assert_allclose(gross, forged["paper_utility"], atol=1e-5)
    assert (forged["own_performance"][1:] < honest["own_performance"][1:]).all()


DEAR = {
    "rate": {"market": mechanism(redistribution_rate=1e9, pays_for="curve")},
    "rivalry": {"market": {"competition": {"name": "pairs", "mean_intensity": 1e9}}},
    "generation": {
        "market": mechanism(rule="radg", synthetic_volume_cap=1e8, pays_for="curve"),
        "population": {"types": {**RIVALS["population"]["types"], "generation_cost": 1e6}},
    },
}


@pytest.mark.parametrize("change", list(DEAR.values()), ids=list(DEAR))
def test_sums_beyond_all_money_are_cut_to_what_there_is(change: dict[str, Any]) -> None:
    owners = after(play(rivals(**merged(UNTRAINED, {**change, "horizon": 2})), Inspector()))
    assert (owners["wallet"] >= 0).all()


def test_what_the_mechanism_pays_is_counted_as_paid(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "run")
    Simulation(scenario=rivals(**UNTRAINED), recorder=recorder).run()
    run = open_run(tmp_path / "run")
    last = run.owners[run.owners["moment"] == "round"]
    assert run.rounds["paid"].sum() == pytest.approx(last["payment"].sum(), abs=1e-4)
    assert stays(run)["paid"].tolist() == pytest.approx([last["payment"].sum() / 6], abs=1e-4)


def test_who_was_asked_for_nothing_has_nothing_to_shirk() -> None:
    lazy = {"strategies": [{"name": "generate_nothing"}]}
    policy = {"audit_rate": 1.0, "deposit": 1.0}
    market = {"market": mechanism(rule="vcfl", pays_for="curve"), "learning": UNTRAINED["learning"]}
    owners = after(play(rivals(**market, population=lazy, enforcement=policy, horizon=1), Inspector()))
    assert (owners["told_volume"] == 0).all()
    assert not owners["violation"].any()
    assert not owners["flagged"].any()


def test_who_makes_every_sample_that_it_was_asked_for_has_shirked_nothing() -> None:
    nearly_all = {"strategies": [{"name": "under_generate", "made_share": 0.999}]}  # less than half a sample short
    policy = {"audit_rate": 1.0, "deposit": 1.0}
    owners = after(play(rivals(**UNTRAINED, population=nearly_all, enforcement=policy, horizon=1), Inspector()))
    assert (owners["told_volume"] > 0).any()
    assert (owners["synthetic_volume"] == owners["told_volume"]).all()
    assert not owners["flagged"].any()


def test_learning_of_rate_and_pressure_goes_on_while_rivals_come_and_go() -> None:
    learning = mechanism(
        pays_for="curve", redistribution_rate=0.0, rate_search="golden_section", rate_looks=2, competition="learned"
    )
    run = play(
        rivals(**merged(UNTRAINED, {"market": learning, "horizon": 12, "population": {"departure_rate": 0.02}})),
        Inspector(),
    )
    world, owners = run.simulation.world, after(run, 11)
    pressure = owners["competition_pressure"]
    profit = owners["profitability"]
    believed = owners["revealed_intensity"] * (profit.sum() - profit)
    inside = owners["told_volume"].between(1, 199)
    assert inside.any()
    np.testing.assert_allclose(believed[inside], pressure[inside], rtol=0.05)
    assert run.table("rounds")["redistribution_rate"].nunique() > 2
    assert world.remembered["rate search high"] - world.remembered["rate search low"] < 0.05


def test_the_search_for_the_rate_goes_on_with_others_when_everybody_has_left() -> None:
    learning = mechanism(pays_for="curve", redistribution_rate=0.0, rate_search="golden_section", rate_looks=2)
    moving = {"initial": 2, "arrival_rate": 3.0, "departure_rate": 1.5}
    run = play(rivals(**merged(UNTRAINED, {"market": learning, "horizon": 24, "population": moving})), Inspector())
    rounds, owners = run.table("rounds"), after(run)
    took_part = owners[owners["arrived"]].groupby("round")["owner"].agg(set)
    assert any(not before & now for before, now in itertools.pairwise(took_part)), "nobody of the round before"
    looks = rounds["redistribution_rate"][rounds["arrived"] > 0].to_numpy()
    assert len(looks) >= 12
    width = [np.ptp(looks[first : first + 4]) for first in range(0, len(looks) - 3, 4)]
    golden = (5**0.5 - 1) / 2  # four looks at two rates, and the next two are nearer to each other by this factor
    assert width == pytest.approx([0.1 * (2 * golden - 1) * golden**step for step in range(len(width))])


@pytest.mark.parametrize(
    ("change", "field", "problem"),
    [
        ({"learning.generation": None}, "learning.generation", "is missing"),
        ({"market.mechanism": "free"}, "learning.generation", "knows neither synthetic data nor rivals"),
        ({"learning.generation.public": 100000}, "learning.generation.public", "public samples"),
        ({"learning.generation.generator": "magic"}, "learning.generation.generator", "magic"),
        ({"market.competition.mean_intensity": -1.0}, "market.competition.mean_intensity", "from 0"),
        ({"market.mechanism.rule": "magic"}, "market.mechanism.rule", "one of equilibrium"),
        ({"learning.enabled": False}, "market.mechanism.pays_for", "without learning there is no accuracy"),
        ({"population.types.profitability": -1.0}, "population.types.profitability", "profitability"),
        ({"population.initial": 5001}, "market.competition", "at most 5,000 owners can compete at a time"),
    ],
)
def test_a_bad_market_of_rivals_gets_one_line(change: dict[str, Any], field: str, problem: str) -> None:
    overrides = [f"{key}={'null' if value is None else value}" for key, value in change.items()]
    with pytest.raises(BadInput) as caught:
        play(load_scenario("cocogen_market", overrides=overrides))
    line = str(caught.value)
    assert field in line
    assert problem in line
    assert "\n" not in line


def test_too_many_rivals_who_come_while_the_market_runs_end_it_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Pairs, "most_persons", 25)
    more = ["--set", "population.arrival_rate=10", "--set", "horizon=5"]
    assert main(["run", "cocogen_churn", *more, "--out", str(tmp_path / "run"), "--quiet"]) == 2
    line = capsys.readouterr().err.strip()
    assert "market.competition: pairs: at most 25 owners can compete at a time, there are 2" in line
    assert "\n" not in line
    assert list(tmp_path.iterdir()) == []


def test_many_organisations_compete_in_markets() -> None:
    many = {"market": {"competition": {"name": "markets", "mean_intensity": 1e-5}}, "population": {"initial": 5500}}
    run = play(rivals(**merged(UNTRAINED, {**many, "horizon": 1, "data": {"shards": 40}})))
    owners = after(run)
    assert len(owners) == 5500
    assert owners["told_volume"].between(1, 199).mean() > 0.3
    moved = run.table("transfers").query("kind == 'redistribution'")
    assert len(moved) > 1000


def test_the_world_pays_for_what_a_model_really_earns_whatever_its_owner_claims() -> None:
    liars = [{"name": "misreport_competition", "factor": 3.0}]
    for run in (play(rivals(population={"strategies": liars})), play(rivals())):
        rows = run.table("owners").query("moment == 'round' and arrived")
        paid = run.table("transfers").query("kind == 'performance pay'")
        most = rows.groupby("round")["profitability"].sum()
        assert len(paid)
        assert (paid.groupby("round")["amount_micro"].sum() / 1e6 <= most.reindex(paid["round"].unique()) + 1e-6).all()
