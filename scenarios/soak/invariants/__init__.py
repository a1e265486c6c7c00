"""What must hold in every market, each law a function with a name: of every moment, and of the tables at the end."""

from __future__ import annotations

from scenarios.soak.invariants import books, rounds
from scenarios.soak.invariants.base import AT_EVENTS, AT_THE_END, Broken, Finished, Wrong
from scenarios.soak.invariants.moments import Watch, guard_handlers

__all__ = ["AT_EVENTS", "AT_THE_END", "TOLD", "Broken", "Finished", "Watch", "Wrong", "check_tables", "guard_handlers"]

del books, rounds  # imported to fill the registries

TOLD = {
    "time_goes_forward": "No event is handled before an earlier one.",
    "nobody_absent_acts": "Nothing is ever handled for an owner that is not in the market, and nobody arrives twice.",
    "no_crash": "A market ends without an exception.",
    "no_hang": "A market ends within 300 seconds of processor time.",
    "replay": "The same scenario gives the same bytes in all tables, the event log among them.",
    "resume": "Broken off at any window and gone on with from a checkpoint, a market gives the same bytes.",
}
"""Laws that are not in a registry, as they are about how a market is played."""


def check_tables(found: Finished) -> None:
    """Ask all invariants of a finished market. Raises ``Broken`` for the first that does not hold."""
    for name, invariant in AT_THE_END.items():
        try:
            invariant(found)
        except Wrong as wrong:
            raise Broken(name, str(wrong)) from None
