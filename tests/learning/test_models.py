import math

import numpy as np
import pytest
import torch
from learning_samples import CPU, clean_shards
from torch import nn

from learning.data import Dataset, load_dataset
from learning.models import MODELS, FlatModel
from learning.registry import UnknownName
from learning.streams import Streams
from learning.training import LocalTraining, choose_backend, train_cohort

SHAPES = {"softmax": (5,), "mlp": (1, 4, 4), "tabular": (5,)}
SHAPES |= dict.fromkeys(("cnn", "cnn3", "simple_cnn", "resnet", "resnet20"), (1, 8, 8))
SHAPES |= {"lenet": (1, 16, 16)}
SHAPES |= dict.fromkeys(("char_lstm", "char_lstm_2x256", "transformer", "transformer_lora"), (6,))


def samples(model, *counts):
    """Random samples [*counts, *shape] in float64: token ids where the model reads such."""
    chance = torch.Generator().manual_seed(0)
    if model.vocabulary is not None:
        return torch.randint(0, model.vocabulary, (*counts, *model.shape), generator=chance).double()
    return torch.randn(*counts, *model.shape, dtype=torch.float64, generator=chance)


def stacked(modules):
    return torch.stack([nn.utils.parameters_to_vector(module.parameters()).detach() for module in modules])


@pytest.mark.parametrize(
    ("name", "shape", "classes", "size"),
    [
        ("softmax", (5,), 3, 5 * 3 + 3),
        ("softmax", (1, 28, 28), 10, 7850),
        ("mlp", (1, 8, 8), 10, 64 * 64 + 64 + 64 * 10 + 10),
        ("cnn", (1, 8, 8), 10, 6 * 26 + 16 * 151 + 84 * 65 + 10 * 85),
        ("cnn", (3, 32, 32), 10, 6 * 76 + 16 * 151 + 84 * 1025 + 10 * 85),
        ("lenet", (3, 32, 32), 10, 6 * 76 + 16 * 151 + 120 * 401 + 84 * 121 + 10 * 85),
        ("cnn3", (3, 32, 32), 10, 32 * 28 + 64 * 289 + 64 * 577 + 64 * 1025 + 10 * 65),
        ("simple_cnn", (3, 32, 32), 10, 1_626_442),
        ("tabular", (30,), 2, 64 * 31 + 32 * 65 + 2 * 33),
        ("char_lstm", (32,), 30, 128 * 8 + 4 * 128 * (8 + 128 + 2) + 30 * 129),
        (
            "char_lstm_2x256",
            (80,),
            80,
            128 * 8 + 4 * 256 * (8 + 256 + 2) + 4 * 256 * (256 + 256 + 2) + 80 * 257,
        ),
        ("transformer_lora", (32,), 30, 2 * 2 * (4 * 64 + 64 * 4) + 30 * 65),
    ],
)
def test_sizes_are_the_sum_of_the_layers(name, shape, classes, size):
    assert FlatModel(name, shape, classes).size == size


@pytest.mark.parametrize("name", SHAPES)
def test_batched_logits_equal_those_of_each_ordinary_module(name):
    model = FlatModel(name, SHAPES[name], 4)
    modules = [model.build(seed).double() for seed in range(3)]
    own = samples(model, 3, 5)
    with torch.no_grad():
        for x in (own, own[0]):
            expected = torch.stack([module(x if x.ndim < own.ndim else x[k]) for k, module in enumerate(modules)])
            assert torch.allclose(model.logits(stacked(modules), x), expected, atol=1e-12, rtol=0)
    assert model.logits(stacked(modules)[:0], own[0]).shape == (0, 5, 4)


@pytest.mark.parametrize("name", SHAPES)
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
    assert [layer.outputs for layer in FlatModel("tabular", (5,), 3).linear_layers] == [64, 32, 3]
    assert len(FlatModel("softmax", (5,), 3).linear_layers) == 1
    assert FlatModel("cnn", (1, 8, 8), 3).linear_layers is None


@pytest.mark.parametrize("shape", [(64,), (1, 7, 8)])
@pytest.mark.parametrize("name", ["cnn", "cnn3", "simple_cnn", "resnet", "resnet20"])
def test_a_cnn_on_anything_but_images_is_refused(name, shape):
    with pytest.raises(ValueError, match=f"'{name}' needs images of at least 8 x 8"):
        FlatModel(name, shape, 10)


