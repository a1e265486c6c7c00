"""Strategies by family, one family a file; importing this package fills the registries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from agents.parameters import make
from agents.strategies import (
    attacks,
    conditional,
    free_riding,
    generating,
    honest,
    learning_reports,
    misreport,
    participating,
    reputation,
    rings,
    sybil,
    transformers,
)
from agents.strategies.base import STRATEGIES, Strategy
from agents.strategies.transformers import TRANSFORMERS

__all__ = [
    "WITH",
    "attacks",
    "conditional",
    "free_riding",
    "generating",
    "honest",
    "learning_reports",
    "make_strategy",
    "misreport",
    "participating",
    "reputation",
    "rings",
    "strategy_label",
    "strategy_labels",
    "sybil",
    "transformers",
]

WITH = "with"
"""Key of the transformers beside the parameters of a strategy."""


def make_strategy(name: str, params: Mapping[str, Any]) -> Strategy:
    """The registered strategy ``name`` with these parameters, transformed by those under ``with``, in their order.

    Raises UnknownName for a name and a one-line ValueError for a parameter that is unknown or refused.
    """
    strategy = make(STRATEGIES, name, {key: value for key, value in params.items() if key != WITH})
    for step in params.get(WITH, ()):
        given = {key: value for key, value in step.items() if key != "name"}
        strategy = make(TRANSFORMERS, step["name"], {**given, "inner": strategy})
    return strategy


def strategy_label(name: str, params: Mapping[str, Any]) -> str:
    """What tables and pictures call a strategy: its name, then those of its transformers, with plus signs."""
    return "+".join([name, *(step["name"] for step in params.get(WITH, ()))])


def strategy_labels(chosen: Sequence[tuple[str, Mapping[str, Any]]]) -> list[str]:
    """What tables and pictures call the strategies of a scenario, each given by its name and its parameters.

    Those that would have the same label are told apart by the parameters in which they differ: three reporters become
    ``misreport_size(factor=0.8)`` and so on. The same strategy twice has one label.
    """
    labels = [strategy_label(name, params) for name, params in chosen]
    count = Counter(labels)
    flat = [_flat(params) for _, params in chosen]
    for label in [label for label, times in count.items() if times > 1]:
        places = [place for place, one in enumerate(labels) if one == label]
        keys = list(dict.fromkeys(key for place in places for key in flat[place]))
        differ = [key for key in keys if len({flat[place].get(key) for place in places}) > 1]
        for place in places if differ else ():
            told = ", ".join(f"{key}={flat[place][key]}" for key in differ if key in flat[place])
            labels[place] = f"{label}({told})" if told else label
    return labels


def _flat(params: Mapping[str, Any]) -> dict[str, str]:
    """Parameters of a strategy and of its transformers in words, by names like ``factor`` and ``delay.rounds``."""
    own = {key: value for key, value in params.items() if key not in (WITH, "name", "share")}
    steps = {f"{one['name']}.{key}": one[key] for one in params.get(WITH, ()) for key in one if key != "name"}
    return {key: f"{value:.15g}" if isinstance(value, float) else str(value) for key, value in (own | steps).items()}
