import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning.staleness import STALENESS, Constant, Hinge, Polynomial

AGES = np.array([0, 1, 4, 5, 9])


def test_constant_ignores_age():
    assert Constant()(AGES).tolist() == [1.0] * 5


def test_polynomial_falls_with_a_power_of_age():
    assert np.allclose(Polynomial(0.5)(AGES), [1, 2**-0.5, 5**-0.5, 6**-0.5, 10**-0.5])


def test_hinge_is_full_during_the_grace_and_hyperbolic_after():
    assert np.allclose(Hinge(slope=10, grace=4)(AGES), [1, 1, 1, 1 / 11, 1 / 51])


@pytest.mark.parametrize("name", STALENESS)
@given(age=st.integers(0, 1000))
def test_every_function_is_1_when_fresh_and_never_grows(name, age):
    fresh, now, later = STALENESS[name]()(np.array([0, age, age + 1]))
    assert fresh == 1
    assert 0 < later <= now <= 1


@pytest.mark.parametrize("name", STALENESS)
def test_a_model_of_the_future_is_refused(name):
    with pytest.raises(ValueError, match="negative"):
        STALENESS[name]()(np.array([2, -1]))


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: Polynomial(-1.0), "exponent must be a number of at least 0"),
        (lambda: Polynomial(float("nan")), "exponent must be a number of at least 0"),
        (lambda: Hinge(slope=-1.0), "slope must be a number of at least 0"),
        (lambda: Hinge(grace=-1), "grace must be at least 0"),
    ],
)
def test_parameters_out_of_range_are_refused(make, complaint):
    with pytest.raises(ValueError, match=complaint):
        make()
