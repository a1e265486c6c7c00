import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from learning.best_models import BestModels

CPU = torch.device("cpu")


@given(course=st.lists(st.one_of(st.floats(0, 1), st.just(float("nan"))), min_size=1, max_size=12))
def test_the_first_model_of_the_highest_accuracy_is_kept(course):
    best = BestModels(1, CPU)
    for round_number, accuracy in enumerate(course):
        best.keep(np.array([5]), torch.full((1, 1), float(round_number)), np.array([accuracy]))
    models, known = best.recall(np.array([5]))
    assert best.accuracy(np.array([5]))[0] == pytest.approx(np.fmax.reduce(course), nan_ok=True)
    if np.isnan(course).all():
        assert not known.any()
    else:
        assert models[0, 0] == np.nanargmax(course)


def test_owners_have_bests_of_their_own():
    best = BestModels(2, CPU)
    best.keep(np.array([3, 4]), torch.tensor([[1.0, 1.0], [2.0, 2.0]]), np.array([0.5, 0.5]))
    best.keep(np.array([4, 3]), torch.tensor([[3.0, 3.0], [4.0, 4.0]]), np.array([0.6, 0.4]))
    models, known = best.recall(np.array([4, 9, 3]))
    assert models[:, 0].tolist() == [3.0, 1.0]
    assert known.tolist() == [True, False, True]
    assert np.array_equal(best.accuracy(np.array([4, 9, 3])), [0.6, np.nan, 0.5], equal_nan=True)
