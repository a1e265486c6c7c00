"""Memory that runs out: work is split and tried again, and comes to the same."""

from __future__ import annotations

import logging
import multiprocessing
import resource
from pathlib import Path

import numpy as np
import pytest
import torch
from learning_samples import clean_shards

from learning.contribution.mixtures import MIXTURES
from learning.contribution.round_game import RoundGame
from learning.data import load_dataset
from learning.evaluation import evaluate, evaluate_each, losses, utilities
from learning.loss_drop_quality import own_losses
from learning.memory import OutOfMemory, fits, is_out_of_memory, tell_halving
from learning.models import FlatModel
from learning.streams import Streams

CPU = torch.device("cpu")
DIGITS = load_dataset("digits")
X, Y = torch.from_numpy(DIGITS.x_test), torch.from_numpy(DIGITS.y_test)


def models(name: str, count: int) -> tuple[FlatModel, torch.Tensor]:
    model = FlatModel(name, DIGITS.shape, DIGITS.classes)
    one = model.initial(Streams(1))
    return model, one + 0.1 * torch.randn(count, model.size, generator=torch.Generator().manual_seed(3))


def room_for(most: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let a model run out of memory when it meets more than ``most`` samples, all models together; what it was given.

    The error is the one that PyTorch raises on a CPU.
    """
    given: list[int] = []
    batched, alone = FlatModel.logits, FlatModel.forward

    def check(samples: int) -> None:
        given.append(samples)
        if samples > most:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:119] . DefaultCPUAllocator: can't allocate memory")

    def logits(self, weights, x):
        check(len(weights) * len(x))
        return batched(self, weights, x)

    def forward(self, parameters, x):
        check(len(x))
        return alone(self, parameters, x)

    monkeypatch.setattr(FlatModel, "logits", logits)
    monkeypatch.setattr(FlatModel, "forward", forward)
    return given


@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_tests_of_models_are_split_until_they_fit_and_find_the_same(name, monkeypatch, caplog):
    model, weights = models(name, 5)
    shards = clean_shards(DIGITS, 5, Streams(1))
    rows, sizes = np.arange(5), shards.sizes

    def measured():
        one = evaluate(model, weights[0], X, Y, 10)
        each, lost = evaluate_each(model, weights, X, Y, 10)
        own = own_losses(model, weights, shards, rows, sizes)
        counts = one.accuracy, one.class_accuracy, each, utilities(model, weights, X, Y)
        return counts, (one.loss, one.class_loss, lost, losses(model, weights, X, Y), own)

    counts, sums = measured()
    with monkeypatch.context() as patched:
        given = room_for(100, patched)
        tell_halving.cache_clear()
        with caplog.at_level(logging.WARNING):
            split, summed = measured()
    assert max(given) > 100, "it did run out of memory"
    assert "samples of a test, 364 at once; trying again with 182" in caplog.text
    for one, other in zip(counts, split, strict=True):
        assert np.array_equal(one, other)
    for one, other in zip(sums, summed, strict=True):
        assert other == pytest.approx(one, rel=1e-5)


@pytest.mark.parametrize(
    ("worth", "evaluation"), [("accuracy", "plain"), ("accuracy", "linear"), ("negative_loss", "linear")]
)
def test_coalitions_are_split_and_evaluated_the_plain_way_and_are_worth_the_same(worth, evaluation, monkeypatch):
    model, uploads = models("mlp", 5)
    members = np.random.default_rng(2).random((40, 5)) < 0.5

    def worths():
        game = RoundGame(model, uploads[0], uploads, np.ones(5), X, Y, worth=worth, evaluation=evaluation)
        return game.evaluate(members)

    expected, asked = worths(), []
    for name in MIXTURES:
        kind = MIXTURES[name]
        for figure in ("accuracy", "loss"):
            real = getattr(kind, figure)

            def small(self, mix, real=real, name=name):
                asked.append((name, len(mix)))
                if len(mix) > (6 if name == "plain" else 0):
                    raise torch.OutOfMemoryError("CUDA out of memory")
                return real(self, mix)

            monkeypatch.setattr(kind, figure, small)
    found = worths()
    assert asked[-1] == ("plain", 5)
    if worth == "accuracy":
        assert np.array_equal(found, expected)
    else:
        assert found == pytest.approx(expected, rel=1e-5)


def test_a_model_that_cannot_meet_one_sample_is_told_in_one_line(monkeypatch):
    model, weights = models("mlp", 2)
    room_for(0, monkeypatch)
    with pytest.raises(OutOfMemory, match=r"^out of memory: a single sample does not pass through the model[^\n]*$"):
        utilities(model, weights, X[:3], Y[:3])


def test_other_errors_are_not_taken_for_want_of_memory():
    def wrong() -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1"):
        fits(wrong, CPU)
    assert not is_out_of_memory(ValueError("out of memory"))
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"))


def many() -> tuple[FlatModel, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Sixty models and a test set with which they need some dozen MiB at a time."""
    return *models("mlp", 60), X.repeat(20, 1, 1, 1), Y.repeat(20)


def _with_little_memory(sender) -> None:
    """Test sixty models with address space for less than all of them need together."""
    torch.set_num_threads(1)
    model, weights, x, y = many()
    evaluate_each(model, weights[:1], x[:9], y[:9], 10)  # what is set up once
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 12 * 2**20, resource.RLIM_INFINITY))
    told: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: told.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("learning.memory").addHandler(handler)
    sender.send((evaluate_each(model, weights, x, y, 10), told))


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads the memory of a process from /proc")
def test_where_the_system_really_refuses_memory_a_test_is_split_and_finds_the_same():
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_with_little_memory, args=(sender,))
    process.start()
    sender.close()
    (accuracy, lost), told = receiver.recv()
    process.join()
    assert any(line.startswith("out of memory: models under test, 60 at once") for line in told), told
    expected = evaluate_each(*many(), 10)
    assert np.array_equal(accuracy, expected[0])
    assert lost == pytest.approx(expected[1], rel=1e-5)
