"""Who can hold money. Owners are numbered 0, 1, 2, ...; everybody else has a negative number."""

from __future__ import annotations

from typing import TypeVar

from learning.columns import IntColumn

WORLD = -1  # everything outside the market: endowments and revenue come from it, operating costs go to it
MODEL_OWNER = -2
REGULATOR = -3
_FIRST_CENTER = -100


Number = TypeVar("Number", int, IntColumn)


def center_party(center: Number) -> Number:
    """Party number of computing center 0, 1, 2, ..., or a column of them."""
    return _FIRST_CENTER - center


def party_name(party: int) -> str:
    """Readable name of a party, as the report prints it."""
    if party >= 0:
        return f"owner {party}"
    if party <= _FIRST_CENTER:
        return f"center {_FIRST_CENTER - party}"
    return {WORLD: "world", MODEL_OWNER: "model owner", REGULATOR: "regulator"}[party]
