import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from learning.privacy.aggregation_weights import (
    AGGREGATION_WEIGHTS,
    by_epsilon,
    by_epsilon_squared,
    data_shares,
    error_bound,
    least_error_weights,
    noise_variance,
    power_weights,
    uniform,
)

positive = st.floats(0.1, 5)


def profiles(count: int = 1000):
    """Random epsilons and data sizes of 1 to 20 owners."""
    chance = np.random.default_rng(5)
    for _ in range(count):
        size = chance.integers(1, 21)
        yield chance.uniform(0.1, 5, size), chance.integers(1, 1000, size).astype(np.float64)


def test_the_noise_of_the_three_rules_has_its_closed_form_and_their_order():
    for epsilon, size in profiles():
        variance, count = 1 / epsilon**2, len(epsilon)
        flat, plain, squared = (
            noise_variance(rule(epsilon, size), variance) for rule in (uniform, by_epsilon, by_epsilon_squared)
        )
        assert flat == pytest.approx((1 / epsilon**2).sum() / count**2, rel=1e-12)
        assert plain == pytest.approx(count / epsilon.sum() ** 2, rel=1e-12)
        assert squared == pytest.approx(1 / (epsilon**2).sum(), rel=1e-12)
        assert squared <= plain * (1 + 1e-12)
        assert plain <= flat * (1 + 1e-12)


def test_equal_epsilons_make_the_rules_equal():
    epsilon, size = np.full(7, 0.3), np.arange(1.0, 8)
    variance = 1 / epsilon**2
    values = [noise_variance(rule(epsilon, size), variance) for rule in (uniform, by_epsilon, by_epsilon_squared)]
    assert values == pytest.approx([values[0]] * 3, rel=1e-12)


def test_unequal_epsilons_make_uniform_weights_several_times_noisier():
    epsilon = np.random.default_rng(1).uniform(0.1, 5, 10_000)
    variance, size = 1 / epsilon**2, np.ones(10_000)
    flat, plain, squared = (
        noise_variance(rule(epsilon, size), variance) for rule in (uniform, by_epsilon, by_epsilon_squared)
    )
    assert flat > 5 * plain
    assert plain < 1.5 * squared


@pytest.mark.parametrize("name", AGGREGATION_WEIGHTS)
def test_weights_sum_to_one_and_who_sells_nothing_has_none(name):
    rule, size = AGGREGATION_WEIGHTS[name], np.array([3.0, 1.0, 4.0])
    weights = rule(np.array([0.5, 0.0, 2.0]), size)
    assert weights[1] == 0
    assert (weights[[0, 2]] > 0).all()
    assert weights.sum() == pytest.approx(1, abs=1e-15)
    assert rule(np.zeros(3), size).tolist() == [3 / 8, 1 / 8, 4 / 8], "nobody sells: data shares"
    with pytest.raises(ValueError, match="epsilon must be"):
        rule(np.array([0.5, np.nan, 1.0]), size)
    with pytest.raises(ValueError, match="data sizes must be"):
        rule(np.ones(3), np.array([1.0, -1.0, 1.0]))
    with pytest.raises(ValueError, match="differ in length"):
        rule(np.ones(2), size)


def test_powers_of_data_and_epsilon_mix():
    epsilon, size = np.array([1.0, 2.0, 4.0]), np.array([9.0, 1.0, 4.0])
    weights = power_weights(epsilon, size, data_power=0.5, epsilon_power=1.5)
    raw = size**0.5 * epsilon**1.5
    assert weights == pytest.approx(raw / raw.sum(), rel=1e-12)
    huge = power_weights(epsilon * 1e200, size, data_power=0, epsilon_power=2)
    assert huge == pytest.approx(by_epsilon_squared(epsilon, size), rel=1e-12)


# ---- least error --------------------------------------------------------------------------------------------------


def solved_by_scipy(variance: np.ndarray, size: np.ndarray, bias_weight: float) -> np.ndarray:
    """The quadratic program with auxiliary y >= |weights - shares|, by sequential least squares."""
    share, free = data_shares(size), np.isfinite(variance)
    v, count, outside = variance[free], int(free.sum()), share[~free].sum()

    def value(z):
        return (z[:count] ** 2 * v).sum() + bias_weight * (z[count:].sum() + outside) ** 2

    def slope(z):
        return np.concatenate([2 * z[:count] * v, np.full(count, 2 * bias_weight * (z[count:].sum() + outside))])

    sides = np.block([[-np.eye(count), np.eye(count)], [np.eye(count), np.eye(count)]])
    offsets = np.concatenate([-share[free], share[free]])
    start = np.full(count, 1 / count)
    found = minimize(
        value,
        np.concatenate([start, np.abs(start - share[free])]),
        jac=slope,
        method="SLSQP",
        bounds=[(0, None)] * (2 * count),
        constraints=[
            {"type": "eq", "fun": lambda z: z[:count].sum() - 1},
            {"type": "ineq", "fun": lambda z: sides @ z - offsets},
        ],
        options={"ftol": 1e-15, "maxiter": 2000},
    )
    weights = np.zeros(len(variance))
    weights[free] = found.x[:count] / found.x[:count].sum()
    return weights


