"""Synthetic data and the label mix: closed forms of the remaining distance against mixes that are really made."""

import numpy as np
import pytest
from cocogen_games import CLASSES, label_counts
from hypothesis import given
from hypothesis import strategies as st

from learning.heterogeneity import emd
from market.cocogen import filling, towards_global

SEEDS = st.integers(0, 10**6)


def labels(seed, organisations=6, classes=5):
    """Counts of real samples [N, C] and a global mix [C]."""
    chance = np.random.default_rng(seed)
    counts = 1000 * chance.gamma(0.4, size=(organisations, classes)) + 1e-3
    return counts, chance.dirichlet(np.full(classes, 2.0))


@given(seed=SEEDS, volume=st.floats(0, 1e5))
def test_labels_by_the_global_law_leave_the_distance_that_the_formula_says(seed, volume):
    counts, fair = labels(seed)
    size = counts.sum(axis=1)
    law = towards_global(emd(counts / size[:, None], fair))
    made = (counts + volume * fair) / (size + volume)[:, None]
    assert law.at(1 + volume / size) == pytest.approx(emd(made, fair), abs=1e-12)


@given(seed=SEEDS, volume=st.floats(0, 1e5))
def test_filling_missing_classes_leaves_the_distance_that_the_formula_says(seed, volume):
    counts, fair = labels(seed)
    size = counts.sum(axis=1)
    law = filling(counts / size[:, None], fair)
    for i in range(len(size)):
        # As much as fits of what is short of the mix of the larger whole, in proportion to what is short.
        short = np.maximum(0.0, (size[i] + volume) * fair - counts[i])
        made = counts[i] + volume * short / short.sum() if short.sum() else counts[i] + volume * fair
        if short.sum() >= volume:
            left = emd((made / made.sum())[None], fair)[0]
            assert law.at(1 + volume / size)[i] == pytest.approx(left, abs=1e-12)
        else:
            assert law.at(1 + volume / size)[i] == pytest.approx(0.0, abs=1e-9)


@given(seed=SEEDS, volume=st.floats(0, 1e6))
def test_filling_is_never_worse_and_is_done_when_the_last_class_is_fair(seed, volume):
    counts, fair = labels(seed)
    size, mixes = counts.sum(axis=1), counts / counts.sum(axis=1, keepdims=True)
    fill, spread = filling(mixes, fair), towards_global(emd(mixes, fair))
    stretch = 1 + volume / size
    assert (fill.at(stretch) <= spread.at(stretch) + 1e-12).all()
    assert fill.before == pytest.approx(spread.before)
    done = (mixes / fair).max(axis=1)
    assert fill.at(done) == pytest.approx(np.zeros(len(size)), abs=1e-12)
    assert (fill.at(0.99 * done) > 0).all()


@pytest.mark.parametrize("seed", range(5))
def test_the_steepness_is_the_slope(seed):
    counts, fair = labels(seed)
    mixes = counts / counts.sum(axis=1, keepdims=True)
    for law in (filling(mixes, fair), towards_global(emd(mixes, fair))):
        pieces, stretch = law.stretches, np.random.default_rng(seed).uniform(1, 4, len(mixes))
        slope = (law.at(stretch + 1e-6) - law.at(stretch - 1e-6)) / 2e-6
        assert law.steepness(stretch) / stretch**2 == pytest.approx(-slope, abs=1e-6)
        piece = (pieces.until < stretch[:, None]).sum(axis=1)
        assert pieces.steepness[np.arange(len(mixes)), piece] == pytest.approx(law.steepness(stretch))
        assert (np.diff(pieces.steepness, axis=1) <= 0).all()
        assert np.isinf(pieces.until[:, -1]).all()


def test_a_single_class_silo_is_at_the_largest_distance():
    one_class, fair = np.eye(CLASSES), np.full(CLASSES, 1 / CLASSES)
    assert filling(one_class, fair).before == pytest.approx(np.full(CLASSES, 2 * (1 - 1 / CLASSES)))


def test_a_class_that_nobody_has_in_the_global_mix_is_never_diluted_away():
    law = filling(np.array([[0.5, 0.5]]), np.array([0.0, 1.0]))
    assert law.at(np.array([[1.0], [2.0], [1e6]])).ravel() == pytest.approx([1.0, 0.5, 1e-6])


def test_larger_dirichlet_parameters_mean_smaller_distances():
    chance, fair = np.random.default_rng(0), np.full(CLASSES, 1 / CLASSES)
    means = []
    for dirichlet_alpha in (0.1, 0.5, 1.0, 5.0):
        counts = np.concatenate([label_counts(chance, 10, dirichlet_alpha) for _ in range(20)])
        found = emd(counts / counts.sum(axis=1, keepdims=True), fair)
        assert ((found >= 0) & (found <= 2 * (1 - 1 / CLASSES) + 1e-12)).all()
        means.append(found.mean())
    assert means[0] > means[1] > means[2] > means[3]


def test_what_are_no_distances_or_mixes_is_refused():
    with pytest.raises(ValueError, match="from 0 to 2"):
        towards_global(np.array([0.1, 2.1]))
    with pytest.raises(ValueError, match="from 0 to 2"):
        towards_global(np.array([np.nan]))
    with pytest.raises(ValueError, match="sum to 1"):
        filling(np.array([[0.5, 0.6]]), np.array([0.5, 0.5]))
    with pytest.raises(ValueError, match="sum to 1"):
        filling(np.array([[0.5, 0.5]]), np.array([-0.5, 1.5]))
