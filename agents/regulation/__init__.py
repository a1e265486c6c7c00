"""How a regulator tunes its rules: by name."""

from __future__ import annotations

from agents.regulation.bandit import Bandit
from agents.regulation.base import (
    REGULATION,
    Budgeted,
    Fixed,
    Prospect,
    Regulation,
    Verdicts,
    guilty_share,
    make_regulation,
)
from agents.regulation.deterrence import Deterrence

__all__ = [
    "REGULATION",
    "Bandit",
    "Budgeted",
    "Deterrence",
    "Fixed",
    "Prospect",
    "Regulation",
    "Verdicts",
    "guilty_share",
    "make_regulation",
]
