"""Local training of a whole cohort in one call."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from learning.backends import BACKENDS, can_train
from learning.batches import BatchTable, LocalTraining, draw_batches
from learning.columns import IntColumn
from learning.device import describe, finish, free_bytes
from learning.local_terms import PLAIN, LocalTerms, scaffold_controls
from learning.memory import OutOfMemory, fits, tell_halving
from learning.models import FlatModel
from learning.privacy_hook import privatise
from learning.shards import Shards
from learning.streams import Streams
from learning.training_report import TrainingReport

__all__ = [
    "Choice",
    "LocalTerms",
    "LocalTraining",
    "TrainingReport",
    "choose",
    "choose_backend",
    "chunk_size",
    "owners_that_fit",
    "scaffold_controls",
    "train_cohort",
]

WIDE_MODEL = 300_000
"""Weights from which on convolutions gain nothing from many owners at once on a CPU (measured)."""

DRAWN = 2**18
"""Samples met, all owners and steps together, whose order is drawn in one go."""
ALIGNED = 16
"""Numbers in a cache line, of float32; a whole number of lines of wider types."""


@dataclass(frozen=True)
class Choice:
    """How cohorts are trained: back-end and owners at once. Part of a run's record, for kernels differ in last bits."""

    backend: str
    chunk: int

    def __post_init__(self) -> None:
        if self.chunk < 1:
            raise ValueError(f"a chunk must hold at least 1 owner, got {self.chunk}")


def choose_backend(model: FlatModel, device: torch.device) -> str:
    """The back-end that ``auto`` stands for. It depends on nothing else, because kernels differ in the last bits."""
    if can_train("linear", model):
        return "linear"
    if device.type == "cpu" and can_train("conv", model):
        return "conv"
    if (device.type == "cpu" and model.size >= WIDE_MODEL) or not can_train("vmap", model):
        return "loop"
    return "vmap"


