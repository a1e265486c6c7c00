"""The honest family: the truth is told and the advised share is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from agents.strategies.base import STRATEGIES, Strategy


@STRATEGIES.register("honest")
@dataclass(frozen=True, kw_only=True)
class Honest(Strategy):
    """Tells the truth, follows the mechanism's advice and trains on the advised share of its data."""

    name: ClassVar[str] = "honest"
    reference: ClassVar[str] = "McMahan et al. 2017, Communication-efficient learning (FedAvg client), arXiv:1602.05629"
