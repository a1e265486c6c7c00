"""The free-riding family: nothing is trained, something else is uploaded, the reward is collected.

A free rider has no training cost, so no promised payment is too small for it: it always takes part, and it offers its
data as one who trains would.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from agents.parameters import FACTOR, NOT_NEGATIVE, Bounds, check_number, check_whole
from agents.strategies.base import STRATEGIES, Observation, Strategy, Work
from learning.columns import BoolColumn, FloatColumn
from learning.uploads import Upload
from market.mechanism import DATA_SIZE, GAIN_SCALE, SHARING_COST

_FRABONI = "Fraboni, Vidal, Lorenzi 2021, Free-rider attacks on model aggregation, AISTATS, arXiv:2006.11901"
_LIN = "Lin, Du, Liu 2019, Free-riders in federated learning: attacks and defenses, arXiv:1911.12560"
_LI = "Li et al. 2020, BLADE-FL with lazy clients, arXiv:2012.02044"


@dataclass(frozen=True, kw_only=True)
class FreeRider(Strategy):
    """Uploads a forgery and claims ``claim_factor`` (> 0) times the samples it holds."""

    family: ClassVar[str] = "free_rider"
    trains: ClassVar[bool] = False
    forgery: ClassVar[Upload]

    claim_factor: float = 1.0

    def __post_init__(self) -> None:
        check_number("claim_factor", self.claim_factor, FACTOR)
        lies_about = frozenset({DATA_SIZE}) if self.claim_factor != 1.0 else frozenset[str]()
        self._declare(lies_about=lies_about, stochastic=False)

    def report(self, seen: Observation) -> Mapping[str, FloatColumn]:
        truth = super().report(seen)
        return {**truth, DATA_SIZE: truth[DATA_SIZE] * self.claim_factor}

    def takes_part(self, seen: Observation) -> BoolColumn:
        """Always: with no cost of its own, it loses nothing."""
        return np.ones(len(seen), dtype=np.bool_)

    def offer(self, seen: Observation) -> FloatColumn:
        """The advised share where training is advised, everything where an honest owner would stay away."""
        advised = seen.advice.data_share
        return np.where(seen.advice.participate & (advised > 0.0), advised, 1.0)

    def upload_scale(self) -> float:
        """Parameter of the forgery (see ``Work.scale``)."""
        return 1.0

    def sends(self) -> frozenset[Upload]:
        return frozenset({self.forgery})

    def train(self, seen: Observation) -> Work:
        """Train on nothing and send the forgery."""
        count = len(seen)
        kind = np.full(count, self.forgery, dtype=np.int8)
        return Work(np.zeros(count), kind, np.full(count, float(self.upload_scale())))


@dataclass(frozen=True, kw_only=True)
class NoisyFreeRider(FreeRider):
    """Sends something with noise of ``scale`` (> 0) times the published norm."""

    scale: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("scale", self.scale, FACTOR)

    def upload_scale(self) -> float:
        """Multiple of the published update norm."""
        return self.scale


@STRATEGIES.register("free_rider_global")
@dataclass(frozen=True, kw_only=True)
class FreeRiderGlobal(FreeRider):
    """Sends the global model back unchanged (plain free riding)."""

    name: ClassVar[str] = "free_rider_global"
    reference: ClassVar[str] = _FRABONI
    forgery: ClassVar[Upload] = Upload.GLOBAL_COPY


@STRATEGIES.register("free_rider_replay")
@dataclass(frozen=True, kw_only=True)
class FreeRiderReplay(FreeRider):
    """Sends the last known update again (the delta-weights attack)."""

    name: ClassVar[str] = "free_rider_replay"
    reference: ClassVar[str] = _LIN
    forgery: ClassVar[Upload] = Upload.REPLAY


@STRATEGIES.register("free_rider_noise")
@dataclass(frozen=True, kw_only=True)
class FreeRiderNoise(NoisyFreeRider):
    """Sends Gaussian noise whose norm is ``scale`` (> 0) times the published one (disguised free riding).

    The decision draws nothing; the noise itself is drawn where the upload is forged, so ``stochastic`` is False.
    """

    name: ClassVar[str] = "free_rider_noise"
    reference: ClassVar[str] = _FRABONI
    forgery: ClassVar[Upload] = Upload.NOISE


@STRATEGIES.register("free_rider_stealthy")
@dataclass(frozen=True, kw_only=True)
class FreeRiderStealthy(NoisyFreeRider):
    """Sends its own last upload again, with noise of ``scale`` (> 0) times the published norm so that no two are equal.

    It trains like an honest owner until ``train_rounds`` of its uploads have arrived (0: never, then what it sends
    first is the model that it got) and rides on from there. The decision draws nothing: ``stochastic`` is False.
    """

    name: ClassVar[str] = "free_rider_stealthy"
    reference: ClassVar[str] = _FRABONI
    forgery: ClassVar[Upload] = Upload.OWN_LAST

    scale: float = 0.05
    train_rounds: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("train_rounds", self.train_rounds, NOT_NEGATIVE)

    def sends(self) -> frozenset[Upload]:
        return frozenset({self.forgery, Upload.TRAINED})

    def _still_trains(self, seen: Observation) -> BoolColumn:
        early: BoolColumn = seen.own.rounds_taken < self.train_rounds
        return early

    def takes_part(self, seen: Observation) -> BoolColumn:
        """As advised while it trains, for that costs it what it costs others; always from then on."""
        return np.where(self._still_trains(seen), seen.advice.participate, super().takes_part(seen))

    def train(self, seen: Observation) -> Work:
        """Train on the advised share at first; send the last upload again later."""
        early, ridden = self._still_trains(seen), super().train(seen)
        upload = np.where(early, np.int8(Upload.TRAINED), ridden.upload)
        return Work(np.where(early, seen.advice.data_share, 0.0), upload, np.where(early, 1.0, ridden.scale))


@STRATEGIES.register("free_rider_copy")
@dataclass(frozen=True, kw_only=True)
class FreeRiderCopy(FreeRider):
    """Sends a copy of the model that a peer shared with it (a lazy client's plagiarism)."""

    name: ClassVar[str] = "free_rider_copy"
    reference: ClassVar[str] = _LI
    forgery: ClassVar[Upload] = Upload.PEER_COPY


@STRATEGIES.register("free_rider_copy_noise")
@dataclass(frozen=True, kw_only=True)
class FreeRiderCopyNoise(NoisyFreeRider):
    """Sends a copy of a peer's model with noise of ``scale`` (> 0) times the published norm, to hide the plagiarism."""

    name: ClassVar[str] = "free_rider_copy_noise"
    reference: ClassVar[str] = _LI
    forgery: ClassVar[Upload] = Upload.NOISY_COPY

    scale: float = 0.05


@STRATEGIES.register("free_rider_scaled")
@dataclass(frozen=True, kw_only=True)
class FreeRiderScaled(NoisyFreeRider):
    """Sends the last known update again, multiplied by ``scale`` (> 0), as updates shrink or grow in training."""

    name: ClassVar[str] = "free_rider_scaled"
    reference: ClassVar[str] = _LIN
    forgery: ClassVar[Upload] = Upload.SCALED_REPLAY

    scale: float = 0.8


@STRATEGIES.register("free_rider_resale")
@dataclass(frozen=True, kw_only=True)
class FreeRiderResale(FreeRider):
    """Buys to sell: claims ``eagerness`` times its gain scale, as much less sharing cost, and sends what it bought."""

    name: ClassVar[str] = "free_rider_resale"
    lies_about: ClassVar[frozenset[str]] = frozenset({GAIN_SCALE, SHARING_COST})
    reference: ClassVar[str] = _LI
    forgery: ClassVar[Upload] = Upload.PEER_COPY

    eagerness: float = 3.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("eagerness", self.eagerness, Bounds(at_least=1, at_most=1e6))
        if self.eagerness > 1.0:
            self._declare(lies_about=self.lies_about | {GAIN_SCALE, SHARING_COST})

    def report(self, seen: Observation) -> Mapping[str, FloatColumn]:
        claims = super().report(seen)
        return {
            **claims,
            GAIN_SCALE: claims[GAIN_SCALE] * self.eagerness,
            SHARING_COST: claims[SHARING_COST] / self.eagerness,
        }


@STRATEGIES.register("free_rider_partial")
@dataclass(frozen=True, kw_only=True)
class FreeRiderPartial(Strategy):
    """Offers what is advised and really trains on the part ``trained_share`` (> 0, below 1) of that: moral hazard."""

    name: ClassVar[str] = "free_rider_partial"
    family: ClassVar[str] = "free_rider"
    reference: ClassVar[str] = "Holmström 1982, Moral hazard in teams, Bell J. Econ. 13(2)"

    trained_share: float = 0.2

    def __post_init__(self) -> None:
        check_number("trained_share", self.trained_share, Bounds(above=0, below=1))

    def train(self, seen: Observation) -> Work:
        honest = super().train(seen)
        return replace(honest, data_share=self.trained_share * honest.data_share)
