"""Why stays end: competing causes, one of which ends each stay."""

from __future__ import annotations

from enum import IntEnum


class ExitCause(IntEnum):
    """What ended a stay; the episodes table has the name in lower case."""

    END_OF_RUN = 0  # nothing: it is there at the end (censored)
    DISAPPOINTED = 1  # its utility stayed below the outside option
    REGRET = 2  # cumulated regret
    WORD_OF_MOUTH = 3  # content itself, but those that share with it were not
    STRATEGY = 4  # its strategy had it leave
    MOVED_AWAY = 5  # by chance, whatever it earned
    END_OF_TRACE = 6  # the trace that brought it says so
    SOLD_OUT = 7  # no privacy left to sell
    REFUSED_BILL = 8  # would not pay what it was to buy
    BROKE = 9  # could not pay for training, its bill or its deposit
    EXPELLED = 10  # thrown out, this identity for life
    BANNED = 11  # thrown out for some rounds, or as a person under any name
    NEW_NAME = 12  # its strategy had it leave, to come back under a new identity
