import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from torch.nn.functional import cosine_similarity

from learning.personalization import graph_weights, project_to_simplex

SEEDS = st.integers(0, 10**6)
cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA")


def on_simplex_by_solver(objective, slope, count):
    """Minimise over the unit simplex with a general solver."""
    whole = {"type": "eq", "fun": lambda w: w.sum() - 1, "jac": np.ones_like}
    found = minimize(
        objective,
        np.full(count, 1 / count),
        jac=slope,
        method="SLSQP",
        bounds=[(0, 1)] * count,
        constraints=whole,
        options={"ftol": 1e-14, "maxiter": 500},
    )
    assert found.success
    return found.x


def rows(seed, count=6, size=9):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(count, size)))


@pytest.mark.parametrize("seed", range(5))
def test_the_projection_is_the_nearest_point_of_the_simplex(seed):
    points = rows(seed)
    for point, found in zip(points.numpy(), project_to_simplex(points).numpy(), strict=True):
        best = on_simplex_by_solver(lambda w, p=point: ((w - p) ** 2).sum(), lambda w, p=point: 2 * (w - p), 9)
        assert np.allclose(found, best, atol=1e-6)


@given(seed=SEEDS, scale=st.sampled_from([1e-3, 1.0, 1e3, 1e8]), shift=st.floats(-1e3, 1e3))
def test_projections_lie_on_the_simplex_and_ignore_shifts(seed, scale, shift):
    points = scale * rows(seed)
    found = project_to_simplex(points)
    assert (found >= 0).all()
    assert torch.allclose(found.sum(dim=1), torch.ones(6, dtype=torch.float64))
    assert torch.allclose(project_to_simplex(points + shift), found, atol=1e-6)


@given(seed=SEEDS)
def test_points_of_the_simplex_stay(seed):
    points = torch.from_numpy(np.random.default_rng(seed).dirichlet(np.ones(9), size=6))
    assert torch.allclose(project_to_simplex(points), points)


def test_excluded_coordinates_stay_zero():
    points = torch.tensor([[0.5, -torch.inf, 0.4], [-torch.inf, -torch.inf, -7.0]], dtype=torch.float64)
    assert torch.allclose(project_to_simplex(points), torch.tensor([[0.55, 0.0, 0.45], [0, 0, 1]]).double())


@pytest.mark.parametrize("alpha", [0.1, 0.8, 5.0])
def test_graph_weights_solve_the_quadratic_program_of_each_owner(alpha):
    updates = rows(3) + 0.7
    samples = np.array([10.0, 40, 20, 20, 5, 30])
    share = samples / samples.sum()
    found = graph_weights(updates, samples, alpha=alpha).numpy()
    for i in range(6):
        negated = -cosine_similarity(updates[i], updates, dim=1).numpy()
        negated[negated < -0.9] = -1.0

        def objective(w, d=negated):
            return w @ d + alpha * ((w - share) ** 2).sum()

        def slope(w, d=negated):
            return d + 2 * alpha * (w - share)

        assert np.allclose(found[i], on_simplex_by_solver(objective, slope, 6), atol=1e-6)


def test_nearly_equal_updates_count_as_equal():
    near = torch.tensor([[1.0, 0.0], [1.0, 0.4], [0.4, 1.0]], dtype=torch.float64)  # cosines 0.93, 0.37, 0.69
    weights = graph_weights(near, np.ones(3))
    assert weights[0, 0] == weights[0, 1] > weights[0, 2]


def test_a_large_alpha_is_fedavg_and_a_small_one_is_left_with_the_most_alike():
    updates, samples = rows(3), np.array([10.0, 40, 20, 20, 5, 30])
    assert np.allclose(graph_weights(updates, samples, alpha=1e9)[2], samples / samples.sum(), atol=1e-6)
    assert torch.allclose(graph_weights(updates, samples, alpha=1e-9), torch.eye(6, dtype=torch.float64))


@given(seed=SEEDS, alpha=st.floats(1e-3, 1e3))
def test_graph_weights_lie_on_the_simplex_and_follow_the_order_of_owners(seed, alpha):
    updates, chance = rows(seed), np.random.default_rng(seed)
    samples, order = chance.uniform(1, 9, size=6), chance.permutation(6)
    weights = graph_weights(updates, samples, alpha=alpha)
    assert (weights >= 0).all()
    assert torch.allclose(weights.sum(dim=1), torch.ones(6, dtype=torch.float64))
    shuffled = graph_weights(updates[order], samples[order], alpha=alpha)
    assert torch.allclose(shuffled, weights[order][:, order], atol=1e-9)


def test_parameters_that_make_no_program_are_refused():
    with pytest.raises(ValueError, match="alpha must be a number above 0"):
        graph_weights(rows(0), np.ones(6), alpha=0.0)
    with pytest.raises(ValueError, match="6 updates have 5 data sizes"):
        graph_weights(rows(0), np.ones(5))


@cuda
def test_a_gpu_finds_the_same_graph():
    there = graph_weights(rows(0).cuda(), np.ones(6))
    assert there.is_cuda
    assert torch.allclose(there.cpu(), graph_weights(rows(0), np.ones(6)))
