"""Which labels synthetic samples get: the sums, the distances that the formulas promise, and classes never seen."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning.generation import TARGETS, class_amounts, class_counts, emd_after, labels_of
from learning.heterogeneity import emd
from learning.registry import UnknownName


def organisation(seed: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Real counts of an organisation, some of them zero, and a global mix."""
    chance = np.random.default_rng(seed)
    counts = chance.integers(0, 60, size=classes) * (chance.random(classes) < 0.7)
    counts[chance.integers(classes)] += 1
    return counts.astype(np.int64), chance.dirichlet(np.ones(classes))


def distance(counts: np.ndarray, amounts: np.ndarray, mix: np.ndarray) -> float:
    together = counts + amounts
    return float(emd((together / together.sum())[None], mix)[0])


anything = given(st.integers(0, 10_000), st.integers(2, 12), st.floats(0.0, 1000.0))


@anything
def test_global_labels_dilute_the_distance_from_the_global_mix(seed, classes, volume):
    counts, mix = organisation(seed, classes)
    amounts = class_amounts("global", counts.astype(float), mix, volume)
    size = counts.sum()
    before = distance(counts, np.zeros(classes), mix)
    assert distance(counts, amounts, mix) == pytest.approx(before * size / (size + volume), abs=1e-12)


@anything
def test_filling_up_reaches_the_closed_form_which_is_never_above_global(seed, classes, volume):
    counts, mix = organisation(seed, classes)
    amounts = class_amounts("fill", counts.astype(float), mix, volume)
    size = counts.sum()
    own = (counts / size)[None]
    closed = emd_after("fill", own, mix, np.array([float(size)]), np.array([volume]))[0]
    assert distance(counts, amounts, mix) == pytest.approx(closed, abs=1e-12)
    assert closed <= emd_after("global", own, mix, np.array([float(size)]), np.array([volume]))[0] + 1e-12
    assert amounts.sum() == pytest.approx(volume)
    assert (amounts <= np.maximum(0, (size + volume) * mix - counts) + 1e-9).all(), "no class becomes too frequent"


def test_filling_up_closes_the_distance_from_the_volume_on_that_the_formula_names():
    counts, mix = np.array([30, 10, 0]), np.array([0.5, 0.3, 0.2])
    enough = counts.sum() * (max(counts / counts.sum() / mix) - 1)
    assert enough == pytest.approx(20.0)
    assert distance(counts, class_amounts("fill", counts * 1.0, mix, enough), mix) == pytest.approx(0.0, abs=1e-12)
    assert class_counts("fill", counts, mix, 20).tolist() == [0, 8, 12]
    assert distance(counts, class_amounts("fill", counts * 1.0, mix, 0.9 * enough), mix) > 0.01


@given(st.integers(0, 10_000), st.integers(2, 12), st.integers(0, 400), st.sampled_from(sorted(TARGETS)))
def test_whole_counts_sum_to_the_volume_and_are_within_one_of_the_real_amounts(seed, classes, volume, target):
    counts, mix = organisation(seed, classes)
    available = counts > 0
    whole = class_counts(target, counts, mix, volume, available)
    assert whole.sum() == volume
    assert whole.dtype == np.int64
    assert np.abs(whole - class_amounts(target, counts.astype(float), mix, volume, available)).max() < 1
    assert not whole[~available].any(), "a class that was never seen cannot be made"


@given(st.integers(0, 3000))
def test_filling_up_with_few_classes_still_comes_as_near_as_any_split_of_the_volume(seed):
    counts, mix = organisation(seed, 4)
    available = np.array([True, True, False, counts[3] > 0])
    volume = 30.0
    best = distance(counts, class_amounts("fill", counts.astype(float), mix, volume, available), mix)
    chance = np.random.default_rng(seed)
    for _ in range(50):
        other = np.zeros(4)
        other[available] = volume * chance.dirichlet(np.full(available.sum(), 0.5))
        assert best <= distance(counts, other, mix) + 1e-9


def test_an_organisation_without_any_sample_of_a_frequent_class_uses_what_it_has():
    counts, mix = np.array([5, 0]), np.array([0.0, 1.0])
    assert class_counts("global", counts, mix, 4, np.array([True, False])).tolist() == [4, 0]


def test_labels_are_listed_class_by_class():
    assert labels_of(np.array([2, 0, 1])).tolist() == [0, 0, 2]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("global", np.ones(2), np.ones(3) / 3, 5.0), "need as many counts"),
        (("global", np.ones(2), np.array([0.7, 0.7]), 5.0), "sum to 1"),
        (("global", np.ones(2), np.array([1.5, -0.5]), 5.0), "at least 0"),
        (("fill", np.ones(2), np.ones(2) / 2, -1.0), "at least 0"),
        (("fill", np.ones(2), np.ones(2) / 2, float("nan")), "at least 0"),
        (("fill", np.ones(2), np.ones(2) / 2, 5.0, np.zeros(2, dtype=bool)), "no class can be generated"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments, problem):
    with pytest.raises(ValueError, match=problem):
        class_amounts(*arguments)


def test_an_unknown_target_is_refused_with_the_nearest():
    with pytest.raises(UnknownName, match="did you mean 'global'"):
        class_counts("globl", np.ones(2, dtype=np.int64), np.ones(2) / 2, 5)