@pytest.mark.parametrize("shape", [(64,), (1, 8, 8), (3, 32, 15)])
def test_an_unpadded_cnn_needs_larger_images(shape):
    with pytest.raises(ValueError, match="'lenet' needs images of at least"):
        FlatModel("lenet", shape, 10)


@pytest.mark.parametrize("name", ["char_lstm", "char_lstm_2x256", "transformer", "transformer_lora"])
def test_a_text_model_on_anything_but_sequences_is_refused(name):
    with pytest.raises(ValueError, match=f"'{name}' needs sequences of token ids"):
        FlatModel(name, (1, 8, 8), 10)


@pytest.mark.parametrize("name", SHAPES)
def test_what_is_known_to_map_is_found_so_by_trial(name):
    model = FlatModel(name, SHAPES[name], 4)
    assert model.maps is (not name.startswith("char_lstm"))  # PyTorch loops over LSTMs in secret
    assert model.try_to_map() is model.maps


@pytest.mark.parametrize("name", ["resnet", "char_lstm", "transformer", "transformer_lora"])
def test_the_back_end_that_auto_stands_for_equals_the_loop(name, streams):
    model = FlatModel(name, SHAPES[name], 3)
    chance = np.random.default_rng(0)
    x = chance.integers(0, 9, (40, *model.shape)).astype(np.float32)
    y = chance.integers(0, 3, 40)
    shards = clean_shards(Dataset("random", x, y, x, y, 3), 4, streams)
    owners, base = np.arange(4), model.initial(streams).double()
    plan = LocalTraining(epochs=1, batch_size=5, learning_rate=0.1)
    auto, loop = (
        train_cohort(model, base, shards, owners, shards.sizes, owners, 1, plan, streams, backend)
        for backend in (choose_backend(model, CPU), "loop")
    )
    assert (auto - base).abs().max() > 1e-3
    assert torch.allclose(auto, loop, atol=1e-12, rtol=0)


def test_a_tabular_model_learns_to_tell_tumours(streams):
    data = load_dataset("breast_cancer")
    model = FlatModel.for_dataset("tabular", data)
    shards = clean_shards(data, 1, streams)
    plan = LocalTraining(epochs=10, batch_size=10, learning_rate=0.1)
    one = np.zeros(1, dtype=np.int64)
    trained = train_cohort(model, model.initial(streams), shards, one, shards.sizes, one, 0, plan, streams)
    right = model.logits(trained, torch.from_numpy(data.x_test))[0].argmax(dim=1).numpy() == data.y_test
    assert right.mean() > 0.93


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
        [shared := nn.Linear(5, 5), nn.ReLU(), shared],
    ],
    ids=["other activation", "no activation", "no bias", "ends in an activation", "one layer used twice"],
)
def test_other_stacks_are_not_taken_for_linear_ones(monkeypatch, layers):
    monkeypatch.setattr(MODELS, "_entries", MODELS._entries | {"odd": lambda shape, classes: nn.Sequential(*layers)})
    assert FlatModel("odd", (5,), 3).linear_layers is None


def test_data_of_numbers_and_models_of_tokens_do_not_meet():
    with pytest.raises(ValueError, match="'char_lstm' reads token ids, the data set 'iris' holds numbers"):
        FlatModel.for_dataset("char_lstm", load_dataset("iris"))
    text = load_dataset("markov_text")
    with pytest.raises(ValueError, match="'mlp' reads numbers, the data set 'markov_text' holds token ids"):
        FlatModel.for_dataset("mlp", text)
    assert FlatModel.for_dataset("transformer", text).vocabulary >= text.vocabulary


def test_a_vocabulary_that_is_too_large_is_refused():
    x, y = np.zeros((4, 5), dtype=np.float32), np.arange(4) % 2
    with pytest.raises(ValueError, match="'char_lstm' knows 128 token ids, the data set 'words' has 5000"):
        FlatModel.for_dataset("char_lstm", Dataset("words", x, y, x, y, 2, vocabulary=5000))
