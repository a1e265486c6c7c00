"""How a regulator tunes its audit rate: rules by name."""

from __future__ import annotations

from agents.regulation.base import REGULATION, Budgeted, Fixed, Prospect, Regulation, Verdicts, make_regulation
from agents.regulation.deterrence import Deterrence

__all__ = [
    "REGULATION",
    "Budgeted",
    "Deterrence",
    "Fixed",
    "Prospect",
    "Regulation",
    "Verdicts",
    "make_regulation",
]
