"""The attacking family: uploads that spoil the models of others.

Most train before they corrupt what they send, or train on data that they have corrupted, so that they bear the cost;
two send plain nonsense. Zhang et al. 2025 (iPFL) play the shuffle, the sign flip, the same value and the random upload.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from agents.parameters import FACTOR, Bounds, check_number
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
        kind = np.full(count, self.forgery, dtype=np.int8)
        return Work(seen.advice.data_share, kind, np.full(count, float(self.upload_scale())))

    def upload_scale(self) -> float:
        """Parameter of the forgery (see ``Work.scale``)."""
        return 1.0

    def sends(self) -> frozenset[Upload]:
        return frozenset({self.forgery})


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


@STRATEGIES.register("attack_noise")
@dataclass(frozen=True, kw_only=True)
class AttackNoise(TrainedAttack):
    """Sends its trained weights plus Gaussian noise of ``scale`` (> 0) times the published norm of an update."""

    name: ClassVar[str] = "attack_noise"
    reference: ClassVar[str] = "Blanchard et al. 2017, Byzantine tolerant gradient descent, NeurIPS: Gaussian attackers"
    forgery: ClassVar[Upload] = Upload.NOISY

    scale: float = 3.0

    def __post_init__(self) -> None:
        check_number("scale", self.scale, FACTOR)

    def upload_scale(self) -> float:
        """Multiple of the published update norm."""
        return self.scale


@STRATEGIES.register("attack_boost")
@dataclass(frozen=True, kw_only=True)
class AttackBoost(TrainedAttack):
    """Sends ``boost`` (> 0) times what it learnt, so that the aggregate is mostly its own: explicit boosting."""

    name: ClassVar[str] = "attack_boost"
    reference: ClassVar[str] = "Bhagoji et al. 2019, Analyzing federated learning through an adversarial lens, ICML"
    forgery: ClassVar[Upload] = Upload.BOOST

    boost: float = 10.0

    def __post_init__(self) -> None:
        check_number("boost", self.boost, FACTOR)

    def upload_scale(self) -> float:
        """Multiple of the change that it learnt."""
        return self.boost


@dataclass(frozen=True, kw_only=True)
class DataPoisoning(TrainedAttack):
    """Trains on falsified data: ``poisoned`` (> 0, at most 1) of the samples, as a share."""

    poisoned: float = 1.0

    def __post_init__(self) -> None:
        check_number("poisoned", self.poisoned, Bounds(above=0, at_most=1))

    def upload_scale(self) -> float:
        """Share of the samples that are falsified."""
        return self.poisoned


@STRATEGIES.register("attack_label_flip")
@dataclass(frozen=True, kw_only=True)
class AttackLabelFlip(DataPoisoning):
    """Trains on data of which a share ``poisoned`` has the label C - 1 - y in place of y, and sends what it learnt."""

    name: ClassVar[str] = "attack_label_flip"
    reference: ClassVar[str] = (
        "Tolpegin et al. 2020, Data poisoning attacks against federated learning systems, ESORICS"
    )
    forgery: ClassVar[Upload] = Upload.LABEL_FLIP


@STRATEGIES.register("attack_backdoor")
@dataclass(frozen=True, kw_only=True)
class AttackBackdoor(DataPoisoning):
    """Trains on data of which a share ``poisoned`` bears a trigger and the label 0: the model learns to obey it."""

    name: ClassVar[str] = "attack_backdoor"
    reference: ClassVar[str] = "Gu, Dolan-Gavitt, Garg 2017, BadNets, arXiv:1708.06733"
    forgery: ClassVar[Upload] = Upload.BACKDOOR

    poisoned: float = 0.5


@STRATEGIES.register("attack_model_replacement")
@dataclass(frozen=True, kw_only=True)
class AttackModelReplacement(AttackBoost):
    """Trains a backdoor into the model (half of its data bear the trigger) and sends ``boost`` times the change."""

    name: ClassVar[str] = "attack_model_replacement"
    reference: ClassVar[str] = "Bagdasaryan et al. 2020, How to backdoor federated learning, AISTATS"
    forgery: ClassVar[Upload] = Upload.REPLACEMENT
