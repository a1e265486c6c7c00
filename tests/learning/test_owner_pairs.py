import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from learning.owner_pairs import OwnerPairs

OWNERS = st.lists(st.integers(0, 12), min_size=1, max_size=6, unique=True)


def numbers(owners, seed):
    return np.random.default_rng(seed).uniform(1, 2, size=(len(owners), len(owners)))


@given(meetings=st.lists(OWNERS, max_size=6), asked=OWNERS)
def test_every_pair_keeps_the_last_number_it_was_given(meetings, asked):
    pairs, plain = OwnerPairs(), {}
    for seed, owners in enumerate(meetings):
        matrix = numbers(owners, seed)
        pairs.remember(np.array(owners), matrix)
        plain |= {(a, b): matrix[i, j] for i, a in enumerate(owners) for j, b in enumerate(owners)}
    expected = [[plain.get((a, b), 0.0) for b in asked] for a in asked]
    assert np.array_equal(pairs.recall(np.array(asked)), expected)


@given(first=OWNERS, kept=OWNERS)
def test_the_pairs_of_who_is_gone_are_forgotten(first, kept):
    pairs, everybody = OwnerPairs(), np.arange(13)
    pairs.remember(np.array(first), numbers(first, 0))
    before = pairs.recall(everybody)
    pairs.retain(np.array(kept))
    stays = np.isin(everybody, kept)
    assert np.array_equal(pairs.recall(everybody), np.where(np.outer(stays, stays), before, 0.0))
    assert len(pairs.state()[0]) == len(set(first) & set(kept))


def test_pairs_are_restored_from_their_state():
    pairs, restored = OwnerPairs(), OwnerPairs()
    pairs.remember(np.array([7, 3]), numbers([7, 3], 0))
    state = pairs.state()
    pairs.remember(np.array([7, 3]), numbers([7, 3], 1))
    restored.load_state(*state)
    assert np.array_equal(restored.recall(np.array([7, 3])), numbers([7, 3], 0))
