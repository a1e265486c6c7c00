"""How a scenario's training goes is its own choice, and the run records what was chosen for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from market_runs import Played, play, small

from learning.algorithms import ALGORITHMS
from learning.asynchronous import MERGING
from learning.contribution import CONTRIBUTION
from learning.federation import Federation
from learning.staleness import STALENESS
from scenarios.cli import main
from scenarios.errors import BadInput
from scenarios.loading import load_scenario
from scenarios.results import open_run

SHORT = """\
horizon: 3
population: {initial: 6, strategies: [honest, free_rider_copy]}
data: {train_limit: 200, test_limit: 100}
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with a short scenario in it; commands run there and measure for themselves."""
    (tmp_path / "short.yaml").write_text(SHORT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATAGORA_CACHE", str(tmp_path / "cache"))
    return tmp_path


def run(source: str, out: str, *changes: str) -> Path:
    """A run folder."""
    sets = [part for change in changes for part in ("--set", change)]
    assert main(["run", source, "--out", out, "--device", "cpu", "--quiet", *sets]) == 0
    return Path(out)


def training_record(folder: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((folder / "run.json").read_text())["training"]
    return record


def federation(played: Played) -> Federation:
    training = played.simulation.world.federation
    assert training is not None
    return training


# ---- the back-end -------------------------------------------------------------------------------------------------


def test_a_measured_run_plays_again_in_the_same_bytes_without_measuring(place, monkeypatch, capfd) -> None:
    first = run("short.yaml", "first", "learning.backend=measured")
    assert (place / "cache" / "calibration.json").exists()
    monkeypatch.setenv("DATAGORA_CACHE", str(place / "elsewhere"))
    again = run(str(first / "scenario.yaml"), "again")
    assert not (place / "elsewhere").exists(), "measured again"
    assert (again / "events.parquet").read_bytes() == (first / "events.parquet").read_bytes()
    assert (again / "rounds.parquet").read_bytes() == (first / "rounds.parquet").read_bytes()
    assert (again / "scenario.yaml").read_text() == (first / "scenario.yaml").read_text()
    assert training_record(again) == training_record(first)


def test_what_this_machine_measured_before_is_used(place, capfd) -> None:
    run("short.yaml", "first", "learning.backend=measured")
    cache = place / "cache" / "calibration.json"
    filed = json.loads(cache.read_text())
    for choices in filed.values():
        for work in choices:
            choices[work] = ["loop", 3]
    cache.write_text(json.dumps(filed))
    record = training_record(run("short.yaml", "second", "learning.backend=measured"))
    assert (record["backend"], record["chunk"]) == ("loop", 3)


def test_the_run_records_back_end_and_chunk_in_its_scenario_too(place, capfd) -> None:
    folder = run("short.yaml", "run")
    record, resolved = training_record(folder), open_run(folder).scenario["learning"]
    assert record == {"backend": "linear", "chunk": resolved["chunk"], "dtype": "float32", "threads": 1, "halvings": 0}
    assert resolved["backend"] == "linear"
    assert isinstance(resolved["chunk"], int)


def test_a_back_end_and_a_chunk_that_are_fixed_are_used(place, capfd) -> None:
    record = training_record(run("short.yaml", "run", "learning.backend=loop", "learning.chunk=2"))
    assert (record["backend"], record["chunk"]) == ("loop", 2)


def test_the_resolved_scenario_of_a_simulation_has_other_seeds_trained_alike() -> None:
    simulation = play(small(horizon=1, learning={"backend": "vmap", "chunk": 5})).simulation
    again = play(simulation.resolved, seed=9).simulation
    assert again.world.federation.choice == simulation.world.federation.choice
    assert again.scenario.seed == 9


def test_a_market_without_training_has_no_back_end_to_record() -> None:
    simulation = play(small(horizon=1, learning={"enabled": False})).simulation
    assert simulation.resolved == simulation.scenario


# ---- algorithms and asynchronous rounds ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in ALGORITHMS if name != "fedavg"])
def test_every_algorithm_trains_another_model(name: str) -> None:
    plain, other = (federation(play(small(horizon=4, learning={"algorithm": n}))) for n in ("fedavg", name))
    assert not torch.equal(plain.weights, other.weights)
    assert torch.isfinite(other.weights).all()


def test_scaffold_keeps_controls_of_owners_in_the_market_only() -> None:
    played = play(small(learning={"algorithm": "scaffold"}))
    population = played.simulation.population
    there = set(population.person[population.active()].tolist())
    kept = set(federation(played).state()["control_owners"].tolist())
    assert kept
    assert kept <= there


ASYNCHRONOUS: dict[str, Any] = {"population": {"types": {"link_time": 25.0}}, "horizon": 6}


@pytest.mark.parametrize("name", [name for name in STALENESS if name != "polynomial"])
def test_every_staleness_function_weighs_late_updates_otherwise(name: str) -> None:
    def weights(function: Any) -> torch.Tensor:
        late = {"late": "buffer", "buffer_size": 4, "staleness": function}
        return federation(play(small(**ASYNCHRONOUS, round=late))).weights

    other = {"name": name, "grace": 0} if name == "hinge" else {"name": name}
    assert not torch.equal(weights("polynomial"), weights(other))


@pytest.mark.parametrize("name", MERGING)
def test_every_asynchronous_merging_learns(name: str) -> None:
    late = {"late": "buffer", "buffer_size": 2, "merging": name}
    honest = {"strategies": [{"name": "honest"}], "types": {"link_time": 25.0}}
    rounds = play(small(round=late, population=honest, horizon=10)).table("rounds")
    assert rounds["staleness_mean"].max() > 0
    assert rounds["accuracy"].iloc[-1] > rounds["accuracy"].iloc[0] + 0.1


def test_a_robust_rule_works_in_asynchronous_rounds_too() -> None:
    late = {"late": "buffer", "buffer_size": 4}
    mean, median = (
        federation(play(small(**ASYNCHRONOUS, round=late, learning={"aggregation": rule}))).weights
        for rule in ("mean", "median")
    )
    assert not torch.equal(mean, median)


# ---- privacy ------------------------------------------------------------------------------------------------------


def test_clipping_bounds_what_an_update_changes() -> None:
    honest = {"strategies": [{"name": "honest"}]}
    free = play(small(population=honest)).table("rounds")["update_norm"]
    clipped = play(small(population=honest, learning={"privacy": {"clip": 0.05}})).table("rounds")["update_norm"]
    assert free.min() > 0.05
    assert clipped.max() <= 0.05 * (1 + 1e-4)


def test_noise_costs_accuracy() -> None:
    honest = {"strategies": [{"name": "honest"}]}
    quiet, loud = (
        play(small(population=honest, learning={"privacy": {"clip": 1.0, "noise_multiplier": noise}}))
        .table("rounds")["accuracy"]
        .iloc[-1]
        for noise in (0.0, 5.0)
    )
    assert loud < quiet - 0.2


# ---- contributions ------------------------------------------------------------------------------------------------


def measured(contribution: Any, **learning: Any) -> pd.DataFrame:
    """Owners whose upload arrived, in a market that pays by contribution."""
    scenario = small(horizon=3, market={"mechanism": "shapley"}, learning={"contribution": contribution, **learning})
    played = play(scenario)
    assert (played.table("rounds")["paid"] <= played.table("rounds")["budget"] + 1e-6).all()
    return played.table("owners").query("moment == 'round' and arrived")


@pytest.mark.parametrize("name", CONTRIBUTION)
def test_every_method_can_decide_what_is_paid(name: str) -> None:
    owners = measured(name)
    assert np.isfinite(owners["contribution"]).all()
    assert (owners["contribution_error"] >= 0).all()
    for _, together in owners.groupby("round"):
        positive = together["contribution"].clip(lower=0)
        expected = 20.0 * positive / positive.sum() if positive.sum() > 0 else 0 * positive
        assert np.allclose(together["payment"], expected, atol=1e-4)


def test_a_sampled_contribution_has_an_error_and_an_exact_one_has_none() -> None:
    assert (measured({"name": "truncated_monte_carlo", "permutations": 5})["contribution_error"] > 0).any()
    assert (measured("leave_one_out")["contribution_error"] == 0).all()


def test_the_loss_is_another_worth_than_the_accuracy() -> None:
    by_loss = measured("leave_one_out", measurement={"worth": "negative_loss"})
    assert by_loss["contribution"].nunique() > measured("leave_one_out")["contribution"].nunique()


def test_a_budget_of_evaluations_that_is_spent_leaves_the_values_so_far() -> None:
    owners = measured("truncated_monte_carlo", measurement={"max_evaluations": 40})
    assert not np.isnan(owners["contribution"]).any()


def test_nothing_is_measured_where_the_mechanism_does_not_ask() -> None:
    owners = play(small(horizon=2, learning={"contribution": "cosine"})).table("owners")
    assert owners["contribution"].isna().all()
    assert owners["contribution_error"].isna().all()


def test_who_sent_nothing_in_time_has_no_contribution() -> None:
    played = play(small(horizon=3, market={"mechanism": "shapley"}, round={"train_deadline": 3.0}))
    owners = played.table("owners").query("moment == 'round'")
    assert owners[~owners["arrived"]]["contribution"].isna().all()
    assert owners[owners["arrived"]]["contribution"].notna().all()


def test_a_value_that_is_no_number_is_recorded_and_not_paid() -> None:
    overflowing = {"contribution": "loss_drop", "learning_rate": 5e37, "batch_size": 300}
    owners = play(
        small(
            horizon=3,
            population={"strategies": [{"name": "honest"}]},
            market={"mechanism": "shapley"},
            learning=overflowing,
        )
    ).table("owners")
    assert owners[owners["arrived"]]["contribution"].isna().any()
    assert np.isfinite(owners["payment"]).all()
    assert np.isfinite(owners["wallet"]).all()


# ---- what is remembered of owners ---------------------------------------------------------------------------------


def test_uploads_are_kept_only_where_somebody_may_copy_them() -> None:
    honest = {"strategies": [{"name": "honest"}, {"name": "free_rider_noise"}]}
    assert "upload_owners" not in federation(play(small(horizon=1, population=honest))).state()
    played = play(small())
    population = played.simulation.population
    kept = set(federation(played).state()["upload_owners"].tolist())
    assert kept
    assert kept <= set(population.person[population.active()].tolist())


NET = """
import torch

