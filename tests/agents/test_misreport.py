from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.strategies import make_strategy
from agents.strategies.base import Observation
from market.mechanism import COST, DATA_SIZE, QUALITY

Observe = Callable[..., Observation]


@pytest.mark.parametrize(("name", "claim"), [("misreport_size", DATA_SIZE), ("misreport_cost", COST)])
@pytest.mark.parametrize("factor", [0.25, 4.0])
def test_a_fixed_factor_scales_the_claim(name: str, claim: str, factor: float, observe: Observe) -> None:
    seen = observe()
    claims = make_strategy(name, {"factor": factor}).report(seen)
    np.testing.assert_allclose(claims[claim] / getattr(seen.own, claim), factor, rtol=1e-15)


def test_a_claimed_quality_is_at_most_one(observe: Observe) -> None:
    seen = observe()
    claimed = make_strategy("misreport_quality", {"factor": 2.0}).report(seen)[QUALITY]
    expected = [min(2.0 * quality, 1.0) for quality in seen.own.quality]
    np.testing.assert_array_equal(claimed, expected)
    assert (claimed == 1.0).any()
    assert (claimed < 1.0).any()


@given(
    factor=st.floats(0.01, 100), spread=st.floats(0.001, 0.999), seed=st.integers(0, 2**32), round=st.integers(0, 99)
)
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_spread_factor_keeps_to_its_range(
    factor: float, spread: float, seed: int, round: int, observe: Observe
) -> None:
    seen = observe(seed=seed, round=round)
    claims = make_strategy("misreport_size", {"factor": factor, "spread": spread}).report(seen)
    drawn = claims[DATA_SIZE] / seen.own.data_size / factor
    assert (drawn > 1 - spread - 1e-12).all()
    assert (drawn < 1 + spread + 1e-12).all()


def test_a_spread_factor_is_uniform_over_rounds(observe: Observe) -> None:
    strategy = make_strategy("misreport_cost", {"factor": 2.0, "spread": 0.5})
    me = np.array([0])
    rounds = [observe(me, round=number) for number in range(2000)]
    factors = np.array([strategy.report(seen)[COST][0] / seen.own.cost[0] for seen in rounds])
    counts, _ = np.histogram(factors, bins=10, range=(1.0, 3.0))
    assert counts.sum() == 2000
    # chi-square with 9 degrees of freedom: 27.9 is exceeded once in a thousand
    assert ((counts - 200.0) ** 2 / 200.0).sum() < 27.9


def test_liars_in_different_claims_draw_independently(observe: Observe) -> None:
    seen = observe()
    size = make_strategy("misreport_size", {"spread": 0.5}).report(seen)[DATA_SIZE] / seen.own.data_size
    cost = make_strategy("misreport_cost", {"spread": 0.5}).report(seen)[COST] / seen.own.cost
    assert not np.allclose(size, cost)


@pytest.mark.parametrize(
    ("params", "field"),
    [({"factor": 0.0}, "factor"), ({"factor": float("nan")}, "factor"), ({"spread": 1.0}, "spread")],
)
def test_an_impossible_parameter_is_named(params: dict[str, float], field: str) -> None:
    with pytest.raises(ValueError, match=rf"^strategy 'misreport_size': {field} is .*, expected a finite number"):
        make_strategy("misreport_size", params)
