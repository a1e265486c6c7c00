"""Admission: what an owner pays to the regulator each time that it joins.

Mechanisms may ask for an admission of their own: ``ipfl`` has late joiners pay those who were there before them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from learning.columns import FloatColumn, IntColumn
from learning.registry import Registry
from market.enforcement.bounds import check_amount
from market.money import LARGEST_AMOUNT


class Admission:
    """Turns the policy's fee and the rounds that an owner has missed into what it pays."""

    name: ClassVar[str]

    def fee(self, base: float, missed: IntColumn) -> FloatColumn:
        """Money to pay; ``base`` is the policy's fee, ``missed`` rounds in which no upload of the owner arrived."""
        raise NotImplementedError


ADMISSION: Registry[type[Admission]] = Registry("admission")


@ADMISSION.register("flat")
@dataclass(frozen=True)
class FlatAdmission(Admission):
    """The same for everybody: ``enforcement.admission_fee``."""

    name: ClassVar[str] = "flat"

    def fee(self, base: float, missed: IntColumn) -> FloatColumn:
        return np.full(len(missed), base)


@ADMISSION.register("missed_rounds")
@dataclass(frozen=True)
class LateAdmission(Admission):
    """``enforcement.admission_fee`` and ``per_round`` money for each round missed: waiting for others does not pay."""

    per_round: float
    name: ClassVar[str] = "missed_rounds"

    def __post_init__(self) -> None:
        check_amount("per_round", self.per_round)

    def fee(self, base: float, missed: IntColumn) -> FloatColumn:
        return np.asarray(np.minimum(base + self.per_round * missed, LARGEST_AMOUNT), dtype=np.float64)
