"""Deposits: how much each owner has to lock while it is in the market."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from learning.columns import FloatColumn, IntColumn
from learning.registry import Registry
from market.enforcement.bounds import check_amount
from market.money import LARGEST_AMOUNT, to_micro


class DepositSchedule:
    """Turns the policy's deposit, claims and strikes into what each owner must lock."""

    name: ClassVar[str]

    def required(self, base: float, claimed: FloatColumn, strikes: IntColumn) -> IntColumn:
        """Micro-units; ``base`` is the policy's deposit, ``claimed`` samples, ``strikes`` guilty verdicts so far."""
        raise NotImplementedError


DEPOSITS: Registry[type[DepositSchedule]] = Registry("deposit schedule")


@DEPOSITS.register("flat")
@dataclass(frozen=True)
class FlatDeposit(DepositSchedule):
    """The same for everybody: ``enforcement.deposit``."""

    name: ClassVar[str] = "flat"

    def required(self, base: float, claimed: FloatColumn, strikes: IntColumn) -> IntColumn:
        return np.full(len(claimed), int(to_micro(base)), dtype=np.int64)


@DEPOSITS.register("proportional")
@dataclass(frozen=True)
class ProportionalDeposit(DepositSchedule):
    """``enforcement.deposit`` and ``per_sample`` money for each sample claimed: who claims more has more to lose."""

    per_sample: float
    name: ClassVar[str] = "proportional"

    def __post_init__(self) -> None:
        check_amount("per_sample", self.per_sample)

    def required(self, base: float, claimed: FloatColumn, strikes: IntColumn) -> IntColumn:
        more = self.per_sample * np.maximum(0.0, np.nan_to_num(claimed))
        return to_micro(np.minimum(base + more, LARGEST_AMOUNT))


@DEPOSITS.register("escalating")
@dataclass(frozen=True)
class EscalatingDeposit(DepositSchedule):
    """``enforcement.deposit``, ``factor`` (>= 1) times as much after each guilty verdict, at most ``most`` times."""

    name: ClassVar[str] = "escalating"
    factor: float = 2.0
    most: float = 8.0

    def __post_init__(self) -> None:
        for name in ("factor", "most"):
            check_amount(name, getattr(self, name))
            if getattr(self, name) < 1.0:
                raise ValueError(f"{name}: expected a number of at least 1, got {getattr(self, name)}")

    def required(self, base: float, claimed: FloatColumn, strikes: IntColumn) -> IntColumn:
        with np.errstate(over="ignore"):
            times = np.minimum(self.most, self.factor ** strikes.astype(np.float64))
        return to_micro(np.minimum(base * times, LARGEST_AMOUNT))
