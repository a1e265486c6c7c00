from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from agents.adaptation import make_adaptation
from agents.parameters import Bounds, check_number, check_whole
from agents.participation import make_participation
from agents.private_types import make_distribution
from agents.strategies import make_strategy
from learning.registry import UnknownName


def test_a_strategy_is_made_from_its_name_and_parameters() -> None:
    strategy = make_strategy("misreport_size", {"factor": 3, "spread": 0.1})
    assert repr(strategy) == "MisreportSize(factor=3, spread=0.1)"


def test_an_unknown_strategy_suggests_the_nearest_name() -> None:
    with pytest.raises(UnknownName, match=r"^unknown strategy 'free_rider_nois', did you mean 'free_rider_noise'\?$"):
        make_strategy("free_rider_nois", {})


def test_an_unknown_parameter_suggests_the_nearest_name() -> None:
    with pytest.raises(ValueError) as caught:
        make_strategy("misreport_size", {"facto": 2.0})
    assert str(caught.value) == "unknown parameter of strategy 'misreport_size' 'facto', did you mean 'factor'?"


def test_a_parameter_of_something_that_takes_none_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^strategy 'honest' takes no parameters, got 'factor'$"):
        make_strategy("honest", {"factor": 2.0})


def test_a_missing_parameter_is_named() -> None:
    with pytest.raises(ValueError, match=r"^distribution 'uniform' needs the parameter 'high'$"):
        make_distribution("uniform", {"low": 0.0})


def test_rules_are_made_the_same_way() -> None:
    with pytest.raises(ValueError, match=r"^participation rule 'logit': temperature is 0, expected .* above 0$"):
        make_participation("logit", {"temperature": 0})
    with pytest.raises(ValueError, match=r"^adaptation rule 'imitation': rate is 2, expected .* at most 1$"):
        make_adaptation("imitation", {"rate": 2})


@pytest.mark.parametrize("value", ["2", None, True, False, float("nan"), float("inf"), 1.5, -0.1, [1.0]])
def test_only_finite_numbers_within_bounds_pass(value: Any) -> None:
    with pytest.raises(ValueError) as caught:
        check_number("share", value, Bounds(at_least=0, below=1))
    assert str(caught.value) == f"share is {value!r}, expected a finite number at least 0 and below 1"


@pytest.mark.parametrize("value", [0, 0.5, np.float64(0.25), np.int64(0)])
def test_numbers_within_bounds_pass(value: Any) -> None:
    check_number("share", value, Bounds(at_least=0, below=1))


@pytest.mark.parametrize("value", [1.0, True, 0, -3, "1"])
def test_only_whole_numbers_count(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^patience is .*, expected a whole number at least 1$"):
        check_whole("patience", value, Bounds(at_least=1))


def test_a_count_that_no_run_reaches_is_refused() -> None:
    check_whole("rounds", 10**9)
    with pytest.raises(ValueError, match=r"^rounds is \d{19}, expected a whole number at most 1000000000$"):
        check_whole("rounds", 2**63)
