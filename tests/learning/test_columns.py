"""Columns: finding the n-th entry that holds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning.columns import nth_true


@given(size=st.integers(0, 5000), share=st.floats(0, 1), seed=st.integers(0, 2**32 - 1))
def test_the_nth_entry_that_holds_is_found_as_by_listing_them_all(size: int, share: float, seed: int) -> None:
    draw = np.random.default_rng(seed)
    mask = draw.random(size) < share
    listed = np.flatnonzero(mask)
    places = draw.integers(0, len(listed), 7) if len(listed) else np.zeros(0, dtype=np.int64)
    np.testing.assert_array_equal(nth_true(mask, places), listed[places])


def test_a_place_beyond_the_last_one_is_refused() -> None:
    with pytest.raises(IndexError):
        nth_true(np.ones(2000, dtype=bool), np.array([2000]))
