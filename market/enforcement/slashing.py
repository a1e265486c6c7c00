"""Slashing: how much of its deposit a guilty owner loses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from learning.columns import IntColumn
from learning.registry import Registry
from market.enforcement.bounds import check_amount, check_share
from market.money import floor_micro, to_micro


class Slashing:
    """Turns deposits and earlier strikes into fines; ``sanction`` cuts them at the deposit."""

    name: ClassVar[str]

    def fine(self, share: float, deposit_micro: IntColumn, strikes: IntColumn) -> IntColumn:
        """What a guilty verdict takes, in micro-units; ``share`` is the policy's, ``strikes`` those before it."""
        raise NotImplementedError

    def first(self, share: float, deposit: float) -> float:
        """What the first verdict takes of a ``deposit``, in money: what the board says."""
        raise NotImplementedError


SLASHING: Registry[type[Slashing]] = Registry("slashing schedule")


@SLASHING.register("proportional")
@dataclass(frozen=True)
class Proportional(Slashing):
    """The policy's ``slash_share`` of the deposit, each time."""

    name: ClassVar[str] = "proportional"

    def fine(self, share: float, deposit_micro: IntColumn, strikes: IntColumn) -> IntColumn:
        return floor_micro(share * deposit_micro)

    def first(self, share: float, deposit: float) -> float:
        return deposit * share


@SLASHING.register("flat")
@dataclass(frozen=True)
class Flat(Slashing):
    """The same ``amount`` of money each time, as far as the deposit goes."""

    amount: float
    name: ClassVar[str] = "flat"

    def __post_init__(self) -> None:
        check_amount("amount", self.amount)

    def fine(self, share: float, deposit_micro: IntColumn, strikes: IntColumn) -> IntColumn:
        return np.full(len(deposit_micro), int(to_micro(self.amount)), dtype=np.int64)

    def first(self, share: float, deposit: float) -> float:
        return min(self.amount, deposit)


@SLASHING.register("escalating")
@dataclass(frozen=True)
class Escalating(Slashing):
    """``first_share`` of the deposit at the first verdict, ``factor`` (>= 1) times as much at each further one."""

    name: ClassVar[str] = "escalating"
    first_share: float = 0.25
    factor: float = 2.0

    def __post_init__(self) -> None:
        check_share("first_share", self.first_share)
        check_amount("factor", self.factor)
        if self.factor < 1.0:
            raise ValueError(f"factor: expected a number of at least 1, got {self.factor}")

    def fine(self, share: float, deposit_micro: IntColumn, strikes: IntColumn) -> IntColumn:
        with np.errstate(over="ignore"):
            taken = np.minimum(1.0, self.first_share * self.factor ** strikes.astype(np.float64))
        return floor_micro(taken * deposit_micro)

    def first(self, share: float, deposit: float) -> float:
        return deposit * self.first_share
