import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from learning.aggregation import buffered, effective_steps, fedasync, fedavg, finite, step_normalised
from learning.staleness import Hinge, Polynomial

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
        expected += WEIGHTS[k] * discount * (UPLOADS[k] - BASES[k]).numpy() / WEIGHTS.sum()
    found = buffered(CURRENT, UPLOADS, BASES, WEIGHTS, Polynomial(0.5)(staleness))
    assert np.allclose(found.numpy(), expected)


def test_a_fresh_buffer_at_full_rate_is_fedavg():
    bases = CURRENT.expand(4, -1)
    found = buffered(CURRENT, UPLOADS, bases, WEIGHTS, Polynomial(0.5)(np.zeros(4, dtype=np.int64)))
    assert torch.allclose(found, fedavg(UPLOADS, WEIGHTS))


def test_uploads_with_nan_or_infinity_are_found():
    uploads = UPLOADS.clone()
    uploads[1, 3] = float("nan")
    uploads[3, 0] = float("-inf")
    assert finite(uploads).tolist() == [True, False, True, False]
    assert finite(uploads[:0]).tolist() == []


def test_large_weights_whose_sum_overflows_are_finite_all_the_same():
    uploads = torch.full((3, 8), 3e38)
    uploads[1, 2] = torch.inf
    uploads[2, 5] = torch.nan
    assert not torch.isfinite(uploads[0].sum())
    assert finite(uploads).tolist() == [True, False, False]


def test_a_staleness_function_can_leave_nothing_but_the_fresh_update():
    only_the_fresh = buffered(CURRENT, UPLOADS, BASES, WEIGHTS, Hinge(slope=1e12, grace=0)(np.array([0, 1, 3, 8])))
    share = WEIGHTS[0] / WEIGHTS.sum()
    assert torch.allclose(only_the_fresh, CURRENT + share * (UPLOADS[0] - BASES[0]))


def test_fedasync_goes_a_part_of_the_way_to_each_arrival():
    moved = fedasync(CURRENT, UPLOADS[0], mixing=0.6, discount=0.5)
    assert torch.allclose(moved, 0.7 * CURRENT + 0.3 * UPLOADS[0])
    with pytest.raises(ValueError, match="in \\[0, 1\\]"):
        fedasync(CURRENT, UPLOADS[0], mixing=2.0, discount=1.0)


def test_fednova_follows_its_definition():
    steps = np.array([1, 2, 5, 10])
    share = WEIGHTS / WEIGHTS.sum()
    direction = sum(share[k] * (UPLOADS[k] - CURRENT) / steps[k] for k in range(4))
    expected = CURRENT + sum(share * steps) * direction
    prepared = step_normalised(UPLOADS, CURRENT[None], WEIGHTS, steps)
    assert torch.allclose(fedavg(prepared, WEIGHTS), expected)


def test_fednova_scales_each_change_from_the_model_it_started_from():
    prepared = step_normalised(UPLOADS, BASES, np.ones(4), np.array([2, 2, 2, 6]))
    assert torch.allclose(prepared[0], BASES[0] + 1.5 * (UPLOADS[0] - BASES[0]))
    assert torch.allclose(prepared[3], BASES[3] + 0.5 * (UPLOADS[3] - BASES[3]))


def test_fednova_with_equal_steps_is_fedavg():
    prepared = step_normalised(UPLOADS, BASES, WEIGHTS, np.full(4, 7), momentum=0.9, shrink=0.1)
    assert torch.allclose(prepared, UPLOADS)


def test_fednova_reaches_the_optimum_that_uneven_steps_hide_from_fedavg():
    # Two owners with the losses (w - optimum)^2 / 2, one of which makes 20 times as many steps of rate 0.01.
    # The optimum of both together is 0; a step brings an owner nearer to its own by the factor 0.99.
    optima, steps, weights = torch.tensor([[-1.0], [1.0]], dtype=torch.float64), np.array([1, 20]), np.ones(2)
    nearer = torch.from_numpy(0.99**steps)[:, None]

    def train(model):
        return optima + nearer * (model - optima)

    nova, average = torch.ones(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    for _ in range(400):
        nova = fedavg(step_normalised(train(nova), nova[None], weights, steps), weights)
        average = fedavg(train(average), weights)
    assert abs(float(nova)) < 0.1  # of the order of rate * steps
    assert float(average) > 0.8


@pytest.mark.parametrize(("momentum", "shrink"), [(0.0, 0.0), (0.9, 0.0), (0.0, 0.2), (0.6, 0.1)])
def test_effective_steps_count_how_often_a_constant_gradient_enters_the_update(momentum, shrink):
    rate = 0.05
    for steps in (0, 1, 2, 9):
        w = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
        optimizer = torch.optim.SGD([w], lr=rate, momentum=momentum)
        for _ in range(steps):
            w.grad = torch.ones_like(w) + shrink / rate * w.detach()
            optimizer.step()
        found = effective_steps(np.array([steps]), momentum=momentum, shrink=shrink)[0]
        assert found == pytest.approx(-float(w.detach()) / rate)


def test_effective_steps_are_the_closed_forms_of_the_fednova_paper():
    steps = np.array([1, 3, 12, 3])
    assert effective_steps(steps).tolist() == [1.0, 3.0, 12.0, 3.0]
    with_momentum = (steps - 0.9 * (1 - 0.9**steps) / (1 - 0.9)) / (1 - 0.9)
    assert np.allclose(effective_steps(steps, momentum=0.9), with_momentum)
    assert np.allclose(effective_steps(steps, shrink=0.2), (1 - (1 - 0.2) ** steps) / 0.2)
    assert effective_steps(steps[:0]).tolist() == []


def test_steps_that_make_no_direction_are_refused():
    with pytest.raises(ValueError, match="steps of every upload"):
        step_normalised(UPLOADS, BASES, WEIGHTS, np.array([1, 0, 1, 1]))
    with pytest.raises(ValueError, match="cannot be negative"):
        effective_steps(np.array([-1]))
    with pytest.raises(ValueError, match="in \\[0, 1\\)"):
        effective_steps(np.array([1]), momentum=1.0)
