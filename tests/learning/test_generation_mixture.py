"""The statistics behind the mixture generator, against independent computations."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

from learning.generation.class_mixtures import ClassMixtures, within_classes
from learning.generation.mixture import Mixture, fit_mixture, log_prior
from learning.generation.subspace import principal_subspace


def clouds(seed: int, points: int = 120, dimensions: int = 3) -> np.ndarray:
    chance = np.random.default_rng(seed)
    centres = 4 * chance.normal(size=(2, dimensions))
    return centres[np.arange(points) % 2] + chance.normal(size=(points, dimensions))


def test_densities_are_those_of_scipy():
    z = clouds(1)
    mixture = fit_mixture(z, 2, np.eye(3), 5.0, np.random.default_rng(0))
    for place in range(2):
        covariance = mixture.factors[place] @ mixture.factors[place].T
        expected = np.log(mixture.weights[place]) + multivariate_normal(mixture.means[place], covariance).logpdf(z)
        assert mixture.log_densities(z)[:, place] == pytest.approx(expected)


@given(st.integers(0, 500), st.integers(1, 5), st.floats(0.5, 50.0))
def test_the_posterior_never_falls(seed, components, strength):
    mixture = fit_mixture(clouds(seed), components, np.eye(3), strength, np.random.default_rng(seed))
    assert (np.diff(mixture.course) >= -1e-7).all()


def test_one_component_is_the_maximum_a_posteriori_that_a_general_optimizer_finds():
    z, typical, strength = clouds(2, 30, 2), np.array([[1.0, 0.3], [0.3, 2.0]]), 7.0

    def negative(values: np.ndarray) -> float:
        factor = np.array([[np.exp(values[2]), 0.0], [values[3], np.exp(values[4])]])
        mixture = Mixture(np.ones(1), values[:2][None], factor[None])
        return -float(mixture.log_densities(z).sum()) - log_prior(mixture, typical, strength)

    found = minimize(negative, np.zeros(5), method="BFGS", options={"gtol": 1e-8})
    ours = fit_mixture(z, 1, typical, strength, np.random.default_rng(0))
    assert ours.means[0] == pytest.approx(found.x[:2], abs=1e-4)
    assert np.diag(ours.factors[0]) == pytest.approx(np.exp(found.x[[2, 4]]), abs=1e-4)
    assert ours.factors[0][1, 0] == pytest.approx(found.x[3], abs=1e-4)


def test_two_far_clouds_are_told_apart():
    z = clouds(3, 400) + 30 * (np.arange(400) % 2)[:, None]
    mixture = fit_mixture(z, 2, np.eye(3), 5.0, np.random.default_rng(0))
    expected = np.array([z[0::2].mean(axis=0), z[1::2].mean(axis=0)])
    assert np.sort(mixture.means, axis=0) == pytest.approx(np.sort(expected, axis=0), abs=1e-6)
    assert mixture.weights == pytest.approx([0.5, 0.5])


def test_a_component_of_a_single_point_has_the_typical_covariance():
    mixture = fit_mixture(np.ones((1, 2)), 1, np.diag([1.0, 4.0]), 5.0, np.random.default_rng(0))
    assert mixture.means.tolist() == [[1.0, 1.0]]
    assert mixture.factors[0] @ mixture.factors[0].T == pytest.approx(np.diag([1.0, 4.0]) * 5 / 6)


def test_points_that_are_drawn_have_the_mixture_s_mean_and_covariance():
    mixture = fit_mixture(clouds(4), 2, np.eye(3), 5.0, np.random.default_rng(0))
    chance = np.random.default_rng(1)
    drawn = mixture.points(chance.random(100_000), chance.standard_normal((100_000, 3)))
    mean = mixture.weights @ mixture.means
    each = mixture.factors @ mixture.factors.transpose(0, 2, 1)
    spread = np.einsum("k,kij->ij", mixture.weights, each)
    spread += np.einsum("k,ki,kj->ij", mixture.weights, mixture.means - mean, mixture.means - mean)
    assert drawn.mean(axis=0) == pytest.approx(mean, abs=0.05)
    assert np.cov(drawn.T) == pytest.approx(spread, abs=0.15)


def test_the_covariance_within_classes_ignores_where_the_classes_are():
    chance = np.random.default_rng(5)
    labels = np.arange(3000) % 3
    z = 100 * labels[:, None] + chance.normal(size=(3000, 2)) * [1.0, 3.0]
    assert within_classes(z, labels) == pytest.approx(np.diag([0.9 + 0.5, 8.1 + 0.5]), abs=0.3)


def test_constant_data_stay_computable():
    made = ClassMixtures.fit(np.zeros((4, 2)), np.array([0, 0, 1, 1]), 3, 5.0, np.random.default_rng(0))
    drawn = made.points(np.array([0, 1]), np.array([0.3, 0.9]), np.ones((2, 2)))
    assert np.abs(drawn).max() < 1e-4


@pytest.mark.parametrize(("samples", "features"), [(40, 300), (300, 40), (400, 500)], ids=["wide", "tall", "sketched"])
def test_the_subspace_catches_as_much_variance_as_an_exact_decomposition(samples, features):
    chance = np.random.default_rng(6)
    x = chance.normal(size=(samples, features)) * 0.9 ** np.arange(features) + 3.0
    space = principal_subspace(x, 8, np.random.default_rng(0))
    strengths = np.linalg.svd(x - x.mean(axis=0), compute_uv=False)
    assert space.basis.T @ space.basis == pytest.approx(np.eye(8), abs=1e-10)
    assert np.square(space.scores(x)).sum() == pytest.approx(np.square(strengths[:8]).sum(), rel=1e-6)


def test_a_subspace_has_no_more_directions_than_the_samples_span():
    x = np.outer(np.arange(5.0), [1.0, 2.0, 0.0])
    space = principal_subspace(x, 3, np.random.default_rng(0))
    assert space.basis.shape == (3, 1)
    assert space.samples(space.scores(x)) == pytest.approx(x)
