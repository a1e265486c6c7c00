"""``datagora calibrate``: one JSON object of measured numbers, or one line about what cannot be measured."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from learning.generation import worth
from learning.learning_curve import Trials, fit_learning_curve
from scenarios.cli import main

GIVEN = ("synthetic_quality", "volume_scale", "volume_exponent", "emd_penalty")
COMMAND = Path(sys.executable).with_name("datagora")


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch) -> Path:
    """An empty folder; commands run there."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def measured(capfd, *options: str) -> dict[str, Any]:
    """What a calibration prints, but for the speed of this machine."""
    assert main(["calibrate", "cocogen", "--quick", "--device", "cpu", *options]) == 0
    printed, _ = capfd.readouterr()
    assert printed.count("\n") == 1
    found: dict[str, Any] = json.loads(printed)
    assert found.pop("generation").keys() == {"fit_seconds", "seconds_per_sample", "samples_per_second"}
    return found


@pytest.fixture(scope="module")
def on_digits() -> dict[str, Any]:
    """A quick calibration on digits, from a process of its own."""
    done = subprocess.run(
        [COMMAND, "calibrate", "cocogen", "--quick", "--device", "cpu", "--public", "400"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stderr.splitlines()[-1].startswith("33/33 trials")
    found: dict[str, Any] = json.loads(done.stdout)
    del found["generation"]
    return found


def test_it_measures_what_an_instance_of_cocogen_takes_as_given(on_digits):
    for name in GIVEN:
        low, high = on_digits["interval_95"][name]
        assert low < on_digits[name] < high
        assert on_digits["standard_error"][name] > 0
    assert on_digits["volume_scale"] > 0
    assert 0.9 < on_digits["accuracy_limit"] <= 1
    assert on_digits["emd_penalty"] > 0, "label skew did harm"
    assert on_digits["with_decay"].keys() == {*GIVEN, "quality_decay", "accuracy_limit", "noise"}


def test_the_numbers_are_the_fit_of_the_points_beside_them(on_digits):
    points = on_digits["points"]
    columns = (np.array([p[key] for p in points], float) for key in ("real", "synthetic", "emd", "accuracy"))
    curve = fit_learning_curve(Trials(*columns), ("emd_penalty", "synthetic_quality"))
    assert [on_digits[name] for name in GIVEN] == [curve.parameters[name] for name in GIVEN]
    assert {p["study"] for p in points} == {"volume", "growing", "replacing", "label_skew"}
    assert all((p["worth"] is None) or p["synthetic"] > 0 for p in points)


def test_the_same_seed_measures_the_same_in_another_process(on_digits, capfd):
    assert measured(capfd, "--public", "400") == on_digits


def test_an_own_generator_that_is_worth_nothing_is_said_to_be_so(capfd):
    found = measured(capfd)
    assert found["synthetic_quality"] < 0.4
    assert any(note.startswith("synthetic_quality") for note in found["notes"])


def test_a_table_of_one_s_own_can_be_calibrated(place, capfd):
    chance = np.random.default_rng(1)
    labels = np.arange(900) % 3
    x = (chance.normal(size=(900, 6)) + np.eye(3, 6)[labels] * 2).astype(np.float32)
    np.savez("own.npz", x_train=x[:700], y_train=labels[:700], x_test=x[700:], y_test=labels[700:])
    found = measured(capfd, "--dataset", "own.npz")
    assert found["setting"]["dataset"] == "own"
    assert found["setting"]["model"] == "tabular"


def test_an_interrupted_calibration_prints_nothing(capfd, monkeypatch):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(worth, "play", interrupted)
    assert main(["calibrate", "cocogen", "--quick"]) == 130
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["cocogn"], "SYSTEM: cocogn: expected one of: cocogen"),
        (["cocogen", "--dataset", "digitz"], "--dataset: unknown data set 'digitz', did you mean 'digits'?"),
        (["cocogen", "--dataset", "missing.npz"], "--dataset: missing.npz: there is no such file"),
        (["cocogen", "--generator", "vea"], "--generator: unknown generator 'vea', did you mean 'vae'?"),
        (
            ["cocogen", "--dataset", "markov_text"],
            "--dataset: the generator 'gaussian_mixture' makes images and tables of numbers, the data set "
            "'markov_text' holds token ids",
        ),
        (
            ["cocogen", "--dataset", "iris", "--generator", "diffusion"],
            "--dataset: the generator 'diffusion' makes images, samples of 'iris' have shape (4,)",
        ),
        (["cocogen", "--public", "1437"], "--public: public samples must be 1 to 1432, got 1437"),
        (
            ["cocogen", "--dataset", "iris", "--public", "100"],
            "--dataset: iris: 20 training samples are too few to measure a learning curve, at least 30 are needed",
        ),
    ],
)
def test_what_cannot_be_measured_gets_one_line(arguments, line, capfd):
    assert main(["calibrate", *arguments]) == 2
    assert capfd.readouterr() == ("", f"{line}\n")


def test_a_negative_number_of_public_samples_is_refused(capfd):
    assert main(["calibrate", "cocogen", "--public", "-1"]) == 2
    printed, line = capfd.readouterr()
    assert printed == ""
    assert "--public" in line
    assert line.count("\n") == 1
