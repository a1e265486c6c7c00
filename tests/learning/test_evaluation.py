import math

import numpy as np
import pytest
import torch

from learning.evaluation import SAMPLES_AT_ONCE, evaluate, evaluate_each, utilities
from learning.models import FlatModel
from learning.streams import Streams

MODEL = FlatModel("mlp", (5,), 3)
CNN = FlatModel("cnn", (1, 8, 8), 3)


def samples(count, shape=(5,), classes=3):
    x = torch.randn(count, *shape, generator=torch.Generator().manual_seed(1))
    return x, torch.arange(count) % classes


@pytest.mark.parametrize("model", [MODEL, CNN], ids=["mlp", "cnn"])
def test_accuracy_and_loss_equal_a_computation_by_hand(model):
    x, y = samples(SAMPLES_AT_ONCE + 77, model.shape)
    weights = model.initial(Streams(0)).double()
    module = model.build().double()
    torch.nn.utils.vector_to_parameters(weights.clone(), module.parameters())
    logits = module(x.double()).detach().numpy()
    chance = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    right = logits.argmax(axis=1) == y.numpy()
    found = evaluate(model, weights, x, y, 3)
    assert found.accuracy == right.mean()
    assert found.loss == pytest.approx(-np.log(chance[np.arange(len(y)), y]).mean(), rel=1e-12)
    assert np.allclose(found.class_accuracy, [right[y.numpy() == label].mean() for label in range(3)])
    losses = -np.log(chance[np.arange(len(y)), y])
    assert np.allclose(found.class_loss, [losses[y.numpy() == label].mean() for label in range(3)])


def test_a_model_that_knows_nothing_has_the_loss_of_a_guess():
    x, y = samples(300)
    found = evaluate(MODEL, torch.zeros(MODEL.size), x, y, 3)
    assert found.loss == pytest.approx(math.log(3))
    assert found.accuracy == pytest.approx(1 / 3)


def test_a_class_without_test_samples_has_the_overall_accuracy():
    x, y = samples(100, classes=2)
    found = evaluate(MODEL, MODEL.initial(Streams(0)), x, y, 3)
    assert found.class_accuracy[2] == found.accuracy
    assert found.class_loss[2] == found.loss


@pytest.mark.parametrize("model", [MODEL, CNN], ids=["mlp", "cnn"])
def test_many_models_at_once_are_as_accurate_as_one_by_one(model):
    x, y = samples(SAMPLES_AT_ONCE + 200, model.shape)
    weights = torch.stack([model.initial(Streams(seed)) for seed in range(9)]).double()
    expected = [evaluate(model, row, x, y, 3).accuracy for row in weights]
    assert utilities(model, weights, x, y).tolist() == expected
    assert len(set(expected)) > 3


def test_no_models_have_no_utilities():
    x, y = samples(10)
    assert utilities(MODEL, torch.empty(0, MODEL.size), x, y).shape == (0,)


@pytest.mark.parametrize("model", [MODEL, CNN], ids=["mlp", "cnn"])
def test_many_models_are_tested_by_class_as_one_by_one(model):
    x, y = samples(SAMPLES_AT_ONCE + 200, model.shape)
    weights = torch.stack([model.initial(Streams(seed)) for seed in range(5)]).double()
    accuracy, loss = evaluate_each(model, weights, x, y, 3)
    expected = [evaluate(model, row, x, y, 3) for row in weights]
    assert np.array_equal(accuracy, [one.class_accuracy for one in expected])
    assert np.allclose(loss, [one.class_loss for one in expected], rtol=1e-12)


def test_a_class_without_test_samples_has_the_overall_figures_of_each_model():
    x, y = samples(100, classes=2)
    weights = torch.stack([MODEL.initial(Streams(seed)) for seed in range(4)])
    accuracy, loss = evaluate_each(MODEL, weights, x, y, 3)
    expected = [evaluate(MODEL, row, x, y, 3) for row in weights]
    assert accuracy[:, 2] == pytest.approx([one.accuracy for one in expected])
    assert loss[:, 2] == pytest.approx([one.loss for one in expected])
    assert evaluate_each(MODEL, weights[:0], x, y, 3)[0].shape == (0, 3)
