"""What a scenario can name: the registries, each with what there is, a line about it and its parameters."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from learning.registry import Registry


class Kind(StrEnum):
    """What ``datagora list`` can show."""

    MECHANISMS = "mechanisms"
    STRATEGIES = "strategies"
    TRANSFORMERS = "transformers"
    DATASETS = "datasets"
    MODELS = "models"
    PARTITIONS = "partitions"
    PARTICIPATION = "participation"
    ADAPTATION = "adaptation"
    DISTRIBUTIONS = "distributions"
    PERSONALIZATION = "personalization"
    CONFIRMATION = "confirmation"
    PATIENCE = "patience"
    ARRIVALS = "arrivals"
    AUDITS = "audits"
    DETECTORS = "detectors"
    SLASHING = "slashing"
    ADMISSION = "admission"
    DEPOSITS = "deposits"
    BANS = "bans"
    APPEALS = "appeals"
    REGULATION = "regulation"
    SCENARIOS = "scenarios"
    DESIGNS = "designs"
    STUDIES = "studies"


def entries(kind: Kind) -> list[tuple[str, str, str]]:
    """Names, descriptions and parameters, in the order of the registry (strategies: by family)."""
    from scenarios import loading, registries

    if kind is Kind.SCENARIOS:
        return [(name, description or title, "") for name, (title, description) in loading.library().items()]
    if kind is Kind.STUDIES:
        from scenarios.studies.ready_made import library

        return [(name, description or title, "") for name, (title, description) in library().items()]
    from scenarios.studies.designs import designs

    registry: Registry[Any] = {
        Kind.DESIGNS: designs,
        Kind.MECHANISMS: registries.mechanisms,
        Kind.STRATEGIES: registries.strategies,
        Kind.TRANSFORMERS: registries.strategy_transformers,
        Kind.DATASETS: registries.datasets,
        Kind.MODELS: registries.models,
        Kind.PARTITIONS: registries.partitions,
        Kind.PARTICIPATION: registries.participation_rules,
        Kind.ADAPTATION: registries.adaptation_rules,
        Kind.DISTRIBUTIONS: registries.distributions,
        Kind.PERSONALIZATION: registries.personalization_methods,
        Kind.CONFIRMATION: registries.confirmation_rules,
        Kind.PATIENCE: registries.patience_kinds,
        Kind.ARRIVALS: registries.arrival_processes,
        Kind.AUDITS: registries.audit_policies,
        Kind.DETECTORS: registries.detectors,
        Kind.SLASHING: registries.slashing_schedules,
        Kind.ADMISSION: registries.admissions,
        Kind.DEPOSITS: registries.deposit_schedules,
        Kind.BANS: registries.bans,
        Kind.APPEALS: registries.appeals,
        Kind.REGULATION: registries.regulations,
    }[kind]()
    described = [
        (name, registry.description(name).replace("``", ""), _parameters(entry)) for name, entry in registry.items()
    ]
    return _by_family(registry, described) if kind is Kind.STRATEGIES else described


def _by_family(registry: Registry[Any], entries: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """Strategies family by family, the honest ones first, each with its family before its description."""
    families = list(dict.fromkeys(["honest", *(strategy.family for strategy in registry.values())]))
    told = [(name, f"{registry[name].family}: {text}", parameters) for name, text, parameters in entries]
    return sorted(told, key=lambda one: families.index(registry[one[0]].family))


def _parameters(entry: Callable[..., object]) -> str:
    """What may stand beside the name in a scenario, as YAML: ``alpha: 0.5``; the bare name where there is no default.

    All parameters of a class; of a function those that go by keyword, as the simulation fills in the others.
    """
    shown = []
    for parameter in inspect.signature(entry).parameters.values():
        filled_in = not inspect.isclass(entry) and parameter.kind is not parameter.KEYWORD_ONLY
        if filled_in or parameter.name in _FILLED_IN:
            continue
        default = parameter.default
        shown.append(parameter.name if default is parameter.empty else f"{parameter.name}: {_as_yaml(default)}")
    return ", ".join(shown)


_FILLED_IN = {"groups", "inner"}
"""Keywords that the simulation fills in: from the data, and the strategy that a transformer is applied to."""


def _as_yaml(value: object) -> str:
    return json.dumps(list(value) if isinstance(value, tuple) else value).strip('"')
