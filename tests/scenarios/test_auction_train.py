"""``datagora auction train``: a file of weights, whatever comes between."""

from __future__ import annotations

import numpy as np
import pytest

from market.privacy_auction import Bids
from market.privacy_auction.networks.columns import clear
from market.privacy_auction.networks.shipped import with_weights
from market.privacy_auction.networks.training import Training
from market.privacy_auction.tensors import read_tensors
from scenarios.cli import main

QUICK = ["--iterations", "60", "--owners", "3", "--device", "cpu"]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty folder; commands run there."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def train(*arguments: str) -> int:
    return main(["auction", "train", *arguments])


def test_it_writes_weights_that_clear_a_market_and_say_how_they_were_made(place, capfd):
    assert train("regretnet", *QUICK, "--seed", "5") == 0
    printed, news = capfd.readouterr()
    assert printed == "regretnet.safetensors\n"
    assert news.splitlines()[0] == "training regretnet, seed 5, 60 iterations, on cpu"
    assert news.splitlines()[-1].startswith("iteration 60/60: objective")
    assert [path.name for path in place.iterdir()] == ["regretnet.safetensors"]
    tensors = read_tensors(place / "regretnet.safetensors")
    assert tensors.metadata["command"] == "datagora auction train regretnet --seed 5 --iterations 60 --owners 3"
    bids = Bids.of_equals(np.array([0.1, 0.4, 0.9]), np.array([1.0, 2.0, 3.0]))
    assert 0 < clear(with_weights("regretnet", tensors), bids, 1.0).payment.sum() <= 1.0


def test_after_a_break_the_same_command_goes_on_and_ends_with_the_same_weights(place, capfd, monkeypatch):
    assert train("mfg_regretnet", *QUICK, "--out", "whole.safetensors") == 0
    steps = Training._step

    def interrupted(self):
        if self.iteration == 40:
            raise KeyboardInterrupt
        return steps(self)

    monkeypatch.setattr(Training, "_step", interrupted)
    assert train("mfg_regretnet", *QUICK, "--out", "broken.safetensors") == 130
    assert "the same command goes on" in capfd.readouterr().err
    assert (place / "broken.safetensors.checkpoint").exists()
    assert not (place / "broken.safetensors").exists()
    begun = []

    def counted(self):
        begun.append(self.iteration)
        return steps(self)

    monkeypatch.setattr(Training, "_step", counted)
    assert train("mfg_regretnet", *QUICK, "--out", "broken.safetensors") == 0
    assert begun == list(range(25, 60))
    assert (place / "broken.safetensors").read_bytes() == (place / "whole.safetensors").read_bytes()
    assert not (place / "broken.safetensors.checkpoint").exists()


def test_a_file_that_is_there_is_kept_unless_its_loss_is_asked_for(place, capfd):
    (place / "w.safetensors").write_text("precious")
    assert train("regretnet", *QUICK, "--out", "w.safetensors") == 2
    assert capfd.readouterr().err == "--out: w.safetensors: is there already, --force replaces it\n"
    assert (place / "w.safetensors").read_text() == "precious"
    assert train("regretnet", *QUICK, "--out", "w.safetensors", "--force") == 0
    assert read_tensors(place / "w.safetensors").metadata["network"] == "regretnet"


def test_the_state_of_another_training_is_not_gone_on_from(place, capfd):
    (place / "w.safetensors.checkpoint").write_bytes(b"no state")
    assert train("regretnet", *QUICK, "--out", "w.safetensors") == 2
    assert capfd.readouterr().err == "--out: w.safetensors.checkpoint: is not the state of a training, remove it\n"


def test_the_state_of_a_training_with_another_plan_is_not_either(place, capfd, monkeypatch):
    steps = Training._step

    def interrupted(self):
        if self.iteration == 30:
            raise KeyboardInterrupt
        return steps(self)

    monkeypatch.setattr(Training, "_step", interrupted)
    assert train("regretnet", *QUICK, "--out", "w.safetensors") == 130
    capfd.readouterr()
    assert train("regretnet", *QUICK, "--out", "w.safetensors", "--seed", "2") == 2
    assert "is of another training, remove it or use another --out" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["regretnett"], "NETWORK: unknown network 'regretnett', did you mean 'regretnet'?"),
        (["regretnet", "--out", "nowhere/w.safetensors"], "--out: nowhere/w.safetensors: its folder does not exist"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_one_line(place, capfd, arguments, line):
    assert train(*arguments) == 2
    printed, news = capfd.readouterr()
    assert (printed, news) == ("", f"{line}\n")
    assert not list(place.iterdir())


@pytest.mark.parametrize("arguments", [["--iterations", "0"], ["--owners", "0"], ["--seed", "-1"], ["--device", "tpu"]])
def test_options_out_of_range_are_refused(place, arguments):
    assert train("regretnet", *arguments) == 2
    assert not list(place.iterdir())
