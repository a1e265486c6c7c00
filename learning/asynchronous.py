"""What the server makes of the updates in its buffer when they started from different versions of the model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from learning.aggregation import buffered, column_like, fedasync
from learning.columns import FloatColumn
from learning.registry import Registry
from learning.robust import Mean, RobustRule


class Merging(ABC):
    """A way to merge uploads of different ages."""

    robust: ClassVar[bool] = True
    """Whether a robust rule can stand in for the mean."""

    @abstractmethod
    def __call__(
        self,
        current: Tensor,
        uploads: Tensor,
        bases: Tensor,
        weights: FloatColumn,
        discount: FloatColumn,
        rule: RobustRule,
    ) -> Tensor:
        """The aggregate [P] of uploads [K, P], in order of arrival, that started from ``bases`` [K, P].

        ``current`` [P] is the global model, ``discount`` [K] in [0, 1] what age leaves of each, ``weights`` [K] are at
        least 0 and not all 0.
        """


MERGING: Registry[type[Merging]] = Registry("asynchronous merging")


@MERGING.register("fedbuff")
@dataclass(frozen=True)
class FedBuff(Merging):
    """The mean of the discounted updates is added to the model (Nguyen et al. 2022); robust rules replace the mean."""

    def __call__(
        self,
        current: Tensor,
        uploads: Tensor,
        bases: Tensor,
        weights: FloatColumn,
        discount: FloatColumn,
        rule: RobustRule,
    ) -> Tensor:
        if isinstance(rule, Mean):
            return buffered(current, uploads, bases, weights, discount)
        return rule(current + column_like(uploads, discount).unsqueeze(1) * (uploads - bases), weights, current)


@MERGING.register("fedasync")
@dataclass(frozen=True)
class FedAsync(Merging):
    """Each upload in turn: the model goes ``mixing`` · discount of the way to it (Xie et al. 2019, algorithm 1).

    Meant for a buffer of 1. Data sizes play no part, but an upload without weight is left out.
    """

    robust: ClassVar[bool] = False

    mixing: float = 0.6

    def __post_init__(self) -> None:
        if not 0 < self.mixing <= 1:
            raise ValueError(f"mixing must be above 0 and at most 1, got {self.mixing}")

    def __call__(
        self,
        current: Tensor,
        uploads: Tensor,
        bases: Tensor,
        weights: FloatColumn,
        discount: FloatColumn,
        rule: RobustRule,
    ) -> Tensor:
        for upload, weight, factor in zip(uploads, weights, discount, strict=True):
            if weight > 0:
                current = fedasync(current, upload, self.mixing, float(factor))
        return current
