import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from learning.privacy.mechanisms import (
    NoiseLaw,
    NoiseTooSmall,
    classical_epsilon,
    classical_noise_multiplier,
    gaussian_delta,
    gaussian_epsilon,
    gaussian_noise_multiplier,
    laplace_epsilon,
    laplace_noise_std,
    secure_share_std,
)
from learning.privacy.terms import NOISE_MECHANISMS, NeighbouringRelation, PrivacyTerms
from learning.streams import Streams

epsilons = st.floats(1e-3, 100)
deltas = st.floats(1e-12, 0.5)


def delta_by_definition(epsilon: float, multiplier: float) -> float:
    """Balle and Wang's theorem 8 with scipy's normal distribution, term by term."""
    mean, shift = 1 / (2 * multiplier), epsilon * multiplier
    return norm.cdf(mean - shift) - math.exp(epsilon + norm.logcdf(-mean - shift))


@pytest.mark.parametrize(("epsilon", "multiplier"), [(1, 3.73), (2.5, 1.63), (5, 0.892)])
def test_the_analytic_gaussian_mechanism_has_the_published_multipliers(epsilon, multiplier):
    found = gaussian_noise_multiplier(epsilon, 1e-5)
    assert found == pytest.approx(multiplier, abs=0.005)
    assert delta_by_definition(epsilon, float(found)) == pytest.approx(1e-5, abs=1e-9)


def test_a_large_epsilon_does_not_overflow():
    epsilon = np.array([50, 100, 700, 1e6])
    multiplier = gaussian_noise_multiplier(epsilon, 1e-5)
    assert (np.diff(multiplier) < 0).all()
    assert gaussian_delta(epsilon, multiplier) == pytest.approx(1e-5, rel=1e-6)


@given(epsilons, deltas)
def test_the_noise_found_returns_the_delta_and_the_epsilon(epsilon, delta):
    multiplier = gaussian_noise_multiplier(epsilon, delta)
    assert gaussian_delta(epsilon, multiplier) == pytest.approx(delta, rel=1e-8)
    assert gaussian_epsilon(multiplier, delta) == pytest.approx(epsilon, rel=1e-7, abs=1e-9)


@given(st.floats(0.02, 50), st.floats(0.0, 20))
def test_delta_is_that_of_scipy_and_of_the_definition_by_densities(multiplier, epsilon):
    assert gaussian_delta(epsilon, multiplier) == pytest.approx(delta_by_definition(epsilon, multiplier), abs=1e-12)
    # delta = integral of (p - e^eps q)+ for the densities of N(1, s^2) and N(0, s^2)
    z = np.linspace(-12 * multiplier, 1 + 12 * multiplier, 100_001)
    excess = norm.pdf(z, 1, multiplier) - np.exp(epsilon + norm.logpdf(z, 0, multiplier))
    assert gaussian_delta(epsilon, multiplier) == pytest.approx(np.trapezoid(np.maximum(excess, 0), z), abs=1e-6)


@given(epsilons, deltas, st.floats(1.01, 10))
def test_more_privacy_needs_more_noise(epsilon, delta, factor):
    multiplier = gaussian_noise_multiplier(epsilon, delta)
    assert gaussian_noise_multiplier(epsilon * factor, delta) < multiplier
    assert gaussian_noise_multiplier(epsilon, delta / factor) > multiplier
    assert gaussian_epsilon(multiplier * factor, delta) < gaussian_epsilon(multiplier, delta)


def test_noise_beyond_which_delta_alone_covers_the_loss_has_epsilon_zero():
    alone = gaussian_delta(0.0, 1e3)
    assert gaussian_epsilon(1e3, alone * 1.01) == 0
    assert gaussian_epsilon(1e3, alone * 0.99) > 0


def test_columns_are_solved_as_each_entry_alone():
    epsilon = np.array([[0.1, 1.0, 10.0]])
    delta = np.array([[1e-6], [1e-3]])
    together = gaussian_noise_multiplier(epsilon, delta)
    each = [[float(gaussian_noise_multiplier(e, d)) for e in epsilon[0]] for d in delta[:, 0]]
    assert together == pytest.approx(np.array(each), rel=1e-12)


def test_the_classical_formula_warns_where_it_is_not_proved():
    assert classical_noise_multiplier(1.0, 1e-5) == pytest.approx(math.sqrt(2 * math.log(1.25e5)), abs=1e-12)
    with pytest.warns(NoiseTooSmall, match=r"up to 1, got 2\.5"):
        assert classical_noise_multiplier(2.5, 1e-5) == pytest.approx(1.94, abs=0.005)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoiseTooSmall)
        at_five, at_ten = classical_noise_multiplier([5.0, 10.0], 1e-5)
    assert classical_epsilon(at_five, 1e-5) == pytest.approx(5)
    assert at_five == pytest.approx(0.969, abs=0.001)
    assert at_five > gaussian_noise_multiplier(5, 1e-5)
    assert at_ten < gaussian_noise_multiplier(10, 1e-5), "it noises too little"
    assert gaussian_delta(10, at_ten) > 1e-5


