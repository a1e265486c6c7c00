import math

import pytest
import torch
from torch import nn

from learning.models import MODELS, FlatModel
from learning.registry import UnknownName
from learning.streams import Streams

SHAPES = {"softmax": (5,), "mlp": (1, 4, 4), "cnn": (1, 8, 8)}


@pytest.mark.parametrize(
    ("name", "shape", "classes", "size"),
    [
        ("softmax", (5,), 3, 5 * 3 + 3),
        ("softmax", (1, 28, 28), 10, 7850),
        ("mlp", (1, 8, 8), 10, 64 * 64 + 64 + 64 * 10 + 10),
        ("cnn", (1, 8, 8), 10, 6 * 26 + 16 * 151 + 84 * 65 + 10 * 85),
        ("cnn", (3, 32, 32), 10, 6 * 76 + 16 * 151 + 84 * 1025 + 10 * 85),
    ],
)
def test_sizes_are_the_sum_of_the_layers(name, shape, classes, size):
    assert FlatModel(name, shape, classes).size == size


@pytest.mark.parametrize("name", MODELS)
def test_batched_logits_equal_those_of_each_ordinary_module(name):
    model = FlatModel(name, SHAPES[name], 4)
    modules = [model.build(seed).double() for seed in range(3)]
    weights = torch.stack([nn.utils.parameters_to_vector(module.parameters()).detach() for module in modules])
    own = torch.randn(3, 6, *SHAPES[name], dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for x in (own, own[0]):
            expected = torch.stack([module(x if x.ndim < own.ndim else x[k]) for k, module in enumerate(modules)])
            assert torch.allclose(model.logits(weights, x), expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("name", MODELS)
def test_initial_weights_depend_on_the_seed_only_and_leave_the_global_generator_alone(name):
    model = FlatModel(name, SHAPES[name], 4)
    before = torch.random.get_rng_state()
    first, again, other = (model.initial(Streams(seed)) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert first.shape == (model.size,)
    assert first.dtype == torch.float32
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_initial_weights_are_spread_as_pytorch_does_it():
    model = FlatModel("mlp", (1, 8, 8), 10)
    hidden = model.unflatten(model.initial(Streams(0)))["1.weight"]
    bound = 1 / math.sqrt(64)
    assert hidden.abs().max() <= bound
    assert hidden.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.05)


def test_unflatten_gives_views_by_parameter_name():
    model = FlatModel("mlp", (5,), 3)
    weights = torch.zeros(2, model.size)
    parts = model.unflatten(weights)
    assert {name: tuple(part.shape) for name, part in parts.items()} == {
        "1.weight": (2, 64, 5),
        "1.bias": (2, 64),
        "3.weight": (2, 3, 64),
        "3.bias": (2, 3),
    }
    parts["3.bias"][1] = 1.0
    assert weights.sum() == 3.0
    assert (weights[1, -3:] == 1.0).all()
    with pytest.raises(ValueError, match=f"has {model.size} weights, got 7"):
        model.unflatten(torch.zeros(7))


def test_linear_stacks_are_recognised():
    assert [(layer.inputs, layer.outputs) for layer in FlatModel("mlp", (5,), 3).linear_layers] == [(5, 64), (64, 3)]
    assert len(FlatModel("softmax", (5,), 3).linear_layers) == 1
    assert FlatModel("cnn", (1, 8, 8), 3).linear_layers is None


@pytest.mark.parametrize("shape", [(64,), (1, 7, 8)])
def test_a_cnn_on_anything_but_images_is_refused(shape):
    with pytest.raises(ValueError, match="'cnn' needs images of at least 8 x 8"):
        FlatModel("cnn", shape, 10)


def test_an_unknown_model_suggests_the_nearest():
    with pytest.raises(UnknownName, match="unknown model 'cmn', did you mean 'cnn'"):
        FlatModel("cmn", (1, 8, 8), 10)


def test_a_model_with_running_statistics_is_refused(monkeypatch):
    builders = {"normed": lambda shape, classes: nn.Sequential(nn.Linear(5, 3), nn.BatchNorm1d(3))}
    monkeypatch.setattr(MODELS, "_entries", MODELS._entries | builders)
    with pytest.raises(ValueError, match="keeps buffers"):
        FlatModel("normed", (5,), 3)


@pytest.mark.parametrize(
    "layers",
    [
        [nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3)],
        [nn.Linear(5, 4), nn.Linear(4, 3)],
        [nn.Linear(5, 4, bias=False), nn.ReLU(), nn.Linear(4, 3)],
        [nn.Linear(5, 3), nn.ReLU()],
    ],
    ids=["other activation", "no activation", "no bias", "ends in an activation"],
)
def test_other_stacks_are_not_taken_for_linear_ones(monkeypatch, layers):
    monkeypatch.setattr(MODELS, "_entries", MODELS._entries | {"odd": lambda shape, classes: nn.Sequential(*layers)})
    assert FlatModel("odd", (5,), 3).linear_layers is None
