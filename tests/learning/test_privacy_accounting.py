import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opacus.accountants.analysis import rdp as opacus
from scipy.integrate import quad
from scipy.stats import laplace as laplace_law

from learning.privacy.accounting import (
    ORDERS,
    epsilon_of_rdp,
    gaussian_rdp,
    laplace_rdp,
    simple_epsilon_of_rdp,
    subsampled_gaussian_rdp,
)
from learning.privacy.mechanisms import gaussian_epsilon, gaussian_noise_multiplier

SOME_ORDERS = np.array([1.05, 1.5, 2.0, 2.7, 5.0, 10.3, 32.0, 64.0])
REFERENCE_ORDERS = np.concatenate([np.arange(11, 100) / 10, np.arange(10, 501)])


@pytest.mark.parametrize(
    ("rate", "multiplier"), [(0.01, 1.0), (0.1, 0.6), (0.5, 3.0), (0.001, 0.4), (0.9, 20.0), (0.2, 0.3), (1.0, 1.7)]
)
def test_a_sampled_gaussian_release_has_the_curve_that_opacus_computes(rate, multiplier):
    ours = subsampled_gaussian_rdp(multiplier, rate, SOME_ORDERS)
    theirs = opacus.compute_rdp(q=rate, noise_multiplier=multiplier, steps=1, orders=SOME_ORDERS.tolist())
    assert ours == pytest.approx(theirs, rel=1e-7, abs=1e-13)


@pytest.mark.parametrize("rounds", [1, 50, 1000])
@pytest.mark.parametrize("rate", [0.02, 1.0])
def test_many_rounds_come_to_the_epsilon_that_opacus_finds(rounds, rate):
    orders = REFERENCE_ORDERS[:300]
    theirs = opacus.compute_rdp(q=rate, noise_multiplier=1.2, steps=rounds, orders=orders.tolist())
    expected, best = opacus.get_privacy_spent(orders=orders.tolist(), rdp=theirs, delta=1e-5)
    assert orders[0] < best < orders[-1]
    ours = rounds * subsampled_gaussian_rdp(1.2, rate, orders)
    assert epsilon_of_rdp(ours, 1e-5, orders) == pytest.approx(expected, rel=1e-7)


def test_columns_of_owners_have_the_curves_that_each_has_alone():
    multiplier, rate = np.array([1.0, 2.0, 1.0, 0.7]), np.array([0.1, 1.0, 0.1, 0.3])
    together = subsampled_gaussian_rdp(multiplier, rate, SOME_ORDERS)
    for row in range(4):
        alone = subsampled_gaussian_rdp(multiplier[row], rate[row], SOME_ORDERS)
        assert together[row] == pytest.approx(alone, rel=1e-13)
    assert together[1] == pytest.approx(gaussian_rdp(2.0, SOME_ORDERS))


@settings(max_examples=30)
@given(st.floats(0.4, 20), st.floats(0.001, 0.9))
def test_sampling_and_noise_protect_and_curves_rise_with_the_order(multiplier, rate):
    curve = subsampled_gaussian_rdp(multiplier, rate, SOME_ORDERS)
    assert (np.diff(curve) >= -1e-12).all()
    assert (curve <= gaussian_rdp(multiplier, SOME_ORDERS) + 1e-12).all()
    assert (subsampled_gaussian_rdp(1.5 * multiplier, rate, SOME_ORDERS) <= curve + 1e-12).all()
    assert (subsampled_gaussian_rdp(multiplier, 1.1 * rate, SOME_ORDERS) >= curve - 1e-12).all()


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 5.0])
def test_the_laplace_curve_is_the_renyi_divergence_of_two_laplace_laws(epsilon):
    p, q = laplace_law(1, 1 / epsilon), laplace_law(0, 1 / epsilon)
    curve = laplace_rdp(epsilon, SOME_ORDERS)
    for a, value in list(zip(SOME_ORDERS, curve, strict=True))[:6]:
        parts = [(-80 / epsilon, 0), (0, 1), (1, 80 / epsilon)]
        moment = sum(quad(lambda z, a=a: np.exp(a * p.logpdf(z) + (1 - a) * q.logpdf(z)), *part)[0] for part in parts)
        assert value == pytest.approx(np.log(moment) / (a - 1), rel=1e-6)
    assert (curve <= epsilon).all()


