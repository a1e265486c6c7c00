"""Strict participation: a plain comparison with the outside option."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from agents.participation.base import PARTICIPATION, Participation


@PARTICIPATION.register("strict")
@dataclass(frozen=True, kw_only=True)
class Strict(Participation):
    """Joins when the expected utility beats the outside option; leaves when patience is over."""

    name: ClassVar[str] = "strict"
