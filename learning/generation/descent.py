"""Training of a generator's network: keyed initial weights, keyed batches, Adam, averaged weights."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from learning.columns import IntColumn
from learning.memory import each_part
from learning.streams import Streams

WARM_UP = 0.05
"""Share of the steps in which the rate rises; then it falls to zero along a cosine."""
LARGEST_GRADIENT = 1.0
AVERAGED_OVER = 0.1
"""The weights that are kept are a moving average over about this share of the last steps."""

Network = TypeVar("Network", bound=nn.Module)
SAMPLES = "samples of a generator"
"""What does not fit, in the words of ``OutOfMemory``."""

Share = Callable[[slice], Tensor]
"""Of all rows of a batch its loss; of some rows a number whose gradients, over all parts, sum to those of the loss."""


def keyed(build: Callable[[], Network], owner: int, counter: int, streams: Streams) -> Network:
    """A network with PyTorch's own initialisation from a keyed seed. The global generators stay as they were."""
    seed = int(streams.integers("generator weights", owner, 2**52, counter))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return build()


def batches(samples: int, size: int, steps: int, chance: np.random.Generator) -> Iterator[IntColumn]:
    """``steps`` batches of at most ``size`` of the samples; every epoch passes once through them in a new order."""
    left = np.zeros(0, dtype=np.int64)
    for _ in range(steps):
        if len(left) == 0:
            left = chance.permutation(samples)
        yield left[:size]
        left = left[size:]


def descend(
    network: Network,
    loss: Callable[[IntColumn], Share],
    samples: int,
    *,
    batch_size: int,
    steps: int,
    rate: float,
    chance: np.random.Generator,
) -> Network:
    """The network, in evaluation mode, after ``steps`` steps of Adam on ``loss`` of batches (row numbers [B]).

    ``loss`` draws what a batch needs, once. Where memory runs out, gradients are summed over parts of the batch.
    Raises ``ValueError`` if the training diverges, and ``OutOfMemory`` where a single row does not fit.
    """
    network.train()
    kept = copy.deepcopy(network)
    current: list[Tensor] = list(network.parameters())
    averaged: list[Tensor] = list(kept.parameters())
    keep = 1.0 - 1.0 / max(1.0, AVERAGED_OVER * steps)
    # Not the fused kind: its bits differ between machines with different instructions.
    optimizer = torch.optim.Adam(current, lr=rate)
    for step, rows in enumerate(batches(samples, batch_size, steps, chance)):
        for group in optimizer.param_groups:
            group["lr"] = rate * _pace((step + 1) / steps)
        optimizer.zero_grad(set_to_none=True)
        add_gradients(loss(rows), len(rows), current)
        nn.utils.clip_grad_norm_(current, LARGEST_GRADIENT)
        optimizer.step()
        with torch.no_grad():
            # The average forgets its start as a mean of the first steps would.
            torch._foreach_lerp_(averaged, current, 1.0 - min(keep, step / (step + 1.0)))
    if not all(bool(torch.isfinite(part).all()) for part in averaged):
        raise ValueError("the training of a generator diverged: its learning rate is too high for these data")
    return kept.eval()


def add_gradients(share: Share, rows: int, parameters: list[Tensor]) -> None:
    """Sum the gradients of a batch's loss in parameters that have none yet: of all rows at once if memory allows."""

    def add(part: slice) -> None:
        before = [parameter.grad for parameter in parameters]
        for parameter in parameters:
            parameter.grad = None
        try:
            share(part).backward()  # type: ignore[no-untyped-call]
        except BaseException:
            for parameter, gradient in zip(parameters, before, strict=True):
                parameter.grad = gradient  # nothing of an attempt stays
            raise
        for parameter, gradient in zip(parameters, before, strict=True):
            if gradient is not None and parameter.grad is not None:
                parameter.grad += gradient

    each_part(add, slice(0, rows), parameters[0].device, "samples that a generator is trained on")


def _pace(progress: float) -> float:
    """The learning rate's share of its greatest value, by the share of the steps made, in (0, 1]."""
    if progress < WARM_UP:
        return progress / WARM_UP
    return 0.5 + 0.5 * math.cos(math.pi * min(1.0, (progress - WARM_UP) / (1.0 - WARM_UP)) * 0.98)


def check_training(steps: int, batch_size: int, rate: float) -> None:
    """Raise ``ValueError`` for numbers that no training can have."""
    if steps < 1 or batch_size < 1:
        raise ValueError(f"steps and batch_size must be at least 1, got {steps} and {batch_size}")
    if not (np.isfinite(rate) and rate > 0):
        raise ValueError(f"rate must be a number above 0, got {rate}")


def normal_rows(chance: np.random.Generator, rows: int, numbers: int, like: Tensor) -> Tensor:
    """Standard normal numbers [rows, numbers], row by row, in the type and on the device of ``like``."""
    drawn = chance.standard_normal((rows, numbers), dtype=np.float32)
    return torch.from_numpy(drawn).to(device=like.device, dtype=like.dtype)
