"""From the data and learning parts of a scenario to a federation that can train."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from agents.private_types import make_distribution
from learning.columns import FloatColumn, IntColumn
from learning.data import Dataset, load_dataset
from learning.partition import PARTITIONS
from learning.streams import Streams
from scenarios.errors import BadInput
from scenarios.schema import Scenario

if TYPE_CHECKING:
    from learning.federation import Federation


@dataclass(frozen=True)
class Learning:
    """What the market has to know of the data: the federation, the shards' sizes and true qualities."""

    federation: Federation | None
    shard_sizes: IntColumn
    shard_quality: FloatColumn
    chance: float
    device: str


def build_learning(scenario: Scenario, streams: Streams, device: str) -> Learning:
    """Load, deal and corrupt the data, and set up the model; without learning, only deal.

    Raises ``BadData``, and ``BadInput`` that names the field but no source.
    """
    spec, data = scenario.learning, scenario.data
    dataset = _first(load_dataset(data.dataset), data.train_limit, data.test_limit)
    count = data.shards or scenario.population.initial
    with _blamed_on("data.shards", count):
        indices = PARTITIONS[data.partition.name](dataset.y_train, count, streams, **data.partition.params)
    draws = streams.uniform("quality", np.arange(count))
    quality = np.clip(make_distribution(data.quality.name, data.quality.params).sample(draws), 0.0, 1.0)
    sizes = np.array([len(rows) for rows in indices], dtype=np.int64)
    chance = float(np.bincount(dataset.y_test, minlength=dataset.classes).max() / len(dataset.y_test))
    if not spec.enabled:
        return Learning(None, sizes, quality, chance, "none")

    from learning.device import resolve_device, use_threads
    from learning.federation import Federation
    from learning.models import FlatModel
    from learning.shards import Shards
    from learning.training import LocalTraining

    use_threads(spec.threads)
    place = resolve_device(device)
    shards = Shards.build(
        dataset,
        indices,
        quality,
        max_label_noise=data.max_label_noise,
        max_feature_noise=data.max_feature_noise,
        streams=streams,
        device=place,
    )
    plan = LocalTraining(
        epochs=spec.epochs, batch_size=spec.batch_size, learning_rate=spec.learning_rate, proximal=spec.proximal
    )
    with _blamed_on("learning.model", spec.model):
        model = FlatModel(spec.model, dataset.shape, dataset.classes)
    if spec.backend == "linear" and model.linear_layers is None:
        raise BadInput("", "learning.backend", spec.backend, problem="this model is not a stack of linear layers")
    federation = Federation(
        model=model,
        dataset=dataset,
        shards=shards,
        plan=plan,
        streams=streams,
        device=place,
        backend=spec.backend,
    )
    return Learning(federation, sizes, quality, chance, place.type)


@contextmanager
def _blamed_on(field: str, value: object) -> Iterator[None]:
    """What goes wrong inside is a bad value of that field of the scenario."""
    try:
        yield
    except ValueError as problem:
        raise BadInput("", field, value, problem=str(problem)) from None


def _first(dataset: Dataset, train: int | None, test: int | None) -> Dataset:
    """The first samples of a data set (None: all)."""
    return dataclasses.replace(
        dataset,
        x_train=dataset.x_train[:train],
        y_train=dataset.y_train[:train],
        x_test=dataset.x_test[:test],
        y_test=dataset.y_test[:test],
    )