@given(st.lists(st.floats(0, 3), min_size=2, max_size=5))
def test_a_change_of_one_coordinate_is_the_worst_for_laplace_noise(parts):
    changed = np.array(parts) + 1e-9
    together = laplace_rdp(changed, SOME_ORDERS).sum(axis=0)
    assert (together <= laplace_rdp(changed.sum(), SOME_ORDERS) + 1e-9).all()


def test_fifty_rounds_of_epsilon_one_cost_eleven_and_not_fifty():
    multiplier = gaussian_noise_multiplier(1.0, 1e-5)
    costs = [
        float(simple_epsilon_of_rdp(rounds * gaussian_rdp(multiplier, REFERENCE_ORDERS), 1e-5, REFERENCE_ORDERS))
        for rounds in (1, 10, 50, 51)
    ]
    assert costs[2] == pytest.approx(10.9, abs=0.1)
    assert costs == sorted(costs)
    assert costs[0] > 1, "the simple conversion is loose for one release"
    weaker = simple_epsilon_of_rdp(50 * gaussian_rdp(2 * multiplier, REFERENCE_ORDERS), 1e-5, REFERENCE_ORDERS)
    assert weaker < costs[2]


@given(st.floats(0.3, 30), st.integers(1, 200), st.floats(1e-9, 0.1))
def test_exact_tight_and_simple_conversion_stand_in_this_order(multiplier, rounds, delta):
    curve = rounds * gaussian_rdp(multiplier, ORDERS)
    simple, tight = simple_epsilon_of_rdp(curve, delta, ORDERS), epsilon_of_rdp(curve, delta, ORDERS)
    # Gaussian releases compose into one whose 1/s^2 is the sum.
    exact = gaussian_epsilon(multiplier / np.sqrt(rounds), delta)
    assert exact <= tight + 1e-12
    assert simple >= tight


def test_the_usual_orders_lose_little_against_many():
    many = np.union1d(ORDERS, 1 + np.geomspace(0.01, 600, 3000))
    for multiplier in (0.5, 1, 5, 20):
        for rate in (0.1, 1.0):
            few = epsilon_of_rdp(10 * subsampled_gaussian_rdp(multiplier, rate, ORDERS), 1e-5, ORDERS)
            best = epsilon_of_rdp(10 * subsampled_gaussian_rdp(multiplier, rate, many), 1e-5, many)
            assert best <= few + 1e-12
            assert few <= 1.01 * best


@given(st.floats(0.05, 5), st.floats(0.05, 5))
def test_curves_of_two_releases_add_up_to_no_more_than_their_epsilons(first, second):
    both = laplace_rdp(first, ORDERS) + laplace_rdp(second, ORDERS)
    assert (both <= first + second + 1e-12).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gaussian_rdp(1.0, np.array([1.0, 2.0])), "orders must be a list of numbers above 1"),
        (lambda: subsampled_gaussian_rdp(1.0, 0.0, SOME_ORDERS), "sampling_rate must be a number above 0, got 0"),
        (lambda: subsampled_gaussian_rdp(1.0, 1.5, SOME_ORDERS), "sampling_rate must be at most 1, got 1.5"),
        (lambda: subsampled_gaussian_rdp(0.0, 0.5, SOME_ORDERS), "noise_multiplier must be a number above 0, got 0"),
        (lambda: laplace_rdp(-1.0, SOME_ORDERS), "epsilon must be a number above 0, got -1"),
        (lambda: epsilon_of_rdp(np.ones(8), 0.0, SOME_ORDERS), "delta must be a number above 0, got 0"),
    ],
)
def test_numbers_without_a_meaning_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
