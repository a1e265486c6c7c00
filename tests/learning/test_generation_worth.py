"""Trials that measure what synthetic samples are worth: they differ in their data alone, and are real training."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from learning_samples import CPU, blobs

from learning.data import Dataset
from learning.generation import generator_for
from learning.generation.worth import (
    Design,
    Laboratory,
    designs,
    play,
    play_all,
    split_public,
    streams_of,
    trained_on,
    trials_of,
    worth,
)
from learning.learning_curve import Trials, fit_learning_curve
from learning.models import FlatModel
from learning.streams import Streams


def laboratory(dataset: Dataset, model: str = "mlp") -> Laboratory:
    generator = generator_for("gaussian_mixture", dataset)
    return Laboratory(dataset, FlatModel.for_dataset(model, dataset), generator, CPU, learning_rate=0.3)


@pytest.fixture(scope="module")
def digit_lab(digits: Dataset) -> Laboratory:
    return laboratory(digits)


def mean_accuracy(where: Laboratory, design: Design, repeats: int = 4) -> float:
    return float(np.mean([play(where, replace(design, repeat=r), Streams(7)).accuracy for r in range(repeats)]))


def test_more_real_data_are_better_and_label_skew_is_worse(digit_lab):
    little, much = (mean_accuracy(digit_lab, Design("volume", volume)) for volume in (60, 1000))
    assert much > little + 0.05
    assert mean_accuracy(digit_lab, Design("label_skew", 1000, alpha=0.05)) < much - 0.005


def test_a_trial_is_the_same_every_time_and_every_repeat_is_another_one(digit_lab):
    design = Design("growing", 100, 60)
    first = play(digit_lab, design, Streams(7))
    assert play(digit_lab, design, Streams(7)) == first
    assert play(digit_lab, replace(design, repeat=1), Streams(7)).accuracy != first.accuracy


def test_owners_may_add_different_volumes_of_which_0_adds_nothing(digit_lab):
    labels, luck = digit_lab.dataset.y_train, streams_of(0, Streams(7))
    one_sided = [np.flatnonzero(labels == label)[:40] for label in range(5)]
    without, alone = trained_on(digit_lab, one_sided, np.zeros(5, dtype=np.int64), luck)
    assert without == pytest.approx(1.6)  # of five classes each owner has one: 0.8 too much there, 0.2 too little
    assert trained_on(digit_lab, one_sided, np.zeros(5, dtype=np.int64), luck) == (without, alone)
    # The own generator makes the own class only, so volumes change the weights of owners and not their distance.
    with_some, accuracy = trained_on(digit_lab, one_sided, np.array([0, 0, 0, 0, 160]), luck)
    assert with_some == pytest.approx(1.6)
    assert accuracy != alone


def test_owners_with_equal_mixes_stay_at_no_distance_with_synthetic_labels_of_the_global_mix(digit_lab):
    assert play(digit_lab, Design("volume", 1000), Streams(7)).emd < 0.05
    assert play(digit_lab, Design("growing", 1000, 500), Streams(7)).emd < 0.05
    assert play(digit_lab, Design("label_skew", 1000, alpha=0.1), Streams(7)).emd > 0.8


def test_a_generator_that_knows_more_data_is_worth_more_than_one_that_knows_the_own_ones(digits):
    rest, public = split_public(digits, 600, Streams(7))
    own = laboratory(rest)
    x, y = torch.from_numpy(public.x_train), torch.from_numpy(public.y_train)
    shared = replace(own, shared=own.generator.fit(x, y, digits.classes, 0, 0, Streams(7)))
    design = Design("growing", 100, 300)
    plain = mean_accuracy(own, Design("volume", 100))
    assert mean_accuracy(shared, design) > plain + 0.02
    assert mean_accuracy(shared, design) > mean_accuracy(own, design) + 0.01


def test_worth_is_what_the_inverse_of_the_curve_says():
    volumes = np.array([100.0, 200.0, 400.0, 800.0, 1600.0])
    curve = fit_learning_curve(Trials(volumes, np.zeros(5), np.zeros(5), 0.95 - volumes**-0.5))
    equal_to = np.array([150.0, 90.0, 100.0])
    tried = Trials(np.full(3, 100.0), np.array([100.0, 50.0, 0.0]), np.zeros(3), 0.95 - equal_to**-0.5)
    assert worth(curve, tried) == pytest.approx([0.5, -0.2, np.nan], nan_ok=True, abs=1e-4)


def test_what_is_learnt_from_own_data_adds_little_to_them(digit_lab):
    wanted = [one for one in designs([100, 200, 400, 800], 200, (0.5, 0.67), (), 3) if one.study != "replacing"]
    results = list(play_all(digit_lab, wanted, Streams(7)))
    curve = fit_learning_curve(trials_of(results), ("synthetic_quality",))
    assert len(results) == 3 * 6
    low, _ = curve.interval("synthetic_quality")
    assert low < 0.3
    assert 0.9 < curve.parameters["limit"] <= 1.0


def test_a_design_fixes_the_base_or_the_sum():
    made = designs([50, 100, 200], 100, (0.5, 0.8), (0.1,), 2)
    assert len(made) == 2 * (3 + 2 + 2 + 1)
    growing = [(design.real, design.synthetic) for design in made if design.study == "growing"][:2]
    replacing = [(design.real, design.synthetic) for design in made if design.study == "replacing"][:2]
    assert growing == [(100, 100), (100, 400)]
    assert replacing == [(100, 100), (40, 160)]


def test_public_samples_are_set_apart_with_all_classes_on_either_side(digits):
    rest, public = split_public(digits, 100, Streams(7))
    assert len(public.y_train) == 100
    assert len(rest.y_train) == len(digits.y_train) - 100
    assert np.bincount(public.y_train).min() >= 8
    together = np.concatenate([rest.x_train, public.x_train]).reshape(len(digits.y_train), -1)
    whole = digits.x_train.reshape(len(together), -1)
    assert np.array_equal(np.sort(together.sum(axis=1)), np.sort(whole.sum(axis=1)))
    assert np.array_equal(rest.x_test, digits.x_test)


@pytest.mark.parametrize("public", [0, 300])
def test_a_split_that_leaves_nothing_is_refused(public):
    with pytest.raises(ValueError, match="1 to 299"):
        split_public(blobs(), public, Streams(1))


@pytest.mark.parametrize("real", [4, 301])
def test_more_samples_than_there_are_or_fewer_than_owners_are_refused(real):
    with pytest.raises(ValueError, match="5 to 300 real samples"):
        play(laboratory(blobs(), "softmax"), Design("volume", real), Streams(1))
