"""Per-owner terms of local training, in every back-end, beside the plain loop and beside formulas."""

import shutil

import numpy as np
import pytest
import torch
from learning_samples import blobs, clean_shards

from learning.backends import can_train
from learning.local_terms import LocalTerms, scaffold_controls
from learning.models import FlatModel
from learning.streams import Streams
from learning.training import LocalTraining, train_cohort

STREAMS = Streams(7)
SHARDS = clean_shards(blobs(shape=(1, 8, 8), train=240), 8, STREAMS)
with pytest.MonkeyPatch.context() as trusting:  # one of the models is a module of the tests
    trusting.setenv("DATAGORA_ALLOW_CODE", "1")
    MODELS = {name: FlatModel(name, (1, 8, 8), 3) for name in ("softmax", "mlp", "cnn", "stacked_modules:Normed")}


@pytest.fixture(autouse=True)
def _allowed(monkeypatch):
    """The user of these tests trusts their code."""
    monkeypatch.setenv("DATAGORA_ALLOW_CODE", "1")


PAIRS = [
    ("softmax", "linear"),
    ("mlp", "linear"),
    ("mlp", "vmap"),
    ("cnn", "vmap"),
    ("cnn", "conv"),
    ("stacked_modules:Normed", "conv"),
    ("cnn", "loop_bf16"),  # float64 stays float64
    ("mlp", "loop_bf16"),
]


def some_terms(which, count, size):
    """Terms of ``count`` owners and ``size`` weights, each owner's different."""
    chance = np.random.default_rng(5)

    def rows(*shape):
        return torch.from_numpy(chance.normal(size=shape) / 10)

    rate, pull = chance.uniform(0.02, 0.3, count), chance.uniform(0.0, 1.5, count)
    steps = chance.integers(0, 12, count)
    everyone, one, drift = rows(count, size), rows(size), rows(count, size)
    return {
        "rates": LocalTerms(rate=rate),
        "steps": LocalTerms(steps=steps),
        "centres": LocalTerms(centre=everyone, pull=pull),
        "one centre, own rates": LocalTerms(centre=one, pull=pull, rate=rate),
        "drift": LocalTerms(drift=drift),
        "one drift": LocalTerms(drift=one),
        "decay": LocalTerms(weight_decay=0.3),
        "momentum": LocalTerms(momentum=0.8),
        "momentum and decay": LocalTerms(momentum=0.8, weight_decay=0.3),
        "momentum and rates": LocalTerms(momentum=0.8, rate=rate),
        "all": LocalTerms(rate, steps, everyone, pull, drift, 0.7, 0.1, np.full(count, 0.4), np.full(count, 0.01)),
    }[which]


def train(name, backend, count, terms, counter=1, **plan):
    """A ragged cohort, each owner from a model of its own."""
    model = MODELS[name]
    base = torch.stack([model.initial(Streams(seed)) for seed in range(count)]) if count else torch.empty(0, model.size)
    rows = np.arange(count)
    setting = LocalTraining(**{"batch_size": 7, "learning_rate": 0.1, **plan})
    chunk = 4  # cohorts of 7 take two chunks
    return train_cohort(
        model, base.double(), SHARDS, rows, SHARDS.sizes[rows], 100 + rows, counter, setting, STREAMS, backend,
        chunk=chunk, terms=terms,
    )  # fmt: skip


ALL_TERMS = (
    "rates",
    "steps",
    "centres",
    "one centre, own rates",
    "drift",
    "one drift",
    "decay",
    "momentum",
    "momentum and decay",
    "momentum and rates",
    "all",
)


@pytest.mark.parametrize(("name", "backend"), PAIRS)
@pytest.mark.parametrize("which", ALL_TERMS)
def test_every_back_end_trains_with_terms_as_the_loop_does(name, backend, which):
    for proximal in (0.0, 0.5):
        terms = some_terms(which, 7, MODELS[name].size)
        expected, got = (train(name, one, 7, terms, proximal=proximal) for one in ("loop", backend))
        assert torch.allclose(got, expected, atol=1e-10, rtol=0)
    plain = train(name, backend, 7, LocalTerms(), proximal=0.5)
    assert ((got - plain).abs().amax(dim=1) > 1e-4).sum() >= 6  # one owner may have drawn the plan's own steps