def chunk_size(model: FlatModel, device: torch.device) -> int:
    """Owners trained together: on a CPU what the cache can hold (2 MiB of weights, 4 of linear layers, which do little
    else than read them), on a GPU what keeps it busy. Wide convolutions on a CPU need few, and little memory then.
    """
    if device.type != "cpu":
        megabytes, least, most = 2**10, 32, 4096
    elif can_train("linear", model):
        megabytes, least, most = 4, 10, 512
    else:
        megabytes, least, most = 2, 2 if model.size >= WIDE_MODEL and can_train("conv", model) else 10, 512
    return int(np.clip(megabytes * 2**20 // (4 * model.size), least, most))


def choose(model: FlatModel, device: torch.device) -> Choice:
    """The static choice, by model and device alone. ``learning.calibration`` measures instead."""
    return Choice(choose_backend(model, device), chunk_size(model, device))


def owners_that_fit(model: FlatModel, plan: LocalTraining, dtype: torch.dtype, device: torch.device) -> int | None:
    """About how many owners can be trained together in half the free memory of a CUDA device; None elsewhere.

    Counts six rows of weights per owner (start, weights, gradient, velocity, terms, result) and, since nobody knows a
    model's activations, 32 times the numbers of a batch. A wrong guess costs a halving, not the run.
    """
    free = free_bytes(device)
    if free is None:
        return None
    numbers = 6 * model.size + 32 * plan.batch_size * math.prod(model.shape)
    return max(1, free // 2 // (numbers * dtype.itemsize))


def train_cohort(
    model: FlatModel,
    base: Tensor,
    shards: Shards,
    rows: IntColumn,
    samples: IntColumn,
    owners: IntColumn,
    counter: int,
    plan: LocalTraining,
    streams: Streams,
    backend: str = "auto",
    *,
    chunk: int | None = None,
    terms: LocalTerms = PLAIN,
    report: TrainingReport | None = None,
) -> Tensor:
    """New weights [K, P] of K owners, in the order given; rows may lie apart in memory.

    Owner ``owners[k]`` starts from ``base`` ([P] for all, or [K, P]), trains on the first ``samples[k]`` samples of
    shard ``rows[k]`` (none: it returns its base, but for noise) and draws its batches by (owner, counter). ``terms``
    are what distinguishes its training from the plan. Computes in the type of ``base``, which is neither changed nor
    aliased.

    ``chunk`` owners are trained together (None: by a rule). Where a device's memory is too small, the whole cohort is
    trained anew in chunks of half the size, so the result is a function of the chunk size that ``report`` names; two
    sizes differ in the last bits of the weights at most. Raises ``ValueError`` for columns that do not fit and for a
    model that the back-end cannot train, and ``OutOfMemory`` if not even one owner can be trained.
    """
    count = len(rows)
    if base.shape != (model.size,) and base.shape != (count, model.size):
        raise ValueError(f"base must be [{model.size}] or [{count}, {model.size}], got {list(base.shape)}")
    if not len(samples) == len(owners) == count:
        raise ValueError(f"columns differ in length: {count} rows, {len(samples)} samples, {len(owners)} owners")
    if ((samples < 0) | (samples > shards.sizes[rows])).any():
        raise ValueError("an owner can train on 0 up to all samples of its shard")
    terms.check(count, model.size)
    if backend == "auto":
        backend = choose_backend(model, base.device)
    if chunk is None:
        chunk = chunk_size(model, base.device)
        fitting = owners_that_fit(model, plan, base.dtype, base.device)
        chunk = chunk if fitting is None else min(chunk, fitting)
    choice = Choice(backend, chunk)
    begun = time.perf_counter()
    halvings = 0
    cohort = _Cohort(model, base, shards, rows, samples, owners, counter, plan, streams, terms)
    while (trained := cohort.trained(choice)) is None:
        tried = min(choice.chunk, count)
        choice = Choice(backend, tried // 2)
        halvings += 1
        tell_halving("owners in training", tried, choice.chunk)
    if report is not None:
        finish(base.device)
        _account(report, cohort, choice, time.perf_counter() - begun, halvings)
    return trained


@dataclass(frozen=True, eq=False)
class _Cohort:
    """The arguments of ``train_cohort``, checked."""

    model: FlatModel
    base: Tensor
    shards: Shards
    rows: IntColumn
    samples: IntColumn
    owners: IntColumn
    counter: int
    plan: LocalTraining
    streams: Streams
    terms: LocalTerms

    def steps(self) -> IntColumn:
        """SGD steps [K] of each owner."""
        wanted = self.terms.steps
        return self.plan.steps(self.samples) if wanted is None else np.where(self.samples > 0, wanted, 0)

    def trained(self, choice: Choice) -> Tensor | None:
        """New weights [K, P], or None if the device has too little memory for such chunks and smaller ones exist."""
        count = len(self.rows)
        order = np.argsort(-(self.samples if self.terms.steps is None else self.steps()), kind="stable")
        # Owners that are in order are trained in the result itself, others in rows that are copied to their places.
        sorted_already = consecutive(order)
        whole = self.base.new_empty(0)

        def attempt() -> None:
            nonlocal whole
            result = aligned_rows(count, self.base)
            room = result if sorted_already else aligned_rows(min(choice.chunk, count), self.base)
            drawn = self._drawn_together(choice.chunk)
            for begin in range(0, count, drawn):
                batches = self._batches(order[begin : begin + drawn])
                for first in range(begin, min(begin + drawn, count), choice.chunk):
                    some = order[first : first + choice.chunk]
                    rows = room[first : first + len(some)] if sorted_already else room[: len(some)]
                    self._train(some, batches.part(first - begin, first - begin + len(some)), choice.backend, rows)
                    if not sorted_already:
                        result.index_copy_(0, torch.from_numpy(some).to(result.device), rows)
            whole = result

        if fits(attempt, self.base.device):
            return whole
        if min(choice.chunk, count) == 1:
            batch = f"{self.model.size:,} weights and batches of {self.plan.batch_size}"
            raise OutOfMemory(f"out of memory: one owner alone, with {batch}, does not fit on {self.base.device.type}")
        return None

    def _drawn_together(self, chunk: int) -> int:
        """Owners, in whole chunks, whose batches are drawn in one go: what of them takes a few dozen MiB."""
        longest = int(self.steps().max(initial=1)) * self.plan.batch_size
        return chunk * max(1, DRAWN // (chunk * longest))

    def _batches(self, some: IntColumn) -> BatchTable:
        offsets, steps = self.shards.offsets[self.rows[some]], self.terms.steps
        steps = None if steps is None else steps[some]
        return draw_batches(
            offsets, self.samples[some], self.owners[some], self.counter, self.plan, self.streams, steps
        )

    def _train(self, some: IntColumn, batches: BatchTable, backend: str, trained: Tensor) -> None:
        """Write the new weights of a chunk of owners into ``trained`` [K, P]."""
        if self.base.ndim == 1:
            start = self.base.expand(len(some), -1)
        elif consecutive(some):
            start = self.base[some[0] : some[0] + len(some)]
        else:
            start = self.base.index_select(0, torch.from_numpy(some).to(self.base.device))
        terms = self.terms if self.terms is PLAIN else self.terms.take(some)
        BACKENDS[backend](self.model, start, self.shards.x, self.shards.y, batches, self.plan, terms, trained)
        owners, noise = self.owners[some], terms.noise
        sent = privatise(start, trained, owners, self.counter, terms.clip, noise, self.streams, terms.law)
        if sent is not trained:
            trained.copy_(sent)


def consecutive(places: IntColumn) -> bool:
    """Whether every place follows the one before."""
    return bool((np.diff(places) == 1).all())


def aligned_rows(count: int, like: Tensor) -> Tensor:
    """Uninitialised [count, P] of the type and on the device of ``like`` [..., P], every row on a cache line.

    Products on rows that are not are a tenth to a quarter slower (measured).
    """
    size = like.shape[-1]
    return like.new_empty(count, -(-size // ALIGNED) * ALIGNED)[:, :size]


def _account(report: TrainingReport, cohort: _Cohort, choice: Choice, seconds: float, halvings: int) -> None:
    report.device = describe(cohort.base.device)
    report.dtype = str(cohort.base.dtype).removeprefix("torch.")
    report.threads = torch.get_num_threads()
    report.backend, report.chunk = choice.backend, choice.chunk
    report.clients += len(cohort.rows)
    report.steps += int(cohort.steps().sum())
    report.seconds += seconds
    report.halvings += halvings
