import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from learning.aggregation import buffered, fedavg, finite

CHANCE = torch.Generator().manual_seed(0)
UPLOADS = torch.randn(4, 6, dtype=torch.float64, generator=CHANCE)
BASES = torch.randn(4, 6, dtype=torch.float64, generator=CHANCE)
CURRENT = torch.randn(6, dtype=torch.float64, generator=CHANCE)
WEIGHTS = np.array([10.0, 0.0, 30.0, 5.0])


def test_fedavg_is_the_weighted_mean():
    expected = np.average(UPLOADS.numpy(), axis=0, weights=WEIGHTS)
    assert np.allclose(fedavg(UPLOADS, WEIGHTS).numpy(), expected)


@settings(deadline=None)
@given(st.lists(st.floats(1e-3, 1e3), min_size=4, max_size=4), st.floats(1e-3, 1e3))
def test_fedavg_ignores_the_scale_of_weights_and_stays_between_the_uploads(weights, scale):
    mean = fedavg(UPLOADS, np.array(weights))
    assert torch.allclose(mean, fedavg(UPLOADS, scale * np.array(weights)), atol=1e-9)
    assert (mean <= UPLOADS.max(dim=0).values + 1e-9).all()
    assert (mean >= UPLOADS.min(dim=0).values - 1e-9).all()


def test_fedavg_of_one_upload_is_that_upload():
    assert torch.equal(fedavg(UPLOADS[:1], np.array([3.0])), UPLOADS[0])


@pytest.mark.parametrize("weights", [[0.0] * 4, [1.0, -1.0, 1.0, 1.0], [1.0, float("nan"), 1.0, 1.0]])
def test_weights_that_make_no_mean_are_refused(weights):
    with pytest.raises(ValueError, match="aggregation weights"):
        fedavg(UPLOADS, np.array(weights))


def test_no_uploads_have_no_mean():
    with pytest.raises(ValueError, match="must not all be zero"):
        fedavg(UPLOADS[:0], np.empty(0))


def test_the_buffer_adds_updates_discounted_by_staleness():
    staleness = np.array([0, 1, 3, 8])
    expected = CURRENT.numpy().copy()
    for k in range(4):
        discount = 1 / np.sqrt(1 + staleness[k])
        expected += 0.7 * WEIGHTS[k] * discount * (UPLOADS[k] - BASES[k]).numpy() / WEIGHTS.sum()
    found = buffered(CURRENT, UPLOADS, BASES, WEIGHTS, staleness, exponent=0.5, server_rate=0.7)
    assert np.allclose(found.numpy(), expected)


def test_a_fresh_buffer_at_full_rate_is_fedavg():
    bases = CURRENT.expand(4, -1)
    found = buffered(CURRENT, UPLOADS, bases, WEIGHTS, np.zeros(4, dtype=np.int64), exponent=0.5)
    assert torch.allclose(found, fedavg(UPLOADS, WEIGHTS))


def test_staleness_of_a_future_version_is_refused():
    with pytest.raises(ValueError, match="negative"):
        buffered(CURRENT, UPLOADS, BASES, WEIGHTS, np.array([0, 0, -1, 0]), exponent=0.5)


def test_uploads_with_nan_or_infinity_are_found():
    uploads = UPLOADS.clone()
    uploads[1, 3] = float("nan")
    uploads[3, 0] = float("-inf")
    assert finite(uploads).tolist() == [True, False, True, False]
    assert finite(uploads[:0]).tolist() == []
