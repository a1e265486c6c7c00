"""The attacking family: uploads that spoil the models of others.

The first two train before they corrupt what they send, so that they bear the cost; the others send plain nonsense.
Zhang et al. 2025 (iPFL) play all four.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from agents.strategies.base import STRATEGIES, Observation, Strategy, Work
from agents.strategies.free_riding import FreeRider
from learning.uploads import Upload

_IPFL = "Zhang et al. 2025, Nature Communications 16:7923, attack study"


@dataclass(frozen=True, kw_only=True)
class TrainedAttack(Strategy):
    """Trains honestly and corrupts the upload."""

    family: ClassVar[str] = "attacker"
    trains: ClassVar[bool] = False
    forgery: ClassVar[Upload]

    def train(self, seen: Observation) -> Work:
        """Train on the advised share; the upload is corrupted afterwards."""
        count = len(seen)
        return Work(seen.advice.data_share, np.full(count, self.forgery, dtype=np.int8), np.ones(count))


@STRATEGIES.register("attack_shuffle")
@dataclass(frozen=True, kw_only=True)
class AttackShuffle(TrainedAttack):
    """Sends its trained weights in a random order."""

    name: ClassVar[str] = "attack_shuffle"
    reference: ClassVar[str] = _IPFL
    forgery: ClassVar[Upload] = Upload.SHUFFLE


@STRATEGIES.register("attack_sign_flip")
@dataclass(frozen=True, kw_only=True)
class AttackSignFlip(TrainedAttack):
    """Sends its update with the sign turned round."""

    name: ClassVar[str] = "attack_sign_flip"
    reference: ClassVar[str] = "Li et al. 2019, RSA: Byzantine-robust stochastic aggregation methods, AAAI"
    forgery: ClassVar[Upload] = Upload.SIGN_FLIP


@STRATEGIES.register("attack_same_value")
@dataclass(frozen=True, kw_only=True)
class AttackSameValue(FreeRider):
    """Sends ones for weights, without training."""

    name: ClassVar[str] = "attack_same_value"
    family: ClassVar[str] = "attacker"
    reference: ClassVar[str] = "Li et al. 2019, RSA: Byzantine-robust stochastic aggregation methods, AAAI"
    forgery: ClassVar[Upload] = Upload.SAME_VALUE


@STRATEGIES.register("attack_random")
@dataclass(frozen=True, kw_only=True)
class AttackRandom(FreeRider):
    """Sends standard normal numbers for weights, without training."""

    name: ClassVar[str] = "attack_random"
    family: ClassVar[str] = "attacker"
    reference: ClassVar[str] = _IPFL
    forgery: ClassVar[Upload] = Upload.RANDOM
