"""Personal models of a market trained in one batched call, beside the same trainings one by one.

Run ``python -m benchmarks.personal_models``. Every owner of digits trains its own model towards its own proximal
centre; both sides do the same steps in the same order on one thread and must end within 1e-5 of each other. Ratios are
of processor time, the best of ``--repeats`` each, taken in turn.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from learning.data import load_dataset
from learning.local_terms import LocalTerms
from learning.models import FlatModel
from learning.partition import deal
from learning.shards import Shards
from learning.streams import Streams
from learning.training import Choice, LocalTraining, choose, train_cohort

MODELS = ("softmax", "mlp", "cnn")
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Market:
    """What the owners train: models [K, P], centres [K, P], data and plan."""

    model: FlatModel
    shards: Shards
    own: Tensor
    centre: Tensor
    plan: LocalTraining
    streams: Streams
    choice: Choice

    def train(self, rows: np.ndarray, chunk: int) -> Tensor:
        """New models of these owners, ``chunk`` of them in a call of the back-end."""
        places = torch.from_numpy(rows)
        terms = LocalTerms(centre=self.centre[places], pull=np.full(len(rows), 0.4))
        sizes = self.shards.sizes[rows]
        return train_cohort(
            self.model, self.own[places], self.shards, rows, sizes, rows, 0, self.plan, self.streams,
            self.choice.backend, chunk=chunk, terms=terms,
        )  # fmt: skip


def market(name: str, owners: int) -> Market:
    """Owners whose models and centres are a little apart from each other."""
    streams, data = Streams(1), load_dataset("digits")
    parts = deal("iid", data, owners, streams)
    shards = Shards.build(data, parts, np.ones(owners), max_label_noise=0.0, max_feature_noise=0.0, streams=streams,
                          device=CPU)  # fmt: skip
    model = FlatModel.for_dataset(name, data)
    chance = torch.Generator().manual_seed(1)
    initial = model.initial(streams)
    own, centre = (initial + 0.05 * torch.randn(owners, model.size, generator=chance) for _ in range(2))
    plan = LocalTraining(epochs=1, batch_size=10, learning_rate=0.05)
    return Market(model, shards, own, centre, plan, streams, choose(model, CPU))


def seconds(action: Callable[[], Tensor]) -> tuple[float, Tensor]:
    """Processor time, and what came out."""
    begin = time.process_time()
    result = action()
    return time.process_time() - begin, result


def compare(owners: Market, everybody: np.ndarray, repeats: int) -> tuple[int, float, float]:
    """Weights per model, and the best times of one call and of one by one; raises if the models differ."""
    together, alone = [], []
    for _ in range(repeats):
        taken, batched = seconds(lambda: owners.train(everybody, owners.choice.chunk))
        together.append(taken)
        taken, single = seconds(lambda: torch.cat([owners.train(everybody[k : k + 1], 1) for k in everybody]))
        alone.append(taken)
        torch.testing.assert_close(batched, single, atol=1e-5, rtol=1e-5)
    return owners.model.size, min(together), min(alone)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--owners", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'model':8} {'weights':>8} {'one call':>10} {'one by one':>11} {'ratio':>6}")
    for name in MODELS:
        size, one, many = compare(market(name, given.owners), np.arange(given.owners), given.repeats)
        print(f"{name:8} {size:8,} {one:9.3f}s {many:10.3f}s {many / one:5.1f}x")


if __name__ == "__main__":
    main()
