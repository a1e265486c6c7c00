import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from learning_samples import blobs, clean_shards

from learning.backends import BACKENDS
from learning.models import FlatModel
from learning.registry import UnknownName
from learning.streams import Streams
from learning.training import (
    Choice,
    LocalTerms,
    LocalTraining,
    TrainingReport,
    choose,
    choose_backend,
    chunk_size,
    owners_that_fit,
    train_cohort,
)

STREAMS = Streams(7)
IMAGES = {"softmax": (1, 8, 8), "mlp": (1, 8, 8), "cnn": (1, 8, 8)}
DATASET = blobs(shape=(1, 8, 8), train=240)
SHARDS = clean_shards(DATASET, 8, STREAMS)
MODELS = {name: FlatModel(name, shape, 3) for name, shape in IMAGES.items()}


def start(name, count=None, dtype=torch.float64):
    """The initial model, or one of its own for each of ``count`` owners."""
    model = MODELS[name]
    if count is None:
        return model.initial(STREAMS).to(dtype)
    return torch.stack([model.initial(Streams(seed)) for seed in range(count)]).to(dtype)


CALL = ("chunk", "terms", "report")


def train(name, base, rows, samples, owners=None, counter=1, backend="auto", **options):
    rows = np.asarray(rows, dtype=np.int64)
    owners = 100 + rows if owners is None else np.asarray(owners, dtype=np.int64)
    samples = np.asarray(samples, dtype=np.int64)
    call = {name: options.pop(name) for name in CALL if name in options}
    plan = LocalTraining(**{"batch_size": 7, **options})
    return train_cohort(MODELS[name], base, SHARDS, rows, samples, owners, counter, plan, STREAMS, backend, **call)


BATCHED = [
    ("softmax", "linear"),
    ("mlp", "linear"),
    ("softmax", "vmap"),
    ("mlp", "vmap"),
    ("cnn", "vmap"),
    ("cnn", "conv"),
]


@pytest.mark.parametrize(("name", "backend"), BATCHED)
@pytest.mark.parametrize("proximal", [0.0, 0.5])
@pytest.mark.parametrize("bases", [None, 8])
def test_batched_back_ends_equal_the_loop(name, backend, proximal, bases):
    everyone = np.arange(8)
    plan = {"epochs": 2, "learning_rate": 0.2, "proximal": proximal}
    expected, got = (
        train(name, start(name, bases), everyone, SHARDS.sizes, backend=which, **plan) for which in ("loop", backend)
    )
    assert torch.allclose(got, expected, atol=1e-10, rtol=0)
    assert (expected - start(name, bases)).abs().amax(dim=1).min() > 1e-3


@settings(max_examples=25, deadline=None)
@given(
    name=st.sampled_from(["softmax", "mlp"]),
    cohort=st.lists(st.tuples(st.integers(0, 7), st.integers(0, 40)), max_size=6),
    batch=st.integers(1, 12),
    epochs=st.integers(1, 3),
)
def test_any_ragged_cohort_trains_as_in_the_loop(name, cohort, batch, epochs):
    rows = np.array([row for row, _ in cohort], dtype=np.int64)
    samples = np.minimum([wanted for _, wanted in cohort], SHARDS.sizes[rows]) if cohort else []
    expected, got = (
        train(name, start(name), rows, samples, np.arange(len(rows)), backend=which, batch_size=batch, epochs=epochs)
        for which in ("loop", "auto")
    )
    assert got.shape == (len(rows), MODELS[name].size)
    assert torch.allclose(got, expected, atol=1e-10, rtol=0)


