from __future__ import annotations

import mesa
import pytest

from agents.model_owner import ModelOwner


def model_owner(budget: float = 20.0, value: float = 30.0) -> ModelOwner:
    return ModelOwner(mesa.Model(seed=1), budget, value)


def test_it_offers_its_budget_while_the_purse_lasts() -> None:
    buyer = model_owner(budget=20.0)
    assert buyer.announce_budget(1_000_000_000) == 20.0
    assert buyer.announce_budget(7_250_001) == 7.250001
    assert buyer.announce_budget(0) == 0.0


def test_revenue_grows_with_the_skill_of_the_model() -> None:
    buyer = model_owner(value=30.0)
    assert buyer.revenue(1.0, 0.1) == pytest.approx(30.0)
    assert buyer.revenue(0.55, 0.1) == pytest.approx(15.0)
    assert buyer.revenue(0.05, 0.1) == 0.0


def test_an_unmeasured_model_earns_nothing() -> None:
    assert model_owner().revenue(float("nan"), 0.1) == 0.0


@pytest.mark.parametrize(("field", "value"), [("budget", -1.0), ("value", float("inf"))])
def test_an_impossible_parameter_is_named(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"^{field} is {value}, expected a finite number at least 0"):
        model_owner(**{field: value})
