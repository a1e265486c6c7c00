"""From the data and learning parts of a scenario to a federation that can train."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from agents.private_types import make_distribution
from learning.columns import FloatColumn, IntColumn
from learning.corruption import usable_samples
from learning.data import load_dataset
from learning.partition import deal
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
    dataset = load_dataset(data.dataset).first(data.train_limit, data.test_limit)
    count = data.shards or scenario.population.initial
    if count > len(dataset.y_train):
        raise BadInput("", "data.shards", count, f"at most {len(dataset.y_train)}, the number of training samples")
    with _blamed_on("data.partition", {"name": data.partition.name, **data.partition.params}):
        indices = deal(data.partition.name, dataset, count, streams, **data.partition.params)
    draws = streams.uniform("quality", np.arange(count))
    quality = make_distribution(data.quality.name, data.quality.params).sample(draws)
    with _blamed_on("data.max_class_loss", data.max_class_loss):
        usable = usable_samples(indices, dataset.y_train, quality, data.max_class_loss, streams)
    sizes = np.array([len(rows) for rows in usable], dtype=np.int64)
    chance = float(np.bincount(dataset.y_test, minlength=dataset.classes).max() / len(dataset.y_test))
    if not spec.enabled:
        return Learning(None, sizes, quality, chance, "none")

    from learning.backends import can_train
    from learning.device import resolve_device, use_threads
    from learning.federation import Federation
    from learning.local_terms import LocalTerms
    from learning.models import FlatModel
    from learning.robust import ROBUST
    from learning.server import SERVER_OPTIMIZERS
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
        max_class_loss=data.max_class_loss,
        max_duplicates=data.max_duplicates,
        streams=streams,
        device=place,
    )
    plan = LocalTraining(
        epochs=spec.epochs, batch_size=spec.batch_size, learning_rate=spec.learning_rate, proximal=spec.proximal
    )
    with _blamed_on("learning.model", spec.model):
        model = FlatModel.for_dataset(spec.model, dataset, frozen_seed=scenario.seed % 2**31)
    if spec.backend != "auto" and not can_train(spec.backend, model):
        raise BadInput("", "learning.backend", spec.backend, problem=f"it cannot train the model '{spec.model}'")
    federation = Federation(
        model=model,
        dataset=dataset,
        shards=shards,
        plan=plan,
        streams=streams,
        device=place,
        backend=spec.backend,
        terms=LocalTerms(momentum=spec.momentum, weight_decay=spec.weight_decay),
        rule=ROBUST[spec.aggregation.name](**spec.aggregation.params),
        optimizer=SERVER_OPTIMIZERS[spec.server.name](**spec.server.params),
    )
    return Learning(federation, sizes, quality, chance, place.type)


@contextmanager
def _blamed_on(field: str, value: object) -> Iterator[None]:
    """What goes wrong inside is a bad value of that field of the scenario."""
    try:
        yield
    except ValueError as problem:
        raise BadInput("", field, value, problem=str(problem)) from None
