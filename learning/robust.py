"""Aggregation that a minority of arbitrary uploads cannot steer: the rules of ``ROBUST``.

A rule is frozen parameters. Called with uploads [K, P], their weights [K] and the current global model [P] it returns
the aggregate [P], in the type and on the device of the uploads. The result does not depend on the order of the
uploads, up to rounding. Rules that count votes (median, trimmed mean, Krum) ignore the weights: a claimed data size is
itself something an attacker chooses.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from learning.aggregation import fedavg, finite, normalised
from learning.columns import FloatColumn
from learning.pairwise import squared_distances
from learning.registry import Registry

NUMBERS_AT_ONCE = 2**22
"""Numbers that are sorted or subtracted at a time; bounds memory."""


class RobustRule(ABC):
    """A way to aggregate uploads."""

    @property
    def least(self) -> int:
        """Uploads from which on the rule is defined."""
        return 1

    def __call__(self, uploads: Tensor, weights: FloatColumn, current: Tensor) -> Tensor:
        """The aggregate. Raises ``ValueError`` for too few uploads, and for uploads or weights that are no numbers."""
        count = len(uploads)
        if len(weights) != count:
            raise ValueError(f"{count} uploads have {len(weights)} weights")
        if count < self.least:
            raise ValueError(f"{self} needs at least {self.least} uploads, got {count}")
        if not finite(uploads).all():
            raise ValueError("uploads with NaN or infinite weights cannot be aggregated; leave them out")
        return self._combine(uploads, weights, current)

    @abstractmethod
    def _combine(self, uploads: Tensor, weights: FloatColumn, current: Tensor) -> Tensor: ...


ROBUST: Registry[type[RobustRule]] = Registry("robust aggregation rule")


@ROBUST.register("mean")
@dataclass(frozen=True)
class Mean(RobustRule):
    """The weighted mean (FedAvg): not robust, one upload can move it anywhere."""

    def _combine(self, uploads: Tensor, weights: FloatColumn, current: Tensor) -> Tensor:
        return fedavg(uploads, weights)


@ROBUST.register("median")
@dataclass(frozen=True)
class Median(RobustRule):
    """The median of each coordinate (Yin et al. 2018): stays between the honest ones below one half of attackers."""

    def _combine(self, uploads: Tensor, weights: FloatColumn, current: Tensor) -> Tensor:
        low, high = (len(uploads) - 1) // 2, len(uploads) // 2
        return _by_coordinate(uploads, lambda rows: torch.lerp(rows[low], rows[high], 0.5))


@ROBUST.register("trimmed_mean")
@dataclass(frozen=True)
class TrimmedMean(RobustRule):
    """The mean of each coordinate without the ``share`` lowest and the ``share`` highest (Yin et al. 2018).

    floor(share * K) uploads are cut at each end; up to so many attackers cannot leave the range of the honest ones.
    """

    share: float = 0.1

    def __post_init__(self) -> None:
        if not 0 <= self.share < 0.5:
            raise ValueError(f"share must be in [0, 0.5), got {self.share}")

    def _combine(self, uploads: Tensor, weights: FloatColumn, current: Tensor) -> Tensor:
        # A little more than the product: 0.29 * 100 is below 29 in floating point.
        cut = int(self.share * len(uploads) + 1e-9)
        return _by_coordinate(uploads, lambda rows: rows[cut : len(rows) - cut].mean(dim=0))


@ROBUST.register("krum")
@dataclass(frozen=True)
class Krum(RobustRule):
    """The one upload with the smallest sum of squared distances to its K - byzantine - 2 nearest others.

    Blanchard et al. 2017, "Machine learning with adversaries"; of equals the first. Needs K > 2 * byzantine + 2.
    """

    byzantine: int = 1

    def __post_init__(self) -> None:
        _check_byzantine(self.byzantine)

    @property
    def least(self) -> int:
        return 2 * self.byzantine + 3

    def _combine(self, uploads: Tensor, weights: FloatColumn, current: Tensor) -> Tensor:
        return uploads[_krum_order(uploads, self.byzantine)[0]].clone()


@ROBUST.register("multi_krum")
@dataclass(frozen=True)
class MultiKrum(RobustRule):
    """The plain mean of the ``keep`` uploads with the best Krum scores (None: K - byzantine; Blanchard et al. 2017)."""

    byzantine: int = 1
    keep: int | None = None

    def __post_init__(self) -> None:
        _check_byzantine(self.byzantine)
        if self.keep is not None and self.keep < 1:
            raise ValueError(f"keep must be at least 1, got {self.keep}")

    @property
    def least(self) -> int:
        return max(2 * self.byzantine + 3, self.keep or 0)

    def _combine(self, uploads: Tensor, weights: FloatColumn, current: Tensor) -> Tensor:
        keep = len(uploads) - self.byzantine if self.keep is None else self.keep
        return uploads[_krum_order(uploads, self.byzantine)[:keep]].mean(dim=0)


@ROBUST.register("geometric_median")
@dataclass(frozen=True)
class GeometricMedian(RobustRule):
    """The point with the least weighted sum of distances to the uploads (RFA, Pillutla et al. 2022, algorithm 2).

    Weiszfeld steps from the weighted median of each coordinate: v <- mean of the uploads with weights a_k / ||v -
    upload_k||. Where v meets uploads (closer than ``smoothing`` times the median distance), Vardi and Zhang's step
    (2000): away from them if the pull of the others exceeds their weight, else v is the median. They end when one
    moves less than ``tolerance`` times the median distance, or after ``steps``. Robust while attackers hold less than
    half of the weight.
    """

    tolerance: float = 1e-6
    steps: int = 100
    smoothing: float = 1e-6

    def __post_init__(self) -> None:
        _check_not_negative(tolerance=self.tolerance)
        if self.steps < 1:
            raise ValueError(f"steps must be at least 1, got {self.steps}")
        if not (np.isfinite(self.smoothing) and self.smoothing > 0):
            raise ValueError(f"smoothing must be a number above 0, got {self.smoothing}")

    def _combine(self, uploads: Tensor, weights: FloatColumn, current: Tensor) -> Tensor:
        share = torch.from_numpy(normalised(weights)).to(uploads.device)
        centre = _weighted_median(uploads, share)
        for _ in range(self.steps):
            distance = _distances(uploads, centre)
            typical = _weighted_median(distance, share)
            met = distance <= self.smoothing * typical
            if bool(met.all()):
                break
            pull = torch.where(met, 0.0, share / torch.where(met, 1.0, distance))
            others = (pull / pull.sum()).to(uploads.dtype) @ uploads
            way = torch.linalg.vector_norm(others - centre, dtype=torch.float64)
            # Of the pull of the others on an upload that is met, its own weight is held back.
            held = (share[met].sum() / (pull.sum() * way)).clamp(max=1.0) if bool(met.any()) else share.new_zeros(())
            centre = torch.lerp(others, centre, float(held))
            if bool((1.0 - held) * way <= self.tolerance * typical):
                break
        return centre


def _weighted_median(values: Tensor, share: Tensor) -> Tensor:
    """Lower weighted median over the first axis of values [K, ...]; ``share`` [K] sums to 1."""
    ordered, order = values.sort(dim=0)
    reached = share[order].cumsum(dim=0)
    place = (reached < 0.5 * reached[-1:]).sum(dim=0, keepdim=True)
    return ordered.gather(0, place).squeeze(0)


@dataclass(frozen=True)
class _Clipping(RobustRule):
    """Weighted mean of changes to a centre, each cut to L2 norm ``limit`` (None: the median norm of the round).

    A fixed limit bounds how far one round can move the model; the median is the attackers' choice only if they are
    the majority.
    """

    limit: float | None = None

    def __post_init__(self) -> None:
        if self.limit is not None and not (np.isfinite(self.limit) and self.limit > 0):
            raise ValueError(f"limit must be a number above 0 (or none: the median norm), got {self.limit}")

    def _clipped(self, uploads: Tensor, weights: FloatColumn, centre: Tensor) -> Tensor:
        norm = _distances(uploads, centre)
        limit = torch.quantile(norm, 0.5) if self.limit is None else norm.new_tensor(self.limit)
        share = torch.from_numpy(normalised(weights)).to(uploads.device)
        kept = torch.where(norm > limit, share * limit / norm, share)
        return (1 - kept.sum()).to(uploads.dtype) * centre + kept.to(uploads.dtype) @ uploads


@ROBUST.register("norm_clipping")
@dataclass(frozen=True)
class NormClipping(_Clipping):
    """The current model plus the weighted mean of changes clipped to norm ``limit`` (Sun et al. 2019).

    "Can you really backdoor federated learning?"; ``limit`` None stands for the median norm of the round's changes.
    """

    def _combine(self, uploads: Tensor, weights: FloatColumn, current: Tensor) -> Tensor:
        return self._clipped(uploads, weights, current)


@ROBUST.register("centred_clipping")
@dataclass(frozen=True)
class CentredClipping(_Clipping):
    """``steps`` times clipping around the last result, from the current model (Karimireddy, He, Jaggi 2021).

    "Learning from history for Byzantine robust optimization", equation CC.
    """

    steps: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.steps < 1:
            raise ValueError(f"steps must be at least 1, got {self.steps}")

    def _combine(self, uploads: Tensor, weights: FloatColumn, current: Tensor) -> Tensor:
        centre = current
        for _ in range(self.steps):
            centre = self._clipped(uploads, weights, centre)
        return centre


def _by_coordinate(uploads: Tensor, reduce: Callable[[Tensor], Tensor]) -> Tensor:
    """One number per coordinate [P]: ``reduce`` [K, p] -> [p] of the values in ascending order."""
    combined = torch.empty_like(uploads[0])
    width = max(1, NUMBERS_AT_ONCE // len(uploads))
    for begin in range(0, len(combined), width):
        some = slice(begin, begin + width)
        combined[some] = reduce(_ascending(uploads[:, some]))
    return combined


def _ascending(rows: Tensor) -> Tensor:
    """Each column of rows [K, p] sorted. NumPy sorts values alone, which is ten times as fast on a CPU (measured)."""
    if rows.device.type == "cpu":
        return torch.from_numpy(np.sort(rows.detach().numpy(), axis=0))
    return rows.sort(dim=0).values


def _krum_order(uploads: Tensor, byzantine: int) -> Tensor:
    """Rows [K] from the best Krum score to the worst, of equals the first first."""
    distance = squared_distances(uploads).sort(dim=1).values
    # The first is the distance 0 to itself.
    scores = distance[:, 1 : len(uploads) - byzantine - 1].sum(dim=1)
    return scores.argsort(stable=True)


def _distances(uploads: Tensor, centre: Tensor) -> Tensor:
    """L2 distances [K], float64, of uploads [K, P] to a centre [P]."""
    distance = torch.empty(len(uploads), dtype=torch.float64, device=uploads.device)
    height = max(1, NUMBERS_AT_ONCE // max(1, uploads.shape[1]))
    for begin in range(0, len(uploads), height):
        some = slice(begin, begin + height)
        distance[some] = torch.linalg.vector_norm(uploads[some] - centre, dim=1, dtype=torch.float64)
    return distance


def _check_byzantine(count: int) -> None:
    if count < 0:
        raise ValueError(f"byzantine must be at least 0, got {count}")


def _check_not_negative(**values: float) -> None:
    for name, value in values.items():
        if not (np.isfinite(value) and value >= 0):
            raise ValueError(f"{name} must be a number of at least 0, got {value}")
