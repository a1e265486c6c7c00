from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from learning.personalization import bipartition, cluster_weights, mix_changes, split_clusters


def similarity(seed, count=7):
    drawn = np.random.default_rng(seed).uniform(-1, 1, size=(count, count))
    return (drawn + drawn.T) / 2


def across(alike, half):
    """The largest similarity between the halves."""
    return alike[half][:, ~half].max()


@given(seed=st.integers(0, 10**6), count=st.integers(2, 7))
def test_the_bipartition_has_the_least_similarity_across_of_all(seed, count):
    alike = similarity(seed, count)
    halves = [np.isin(np.arange(count), some) for size in range(1, count) for some in combinations(range(count), size)]
    found = bipartition(alike)
    assert not found[0]
    assert found.any()
    assert across(alike, found) == min(across(alike, half) for half in halves)


def test_a_single_row_has_no_halves():
    with pytest.raises(ValueError, match="at least 2 rows"):
        bipartition(np.ones((1, 1)))


def two_camps(strength=1.0):
    """Updates of 6 owners: the odd ones want the opposite of the even ones."""
    side = torch.tensor([1.0, -1.0] * 3, dtype=torch.float64)[:, None]
    wobble = torch.from_numpy(np.random.default_rng(0).normal(scale=0.05, size=(6, 4)))
    return strength * side * (torch.ones(4, dtype=torch.float64) + wobble)


ONE = np.zeros(6, dtype=np.int64)
SIZES = np.array([3.0, 3.0, 2.0, 2.0, 1.0, 1.0])


def test_a_cluster_that_stands_still_while_its_owners_pull_apart_is_split():
    assert split_clusters(ONE, two_camps(), SIZES, eps1=0.5, eps2=1.0).tolist() == [0, 1, 0, 1, 0, 1]


@pytest.mark.parametrize(
    ("updates", "eps1", "eps2"),
    [
        (two_camps().abs(), 0.5, 1.0),  # they move on together
        (two_camps(strength=0.1), 0.5, 1.0),  # all have arrived
        (two_camps(), 0.5, 5.0),  # nobody pulls that much
    ],
)
def test_other_clusters_stay_whole(updates, eps1, eps2):
    assert split_clusters(ONE, updates, SIZES, eps1=eps1, eps2=eps2).tolist() == [0] * 6


def test_the_mean_update_is_weighted_by_data():
    # With nearly all data on one side the cluster still moves: no split.
    sizes = np.where(np.arange(6) % 2 == 0, 100.0, 1.0)
    assert split_clusters(ONE, two_camps(), sizes, eps1=0.5, eps2=1.0).tolist() == [0] * 6


def test_clusters_split_by_themselves_and_new_ones_get_new_labels():
    labels = np.array([4, 4, 4, 4, 2, 2])
    updates = two_camps()
    assert split_clusters(labels, updates, SIZES, eps1=9.0, eps2=1.0).tolist() == [4, 5, 4, 5, 2, 2]
    assert split_clusters(labels, updates, SIZES, eps1=9.0, eps2=1.0, least=2).tolist() == [4, 6, 4, 6, 2, 5]
    assert labels.tolist() == [4, 4, 4, 4, 2, 2]


def test_owners_take_the_weighted_mean_of_their_own_cluster():
    labels, updates = np.array([0, 1, 0, 1, 0, 1]), two_camps()
    models = torch.from_numpy(np.random.default_rng(1).normal(size=(6, 4)))
    moved = mix_changes(cluster_weights(labels, SIZES), models, updates)
    for k in range(6):
        members = np.flatnonzero(labels == labels[k])
        expected = models[k] + torch.from_numpy(np.average(updates[members], axis=0, weights=SIZES[members]))
        assert torch.allclose(moved[k], expected)
    with pytest.raises(ValueError, match="above 0"):
        cluster_weights(labels, np.zeros(6))
