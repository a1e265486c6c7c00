"""Clients trained per second by each back-end, beside the plain loop, on identical work.

Run ``python -m benchmarks.learning_trainer``. The work is that of pfl-research's CIFAR10-IID benchmark (Granqvist et
al. 2024, arXiv 2404.06430): 50 owners a round, 50 samples each, 5 SGD steps of 10, batches drawn and weights copied
within the measured time. ``--ragged`` gives the owners log-normal sizes with the same mean instead. All sides run in
this process, in turn, ``--repeats`` times; medians and the ratio to the loop are printed, in CPU time on a CPU.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
import torch

from learning.backends import BACKENDS, can_train
from learning.batches import LocalTraining
from learning.device import describe, finish, resolve_device
from learning.models import MODELS, FlatModel
from learning.shards import Shards
from learning.streams import Streams
from learning.training import Choice, choose, train_cohort

COHORT, SAMPLES, CLASSES = 50, 50, 10
STREAMS = Streams(1)
PLAN = LocalTraining(epochs=1, batch_size=10, learning_rate=0.1)
WORK = {
    "softmax": ((1, 28, 28), 1000),
    "mlp": ((1, 28, 28), 1000),
    "cnn": ((1, 28, 28), 1000),
    "simple_cnn": ((3, 32, 32), 200),
}


def population(shape: tuple[int, ...], owners: int, ragged: bool, device: torch.device) -> Shards:
    """Random data: nothing here depends on what it shows."""
    chance = np.random.default_rng(0)
    sizes = np.full(owners, SAMPLES)
    if ragged:
        drawn = chance.lognormal(0.0, 1.0, owners)
        sizes = np.maximum(1, (drawn / drawn.mean() * SAMPLES).astype(np.int64))
    total = int(sizes.sum())
    x = torch.from_numpy(chance.standard_normal((total, *shape), dtype=np.float32)).to(device)
    y = torch.from_numpy(chance.integers(0, CLASSES, total)).to(device)
    return Shards(x, y, sizes, np.zeros((owners, CLASSES)), np.ones(owners), np.zeros(owners))


def rate(model: FlatModel, shards: Shards, choice: Choice, owners: int) -> float:
    """Clients per second over as many rounds as take a quarter of a second, each with owners of its own."""
    device = shards.x.device
    base = model.initial(STREAMS).to(device)
    chance = np.random.default_rng(1)
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    rounds, seconds = 0, 0.0
    while seconds < 0.25:
        rows = chance.permutation(len(shards))[:owners]
        begun = clock()
        train_cohort(
            model,
            base,
            shards,
            rows,
            shards.sizes[rows],
            rows,
            rounds,
            PLAN,
            STREAMS,
            choice.backend,
            chunk=choice.chunk,
        )
        finish(device)
        rounds, seconds = rounds + 1, seconds + clock() - begun
    return rounds * owners / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=list(WORK), choices=list(WORK))
    parser.add_argument(
        "--backends", nargs="+", default=["linear", "conv", "vmap", "loop_bf16"], choices=list(BACKENDS)
    )
    parser.add_argument("--chunks", nargs="+", type=int, default=[], help="owners at once, beside the usual number")
    parser.add_argument("--ragged", action="store_true", help="log-normal sizes")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    device = resolve_device(chosen.device)
    print(f"{describe(device)}, torch {torch.__version__}, 1 thread; clients per second, median of {chosen.repeats}")
    for name in chosen.models:
        if name not in MODELS:
            print(f"{name}: not registered")
            continue
        shape, owners = WORK[name]
        shards = population(shape, owners, chosen.ragged, device)
        model = FlatModel(name, shape, CLASSES)
        usual = choose(model, device).chunk
        able = [backend for backend in chosen.backends if backend != "loop" and can_train(backend, model)]
        choices = [Choice("loop", usual)]
        for backend in able:
            many = [] if backend.startswith("loop") else [chunk for chunk in chosen.chunks if chunk != usual]
            choices += [Choice(backend, chunk) for chunk in (usual, *many)]
        cohort = COHORT if model.size < 300_000 or device.type != "cpu" else 10
        for choice in choices:
            rate(model, shards, choice, cohort)  # warm-up
        rates: dict[Choice, list[float]] = {choice: [] for choice in choices}
        for _ in range(chosen.repeats):
            for choice in choices:
                rates[choice].append(rate(model, shards, choice, cohort))
        print(f"{name} {shape}, {model.size:,} weights, {cohort} owners")
        for choice, found in rates.items():
            ratio = statistics.median(one / loop for one, loop in zip(found, rates[choices[0]], strict=True))
            spread = f"{min(found):.1f} to {max(found):.1f}"
            median = statistics.median(found)
            print(f"  {choice.backend:9} chunk {choice.chunk:4}: {median:9.1f}  ({spread}), {ratio:5.2f} x loop")


if __name__ == "__main__":
    main()
