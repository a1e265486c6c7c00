"""Strategies by family, one family a file; importing this package fills the registry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agents.parameters import make
from agents.strategies import attacks, free_riding, generating, honest, learning_reports, misreport, sybil
from agents.strategies.base import STRATEGIES, Strategy

__all__ = ["attacks", "free_riding", "generating", "honest", "learning_reports", "make_strategy", "misreport", "sybil"]


def make_strategy(name: str, params: Mapping[str, Any]) -> Strategy:
    """The registered strategy ``name`` with these parameters.

    Raises UnknownName for the name and a one-line ValueError for a parameter that is unknown or refused.
    """
    return make(STRATEGIES, name, params)
