"""What a run does when the machine fails it: memory, disk, training that diverges. The page is docs/checkpoints.md."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from market_runs import merged, play, small
from pandas.testing import assert_frame_equal

from agents.strategies.attacks import AttackBoost
from learning.backends import BACKENDS
from learning.federation import Federation
from scenarios.cli import main
from scenarios.errors import BadInput
from scenarios.loading import resolved_yaml
from scenarios.playing import play as play_run
from scenarios.simulation import Simulation
from scenarios.tables import TABLES
from scenarios.yaml_text import write_yaml

CALM: dict[str, Any] = {
    "horizon": 3,
    "population": {
        "initial": 8,
        "arrival_rate": 0.0,
        "departure_rate": 0.0,
        "strategies": ["honest"],
        "participation": {"name": "logit", "whitewash": 0.0},
        "adaptation": "none",
    },
    "data": {"train_limit": 200, "test_limit": 60},
    "enforcement": {"deposit": 0.0, "audit_rate": 0.0},
}


def calm(**change: Any) -> Any:
    return small(**merged(CALM, change))


# ---- training that diverges -----------------------------------------------------------------------------------------


BOOSTED = {"strategies": [{"name": "honest", "share": 3.0}, {"name": "attack_boost", "boost": 1000.0}]}


@pytest.mark.parametrize("late", ["drop", "buffer"])
def test_an_upload_beyond_the_bound_is_put_aside_and_not_paid(late: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = {"late": late, "buffer_size": 4, "divergence": 20.0}
    run = play(calm(population=BOOSTED, round=rules))
    events, owners = run.table("events"), run.table("owners").query("moment == 'round'")
    out = events[events["kind"] == "diverged"]
    attackers = set(owners[owners["strategy"] == "attack_boost"]["owner"])
    assert len(out) > 0
    assert set(out["owner"]) <= attackers
    assert (out["value"] > 20.0).all()
    assert run.table("rounds")["quarantined"].sum() == len(out)
    caught = owners.merge(out[["round", "owner"]], on=["round", "owner"])
    assert (caught["payment"] == 0).all()
    assert not caught["arrived"].any()
    assert run.simulation.world.ledger.imbalance() == 0
    # It is as if these owners had sent no numbers at all.
    monkeypatch.setattr(AttackBoost, "upload_scale", lambda self: float("nan"))
    lost = play(calm(population=BOOSTED, round={**rules, "divergence": None}))
    assert (lost.table("events")["kind"] == "quarantine").sum() == len(out)
    assert torch.equal(run.simulation.world.federation.weights, lost.simulation.world.federation.weights)
    assert_frame_equal(run.table("rounds"), lost.table("rounds"))


@pytest.mark.parametrize("bound", [20.0, None])
def test_the_model_is_the_mean_of_the_uploads_within_the_bound(
    bound: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[tuple[Any, ...]] = []
    real = Federation.uploads

    def recorded(self: Federation, work: Any, *rest: Any) -> torch.Tensor:
        uploads = real(self, work, *rest)
        sent.append((self.weights.double().numpy(), uploads.double().numpy(), work.samples))
        return uploads

    monkeypatch.setattr(Federation, "uploads", recorded)
    run = play(calm(horizon=1, population=BOOSTED, round={"divergence": bound}))
    [(start, uploads, samples)] = sent
    norms = np.linalg.norm(uploads - start, axis=1)
    used = norms <= (np.inf if bound is None else bound * np.median(norms))
    assert used.all() == (bound is None)
    assert run.table("rounds")["quarantined"].sum() == (~used).sum()
    mean = np.average(uploads[used], axis=0, weights=samples[used])
    found = run.simulation.world.federation.weights.double().numpy()
    assert np.linalg.norm(found - mean) < 1e-6 * np.linalg.norm(mean)


@pytest.mark.parametrize("times", [float("nan"), float("inf"), 1e300])
def test_an_attacker_that_sends_no_numbers_does_not_reach_the_model(
    times: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It boosts what it learnt by no number, or by so large a one that its upload overflows."""
    monkeypatch.setattr(AttackBoost, "upload_scale", lambda self: times)
    run = play(calm(population=BOOSTED))
    events, rounds = run.table("events"), run.table("rounds")
    caught = events[events["kind"] == "quarantine"]
    assert len(caught) > 0
    assert rounds["quarantined"].tolist() == [int((caught["round"] == number).sum()) for number in rounds["round"]]
    assert torch.isfinite(run.simulation.world.federation.weights).all()
    assert rounds["accuracy"].iloc[-1] > 0.3


@pytest.mark.parametrize("late", ["drop", "buffer"])
def test_where_the_aggregate_overflows_the_model_stays_and_the_run_goes_on(late: str) -> None:
    learning = {"server": "fedadam", "learning_rate": 3e37}
    run = play(calm(learning=learning, round={"late": late, "buffer_size": 4}))
    events, world = run.table("events"), run.simulation.world
    overflown = events[events["kind"] == "overflow"]
    assert len(overflown) > 0
    assert (overflown["value"] > 0).all()
    assert "aggregate" not in set(events["kind"])
    assert torch.isfinite(world.federation.weights).all()
    assert all(torch.isfinite(moment).all() for moment in world.federation._server.state().values())
    assert len(run.table("rounds")) == 3
    assert np.isfinite(run.table("rounds")["welfare"]).all()
    assert world.ledger.imbalance() == 0