def test_one_step_of_softmax_regression_is_the_formula():
    """W - rate * mean (p - onehot) x^T, by NumPy on the whole shard as one batch."""
    size = int(SHARDS.sizes[2])
    base = start("softmax")
    got = train("softmax", base, [2], [size], batch_size=size, learning_rate=0.3)[0].numpy()
    rows = slice(int(SHARDS.offsets[2]), int(SHARDS.offsets[3]))
    x, y = SHARDS.x[rows].double().numpy().reshape(size, 64), SHARDS.y[rows].numpy()
    weight, bias = base[:192].numpy().reshape(3, 64), base[192:].numpy()
    scores = np.exp(x @ weight.T + bias)
    error = (scores / scores.sum(axis=1, keepdims=True) - np.eye(3)[y]) / size
    expected = np.concatenate([(weight - 0.3 * error.T @ x).ravel(), bias - 0.3 * error.sum(axis=0)])
    assert np.allclose(got, expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize(("name", "backend", "tolerance"), [(*pair, 1e-10) for pair in BATCHED] + [("cnn", "loop", 0)])
def test_an_owner_trains_the_same_whoever_else_does_and_in_any_order(name, backend, tolerance):
    rows, samples = np.arange(8), SHARDS.sizes
    together = train(name, start(name), rows, samples, backend=backend)
    shuffled = np.array([3, 0, 7, 5, 1, 2, 6, 4])
    mixed = train(name, start(name), shuffled, samples[shuffled], backend=backend)
    assert torch.allclose(mixed, together[shuffled], atol=tolerance, rtol=0)
    alone = train(name, start(name), [5], samples[[5]], backend=backend)
    assert torch.allclose(alone[0], together[5], atol=tolerance, rtol=0)


@pytest.mark.parametrize("name", MODELS)
def test_the_same_call_gives_the_same_bits(name):
    once, again = (train(name, start(name, dtype=torch.float32), np.arange(8), SHARDS.sizes) for _ in range(2))
    assert once.dtype == torch.float32
    assert torch.equal(once, again)


@pytest.mark.parametrize(("name", "backend"), [*BATCHED, ("cnn", "loop")])
@pytest.mark.parametrize("count", [0, 1, 3])
def test_the_base_is_neither_changed_nor_aliased(name, backend, count):
    for base in (start(name), start(name, count) if count else start(name).expand(0, -1)):
        before = base.clone()
        trained = train(name, base, np.arange(count), SHARDS.sizes[:count], backend=backend)
        assert trained.shape == (count, MODELS[name].size)
        assert torch.equal(base, before)
        trained.fill_(-1.0)
        assert torch.equal(base, before)


@pytest.mark.parametrize(("name", "backend"), [*BATCHED, ("cnn", "loop")])
def test_without_samples_an_owner_returns_its_base(name, backend):
    base = start(name, 3)
    trained = train(name, base, [0, 1, 2], [0, 5, 0], backend=backend)
    assert torch.equal(trained[[0, 2]], base[[0, 2]])
    assert not torch.equal(trained[1], base[1])


def test_only_the_first_samples_of_a_shard_are_used():
    short = train("softmax", start("softmax"), [0], [6])
    kept = SHARDS.x.clone()
    try:
        SHARDS.x[int(SHARDS.offsets[0]) + 6 : int(SHARDS.offsets[1])] = float("nan")
        assert torch.equal(train("softmax", start("softmax"), [0], [6]), short)
    finally:
        SHARDS.x.copy_(kept)


def test_the_counter_changes_the_batches():
    first, second = (train("mlp", start("mlp"), [0], SHARDS.sizes[:1], counter=counter) for counter in (1, 2))
    assert not torch.allclose(first, second, atol=1e-6)


def test_a_strong_proximal_term_holds_owners_near_their_base():
    base = start("mlp")
    free, held = (
        (train("mlp", base, np.arange(8), SHARDS.sizes, proximal=mu, epochs=3) - base).norm(dim=1) for mu in (0.0, 5.0)
    )
    assert (held < 0.7 * free).all()


def test_a_cohort_larger_than_a_chunk_trains_like_a_smaller_one():
    size = chunk_size(MODELS["mlp"], torch.device("cpu"))
    owners = np.arange(size + 5)
    rows = owners % 8
    samples = SHARDS.sizes[rows]
    whole = train("mlp", start("mlp"), rows, samples, owners)
    tail = train("mlp", start("mlp"), rows[-5:], samples[-5:], owners[-5:])
    assert torch.allclose(whole[-5:], tail, atol=1e-10, rtol=0)


def test_training_learns(digits):
    model = FlatModel("mlp", digits.shape, digits.classes)
    shards = clean_shards(digits, 1, STREAMS, "iid")
    rows = np.zeros(1, dtype=np.int64)
    base = model.initial(STREAMS)
    trained = train_cohort(model, base, shards, rows, shards.sizes, rows, 0, LocalTraining(epochs=5), STREAMS)
    x, y = torch.from_numpy(digits.x_test), torch.from_numpy(digits.y_test)
    accuracy = (model.logits(trained, x)[0].argmax(dim=1) == y).double().mean().item()
    assert accuracy > 0.93


def test_the_automatic_choice_depends_on_model_and_device_only():
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert choose_backend(MODELS["mlp"], cpu) == choose_backend(MODELS["softmax"], gpu) == "linear"
    assert choose_backend(MODELS["cnn"], cpu) == "conv"
    assert choose_backend(MODELS["cnn"], gpu) == "vmap"
    residual = FlatModel("resnet20", (3, 32, 32), 10)
    assert choose_backend(residual, gpu) == "vmap"


def test_wide_convolutions_are_trained_a_few_owners_at_a_time_on_a_cpu():
    cpu = torch.device("cpu")
    assert choose(FlatModel("simple_cnn", (3, 32, 32), 10), cpu) == Choice("conv", 2)
    assert choose(MODELS["cnn"], cpu).chunk >= 10
    assert choose(MODELS["mlp"], cpu).chunk > choose(MODELS["cnn"], cpu).chunk


def test_bad_columns_are_refused():
    base = start("softmax")
    with pytest.raises(ValueError, match="columns differ in length"):
        train("softmax", base, [0, 1], [1])
    with pytest.raises(ValueError, match="0 up to all samples"):
        train("softmax", base, [0], [SHARDS.sizes[0] + 1])
    with pytest.raises(ValueError, match="0 up to all samples"):
        train("softmax", base, [0], [-1])
    with pytest.raises(ValueError, match="base must be"):
        train("softmax", base[:-1], [0], [1])
    with pytest.raises(ValueError, match="'linear' cannot train the model 'cnn'"):
        train("cnn", start("cnn"), [0], [1], backend="linear")
    with pytest.raises(UnknownName, match="did you mean 'loop'"):
        train("softmax", base, [0], [1], backend="lop")
    with pytest.raises(ValueError, match="'conv' cannot train the model 'mlp'"):
        train("mlp", start("mlp"), [0], [1], backend="conv")
    with pytest.raises(ValueError, match="drift must be"):
        train("mlp", start("mlp"), [0], [1], terms=LocalTerms(drift=torch.zeros(3)))
    with pytest.raises(ValueError, match="rate must have one entry for each of 1 owners"):
        train("mlp", start("mlp"), [0], [1], terms=LocalTerms(rate=np.ones(2)))
    with pytest.raises(ValueError, match="at least 1 owner"):
        train("mlp", start("mlp"), [0], [1], chunk=0)


def test_the_loop_names_the_owner_that_fails():
    kept = SHARDS.y.clone()
    try:
        SHARDS.y[int(SHARDS.offsets[4])] = 99
        with pytest.raises(Exception, match="99") as met:
            train("mlp", start("mlp"), np.arange(8), SHARDS.sizes, np.arange(40, 48), backend="loop")
        assert [note.partition(",")[0] for note in met.value.__notes__] == ["while training owner 44"]
    finally:
        SHARDS.y.copy_(kept)


def test_the_linear_back_end_gives_the_same_bits_for_every_chunk():
    base = start("mlp", 8, torch.float32)
    whole, *parts = (train("mlp", base, np.arange(8), SHARDS.sizes, chunk=chunk, epochs=2) for chunk in (8, 1, 3, 500))
    assert all(torch.equal(part, whole) for part in parts)


def test_bfloat16_is_near_the_loop_and_not_the_loop():
    exact, rough = (
        train("cnn", start("cnn", dtype=torch.float32), np.arange(8), SHARDS.sizes, backend=backend)
        for backend in ("loop", "loop_bf16")
    )
    change = (exact - start("cnn", dtype=torch.float32)).norm(dim=1)
    distance = (rough - exact).norm(dim=1)
    assert rough.dtype == torch.float32
    assert (distance > 0).all()
    # A flipped choice of the max-pooling can carry one owner away, but not half of them.
    assert (distance / change).median() < 0.1


def test_how_many_owners_draw_their_batches_in_one_go_changes_nothing(monkeypatch):
    steps = LocalTerms(steps=np.arange(8) % 5)
    base = start("mlp", 8, torch.float32)
    for terms in (LocalTerms(), steps):
        whole = train("mlp", base, np.arange(8), SHARDS.sizes, chunk=2, terms=terms, epochs=2)
        with monkeypatch.context() as patched:
            patched.setattr("learning.training.DRAWN", 1)  # one chunk at a time
            assert torch.equal(train("mlp", base, np.arange(8), SHARDS.sizes, chunk=2, terms=terms, epochs=2), whole)


# ---- memory -------------------------------------------------------------------------------------------------------


def small_memory(monkeypatch, backend, most):
    """Let a back-end fail as CUDA does when it gets more than ``most`` owners; returns what it was given."""
    real, asked = BACKENDS[backend], []

    def limited(model, first, *rest):
        asked.append(len(first))
        if len(first) > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(model, first, *rest)

    monkeypatch.setitem(BACKENDS._entries, backend, limited)
    return asked


@pytest.mark.parametrize(("name", "backend"), [("mlp", "linear"), ("cnn", "conv"), ("cnn", "vmap")])
def test_without_memory_the_cohort_is_trained_in_halved_chunks_with_the_result_of_such_chunks(
    monkeypatch, name, backend
):
    base = start(name, dtype=torch.float32)
    expected = train(name, base, np.arange(8), SHARDS.sizes, backend=backend, chunk=2)
    asked = small_memory(monkeypatch, backend, most=3)
    report = TrainingReport()
    got = train(name, base, np.arange(8), SHARDS.sizes, backend=backend, report=report)
    assert torch.equal(got, expected)
    assert (report.chunk, report.halvings) == (2, 2)
    assert asked == [8, 4, 2, 2, 2, 2]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_row_of_the_result_begins_on_a_cache_line(dtype):
    trained = train("softmax", start("softmax", dtype=dtype), np.arange(3), SHARDS.sizes[:3])
    assert trained.shape == (3, MODELS["softmax"].size)
    assert all(row.data_ptr() % 64 == 0 for row in trained)


def test_memory_for_no_owner_at_all_is_an_error(monkeypatch):
    small_memory(monkeypatch, "linear", most=0)
    with pytest.raises(torch.OutOfMemoryError):
        train("mlp", start("mlp"), np.arange(8), SHARDS.sizes)


def test_on_a_device_with_little_free_memory_chunks_are_smaller(monkeypatch):
    cpu, plan = torch.device("cpu"), LocalTraining(batch_size=7)
    assert owners_that_fit(MODELS["mlp"], plan, torch.float32, cpu) is None
    monkeypatch.setattr("learning.training.free_bytes", lambda device: 1_000_000)
    fitting = owners_that_fit(MODELS["mlp"], plan, torch.float32, cpu)
    assert 1 <= fitting < chunk_size(MODELS["mlp"], cpu)
    # All rows of weights that a step can need, and the batch itself, are within the free memory.
    assert fitting * 4 * (6 * MODELS["mlp"].size + 7 * 64) <= 1_000_000
    assert owners_that_fit(MODELS["mlp"], plan, torch.float64, cpu) <= fitting // 2 + 1
    report = TrainingReport()
    train("mlp", start("mlp", dtype=torch.float32), np.arange(8), SHARDS.sizes, report=report)
    assert report.chunk == fitting


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA")
@pytest.mark.parametrize(("name", "backend"), BATCHED)
def test_on_cuda_back_ends_equal_the_loop_on_the_cpu(name, backend):
    from learning.device import resolve_device

    device = resolve_device("cuda")
    expected = train(name, start(name), np.arange(8), SHARDS.sizes, backend="loop")
    moved = clean_shards(DATASET, 8, STREAMS)
    moved.x, moved.y = moved.x.to(device), moved.y.to(device)
    rows = np.arange(8)
    plan = LocalTraining(batch_size=7)
    got = train_cohort(
        MODELS[name], start(name).to(device), moved, rows, SHARDS.sizes, 100 + rows, 1, plan, STREAMS, backend
    )
    assert torch.allclose(got.cpu(), expected, atol=1e-9, rtol=0)


# ---- the record ---------------------------------------------------------------------------------------------------


def test_a_report_adds_up_what_was_trained_and_names_how():
    report = TrainingReport()
    assert report.clients_per_second == 0.0
    for _ in range(2):
        train("softmax", start("softmax"), np.arange(8), SHARDS.sizes, epochs=3, report=report)
    plan = LocalTraining(batch_size=7, epochs=3)
    assert report.clients == 16
    assert report.steps == 2 * plan.steps(SHARDS.sizes).sum()
    assert (report.backend, report.dtype, report.threads) == ("linear", "float64", torch.get_num_threads())
    assert report.chunk == choose(MODELS["softmax"], torch.device("cpu")).chunk
    assert report.device.startswith("cpu (")
    assert report.clients_per_second == pytest.approx(16 / report.seconds)
    line = str(report)
    assert "back-end linear" in line
    assert "clients/s" in line
    assert "\n" not in line


def test_a_recorded_choice_repeats_the_bits():
    first = TrainingReport()
    base = start("cnn", dtype=torch.float32)
    once = train("cnn", base, np.arange(8), SHARDS.sizes, backend="conv", report=first)
    choice = Choice(first.backend, first.chunk)
    again = train("cnn", base, np.arange(8), SHARDS.sizes, backend=choice.backend, chunk=choice.chunk)
    assert torch.equal(once, again)
