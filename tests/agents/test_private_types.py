from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from agents.private_types import (
    DISTRIBUTIONS,
    TYPE_COLUMNS,
    Beta,
    Choice,
    Constant,
    Distribution,
    LogNormal,
    Uniform,
    check_types,
    draw_types,
    make_distribution,
)
from learning.streams import Streams

PERSONS = np.arange(4000)


@pytest.mark.parametrize(
    ("distribution", "reference"),
    [
        (Uniform(2.0, 5.0), stats.uniform(2.0, 3.0)),
        (LogNormal(0.01, 0.7), stats.lognorm(s=0.7, scale=0.01)),
        (Beta(2.0, 5.0), stats.beta(2.0, 5.0)),
        (Beta(0.5, 1.5, low=-1.0, high=3.0), stats.beta(0.5, 1.5, loc=-1.0, scale=4.0)),
    ],
    ids=["uniform", "lognormal", "beta", "beta-stretched"],
)
def test_a_sample_is_the_inverse_of_the_distribution_function(distribution: Distribution, reference: Any) -> None:
    uniform = np.linspace(0.001, 0.999, 999)
    np.testing.assert_allclose(reference.cdf(distribution.sample(uniform)), uniform, rtol=1e-9)


def test_a_constant_is_the_same_for_everybody() -> None:
    assert Constant(3).sample(np.array([0.1, 0.9])).tolist() == [3.0, 3.0]


def test_a_choice_follows_its_weights() -> None:
    picked = Choice([5.0, 1.0, 9.0], [2.0, 0.0, 6.0]).sample(np.array([1e-9, 0.2499, 0.2501, 1 - 1e-9]))
    assert picked.tolist() == [5.0, 5.0, 9.0, 9.0]


def test_a_choice_without_weights_is_even() -> None:
    values, counts = np.unique(Choice((1, 2, 4)).sample((np.arange(300) + 0.5) / 300), return_counts=True)
    assert dict(zip(values, counts, strict=True)) == {1.0: 100, 2.0: 100, 4.0: 100}


def test_what_has_no_weight_is_not_in_the_support() -> None:
    assert Choice([-7.0, 3.0, 2.0, 9.0], [0.0, 1.0, 1.0, 0.0]).support() == (2.0, 3.0)


WEIGHTS = st.lists(st.tuples(st.floats(-9, 9), st.floats(0, 5)), min_size=1).filter(lambda few: any(w for _, w in few))


@given(pairs=WEIGHTS, uniform=st.floats(2**-53, 1 - 2**-53))
def test_a_choice_never_gives_what_has_no_weight(pairs: list[tuple[float, float]], uniform: float) -> None:
    choice = Choice([value for value, _ in pairs], [weight for _, weight in pairs])
    assert choice.sample(np.array([uniform]))[0] in {value for value, weight in pairs if weight > 0}


@pytest.mark.parametrize("distribution", [Uniform(0.5, 2), LogNormal(3, 1), Beta(1, 2, 4, 8), Choice([3, 1, 2])])
def test_every_draw_lies_in_the_support(distribution: Distribution) -> None:
    low, high = distribution.support()
    drawn = distribution.sample(Streams(3).uniform("test", PERSONS))
    assert low <= drawn.min() < drawn.max() <= high


@pytest.mark.parametrize(
    ("kind", "params", "line"),
    [
        ("constant", {"value": "much"}, "value is 'much', expected a finite number"),
        ("uniform", {"low": 2.0, "high": 1.0}, "high is 1.0, expected a finite number at least 2"),
        ("lognormal", {"median": 0.0, "sigma": 1.0}, "median is 0.0, expected a finite number above 0"),
        ("lognormal", {"median": 1.0, "sigma": -1.0}, "sigma is -1.0, expected a finite number at least 0 and at most"),
        ("beta", {"a": 0.0, "b": 1.0}, "a is 0.0, expected a finite number above 0"),
        ("choice", {"values": []}, "values is empty"),
        ("choice", {"values": [1.0], "weights": [1.0, 2.0]}, "weights has 2 entries, expected one for each of 1"),
        ("choice", {"values": [1.0], "weights": [-1.0]}, "weights is -1.0, expected a finite number at least 0"),
        ("choice", {"values": [1.0], "weights": [0.0]}, "weights sum to 0"),
        ("choice", {"values": [float("inf")]}, "values is inf, expected a finite number"),
    ],
)
def test_an_impossible_distribution_gets_one_clear_line(kind: str, params: dict[str, Any], line: str) -> None:
    with pytest.raises(ValueError) as caught:
        make_distribution(kind, params)
    assert str(caught.value).startswith(f"distribution '{kind}': {line}")
    assert "\n" not in str(caught.value)


def test_every_kind_is_registered_under_its_name() -> None:
    assert {name: kind.name for name, kind in DISTRIBUTIONS.items()} == {name: name for name in DISTRIBUTIONS}
    assert set(DISTRIBUTIONS) == {"constant", "uniform", "lognormal", "beta", "choice", "table"}


def test_types_belong_to_the_person_not_to_its_place() -> None:
    spec = {"cost": LogNormal(0.01, 0.3), "wealth": Uniform(1, 2)}
    together = draw_types(np.array([4, 7, 9]), spec, Streams(1))
    alone = draw_types(np.array([7]), {"wealth": spec["wealth"]}, Streams(1))
    assert alone["wealth"][0] == together["wealth"][1]


def test_attributes_are_drawn_independently() -> None:
    spec = {name: Uniform(1, 2) for name in TYPE_COLUMNS}
    columns = draw_types(PERSONS, spec, Streams(1))
    correlation = np.corrcoef(np.stack([columns[name] for name in TYPE_COLUMNS])) - np.eye(len(TYPE_COLUMNS))
    assert np.abs(correlation).max() < 0.08  # five standard errors at 4000 persons


def test_another_seed_gives_other_types() -> None:
    spec = {"cost": Uniform(0, 1)}
    assert not np.array_equal(
        draw_types(PERSONS, spec, Streams(1))["cost"], draw_types(PERSONS, spec, Streams(2))["cost"]
    )


@pytest.mark.parametrize(
    ("name", "distribution", "line"),
    [
        ("cost", Constant(-1.0), "cost can be -1, expected finite numbers at least 0 and at most 1e+06"),
        ("cost", Uniform(-0.5, 1.0), "cost can be -0.5, expected finite numbers at least 0 and at most 1e+06"),
        (
            "compute_rate",
            Choice([1.0, 0.0]),
            "compute_rate can be 0, expected finite numbers at least 1e-06 and at most 1e+12",
        ),
        (
            "compute_rate",
            Beta(0.001, 1.0),
            "compute_rate can be 0, expected finite numbers at least 1e-06 and at most 1e+12",
        ),
        (
            "model_value",
            LogNormal(1e200, 50.0),
            "model_value can be 5.39744e+21, expected finite numbers at least 0 and at most 1e+06",
        ),
    ],
)
def test_a_type_outside_its_bounds_gets_one_clear_line(name: str, distribution: Distribution, line: str) -> None:
    with np.errstate(over="ignore"), pytest.raises(ValueError) as caught:
        draw_types(PERSONS, {name: distribution}, Streams(1))
    assert str(caught.value) == line


def test_an_outside_option_may_be_negative() -> None:
    check_types({"outside_option": Constant(-1.0)})


def test_an_unknown_type_suggests_the_nearest_name() -> None:
    with pytest.raises(ValueError, match=r"^unknown private type 'costs', did you mean 'cost'\?$"):
        check_types({"costs": Constant(1.0)})
