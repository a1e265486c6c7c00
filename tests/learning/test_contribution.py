from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from learning_samples import blobs

from learning.contribution import EXACT_UP_TO, shapley
from learning.evaluation import evaluate
from learning.models import FlatModel
from learning.streams import Streams

STREAMS = Streams(2)
DATASET = blobs(classes=4, test=200)
X, Y = torch.from_numpy(DATASET.x_test), torch.from_numpy(DATASET.y_test)
MODEL = FlatModel("softmax", DATASET.shape, DATASET.classes)
BASE = torch.zeros(MODEL.size, dtype=torch.float64)


def uploads(count, seed=0):
    """Models between useless and good: each has its own mixture of a good model and noise."""
    chance = np.random.default_rng(seed)
    centres = np.stack([DATASET.x_train[DATASET.y_train == label].mean(axis=0) for label in range(4)])
    good = np.concatenate([centres.ravel(), -0.5 * (centres**2).sum(axis=1)])
    part = chance.uniform(size=(count, 1))
    return torch.from_numpy(part * good + (1 - part) * chance.normal(size=(count, len(good))))


def value(sent, weights, **how):
    how = {"permutations": 50, "tolerance": 0.0, "counter": 0, **how}
    return shapley(MODEL, BASE, sent, np.asarray(weights, dtype=float), X, Y, streams=STREAMS, **how)


def worth(sent, weights, members):
    """Accuracy of a coalition, straight from the definition."""
    members = list(members)
    total = sum(weights[k] for k in members)
    model = sum(weights[k] / total * sent[k] for k in members) if total > 0 else BASE
    return evaluate(MODEL, model, X, Y, 4).accuracy


def brute_force(sent, weights):
    """Mean marginal gain over every order of joining."""
    values = np.zeros(len(sent))
    orders = list(permutations(range(len(sent))))
    for order in orders:
        for position, player in enumerate(order):
            gain = worth(sent, weights, order[: position + 1]) - worth(sent, weights, order[:position])
            values[player] += gain / len(orders)
    return values


@pytest.mark.parametrize("count", [1, 2, 4])
def test_exact_values_equal_the_mean_over_all_orders(count):
    sent, weights = uploads(count), np.arange(1.0, count + 1)
    found = value(sent, weights)
    assert np.allclose(found.values, brute_force(sent, weights), atol=1e-12)
    assert found.evaluations == 2**count
    assert not found.standard_error.any()
    assert np.abs(found.values).max() > 0.01


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 12), st.integers(0, 100))
def test_values_sum_to_the_gain_of_all_over_none(count, seed):
    sent = uploads(count, seed)
    weights = np.random.default_rng(seed).uniform(0.1, 2.0, size=count)
    total = value(sent, weights, permutations=5).values.sum()
    assert total == pytest.approx(worth(sent, weights, range(count)) - worth(sent, weights, []), abs=1e-9)


@pytest.mark.parametrize("count", [5, 10])
def test_equal_uploads_have_equal_value_up_to_sampling(count):
    sent = uploads(count)
    sent[1] = sent[0]
    found = value(sent, np.ones(count), permutations=300)
    spread = np.hypot(*found.standard_error[:2])
    assert abs(found.values[0] - found.values[1]) <= 4 * spread + 1e-12


def test_an_upload_without_weight_has_no_value():
    found = value(uploads(4), [1.0, 0.0, 2.0, 1.0])
    assert found.values[1] == pytest.approx(0.0, abs=1e-12)


def test_if_nothing_has_weight_nothing_has_value():
    assert value(uploads(3), [0.0, 0.0, 0.0]).values.tolist() == [0.0, 0.0, 0.0]


def test_sampled_values_agree_with_exact_ones_within_their_errors(monkeypatch):
    sent, weights = uploads(6), np.arange(1.0, 7.0)
    exact = value(sent, weights).values
    monkeypatch.setattr("learning.contribution.round_shapley.EXACT_UP_TO", 0)
    sampled = value(sent, weights, permutations=400)
    assert (np.abs(sampled.values - exact) <= 4 * sampled.standard_error).all()
    assert (sampled.standard_error > 0).all()
    assert sampled.evaluations <= 2**6


def test_standard_errors_shrink_with_the_root_of_the_permutations():
    few, many = (value(uploads(12), np.ones(12), permutations=count).standard_error.mean() for count in (50, 800))
    assert few / many == pytest.approx(4.0, rel=0.25)


def test_truncation_saves_evaluations_and_costs_at_most_the_tolerance():
    sent, weights = uploads(12), np.ones(12)
    full, cut = (value(sent, weights, tolerance=tolerance) for tolerance in (0.0, 0.05))
    assert cut.evaluations < 0.8 * full.evaluations
    assert abs(cut.values.sum() - full.values.sum()) <= 0.05
    assert cut.evaluations > 2


def test_sampling_is_repeatable_and_keyed_by_the_round():
    sent, weights = uploads(EXACT_UP_TO + 1), np.ones(EXACT_UP_TO + 1)
    first, again, other = (value(sent, weights, counter=counter).values for counter in (1, 1, 2))
    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()


def test_no_uploads_have_no_values():
    found = value(uploads(0), [])
    assert found.values.shape == found.standard_error.shape == (0,)


def test_what_cannot_be_valued_is_refused():
    sent = uploads(9)
    with pytest.raises(ValueError, match="at least 2"):
        value(sent, np.ones(9), permutations=1)
    with pytest.raises(ValueError, match="weight of at least 0"):
        value(sent, -np.ones(9))
    with pytest.raises(ValueError, match="weight of at least 0"):
        value(sent, np.ones(8))
    sent[2, 0] = float("inf")
    with pytest.raises(ValueError, match="NaN or infinite"):
        value(sent, np.ones(9))
