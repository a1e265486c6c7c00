"""The work that every side does, written to a folder of arrays: pfl's CIFAR10-IID shape on random data.

1,000 owners of 50 samples, cohorts of 50, one epoch of 5 steps of batch 10, plain SGD (Granqvist et al. 2024, arXiv
2404.06430, appendix). Speed does not depend on what the data says, so it is drawn, and nobody downloads anything.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from learning.batches import LocalTraining, draw_batches
from learning.columns import IntColumn
from learning.models import FlatModel
from learning.streams import Streams

SEED = 20261120
CLASSES = 10
GREY, COLOUR = (1, 28, 28), (3, 32, 32)
CHECK_COUNTER = 10**6


@dataclass(frozen=True)
class Shape:
    """A federation: which model meets whose data. ``spread`` is the sigma of log-normal sizes, 0 for equal ones.

    ``model`` is the name in ``learning.models``, ``architecture`` the one in ``peers.architectures``.
    """

    model: str
    architecture: str
    sample: tuple[int, ...] = GREY
    owners: int = 1_000
    samples: int = 50
    cohort: int = 50
    batch: int = 10
    rate: float = 0.1
    spread: float = 0.0

    def sizes(self) -> IntColumn:
        """Samples of each owner [S], ``samples`` on average (the median is smaller when sizes are log-normal)."""
        luck = np.random.default_rng(SEED).standard_normal(self.owners)
        drawn = self.samples * np.exp(self.spread * luck - self.spread**2 / 2)
        return np.maximum(np.rint(drawn), 1).astype(np.int64)

    @property
    def steps_per_owner(self) -> float:
        """SGD steps of an owner in a round, on average over all owners."""
        return float(self.plan().steps(self.sizes()).mean())

    def plan(self) -> LocalTraining:
        return LocalTraining(epochs=1, batch_size=self.batch, learning_rate=self.rate)


SHAPES = {
    "softmax": Shape("softmax", "softmax"),
    "mlp": Shape("mlp", "mlp"),
    "lenet": Shape("cnn", "lenet"),
    "cnn": Shape("simple_cnn", "simple_cnn", COLOUR, rate=0.01),
}


def write_work(shape: Shape, folder: Path) -> Path:
    """Write the arrays (see ``peers.worker.Work``) and the plan of a shape; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    chance = np.random.default_rng(SEED + 1)
    sizes = shape.sizes()
    streams = Streams(SEED)
    longest = np.argsort(-sizes, kind="stable")
    cohort = longest[np.sort(chance.permutation(shape.owners)[: shape.cohort])]
    arrays = {
        "x": chance.standard_normal((int(sizes.sum()), *shape.sample), dtype=np.float32),
        "y": chance.integers(CLASSES, size=int(sizes.sum())),
        "sizes": sizes,
        "initial": FlatModel(shape.model, shape.sample, CLASSES).initial(streams).numpy(),
        "check_owners": cohort,
        "check_order": batch_order(sizes, cohort, shape.plan(), streams),
    }
    plan = {
        "model": shape.architecture,
        "ours": shape.model,
        "shape": shape.sample,
        "classes": CLASSES,
        "cohort": shape.cohort,
        "batch": shape.batch,
        "rate": shape.rate,
        "seed": SEED,
        "steps_per_round": shape.cohort * shape.steps_per_owner,
        "check_counter": CHECK_COUNTER,
    }
    return write_arrays(folder, arrays, plan)


@dataclass(frozen=True)
class Coalitions:
    """A round's uploads to be valued: the MLP on images like MNIST's, ``tests`` samples; ``few`` players exactly."""

    model: str = "mlp"
    architecture: str = "mlp"
    sample: tuple[int, ...] = GREY
    players: int = 50
    tests: int = 1_000
    few: int = 6


def write_coalitions(game: Coalitions, folder: Path) -> Path:
    """Write uploads that differ in worth: each goes its own part of the way to a model that knows the labels.

    The labels are those of a random linear teacher, so that uploads have accuracies between chance and good.
    """
    folder.mkdir(parents=True, exist_ok=True)
    chance = np.random.default_rng(SEED + 2)
    model = FlatModel(game.model, game.sample, CLASSES)
    base = model.initial(Streams(SEED))
    teacher = model.initial(Streams(SEED + 1))
    x = chance.standard_normal((game.tests, *game.sample), dtype=np.float32)
    way = torch.from_numpy(chance.uniform(0.0, 1.0, (game.players, 1)).astype(np.float32))
    noise = torch.from_numpy(chance.standard_normal((game.players, model.size), dtype=np.float32))
    arrays = {
        "x": x,
        "y": model.logits(teacher.unsqueeze(0), torch.from_numpy(x))[0].argmax(dim=1).numpy(),
        "initial": base.numpy(),
        "uploads": (base + way * (teacher - base) + 0.02 * noise).numpy(),
        "weights": chance.integers(10, 100, game.players).astype(np.float64),
    }
    plan = {
        "model": game.architecture,
        "ours": game.model,
        "shape": game.sample,
        "classes": CLASSES,
        "seed": SEED,
        "few": game.few,
    }
    return write_arrays(folder, arrays, plan)


def write_arrays(folder: Path, arrays: dict[str, np.ndarray], plan: dict[str, object]) -> Path:
    """Write arrays and plan as ``peers.worker.Work`` reads them; returns the folder."""
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    (folder / "plan.json").write_text(json.dumps(plan))
    return folder


def batch_order(sizes: IntColumn, cohort: IntColumn, plan: LocalTraining, streams: Streams) -> IntColumn:
    """Rows of the flat data in the order in which our trainer takes them, owner after owner (largest first)."""
    offsets = np.concatenate([[0], np.cumsum(sizes)])[:-1]
    table = draw_batches(offsets[cohort], sizes[cohort], cohort, CHECK_COUNTER, plan, streams)
    order = []
    for owner in range(len(cohort)):
        for span, active in zip(table.spans, table.active, strict=True):
            if owner < active:
                batch = span.start + owner
                order.append(table.index[batch, : table.counts[batch]])
    return np.concatenate(order)
