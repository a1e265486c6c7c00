"""Quality: what is reported, what training shows, and the two scales."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from market.qd_rdfl.quality import floored, self_report, unfloored

raw_values = arrays(np.float64, st.integers(1, 20), elements=st.floats(-5.0, 5.0))


@given(raw_values, st.sampled_from([0.0, 0.5, 0.9]))
def test_the_authors_scale_runs_from_its_floor_to_1_in_the_same_order(raw, floor):
    scaled = floored(raw, floor)
    assert scaled.max() == pytest.approx(1.0, abs=1e-12)
    assert scaled.min() == pytest.approx(1.0 if np.ptp(raw) == 0.0 else floor, abs=1e-12)
    assert (np.diff(scaled[np.argsort(raw)]) >= -1e-12).all()


@given(raw_values)
def test_without_a_floor_worthless_data_count_nothing(raw):
    scaled = unfloored(raw)
    assert ((scaled >= 0.0) & (scaled <= 1.0)).all()
    assert (scaled[raw <= 0.0] == 0.0).all()
    assert scaled.max() == (1.0 if raw.max() > 0.0 else 0.0)


def test_equal_owners_all_have_quality_1():
    assert floored(np.full(3, 0.4)).tolist() == [1.0, 1.0, 1.0]
    assert unfloored(np.full(3, 0.4)).tolist() == [1.0, 1.0, 1.0]
    assert len(floored(np.zeros(0))) == len(unfloored(np.zeros(0))) == 0


def test_a_floor_outside_0_to_1_is_refused():
    with pytest.raises(ValueError, match="floor"):
        floored(np.ones(2), 1.5)


def test_the_floor_keeps_nine_tenths_of_a_free_riders_weight():
    drops = np.array([0.01, 0.005, 0.0])
    assert floored(drops).tolist() == pytest.approx([1.0, 0.95, 0.9])
    assert unfloored(drops).tolist() == pytest.approx([1.0, 0.5, 0.0])


def test_who_understates_noise_reports_more_quality():
    noise = np.array([0.01, 0.01, 0.01])
    assert self_report(noise).tolist() == pytest.approx([0.99] * 3)
    assert self_report(noise, np.array([0.6, 0.0, -0.6])).tolist() == pytest.approx([0.996, 0.99, 0.984])
