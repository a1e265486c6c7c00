"""Strategies by family, one family a file; importing this package fills the registries."""

from __future__ import annotations

from collections.abc import Mapping
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
