"""Bans: whom an expulsion keeps out, and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from learning.registry import Registry

FOR_LIFE = 2**62
"""A round that no run reaches."""


@dataclass(frozen=True)
class Ban:
    """An expulsion keeps out for ``rounds`` rounds (0: for life)."""

    name: ClassVar[str]
    whole_person: ClassVar[bool]
    rounds: int = 0

    def __post_init__(self) -> None:
        if self.rounds < 0:
            raise ValueError(f"rounds: expected a number of rounds, got {self.rounds}")

    def until(self, round: int) -> int:
        """The first round in which one that was expelled in ``round`` may come back."""
        return FOR_LIFE if self.rounds == 0 else round + 1 + self.rounds


BANS: Registry[type[Ban]] = Registry("ban")


@BANS.register("identity")
@dataclass(frozen=True)
class IdentityBan(Ban):
    """Keeps out the identity for ``rounds`` rounds (0: for life); its person may come back under a new name."""

    name: ClassVar[str] = "identity"
    whole_person: ClassVar[bool] = False


@BANS.register("person")
@dataclass(frozen=True)
class PersonBan(Ban):
    """Keeps out the person under any name for ``rounds`` rounds (0: for life): identities are verified."""

    name: ClassVar[str] = "person"
    whole_person: ClassVar[bool] = True
