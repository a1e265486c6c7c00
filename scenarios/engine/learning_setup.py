"""From the data and learning parts of a scenario to a federation that can train."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from agents.private_types import make_distribution
from agents.strategies import make_strategy
from learning.columns import FloatColumn, IntColumn
from learning.corruption import usable_samples
from learning.data import Dataset, load_dataset
from learning.inspection_names import REMEMBERING
from learning.partition import deal
from learning.streams import Streams
from learning.uploads import Upload, recalls
from market.mechanism import LabelMixes
from scenarios.choices import StrategyShare, name_and_parameters
from scenarios.enforcement_checks import policy_of
from scenarios.engine.learning_rules import (
    blamed_on,
    choice_of,
    personalization_of,
    plan_of,
    privacy_of,
    rules_of,
    terms_of,
)
from scenarios.errors import BadInput
from scenarios.registries import mechanisms
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
    """What the market has to know of the data: the federation, the shards' sizes, true qualities and class mixes."""

    federation: Federation | None
    personal: PersonalFederation | None
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
    sizes = np.array([len(rows) for rows in usable], dtype=np.int64)
    labels = _label_mixes(dataset, usable)
    chance = dataset.chance
    if chance == 1.0:
        problem = "all test samples are of one class, so that no accuracy is better than guessing"
        raise BadInput("", "data.test_limit" if data.test_limit else "data.dataset", data.test_limit or name,
                       problem=problem)  # fmt: skip
    if rules is None:
        return Learning(None, None, sizes, quality, labels, chance, "none")

    from learning.device import resolve_device, use_threads
    from learning.federation import Federation
    from learning.models import FlatModel
    from learning.personal_federation import PersonalFederation
    from learning.shards import Shards

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
        "copying": any(_may_copy(share) for share in scenario.population.strategies)
        or not REMEMBERING.isdisjoint(policy_of(scenario.enforcement).needs),
    }
    method = personalization_of(spec)
    if method is None:
        bench = _workbench(scenario, dataset, public, shards, streams)
        return Learning(
            Federation(rules=rules, workbench=bench, **common), None, sizes, quality, labels, chance, place.type
        )
    with blamed_on("learning.personalization", spec.personalization):
        personal = PersonalFederation(method=method, **common)
    return Learning(None, personal, sizes, quality, labels, chance, place.type)


def _set_apart(scenario: Scenario, dataset: Dataset, streams: Streams) -> tuple[Dataset, Dataset | None]:
    """The data that are dealt to owners, and those that a shared generator is trained on."""
    spec = scenario.learning.generation
    if spec is None or spec.public == 0 or not scenario.learning.enabled:
        return dataset, None
    from learning.generation.worth import split_public

    with blamed_on("learning.generation.public", spec.public):
        return split_public(dataset, spec.public, streams)


def _label_mixes(dataset: Dataset, parts: list[IntColumn]) -> LabelMixes:
    """Shares of the classes in each shard and in all of them together; empty shards are like all."""
    counts = np.array([np.bincount(dataset.y_train[part], minlength=dataset.classes) for part in parts])
    overall = counts.sum(axis=0) / counts.sum()
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

    mechanism = mechanisms()[scenario.market.mechanism.name](**scenario.market.mechanism.params)
    with blamed_on("learning.generation.generator", spec.generator.name):
        generator = generator_for(spec.generator.name, dataset, **spec.generator.params)
    shared = None
    if public is not None:
        x, y = torch.from_numpy(public.x_train), torch.from_numpy(public.y_train)
        shared = generator.fit(x.to(shards.x.device), y.to(shards.y.device), dataset.classes, EVERYBODY, 0, streams)
    return Workbench(generator, shards, mix_of(shards), mechanism.synthetic_target, streams, shared)


def _may_copy(share: StrategyShare) -> bool:
    """Whether owners of this strategy may send earlier uploads again: unless it trains or names another forgery."""
    strategy = make_strategy(share.name, share.params)
    return not strategy.trains and bool(recalls(getattr(strategy, "forgery", Upload.PEER_COPY)))