def test_the_least_error_is_what_a_general_solver_finds():
    chance = np.random.default_rng(0)
    for trial in range(150):
        count = int(chance.integers(1, 9))
        variance = 10 ** chance.uniform(-3, 3, count)
        variance[chance.random(count) < 0.2] = np.inf
        if np.isinf(variance).all():
            continue
        size = chance.uniform(0, 1, count) * (chance.random(count) < 0.9)
        size[0] += size.sum() == 0
        bias_weight = 0.0 if trial % 10 == 0 else 10 ** chance.uniform(-3, 2)
        weights = least_error_weights(variance, size, bias_weight)
        assert weights.sum() == pytest.approx(1, abs=1e-12)
        assert (weights >= 0).all()
        least = error_bound(weights, variance, size, bias_weight)
        scipys = error_bound(solved_by_scipy(variance, size, bias_weight), variance, size, bias_weight)
        assert least <= scipys * (1 + 1e-9)
        assert scipys == pytest.approx(least, rel=1e-6)


@given(st.lists(st.tuples(positive, st.floats(0.01, 1)), min_size=1, max_size=12), st.floats(0, 100))
def test_no_other_rule_has_less_error(owners, bias_weight):
    epsilon, size = (np.array(each) for each in zip(*owners, strict=True))
    variance = 2 * (2 * 0.1 / epsilon) ** 2
    least = error_bound(least_error_weights(variance, size, bias_weight), variance, size, bias_weight)
    for rule in (*AGGREGATION_WEIGHTS.values(), lambda epsilon, size: data_shares(size)):
        assert least <= error_bound(rule(epsilon, size), variance, size, bias_weight) * (1 + 1e-9)


def test_without_bias_only_noise_counts_and_with_much_only_data_shares():
    for epsilon, size in profiles(50):
        variance = 1 / epsilon**2
        loose = least_error_weights(variance, size, 0.0)
        assert loose == pytest.approx(by_epsilon_squared(epsilon, size), rel=1e-9)
        assert least_error_weights(variance, size, 1e-9) == pytest.approx(loose, abs=1e-3)
        assert least_error_weights(variance, size, 1e9) == pytest.approx(data_shares(size), abs=1e-3)


def test_who_sells_nothing_has_no_weight_in_the_optimum_either():
    size = np.array([3.0, 1.0, 4.0])
    weights = least_error_weights(np.array([1.0, np.inf, 2.0]), size, 5.0)
    assert weights[1] == 0
    assert np.isfinite(weights).all()
    assert least_error_weights(np.full(3, np.inf), size, 5.0).tolist() == data_shares(size).tolist()
    assert least_error_weights(np.array([np.inf, 7.0, np.inf]), size, 5.0).tolist() == [0, 1, 0]


def test_a_hundred_thousand_owners_meet_the_conditions_of_the_optimum():
    chance = np.random.default_rng(2)
    variance, size, bias_weight = chance.lognormal(0, 1, 100_000), chance.lognormal(0, 1, 100_000), 0.3
    weights, share = least_error_weights(variance, size, bias_weight), data_shares(size)
    marginal, distance = variance * weights, np.abs(weights - share).sum()
    filled, drained = weights > share * (1 + 1e-9), weights < share * (1 - 1e-9)
    low, high = marginal[filled].mean(), marginal[drained].mean()
    assert marginal[filled] == pytest.approx(low, rel=1e-9)
    assert marginal[drained] == pytest.approx(high, rel=1e-9)
    assert high - low == pytest.approx(2 * bias_weight * distance, rel=1e-6)
    rest = marginal[~filled & ~drained]
    assert ((rest >= low * (1 - 1e-6)) & (rest <= high * (1 + 1e-6))).all()


@pytest.mark.parametrize(
    ("variance", "size", "bias_weight", "message"),
    [
        ([1.0, 0.0], [1.0, 1.0], 1.0, "variances must be above 0"),
        ([1.0], [1.0, 1.0], 1.0, "differ in length"),
        ([1.0, 1.0], [0.0, 0.0], 1.0, "data sizes"),
        ([1.0, 1.0], [1.0, 1.0], -1.0, "bias_weight"),
    ],
)
def test_numbers_without_a_meaning_are_refused(variance, size, bias_weight, message):
    with pytest.raises(ValueError, match=message):
        least_error_weights(np.array(variance), np.array(size), bias_weight)