@pytest.mark.parametrize(("name", "backend"), PAIRS)
@pytest.mark.parametrize("count", [0, 1])
def test_nobody_and_one_owner_train_with_terms(name, backend, count):
    terms = some_terms("all", count, MODELS[name].size)
    expected, got = (train(name, one, count, terms) for one in ("loop", backend))
    assert got.shape == (count, MODELS[name].size)
    assert torch.allclose(got, expected, atol=1e-10, rtol=0)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="compiling needs a C++ compiler")
def test_the_compiled_back_end_trains_as_the_loop_does():
    for name, which in (("mlp", "all"), ("cnn", "rates")):
        terms = some_terms(which, 7, MODELS[name].size)
        expected, got = (train(name, one, 7, terms) for one in ("loop", "compiled"))
        assert torch.allclose(got, expected, atol=1e-10, rtol=0)


def test_steps_with_all_terms_are_the_formula():
    """v <- m v + g + decay w + mu (w - base) + pull (w - centre) + drift; w <- w - rate v, by NumPy on full batches."""
    size, model = int(SHARDS.sizes[2]), MODELS["softmax"]
    base = model.initial(STREAMS).double()
    terms = LocalTerms(
        rate=np.array([0.2]), steps=np.array([4]), centre=torch.linspace(-1, 1, model.size, dtype=torch.float64),
        pull=np.array([0.7]), drift=torch.linspace(0, 0.1, model.size, dtype=torch.float64), momentum=0.6,
        weight_decay=0.05,
    )  # fmt: skip
    plan = LocalTraining(batch_size=size, learning_rate=9.0, proximal=0.3)
    rows = np.array([2])
    for backend in ("loop", "linear", "vmap"):
        got = train_cohort(
            model, base, SHARDS, rows, np.array([size]), rows, 0, plan, STREAMS, backend, terms=terms
        )[0]  # fmt: skip
        samples = slice(int(SHARDS.offsets[2]), int(SHARDS.offsets[3]))
        x, y = SHARDS.x[samples].double().numpy().reshape(size, 64), SHARDS.y[samples].numpy()
        first = base.numpy()
        w, v = first.copy(), np.zeros(model.size)
        for _ in range(4):
            scores = np.exp(x @ w[:192].reshape(3, 64).T + w[192:])
            error = (scores / scores.sum(axis=1, keepdims=True) - np.eye(3)[y]) / size
            gradient = np.concatenate([(error.T @ x).ravel(), error.sum(axis=0)])
            total = gradient + 0.05 * w + 0.3 * (w - first) + 0.7 * (w - terms.centre.numpy()) + terms.drift.numpy()
            v = 0.6 * v + total
            w = w - 0.2 * v
        assert np.allclose(got.numpy(), w, atol=1e-11, rtol=0)


def test_ditto_stays_near_the_global_model_from_a_personal_one():
    model = MODELS["mlp"]
    personal, common = (model.initial(Streams(seed)).double() for seed in (1, 2))
    rows, plan = np.arange(3), LocalTraining(batch_size=7, epochs=20)

    def distance(pull):
        terms = LocalTerms(centre=common, pull=np.full(3, pull))
        trained = train_cohort(model, personal, SHARDS, rows, SHARDS.sizes[rows], rows, 0, plan, STREAMS, terms=terms)
        return (trained - common).norm(dim=1)

    assert (distance(3.0) < 0.5 * distance(0.01)).all()


# ---- SCAFFOLD -----------------------------------------------------------------------------------------------------


def full_gradient(weights, shard):
    """Gradient [P] of the mean loss of softmax regression on a shard, by autograd."""
    w = weights.clone().requires_grad_()
    samples = slice(int(SHARDS.offsets[shard]), int(SHARDS.offsets[shard + 1]))
    x = SHARDS.x[samples].double().flatten(1)
    loss = torch.nn.functional.cross_entropy(x @ w[:192].view(3, 64).T + w[192:], SHARDS.y[samples])
    return torch.autograd.grad(loss, w)[0]


def test_scaffold_controls_are_the_mean_gradients_along_the_way():
    """Option II, on full batches, beside a path written out step by step."""
    model, steps, rates = MODELS["softmax"], np.array([3, 0, 5]), np.array([0.2, 0.1, 0.05])
    base = model.initial(STREAMS).double()
    chance = torch.Generator().manual_seed(1)
    own = torch.randn(3, model.size, dtype=torch.float64, generator=chance) / 20
    server = own.mean(dim=0)
    terms = LocalTerms(rate=rates, steps=steps, drift=server - own)
    plan, rows = LocalTraining(batch_size=240), np.arange(3)
    trained = train_cohort(model, base, SHARDS, rows, SHARDS.sizes[rows], rows, 0, plan, STREAMS, terms=terms)
    controls = scaffold_controls(own, server, base, trained, rates, steps)
    assert torch.equal(controls[1], own[1])
    for owner in (0, 2):
        w, met = base.clone(), []
        for _ in range(steps[owner]):
            met.append(full_gradient(w, owner))
            w = w - rates[owner] * (met[-1] - own[owner] + server)
        assert torch.allclose(trained[owner], w, atol=1e-12, rtol=0)
        assert torch.allclose(controls[owner], torch.stack(met).mean(dim=0), atol=1e-12, rtol=0)


