import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning.heterogeneity import emd, heterogeneity


def test_one_class_owners_are_as_far_from_a_uniform_mix_as_can_be():
    for classes in (2, 3, 10):
        distance = emd(np.eye(classes), np.full(classes, 1 / classes))
        assert np.allclose(distance, 2 * (1 - 1 / classes), atol=1e-12)


def test_owners_with_the_global_mix_are_at_no_distance():
    mix = np.array([0.2, 0.5, 0.3])
    assert emd(np.stack([mix, mix]), mix).tolist() == [0.0, 0.0]


@given(st.integers(0, 1000), st.integers(2, 8))
def test_the_distance_is_twice_the_mass_that_must_move(seed, classes):
    chance = np.random.default_rng(seed)
    mixes, world = chance.dirichlet(np.ones(classes), size=5), chance.dirichlet(np.ones(classes))
    moved = [sum(max(0.0, a - b) for a, b in zip(mix, world, strict=True)) for mix in mixes]
    assert np.allclose(emd(mixes, world), 2 * np.array(moved), atol=1e-12)
    assert (emd(mixes, world) <= 2 * (1 - world.min()) + 1e-12).all()


def test_a_partition_is_described_by_exact_sizes_counts_and_distances():
    labels = np.array([0, 0, 0, 1, 1, 2])
    made = heterogeneity([np.array([0, 1, 3]), np.array([2, 4]), np.array([5])], labels, 4)
    assert made.sizes.tolist() == [3, 2, 1]
    assert made.class_counts.tolist() == [[2, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0]]
    world = np.array([3, 2, 1, 0]) / 6
    expected = [abs(np.array(mix) - world).sum() for mix in ([2 / 3, 1 / 3, 0, 0], [0.5, 0.5, 0, 0], [0, 0, 1, 0])]
    assert made.emd == pytest.approx(expected)


@pytest.mark.parametrize("parts", [[], [np.arange(2), np.arange(0)]])
def test_empty_parts_are_refused(parts):
    with pytest.raises(ValueError, match="at least one"):
        heterogeneity(parts, np.zeros(4, dtype=np.int64), 2)


@pytest.mark.parametrize(
    ("mixes", "world", "problem"),
    [
        (np.ones((2, 3)) / 3, np.ones(2) / 2, "do not fit"),
        (np.ones(3) / 3, np.ones(3) / 3, "do not fit"),
        (np.ones((2, 3)), np.ones(3) / 3, "sum to 1"),
        (np.array([[1.5, -0.5]]), np.ones(2) / 2, "at least 0"),
    ],
)
def test_what_is_no_mix_is_refused(mixes, world, problem):
    with pytest.raises(ValueError, match=problem):
        emd(mixes, world)