# ---- memory ---------------------------------------------------------------------------------------------------------


def with_room_for(most: int, patched: pytest.MonkeyPatch) -> None:
    """Let the back-end fail as a device does when it gets more than ``most`` owners at once."""
    real = BACKENDS["linear"]

    def limited(model: Any, first: Any, *rest: Any) -> Any:
        if len(first) > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return real(model, first, *rest)

    patched.setitem(BACKENDS._entries, "linear", limited)


def test_a_run_short_of_memory_splits_its_cohorts_and_ends_with_the_same_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "calm.yaml").write_text(resolved_yaml(calm(learning={"model": "mlp"})))
    whole = play_run(str(tmp_path / "calm.yaml"), out=tmp_path / "whole", device="cpu", voice="quiet")
    with monkeypatch.context() as patched:
        with_room_for(3, patched)
        split = play_run(str(tmp_path / "calm.yaml"), out=tmp_path / "split", device="cpu", voice="quiet")
    for table in TABLES.values():
        assert (whole / table.file_name).read_bytes() == (split / table.file_name).read_bytes(), table.file_name
    assert json.loads((whole / "run.json").read_text())["training"]["halvings"] == 0
    # Eight owners, then four, then two: in the first round only, for the size that fits is remembered.
    assert json.loads((split / "run.json").read_text())["training"]["halvings"] == 2


def test_one_owner_that_does_not_fit_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "calm.yaml").write_text(resolved_yaml(calm(learning={"model": "mlp"})))
    with_room_for(0, monkeypatch)
    arguments = ["run", str(tmp_path / "calm.yaml"), "--out", str(tmp_path / "run"), "--device", "cpu", "-q"]
    assert main(arguments) == 2
    last = capfd.readouterr().err.splitlines()[-1]
    assert last.startswith("out of memory: one owner alone, with ")
    assert [path.name for path in tmp_path.iterdir()] == ["calm.yaml"]


# ---- code -----------------------------------------------------------------------------------------------------------

NET = """
import pathlib, torch

pathlib.Path(__file__).with_name("executed").touch()

class Net(torch.nn.Sequential):
    def __init__(self, shape, classes):
        super().__init__(torch.nn.Flatten(), torch.nn.Linear(64, classes))
"""


@pytest.fixture
def strange(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a scenario that names code, the working folder too; and the user does not allow code."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DATAGORA_ALLOW_CODE", raising=False)
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "one.yaml").write_text(resolved_yaml(calm(horizon=4, learning={"model": "net.py:Net"})))
    study = {"scenarios": ["one.yaml"], "replications": 1, "factors": {"market.budget": [5.0]}}
    (tmp_path / "study.yaml").write_text(write_yaml(study))
    return tmp_path


REFUSAL = r"[^\n]*model[^\n]*net\.py:Net[^\n]* set DATAGORA_ALLOW_CODE=1 in the environment\n"


@pytest.mark.parametrize(
    "words",
    [
        ["run", "one.yaml", "--out", "new"],
        ["run", "one.yaml", "--out", "new", "--checkpoint-every", "1"],
        ["batch", "study.yaml", "--out", "new"],
        ["run", "quickstart", "--set", "learning.model=net.py:Net", "--out", "new"],
    ],
    ids=["scenario", "checkpoints", "study", "option"],
)
def test_code_that_a_scenario_names_is_refused_in_one_line(
    words: list[str], strange: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    assert re.fullmatch(REFUSAL, capfd.readouterr().err)
    assert not (strange / "executed").exists()
    assert not (strange / "new").exists()


def test_a_simulation_in_python_runs_no_code_either(strange: Path) -> None:
    with pytest.raises(BadInput, match="DATAGORA_ALLOW_CODE=1"):
        Simulation(scenario="one.yaml", device="cpu")
    with pytest.raises(BadInput, match="DATAGORA_ALLOW_CODE=1"):
        Simulation(scenario=calm(learning={"model": "net.py:Net"}), device="cpu")
    assert not (strange / "executed").exists()


def test_a_kept_run_goes_on_with_its_code_only_where_that_is_allowed(
    strange: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATAGORA_ALLOW_CODE", "1")
    kept = ["--out", "run", "--device", "cpu", "--checkpoint-every", "1", "--checkpoint-keep", "all", "-q"]
    assert main(["run", "one.yaml", *kept]) == 0
    shutil.copytree("run", ".cut.partial-1")  # as a kill would leave it
    for path in Path(".cut.partial-1").iterdir():
        if path.is_file():
            path.unlink()
    capfd.readouterr()
    (strange / "executed").unlink()
    monkeypatch.delenv("DATAGORA_ALLOW_CODE")
    for words in (["resume", "cut"], ["branch", "run", "--at", "2", "--set", "market.budget=5", "--out", "new"]):
        assert main([*words, "-q"]) == 2, words
        assert re.fullmatch(REFUSAL, capfd.readouterr().err.splitlines(keepends=True)[-1])
    assert not (strange / "executed").exists()
    assert main(["report", "run"]) == 0, "what is only read needs no code"
    monkeypatch.setenv("DATAGORA_ALLOW_CODE", "1")
    assert main(["resume", "cut", "-q"]) == 0
    assert (strange / "executed").exists()