class Net(torch.nn.Sequential):
    def __init__(self, shape, classes):
        super().__init__(torch.nn.Flatten(), torch.nn.Linear(64, classes))
"""


def test_a_model_beside_the_scenario_file_is_found_from_any_folder(tmp_path, monkeypatch, capfd) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "net.py").write_text(NET)
    (tmp_path / "mine" / "one.yaml").write_text("horizon: 1\npopulation: {initial: 6}\nlearning: {model: 'net.py:Net'}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATAGORA_ALLOW_CODE", "1")
    assert main(["run", "mine/one.yaml", "--out", "out", "--device", "cpu", "--quiet"]) == 0


# ---- refusals -----------------------------------------------------------------------------------------------------

wrong: dict[str, tuple[tuple[str, ...], str]] = {
    "unknown algorithm": (
        ("learning.algorithm=fedproxy",),
        "learning.algorithm: fedproxy: unknown algorithm 'fedproxy', did you mean 'fedprox'?",
    ),
    "penalty below 0": (
        ("learning.algorithm={name: fedprox, mu: -1}",),
        "learning.algorithm.mu: -1: mu must be a number of at least 0, got -1",
    ),
    "parameter of another algorithm": (
        ("learning.algorithm={name: scaffold, mu: 1}",),
        "learning.algorithm.mu: 1: no parameter here",
    ),
    "scaffold with momentum": (
        ("learning.algorithm=scaffold", "learning.momentum=0.9"),
        "learning.algorithm: scaffold: scaffold reads gradients off the update, so momentum and weight_decay must be 0",
    ),
    "scaffold with clipping": (
        ("learning.algorithm=scaffold", "learning.privacy.clip=1"),
        "learning.algorithm: scaffold: scaffold reads gradients off the update, so it cannot be clipped",
    ),
    "scaffold in asynchronous rounds": (
        ("learning.algorithm=scaffold", "round.late=buffer"),
        "round.late: buffer: scaffold's controls belong to the current model, so it needs synchronous rounds",
    ),
    "fednova that cannot count steps": (
        ("learning.algorithm={name: fednova, mu: 20}",),
        "learning.algorithm: fednova: fednova needs learning_rate * (mu + weight_decay) below 1 to count local steps, "
        "got 2",
    ),
    "fedasync with a robust rule": (
        ("round.late=buffer", "round.merging=fedasync", "learning.aggregation=median"),
        "round.late: buffer: uploads are merged one at a time, which leaves nothing to choose for an aggregation rule",
    ),
    "buffer too small for the rule": (
        ("round.late=buffer", "round.buffer_size=4", "learning.aggregation=krum"),
        "round.buffer_size: 4: expected at least 5, the uploads that krum needs",
    ),
    "fewer invited than the rule needs": (
        ("round.invited=4", "learning.aggregation=krum"),
        "round.invited: 4: expected at least 5, the uploads that krum needs",
    ),
    "fewer owners than the rule needs": (
        ("population.arrival_rate=0", "learning.aggregation={name: multi_krum, keep: 400}"),
        "population.initial: 6: expected at least 400, the uploads that multi_krum needs",
    ),
    "clipping updates to nothing": (
        ("learning.aggregation={name: norm_clipping, limit: 0}",),
        "learning.aggregation.limit: 0: limit must be a number above 0 (or none: the median norm), got 0",
    ),
    "orders below none": (
        ("learning.contribution={name: gtg_shapley, least_orders: -3}",),
        "learning.contribution.least_orders: -3: least_orders must be at least 0, got -3",
    ),
    "a test set that anybody gets right": (
        ("data.test_limit=1",),
        "data.test_limit: 1: all test samples are of one class, so that no accuracy is better than guessing",
    ),
    "an effort that cannot value anybody": (
        (
            "learning.contribution=gtg_shapley",
            "learning.measurement.max_evaluations=3",
            "market.mechanism=shapley",
            "population.strategies=[honest]",
            "population.initial=12",
            "round.late=wait",
        ),
        "learning.contribution: gtg_shapley: 3 evaluations are too few to value 12 uploads with any certainty",
    ),
    "noise without clipping": (
        ("learning.privacy.noise_multiplier=1",),
        "learning.privacy.noise_multiplier: 1.0: the noise is in units of clip, so clip is needed",
    ),
    "clipping to nothing": (("learning.privacy.clip=0",), "learning.privacy.clip: 0: expected a number above 0.0"),
    "unknown staleness function": (
        ("round.staleness=polinomial",),
        "round.staleness: polinomial: unknown staleness function 'polinomial', did you mean 'polynomial'?",
    ),
    "unknown contribution method": (
        ("learning.contribution=shaply",),
        "learning.contribution: shaply: unknown contribution method 'shaply', did you mean 'shapley'?",
    ),
    "too few orders": (
        ("learning.contribution.permutations=1",),
        "learning.contribution.permutations: 1: permutations must be at least 2 to sample Shapley values, got 1",
    ),
    "one evaluation": (
        ("learning.measurement.max_evaluations=1",),
        "learning.measurement.max_evaluations: 1: expected a whole number at least 2",
    ),
    "unknown back-end": (
        ("learning.backend=mesured",),
        "learning.backend: mesured: expected 'auto', 'measured', 'loop', 'linear', 'conv', 'vmap', 'loop_bf16' or "
        "'compiled', did you mean 'measured'?",
    ),
    "nobody at once": (("learning.chunk=0",), "learning.chunk: 0: expected a whole number at least 1"),
    "more owners than a method can take, which shows in the first round": (
        ("learning.contribution=exact_shapley", "market.mechanism=shapley", "population.initial=30"),
        "learning.contribution: exact_shapley: the coalitions of 30 players are too many to list, at most 20 will do",
    ),
}


@pytest.mark.parametrize(("changes", "line"), wrong.values(), ids=wrong)
def test_what_makes_no_sense_is_one_line_and_exit_code_2(place, capfd, changes, line) -> None:
    sets = [part for change in changes for part in ("--set", change)]
    assert main(["run", "short.yaml", "--out", "refused", "--device", "cpu", "--quiet", *sets]) == 2
    printed, told = capfd.readouterr()
    assert printed == ""
    assert told.count("\n") == 1
    assert told.rstrip("\n").split(": ", 1)[1] == line
    assert sorted(path.name for path in place.iterdir()) == ["short.yaml"], "something was left behind"


def test_the_old_fields_say_what_to_look_for(tmp_path: Path) -> None:
    path = tmp_path / "old.yaml"
    for text in ("learning: {proximal: 0.1}", "round: {staleness_exponent: 1}"):
        path.write_text(text)
        with pytest.raises(BadInput, match="unknown key"):
            load_scenario(path)
