"""Coalitions of one round evaluated one by one, in batches, and by mixing first-layer outputs: the same values, faster.

Run ``python -m benchmarks.contribution``. Owners with different label mixes train one round; then one set of random
coalitions, and a GTG-Shapley of at most 4 sweeps, are evaluated in each way, in turn, in this process. "One by one"
averages the uploads of a coalition in one product, loads the mean into an ordinary module and passes the test set
through it. Preparing the linear way is included. Processor time on one thread; medians of ``--repeats`` (a quarter of
them for GTG-Shapley) and ratios to one by one.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from learning.columns import BoolColumn, FloatColumn
from learning.contribution import Draws, Game, GTGShapley, RoundGame
from learning.data import Dataset, load_dataset
from learning.models import FlatModel
from learning.partition import PARTITIONS
from learning.shards import Shards
from learning.streams import Streams
from learning.training import LocalTraining, train_cohort

CPU = torch.device("cpu")
STREAMS = Streams(1)


@dataclass(frozen=True)
class Round:
    """What one round leaves: uploads [K, P] from a base [P], aggregation weights [K], and the test set."""

    model: FlatModel
    base: Tensor
    uploads: Tensor
    weights: FloatColumn
    x: Tensor
    y: Tensor

    def game(self, evaluation: str) -> Game:
        if evaluation == "one by one":
            return OneByOne(self)
        everything = self.model, self.base, self.uploads, self.weights, self.x, self.y
        return RoundGame(*everything, evaluation=evaluation)


class OneByOne(Game):
    """The same game without any batching."""

    def __init__(self, played: Round) -> None:
        super().__init__(len(played.uploads))
        self._round, self._module = played, played.model.build()

    def evaluate(self, members: BoolColumn) -> FloatColumn:
        return np.array([self._accuracy(row) for row in members])

    def _accuracy(self, members: BoolColumn) -> float:
        played, held = self._round, members * self._round.weights
        weights = played.base
        if held.sum() > 0:
            weights = torch.from_numpy(held / held.sum()).to(played.uploads) @ played.uploads
        nn.utils.vector_to_parameters(weights, self._module.parameters())
        with torch.no_grad():
            guesses = self._module(played.x).argmax(dim=1)
        return int((guesses == played.y).sum()) / len(played.y)


def clouds(shape: tuple[int, ...], train: int, test: int, classes: int = 10) -> Dataset:
    """Gaussian clouds that a model learns slowly, where no data set of the shape is at hand."""
    chance = np.random.default_rng(3)
    centres = 0.12 * chance.normal(size=(classes, *shape))

    def draw(count: int) -> tuple[np.ndarray, np.ndarray]:
        labels = chance.integers(0, classes, count)
        return (centres[labels] + chance.normal(size=(count, *shape))).astype(np.float32), labels

    return Dataset("clouds", *draw(train), *draw(test), classes)


def train(name: str, dataset: Dataset, owners: int, tests: int) -> Round:
    model = FlatModel(name, dataset.shape, dataset.classes)
    base = model.initial(STREAMS)
    indices = PARTITIONS["dirichlet"](dataset.y_train, owners, STREAMS)
    quality = np.ones(owners)
    shards = Shards.build(
        dataset, indices, quality, max_label_noise=0.0, max_feature_noise=0.0, streams=STREAMS, device=CPU
    )
    everybody = np.arange(owners)
    plan = LocalTraining(epochs=2, batch_size=10, learning_rate=0.05)
    uploads = train_cohort(model, base, shards, everybody, shards.sizes, everybody, 0, plan, STREAMS)
    x, y = torch.from_numpy(dataset.x_test[:tests]), torch.from_numpy(dataset.y_test[:tests])
    return Round(model, base, uploads, shards.sizes.astype(np.float64), x, y)


def compare(title: str, ways: tuple[str, ...], repeats: int, work: Callable[[str], tuple[FloatColumn, int]]) -> None:
    """Print one line: evaluations per second of each way, the ratio to the first, and whether values are equal."""
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    values: dict[str, FloatColumn] = {}
    evaluations = 0
    for _ in range(repeats):
        for way in ways:
            start = time.process_time()
            values[way], evaluations = work(way)
            seconds[way].append(time.process_time() - start)
    slow = seconds[ways[0]]
    parts = []
    for way in ways:
        ratios = [a / b for a, b in zip(slow, seconds[way], strict=True)]
        speed = evaluations / statistics.median(seconds[way])
        spread = f"{statistics.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})"
        parts.append(f"{way} {speed:6.0f}/s" + (f" x{spread}" if way != ways[0] else ""))
    same = all(np.array_equal(values[ways[0]], found) for found in values.values())
    print(f"{title:<44} {evaluations:>5} coalitions: {', '.join(parts)}; values {'equal' if same else 'DIFFER'}")


def some_coalitions(played: Round, count: int) -> Callable[[str], tuple[FloatColumn, int]]:
    """Random coalitions of random sizes; preparing the evaluation is included."""
    chance = np.random.default_rng(0)
    players = len(played.uploads)
    members = chance.uniform(size=(count, players)) < chance.uniform(size=(count, 1))

    def work(way: str) -> tuple[FloatColumn, int]:
        return played.game(way).worth(members), count

    return work


def gtg(played: Round, method: GTGShapley) -> Callable[[str], tuple[FloatColumn, int]]:
    def work(way: str) -> tuple[FloatColumn, int]:
        found = method.measure(played.game(way), Draws(STREAMS))
        return found.values, found.evaluations

    return work


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--owners", type=int, default=50)
    parser.add_argument("--data", default="clouds", help="a data set, or 'clouds': made here, in the shape of mnist")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(
        f"torch {torch.__version__}, NumPy {np.__version__}, Python {platform.python_version()}, "
        f"{torch.backends.cpu.get_cpu_capability()}, one thread, {options.owners} owners, data {options.data}"
    )
    made = options.data == "clouds"
    dataset = clouds((1, 28, 28), 100 * options.owners, 10_000) if made else load_dataset(options.data)
    for name, tests, count, ways in (
        ("softmax", 10_000, 1000, ("one by one", "plain", "linear")),
        ("mlp", 10_000, 1000, ("one by one", "plain", "linear")),
        ("mlp", 1_000, 1000, ("one by one", "plain", "linear")),
        ("cnn", 1_000, 50, ("one by one", "plain")),
    ):
        played = train(name, dataset, options.owners, tests)
        compare(f"{name}, {tests} samples, random coalitions", ways, options.repeats, some_coalitions(played, count))
        if name == "mlp":
            work = gtg(played, GTGShapley(sweeps=4))
            compare(f"{name}, {tests} samples, GTG-Shapley", ways, max(1, options.repeats // 4), work)


if __name__ == "__main__":
    main()
