"""Instruction tuning as a scenario: own files and a causal language model, each with its parameters."""

from __future__ import annotations

from pathlib import Path

import pytest
from market_runs import play
from tiny_causal import TEMPLATE, copies, headlines, save_llama, write

from scenarios.cli import main
from scenarios.errors import BadInput
from scenarios.loading import load_scenario, resolved_yaml

TUNING = f"""\
horizon: 3
population:
  initial: 3
  types: {{cost: 0.0, outside_option: 0.0, compute_rate: 1000.0, link_time: 0.1, think_time: 0.1}}
data:
  dataset:
    name: instructions
    files: [texts/news.jsonl, texts/code.csv]
    tokenizer: llama
    template: "{TEMPLATE}"
  partition: {{name: natural, shards_of: [2, 1]}}
  quality: 1.0
learning:
  model: {{name: causal_lm, path: llama, rank: 4, alpha: 8.0}}
  batch_size: 8
  learning_rate: 0.05
market: {{mechanism: free}}
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model, two files of instructions and a scenario that names them."""
    folder = tmp_path_factory.mktemp("tuning")
    save_llama(folder / "llama")
    (folder / "texts").mkdir()
    write(folder / "texts/news.jsonl", headlines(100))
    write(folder / "texts/code.csv", copies(60))
    (folder / "tuning.yaml").write_text(TUNING)
    return folder


def test_owners_tune_a_language_model_from_files_beside_the_scenario(place):
    rounds = play(load_scenario(place / "tuning.yaml")).table("rounds")
    assert rounds["loss"].iloc[-1] < 0.9 * rounds["loss"].iloc[0]


def test_the_resolved_scenario_has_all_parameters_and_is_the_same_when_it_is_loaded_again(place, tmp_path):
    scenario = load_scenario(place / "tuning.yaml")
    assert scenario.data.dataset.params["files"] == [str(place / "texts/news.jsonl"), str(place / "texts/code.csv")]
    assert scenario.learning.model.params["local_files_only"] is True
    (tmp_path / "again.yaml").write_text(resolved_yaml(scenario))
    assert load_scenario(tmp_path / "again.yaml") == scenario


WRONG = {
    "learning.model.rank=many": "learning.model.rank: many: ",
    "learning.model.ranks=3": "learning.model.ranks: 3: unknown parameter 'ranks', did you mean 'rank'?",
    "learning.model=causal_lm": "learning.model: causal_lm: path is missing, write {name: causal_lm, path: ...}",
    "data.dataset=instructions": "data.dataset: instructions: files is missing, write {name: instructions, files: ...}",
    "data.dataset.columns=[text]": "data.dataset: instructions: columns must name instruction, input, output",
    "data.dataset.files=[none.csv]": "data.dataset: instructions: none.csv: there is no such file",
    "data.partition.shards_of=[1]": "}: shards_of must be 2 numbers of at least 1",
    "learning.model.path=./nowhere": "learning.model: causal_lm: there is no folder './nowhere'",
    "learning.model=mlp": "learning.model: mlp: the model 'mlp' gives labels, the data set",
    "data.dataset=digits": "learning.model: causal_lm: the model 'causal_lm' answers in words",
    "learning.backend=linear": "learning.backend: linear: it cannot train the model 'causal_lm'",
}


@pytest.mark.parametrize("change", WRONG)
def test_what_cannot_be_tuned_is_refused_in_one_line(place, monkeypatch, capsys, change):
    monkeypatch.chdir(place)
    changes = ["--set", change]
    if change == "data.dataset=digits":
        changes += ["--set", "data.partition=iid"]
    assert main(["run", "tuning.yaml", "--out", "never", *changes]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert WRONG[change] in lines[0]
    assert not (place / "never").exists()


def test_the_offline_task_needs_a_model_of_words():
    with pytest.raises(BadInput, match="gives labels"):
        play(load_scenario("quickstart", overrides=["data.dataset=mix_finance_offline", "horizon=1"]))


@pytest.mark.parametrize(("name", "owners"), [("ipfl_mix_finance", 6), ("ipfl_code_finance", 8)])
def test_tuners_trade_adapters_in_the_ready_made_markets(name, owners):
    short = ["horizon=1", "data.train_limit=160", "data.test_limit=40"]
    run = play(load_scenario(name, overrides=short))
    assert run.table("rounds")["active"].tolist() == [owners]
    edges = run.table("edges")
    assert len(edges) > 0
    assert (edges["payment"] >= 1.0).all(), "nobody sells below its cost"
    assert (run.table("owners").query("moment == 'round'")["paper_utility"] >= -1e-9).all()


def test_owners_of_the_ready_made_mix_buy_from_their_twin_and_nobody_else():
    """With the seed and the training that it comes with: twins share a data set."""
    run = play(load_scenario("ipfl_mix_finance", overrides=["horizon=4", "data.test_limit=15"]))
    by_round = run.table("edges").groupby("round")
    twins = {(owner, owner ^ 1) for owner in range(6)}
    assert [set(zip(edges["user"], edges["source"], strict=True)) for _, edges in by_round] == [twins] * 4
