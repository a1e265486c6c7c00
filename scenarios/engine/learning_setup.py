"""From the data and learning parts of a scenario to a federation that can train."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from agents.private_types import make_distribution
from agents.strategies import make_strategy
from learning.columns import BoolColumn, FloatColumn, IntColumn
from learning.corruption import usable_samples
from learning.data import Dataset, load_dataset
from learning.inspection_names import REMEMBERING
from learning.partition import deal
from learning.splitting import Split, in_order, parts_of, pieces_of
from learning.streams import Streams
from learning.uploads import Upload, poisons, recalls
from market.mechanism import Generating, LabelMixes
from scenarios.choices import StrategyShare, name_and_parameters
from scenarios.enforcement_checks import needs_of
from scenarios.engine.learning_rules import (
    blamed_on,
    choice_of,
    personalization_of,
    plan_of,
    privacy_of,
    rules_of,
    terms_of,
)
from scenarios.engine.sub_shards import SubShards, splits
from scenarios.errors import BadInput
from scenarios.interventions import mechanisms_of_run
from scenarios.schema import Scenario

if TYPE_CHECKING:
    from learning.federation import Federation
    from learning.generation.workbench import Workbench
    from learning.personal_federation import PersonalFederation
    from learning.shards import Shards


EVERYBODY = 2**40
"""Keys the draws of the generator that all owners share; no person has this number."""


@dataclass(frozen=True)
class Learning:
    """What the market has to know of the data: the federation, the shards' sizes, true qualities and class mixes.

    Columns of shards go on behind those that were dealt with the parts of shards that are divided (``sub_shards``).
    """

    federation: Federation | None
    personal: PersonalFederation | None
    sub_shards: SubShards
    shard_sizes: IntColumn
    shard_quality: FloatColumn
    labels: LabelMixes
    chance: float
    device: str


def build_learning(scenario: Scenario, streams: Streams, device: str) -> Learning:
    """Load, deal and corrupt the data, and set up the model; without learning, only deal.

    Raises ``BadData``, and ``BadInput`` that names the field but no source.
    """
    spec, data = scenario.learning, scenario.data
    rules = rules_of(scenario) if spec.enabled else None
    name, parameters = name_and_parameters(data.dataset)
    dataset = load_dataset(name, **parameters).first(data.train_limit, data.test_limit)
    dataset, public = _set_apart(scenario, dataset, streams)
    count = data.shards or scenario.population.initial
    if count > len(dataset.y_train):
        raise BadInput("", "data.shards", count, f"at most {len(dataset.y_train)}, the number of training samples")
    with blamed_on("data.partition", {"name": data.partition.name, **data.partition.params}):
        indices = deal(data.partition.name, dataset, count, streams, **data.partition.params)
    draws = streams.uniform("quality", np.arange(count))
    quality = make_distribution(data.quality.name, data.quality.params).sample(draws)
    with blamed_on("data.max_class_loss", data.max_class_loss):
        usable = usable_samples(indices, dataset.y_train, quality, data.max_class_loss, streams)
    split = splits(scenario, streams, np.array([len(rows) for rows in usable], dtype=np.int64))
    held = [*usable, *_parts(usable, split, streams)]
    sizes = np.array([len(rows) for rows in held], dtype=np.int64)
    labels, sub_shards = _label_mixes(dataset, held, count), SubShards.of(count, split)
    held_quality = quality[pieces_of(split, count)[1]]
    chance = dataset.chance
    if chance == 1.0:
        problem = "all test samples are of one class, so that no accuracy is better than guessing"
        raise BadInput("", "data.test_limit" if data.test_limit else "data.dataset", data.test_limit or name,
                       problem=problem)  # fmt: skip
    if rules is None:
        return Learning(None, None, sub_shards, sizes, held_quality, labels, chance, "none")

    from learning.device import resolve_device, use_threads
    from learning.federation import Federation
    from learning.models import FlatModel
    from learning.personal_federation import PersonalFederation
    from learning.shards import Shards

    use_threads(spec.threads)
    _check_poison(scenario, dataset)
    place = resolve_device(device)
    shards = Shards.build(
        dataset,
        indices,
        quality,
        max_label_noise=data.max_label_noise,
        max_feature_noise=data.max_feature_noise,
        max_class_loss=data.max_class_loss,
        max_duplicates=data.max_duplicates,
        split=split,
        streams=streams,
        device=place,
    )
    name, parameters = name_and_parameters(spec.model)
    with blamed_on("learning.model", name):
        model = FlatModel.for_dataset(name, dataset, frozen_seed=scenario.seed % 2**31, parameters=parameters)
    plan = plan_of(spec)
    common: dict[str, Any] = {
        "model": model,
        "dataset": dataset,
        "shards": shards,
        "plan": plan,
        "streams": streams,
        "device": place,
        "choice": choice_of(spec, model, shards, plan, place),
        "terms": terms_of(spec),
        "privacy": privacy_of(spec),
        "copying": any(_sends(share, recalls) for share in scenario.population.strategies)
        or not REMEMBERING.isdisjoint(needs_of(scenario.enforcement)),
    }
    method = personalization_of(spec)
    if method is None:
        bench = _workbench(scenario, dataset, public, shards, streams)
        return Learning(
            Federation(rules=rules, workbench=bench, **common),
            *(None, sub_shards, sizes, held_quality, labels, chance, place.type),
        )
    with blamed_on("learning.personalization", spec.personalization):
        personal = PersonalFederation(method=method, **common)
    return Learning(None, personal, sub_shards, sizes, held_quality, labels, chance, place.type)


def _set_apart(scenario: Scenario, dataset: Dataset, streams: Streams) -> tuple[Dataset, Dataset | None]:
    """The data that are dealt to owners, and those that a shared generator is trained on."""
    spec = scenario.learning.generation
    if spec is None or spec.public == 0 or not scenario.learning.enabled:
        return dataset, None
    from learning.generation.worth import split_public

    with blamed_on("learning.generation.public", spec.public):
        return split_public(dataset, spec.public, streams)


def _parts(usable: list[IntColumn], split: tuple[Split, ...], streams: Streams) -> list[IntColumn]:
    """The samples of the parts of shards, in the order of their rows."""
    return [part for one in split for part in parts_of(in_order(usable[one.shard], one.shard, streams), one.parts)]


def _label_mixes(dataset: Dataset, parts: list[IntColumn], dealt: int) -> LabelMixes:
    """Shares of the classes in each shard and in all that were dealt together; empty shards are like all."""
    counts = np.array([np.bincount(dataset.y_train[part], minlength=dataset.classes) for part in parts])
    overall = counts[:dealt].sum(axis=0) / counts[:dealt].sum()
    sizes = counts.sum(axis=1, keepdims=True)
    return LabelMixes(np.where(sizes > 0, counts / np.maximum(sizes, 1), overall), overall)


def _workbench(
    scenario: Scenario, dataset: Dataset, public: Dataset | None, shards: Shards, streams: Streams
) -> Workbench | None:
    """What owners generate synthetic data with, None where they make none."""
    spec = scenario.learning.generation
    if spec is None:
        return None
    import torch

    from learning.generation import generator_for
    from learning.generation.workbench import Workbench, mix_of

    first = next(mechanism for mechanism in mechanisms_of_run(scenario) if isinstance(mechanism, Generating))
    with blamed_on("learning.generation.generator", spec.generator.name):
        generator = generator_for(spec.generator.name, dataset, **spec.generator.params)
    shared = None
    if public is not None:
        x, y = torch.from_numpy(public.x_train), torch.from_numpy(public.y_train)
        shared = generator.fit(x.to(shards.x.device), y.to(shards.y.device), dataset.classes, EVERYBODY, 0, streams)
    return Workbench(generator, shards, mix_of(shards), first.synthetic_target, streams, shared)


def _sends(share: StrategyShare, kinds: Callable[[list[Upload]], BoolColumn]) -> bool:
    """Whether owners of this strategy may send an upload of these kinds."""
    return bool(kinds(list(make_strategy(share.name, share.params).sends())).any())


def _check_poison(scenario: Scenario, dataset: Dataset) -> None:
    """Labels can be falsified where they are all that there is to be said."""
    for place, share in enumerate(scenario.population.strategies):
        if dataset.answers is not None and _sends(share, poisons):
            problem = "labels of prompts with answers cannot be falsified"
            raise BadInput("", f"population.strategies.{place}", share.name, problem=problem)
