"""What owners may expect to be paid for what they mean to send, before they send it.

``Mechanism.recommend`` says what a round is worth to who follows the advice. An owner may mean to offer less, to claim
something else, or to do less than it offers; where pay depends on that, a mechanism quotes for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from learning.columns import BoolColumn, FloatColumn
from market.mechanism import Terms, Types


@dataclass(frozen=True)
class Offers:
    """What owners would send, and the truth that they know beside it; aligned columns.

    ``types`` are true, ``said`` is what they would claim; ``data_share`` of the claimed data is offered, and
    ``work_share`` of the true data really trained on, both in [0, 1]. ``synthetic_volume``: samples that they offer to
    generate; of those that they are told to, the share ``volume_share`` is really made.
    """

    types: Types
    said: Types
    data_share: FloatColumn
    work_share: FloatColumn
    synthetic_volume: FloatColumn
    volume_share: FloatColumn

    def __len__(self) -> int:
        return len(self.types)


@dataclass(frozen=True)
class Quote:
    """``payment`` (money) for the offers if all the others do as in the last round, and which of them are ``taken``.

    Who is not taken trains nothing, is paid nothing and gets no model.
    """

    taken: BoolColumn
    payment: FloatColumn


@runtime_checkable
class Quoting(Protocol):
    """A mechanism whose pay depends on what an owner claims, offers or does beyond the advice for its claims.

    For who follows the advice for its true type, the payment quoted is the expected one of that advice.
    """

    def quote(self, terms: Terms, offers: Offers) -> Quote: ...
