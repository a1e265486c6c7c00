"""Learning curves: known ones are found again, with errors that are as large as they say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import curve_fit

from learning.learning_curve import LearningCurve, Trials, effective_volume, fit_learning_curve

TRUE = {
    "limit": 0.96,
    "volume_scale": 2.0,
    "volume_exponent": 0.5,
    "emd_penalty": 0.06,
    "synthetic_quality": 0.6,
    "quality_decay": 0.7,
}
VOLUMES = np.array([100.0, 200.0, 400.0, 800.0, 1600.0, 3200.0])


def accuracy(real, synthetic, distance, *, decay):
    """The curve, written down once more."""
    worth = TRUE["synthetic_quality"] * (1 - TRUE["quality_decay"] * decay * synthetic / (real + synthetic))
    volume = real + worth * synthetic
    return TRUE["limit"] - TRUE["volume_scale"] / np.sqrt(volume) - TRUE["emd_penalty"] * distance


def trials(noise: float = 0.0, seed: int = 0, repeats: int = 1, *, decay: float = 0.0) -> Trials:
    """Real data of several volumes, synthetic data in several shares, label skew. Small volumes have more noise."""
    real = np.concatenate([VOLUMES, np.full(4, 400.0), np.full(3, 3200.0)])
    synthetic = np.concatenate([np.zeros(6), [200.0, 400.0, 1600.0, 3600.0], np.zeros(3)])
    distance = np.concatenate([np.zeros(10), [0.5, 1.0, 1.5]])
    columns = [np.tile(column, repeats) for column in (real, synthetic, distance)]
    chance = np.random.default_rng(seed)
    scatter = noise * np.sqrt(800 / columns[0]) * chance.normal(size=len(columns[0]))
    return Trials(*columns, accuracy(*columns, decay=decay) + scatter)


def without_synthetic(made: Trials) -> Trials:
    kept = made.synthetic == 0
    return Trials(made.real[kept], made.synthetic[kept], made.heterogeneity[kept], made.accuracy[kept])


ALL_BUT_DECAY = ("emd_penalty", "synthetic_quality")
ALL = (*ALL_BUT_DECAY, "quality_decay")


@pytest.mark.parametrize(("others", "decay"), [(ALL_BUT_DECAY, 0.0), (ALL, 1.0)])
def test_a_curve_without_noise_is_found_exactly(others, decay):
    curve = fit_learning_curve(trials(decay=decay), others)
    assert list(curve.estimates) == ["limit", "volume_scale", "volume_exponent", *others]
    for name, estimate in curve.estimates.items():
        assert estimate.value == pytest.approx(TRUE[name], rel=1e-4)
    assert curve.noise < 1e-6


def test_the_volume_curve_is_the_one_that_scipy_fits():
    made = without_synthetic(trials(0.005, seed=3, repeats=4))
    flat = Trials(*(c[made.heterogeneity == 0] for c in (made.real, made.synthetic, made.heterogeneity, made.accuracy)))
    curve = fit_learning_curve(flat)
    found, _ = curve_fit(lambda d, limit, a, b: limit - a * d**-b, flat.real, flat.accuracy, (0.9, 1.0, 0.4))
    assert [curve.parameters[n] for n in ("limit", "volume_scale", "volume_exponent")] == pytest.approx(found, rel=1e-3)


def test_nineteen_of_twenty_intervals_hold_the_truth_though_noise_depends_on_the_volume():
    covered = {name: 0 for name in (*TRUE,) if name != "quality_decay"}
    worlds = 120
    for seed in range(worlds):
        curve = fit_learning_curve(trials(0.004, seed, repeats=6), ALL_BUT_DECAY)
        for name in covered:
            low, high = curve.interval(name)
            covered[name] += low <= TRUE[name] <= high
    assert all(0.87 * worlds <= count <= 0.995 * worlds for count in covered.values()), covered


def test_standard_errors_are_those_of_the_sandwich_with_numerical_derivatives():
    made = trials(0.004, 5, repeats=4)
    curve = fit_learning_curve(made, ALL_BUT_DECAY)
    names = list(curve.estimates)
    values = np.array([curve.parameters[name] for name in names])

    def predicted(changed: np.ndarray) -> np.ndarray:
        estimates = {n: type(e)(v, 0.0, 1) for (n, e), v in zip(curve.estimates.items(), changed, strict=True)}
        return LearningCurve(estimates, 0.0).accuracy(made.real, made.synthetic, made.heterogeneity)

    steps = 1e-6 * np.abs(values)
    columns = [(predicted(values + s) - predicted(values - s)) / (2 * s.sum()) for s in np.diag(steps)]
    design, residual = np.array(columns).T, made.accuracy - predicted(values)
    inverse = np.linalg.inv(design.T @ design)
    covariance = inverse @ design.T @ np.diag(residual**2) @ design @ inverse * len(made) / (len(made) - len(names))
    found = [estimate.standard_error for estimate in curve.estimates.values()]
    assert found == pytest.approx(np.sqrt(np.diag(covariance)), rel=1e-3)


def test_more_repeats_make_smaller_errors():
    few, many = (fit_learning_curve(trials(0.004, 1, repeats=n), ALL_BUT_DECAY) for n in (2, 64))
    for name, estimate in many.estimates.items():
        assert estimate.standard_error < 0.6 * few.estimates[name].standard_error


def test_the_limits_of_a_scale_stay_above_zero_and_have_it_in_their_geometric_middle():
    curve = fit_learning_curve(trials(0.02, 2, repeats=2), ALL_BUT_DECAY)
    low, high = curve.interval("volume_scale")
    assert 0 < low < high
    assert np.sqrt(low * high) == pytest.approx(curve.parameters["volume_scale"])
    low, high = curve.interval("emd_penalty")
    assert (low + high) / 2 == pytest.approx(curve.parameters["emd_penalty"])


EXACT = fit_learning_curve(trials(), ALL_BUT_DECAY)


@given(st.floats(50.0, 1e5))
def test_the_equivalent_volume_of_a_volume_s_accuracy_is_that_volume(volume):
    curve = EXACT
    at = curve.accuracy(np.array([volume]), np.zeros(1), np.array([0.3]))
    assert curve.equivalent_volume(at, np.array([0.3])) == pytest.approx([volume], rel=1e-6)


def test_no_volume_reaches_an_accuracy_above_the_limit():
    assert EXACT.equivalent_volume(np.array([0.99]), np.zeros(1)) == np.inf


def test_performance_is_the_accuracy_less_its_limit():
    curve = fit_learning_curve(trials(), ALL_BUT_DECAY)
    real, distance = np.array([300.0, 900.0]), np.array([0.0, 1.0])
    expected = curve.accuracy(real, np.zeros(2), distance) - curve.parameters["limit"]
    assert curve.performance(real, distance) == pytest.approx(expected)
    assert (curve.performance(real, distance) < 0).all()


def test_worth_falls_with_the_share_of_synthetic_samples_if_it_decays():
    real, synthetic = np.full(4, 100.0), np.array([0.0, 10.0, 100.0, 1e9])
    assert effective_volume(real, synthetic, 0.5).tolist() == [100.0, 105.0, 150.0, 100.0 + 5e8]
    decaying = effective_volume(real, synthetic, 0.5, decay=1.0)
    assert decaying[:3] == pytest.approx([100.0, 100 + 0.5 * 10 / 1.1, 125.0])
    assert decaying[3] == pytest.approx(150.0), "with the full decay never worth more than half of the real data"


def test_a_limit_that_the_data_push_to_one_has_no_error_of_its_own():
    real = np.geomspace(10, 1000, 8)
    accuracies = 1.05 - 0.5 * real**-0.2
    curve = fit_learning_curve(Trials(real, np.zeros(8), np.zeros(8), accuracies.clip(0, 1)))
    assert curve.parameters["limit"] == pytest.approx(1.0)
    assert np.isnan(curve.estimates["limit"].standard_error)
    assert np.isfinite(curve.estimates["volume_exponent"].standard_error)


def few(**changes: np.ndarray) -> Trials:
    columns = {"real": VOLUMES, "synthetic": np.zeros(6), "heterogeneity": np.zeros(6), "accuracy": VOLUMES**-0.1}
    return Trials(**(columns | changes))


@pytest.mark.parametrize(
    ("changes", "others", "problem"),
    [
        ({}, ("emd_penalty",), "trials that differ in it"),
        ({}, ("synthetic_quality",), "needs trials with some"),
        ({"synthetic": np.array([0, 0, 0, 0, 0, 9.0])}, ("quality_decay",), "at least two shares"),
        ({"real": np.full(6, 10.0)}, (), "at least 3 different volumes"),
        ({}, ("quality",), "no parameter 'quality'"),
        ({"heterogeneity": np.arange(6.0), "synthetic": np.arange(6.0)}, ALL, "too few for 6 parameters"),
    ],
)
def test_trials_that_cannot_tell_parameters_apart_are_refused(changes, others, problem):
    with pytest.raises(ValueError, match=problem):
        fit_learning_curve(few(**changes), others)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"real": np.zeros(6)}, "need real samples"),
        ({"synthetic": -np.ones(6)}, "at least 0"),
        ({"accuracy": np.full(6, np.nan)}, "finite"),
        ({"accuracy": np.ones(5)}, "differ in length"),
    ],
)
def test_what_is_no_trial_is_refused(changes, problem):
    with pytest.raises(ValueError, match=problem):
        few(**changes)
