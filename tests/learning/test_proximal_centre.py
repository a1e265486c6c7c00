import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import cosine_similarity

from learning.personalization import cosine_centre, squared_centre, update_dissimilarity

SEEDS = st.integers(0, 10**6)
cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA")


def market(seed=0, count=5, size=8):
    """Models, the initial one, who refers to whom, and data sizes."""
    chance = np.random.default_rng(seed)
    adjacency = chance.uniform(size=(count, count)) < 0.5
    np.fill_diagonal(adjacency, False)
    models, initial = chance.normal(size=(count, size)), chance.normal(size=size)
    return torch.from_numpy(models), torch.from_numpy(initial), adjacency, chance.uniform(500, 12000, size=count)


def centre_by_autograd(models, adjacency, samples, step, dissimilarity):
    """Equation 8 as it stands: the gradient of d in its first argument, by differentiation, pair by pair."""
    centres = models.clone()
    for i in range(len(models)):
        for j in np.flatnonzero(adjacency[i]):
            own = models[i].clone().requires_grad_()
            dissimilarity(own, models[j]).backward()
            centres[i] -= step / samples[i] * samples[j] * own.grad
    return centres


@given(seed=SEEDS)
def test_the_cosine_centre_is_equation_8(seed):
    models, initial, adjacency, samples = market(seed)

    def dissimilarity(own, other):
        return 1 - cosine_similarity(own - initial, other - initial, dim=0)

    expected = centre_by_autograd(models, adjacency, samples, 0.7, dissimilarity)
    assert torch.allclose(cosine_centre(models, initial, adjacency, samples, 0.7), expected)


@given(seed=SEEDS)
def test_the_squared_centre_is_equation_8(seed):
    models, _, adjacency, samples = market(seed)

    def dissimilarity(own, other):
        return (own - other).square().sum()

    expected = centre_by_autograd(models, adjacency, samples, 0.1, dissimilarity)
    assert torch.allclose(squared_centre(models, adjacency, samples, 0.1), expected)


def test_the_cosine_gradient_agrees_with_central_differences():
    models, initial, _, _ = market(1, count=2)
    adjacency = np.array([[False, True], [False, False]])
    found = models[0] - cosine_centre(models, initial, adjacency, np.ones(2), 1.0)[0]
    for place in range(8):
        there = torch.zeros(8, dtype=torch.float64)
        there[place] = 1e-6
        ahead, behind = (
            update_dissimilarity(torch.stack([models[0] + s * there, models[1]]), initial)[0, 1] for s in (1, -1)
        )
        assert float(found[place]) == pytest.approx(float(ahead - behind) / 2e-6, abs=1e-8)


def test_dissimilarity_is_one_minus_the_cosine_of_what_the_models_moved():
    models, initial, _, _ = market()
    found = update_dissimilarity(models, initial)
    expected = 1 - cosine_similarity((models - initial)[:, None], (models - initial)[None], dim=2)
    assert torch.allclose(found, expected, atol=1e-12)
    assert (found.diagonal() == 0).all()


@pytest.mark.parametrize("centre", ["cosine", "squared"])
def test_owners_that_refer_to_nobody_keep_their_model(centre):
    models, initial, adjacency, samples = market()
    adjacency[3] = False
    if centre == "cosine":
        moved = cosine_centre(models, initial, adjacency, samples, 0.7)
    else:
        moved = squared_centre(models, adjacency, samples, 0.7)
    assert torch.equal(moved[3], models[3])
    assert not torch.equal(moved[0], models[0])


def test_models_that_have_not_moved_pull_nobody_and_are_pulled_by_nobody():
    models, initial, _, samples = market()
    models[2] = initial
    everybody = ~np.eye(5, dtype=bool)
    without = everybody.copy()
    without[:, 2] = False
    moved = cosine_centre(models, initial, everybody, samples, 0.7)
    assert torch.isfinite(moved).all()
    assert torch.equal(moved[2], models[2])
    assert torch.allclose(moved[[0, 1, 3, 4]], cosine_centre(models, initial, without, samples, 0.7)[[0, 1, 3, 4]])


@given(seed=SEEDS)
def test_the_order_of_owners_does_not_matter(seed):
    models, initial, adjacency, samples = market(seed)
    order = np.random.default_rng(seed).permutation(5)
    shuffled = cosine_centre(models[order], initial, adjacency[order][:, order], samples[order], 0.7)
    assert torch.allclose(shuffled, cosine_centre(models, initial, adjacency, samples, 0.7)[order])


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda adjacency, samples: (adjacency | np.eye(5, dtype=bool), samples), "its own model"),
        (lambda adjacency, samples: (adjacency, 0 * samples), "sizes must be numbers above 0"),
        (lambda adjacency, samples: (adjacency[:4], samples), r"must be \[5, 5\] and \[5\], got \[4, 5\]"),
    ],
)
def test_graphs_that_do_not_fit_are_refused(change, complaint):
    models, initial, adjacency, samples = market()
    with pytest.raises(ValueError, match=complaint):
        cosine_centre(models, initial, *change(adjacency, samples), 0.7)


@cuda
def test_a_gpu_finds_the_same_centres():
    models, initial, adjacency, samples = market()
    there = cosine_centre(models.cuda(), initial.cuda(), adjacency, samples, 0.7)
    assert there.is_cuda
    assert torch.allclose(there.cpu(), cosine_centre(models, initial, adjacency, samples, 0.7))