def test_laplace_noise_has_the_announced_scale():
    std = laplace_noise_std(2.0, 2 * 0.5)
    assert std**2 == pytest.approx(2 * (2 * 0.5 / 2.0) ** 2)
    assert laplace_epsilon(std, 1.0) == pytest.approx(2.0)
    # The ratio of the two densities at any point is at most e^epsilon, and is that in the tails.
    scale = float(std) / np.sqrt(2)
    z = np.linspace(-5, 5, 1001)
    ratio = (np.abs(z) - np.abs(z - 1.0)) / scale
    assert ratio.max() == pytest.approx(2.0)


@pytest.mark.parametrize("law", NoiseLaw)
def test_drawn_noise_has_variance_one_and_the_shape_of_its_law(law):
    drawn = law.draw(Streams(7).generator("update noise", 1, 2), 1_000_000)
    assert drawn.std() == pytest.approx(1, rel=0.01)
    assert drawn.mean() == pytest.approx(0, abs=0.005)
    kurtosis = {NoiseLaw.GAUSSIAN: 3, NoiseLaw.LAPLACE: 6}[law]
    assert (drawn**4).mean() == pytest.approx(kurtosis, rel=0.05)
    assert np.array_equal(drawn, law.draw(Streams(7).generator("update noise", 1, 2), 1_000_000))


def test_securely_added_shares_come_to_the_whole_noise():
    share = secure_share_std(0.7, 50)
    streams = Streams(7)
    total = sum(streams.generator("update noise", owner).standard_normal(50_000) * share for owner in range(50))
    assert total.std() == pytest.approx(0.7, rel=0.01)
    with pytest.raises(ValueError, match="count must be at least 1"):
        secure_share_std(0.7, 0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gaussian_noise_multiplier([1.0, 0.0], 1e-5), "epsilon must be a number above 0, got 0"),
        (lambda: gaussian_noise_multiplier(1.0, 1.0), "delta must be below 1, got 1"),
        (lambda: gaussian_epsilon(float("nan"), 1e-5), "noise_multiplier must be a number above 0, got nan"),
        (lambda: gaussian_delta(-1.0, 1.0), "epsilon must be a number of at least 0, got -1"),
        (lambda: laplace_noise_std(1.0, float("inf")), "l1_sensitivity must be a number above 0, got inf"),
        (lambda: PrivacyTerms(0.0), "clip_norm must be a number above 0, got 0"),
        (lambda: PrivacyTerms(1.0, delta=2.0), "delta must be below 1, got 2"),
        (lambda: PrivacyTerms(1.0, neighbouring_relation="cousins"), "cousins"),
        (lambda: PrivacyTerms(1.0).noise_std([-1.0]), "epsilon must be a number above 0, got -1"),
    ],
)
def test_numbers_without_a_meaning_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_an_unknown_mechanism_is_refused_with_a_hint():
    with pytest.raises(KeyError, match="did you mean 'gaussian_analytic'"):
        PrivacyTerms(1.0, noise_mechanism="gaussian_analytical")


def test_replacing_one_needs_exactly_twice_the_noise_of_adding_one():
    for name in NOISE_MECHANISMS:
        near, far = (
            PrivacyTerms(0.3, noise_mechanism=name, neighbouring_relation=relation)
            for relation in (NeighbouringRelation.ADD_REMOVE, NeighbouringRelation.REPLACE_ONE)
        )
        assert far.noise_std([0.5, 1.0]) == pytest.approx(2 * near.noise_std([0.5, 1.0]), rel=1e-15)


@pytest.mark.parametrize("name", NOISE_MECHANISMS)
def test_terms_turn_epsilon_into_noise_and_back(name):
    terms = PrivacyTerms(2.0, 1e-6, name)
    epsilon = np.array([0.1, 0.0, 1.0])
    noise = terms.noise_std(epsilon)
    assert noise[1] == np.inf, "who sells nothing sends nothing"
    assert terms.epsilon(noise) == pytest.approx(epsilon, rel=1e-9)


def test_the_record_says_what_epsilon_means():
    assert PrivacyTerms(0.5).record() == {
        "neighbouring_relation": "replace_one",
        "noise_mechanism": "gaussian_analytic",
        "delta": 1e-5,
        "clip_norm": 0.5,
    }