def test_scaffold_ends_at_the_optimum_and_plain_averaging_beside_it():
    """Full batches and many local steps: FedAvg stops where the mean update is zero, SCAFFOLD where the gradient is."""
    model, rows = MODELS["softmax"], np.arange(8)
    uneven = clean_shards(blobs(shape=(1, 8, 8), train=240), 8, STREAMS, "label_shards")
    plan = LocalTraining(batch_size=240, learning_rate=0.2)
    steps, rate = np.full(8, 10), np.full(8, 0.2)

    def trained(weights, terms):
        return train_cohort(model, weights, uneven, rows, uneven.sizes, rows, 0, plan, STREAMS, terms=terms)

    def distance_to_optimum(corrected):
        """Norm of the mean gradient after 60 rounds; one step of rate 1 moves by the gradient."""
        weights = model.initial(STREAMS).double()
        own = torch.zeros(8, model.size, dtype=torch.float64)
        for _ in range(60):
            drift = own.mean(dim=0) - own if corrected else None
            moved = trained(weights, LocalTerms(rate=rate, steps=steps, drift=drift, weight_decay=0.2))
            own = scaffold_controls(own, own.mean(dim=0), weights, moved, rate, steps)
            weights = moved.mean(dim=0)
        one_step = trained(weights, LocalTerms(rate=np.ones(8), steps=np.ones(8, dtype=np.int64), weight_decay=0.2))
        return (weights - one_step).mean(dim=0).norm().item()

    assert distance_to_optimum(corrected=True) < 0.05 * distance_to_optimum(corrected=False)


# ---- what is refused and what fits --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"rate": np.array([0.1, 0.0])}, "rate must be above 0"),
        ({"rate": np.array([np.inf])}, "rate must be above 0"),
        ({"rate": np.array([np.nan])}, "rate must be above 0"),
        ({"clip": np.array([-1.0])}, "clip must be above 0"),
        ({"noise": np.array([-1.0])}, "noise must be at least 0"),
        ({"steps": np.array([-1])}, "steps must be at least 0"),
        ({"pull": np.array([1.0])}, "needs both centre and pull"),
        ({"centre": torch.zeros(3)}, "needs both centre and pull"),
        ({"momentum": 1.0}, "momentum must be in"),
        ({"weight_decay": -0.1}, "weight_decay must be"),
    ],
)
def test_terms_out_of_range_are_refused_by_name(wrong, message):
    with pytest.raises(ValueError, match=message):
        LocalTerms(**wrong)


def test_the_terms_of_some_owners_are_theirs():
    terms = some_terms("all", 5, 4).take(np.array([3, 1]))
    whole = some_terms("all", 5, 4)
    assert terms.rate.tolist() == whole.rate[[3, 1]].tolist()
    assert torch.equal(terms.drift, whole.drift[[3, 1]])
    assert terms.momentum == whole.momentum
    shared = some_terms("one centre, own rates", 5, 4)
    assert torch.equal(shared.take(np.array([0])).centre, shared.centre)


@pytest.mark.parametrize(
    ("module", "fits"),
    [("Normed", True), ("TwoTails", False), ("Own", False), ("WithDoubled", False), ("Tied", False)],
)
def test_the_grouped_convolution_takes_only_stacks_that_it_knows(module, fits):
    model = FlatModel(f"stacked_modules:{module}", (1, 8, 8), 3)
    assert can_train("conv", model) is fits
    assert can_train("vmap", model)
    assert not can_train("linear", model)
    assert can_train("loop", model)


def test_wide_models_of_the_library_fit_the_grouped_convolution_and_others_do_not():
    assert can_train("conv", FlatModel("simple_cnn", (3, 8, 8), 10))
    assert not can_train("conv", FlatModel("mlp", (1, 8, 8), 10))
    assert not can_train("conv", FlatModel("tabular", (13,), 3))
