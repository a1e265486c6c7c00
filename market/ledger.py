"""The books: a double-entry ledger in integer micro-units.

Every posting moves an amount from one account to another, so the sum over all accounts is zero at any moment. A
party has two accounts, its wallet and its locked deposit. Only the world outside the market may be in debt: what it
owes is the money that is in the market.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from learning.columns import BoolColumn, IntColumn
from market.parties import MODEL_OWNER, REGULATOR, WORLD, center_party, party_name


class Book(IntEnum):
    """The two accounts of a party."""

    WALLET = 0
    DEPOSIT = 1


WALLET, DEPOSIT = Book.WALLET, Book.DEPOSIT

_INSTITUTIONS = (WORLD, MODEL_OWNER, REGULATOR)
_FIRST_CENTER = center_party(0)
_LARGEST_BATCH = 2**62


class Overdraft(ValueError):
    """A batch would leave somebody below zero; nothing of it was posted. ``str()`` of it is one readable line."""

    def __init__(self, kind: str, party: int, book: Book, short: int) -> None:
        super().__init__(kind, party, book, short)
        self.party = party
        self.line = f"{kind}: the {book.name.lower()} of {party_name(party)} is {short} micro-units short"

    def __str__(self) -> str:
        return self.line


@dataclass(frozen=True)
class Entries:
    """A batch of postings of one kind: ``amount[k]`` micro-units from ``payer[k]`` to ``payee[k]`` (party numbers).

    A party may occur any number of times. All rows count as simultaneous. Rows of amount zero are not posted.
    """

    kind: str
    payer: IntColumn
    payee: IntColumn
    amount: IntColumn
    payer_book: int = WALLET
    payee_book: int = WALLET

    @classmethod
    def of(
        cls,
        kind: str,
        payer: ArrayLike,
        payee: ArrayLike,
        amount: ArrayLike,
        *,
        payer_book: int = WALLET,
        payee_book: int = WALLET,
    ) -> Entries:
        """Build a batch from numbers and columns; numbers stand for a column of equal entries."""
        payers, payees, amounts = np.broadcast_arrays(
            *(np.atleast_1d(_whole(kind, column)) for column in (payer, payee, amount))
        )
        return cls(kind, payers, payees, amounts, payer_book, payee_book)


@dataclass(frozen=True)
class Journal:
    """One posted batch, as the record keeps it; what is one value holds for every row."""

    tick: int | IntColumn
    round: int
    kind: str
    payer: IntColumn
    payer_book: int
    payee: IntColumn
    payee_book: int
    amount: IntColumn

    def __len__(self) -> int:
        return len(self.amount)


class Ledger:
    """Accounts of the world, the model owner, the regulator, the computing centers and ever more owners.

    ``wallet`` and ``deposit`` are read-only columns with one entry per owner id; they are views of the moment, and
    stale after the next ``open_accounts``.
    """

    def __init__(self, owners: int = 0, centers: int = 0) -> None:
        self._centers = centers
        self._first = len(_INSTITUTIONS) + centers  # institutions and centers lie before the first owner
        self._owners = 0
        self._balance = np.zeros((len(Book), self._first), dtype=np.int64)
        self._journal: list[Journal] = []
        self.open_accounts(owners)

    def open_accounts(self, count: int) -> None:
        """Grow to ``count`` owners in all, the new ones with empty accounts; never shrinks."""
        if count <= self._owners:
            return
        if self._first + count > self._balance.shape[1]:
            bigger = np.zeros((len(Book), self._first + max(count, 2 * self._owners)), dtype=np.int64)
            bigger[:, : self._first + self._owners] = self._balance[:, : self._first + self._owners]
            self._balance = bigger
        self._owners = count

    @property
    def owners(self) -> int:
        """Number of owners with accounts."""
        return self._owners

    @property
    def wallet(self) -> IntColumn:
        """Free money of every owner, micro-units."""
        return self._column(WALLET)

    @property
    def deposit(self) -> IntColumn:
        """Locked money of every owner, micro-units."""
        return self._column(DEPOSIT)

    def _column(self, book: Book) -> IntColumn:
        column = self._balance[book, self._first : self._first + self._owners]
        column.flags.writeable = False
        return column

    def balance(self, party: int, book: int = WALLET) -> int:
        """Balance of one account, micro-units. Raises ``ValueError`` for a party without accounts."""
        return int(self._balance[Book(book), self._slots(np.array([party]))[0]])

    def imbalance(self) -> int:
        """Sum over all accounts, which is 0."""
        return int(self._balance.sum())

    def post(self, tick: int | IntColumn, round: int, entries: Entries) -> None:
        """Post a whole batch, or nothing of it; ``tick``: of all rows, or of each.

        Raises ``Overdraft`` when any account but the world's would end below zero (rows are simultaneous: money
        received in the batch covers money spent in it), and ``ValueError`` on columns of different lengths, on a
        negative or fractional amount, on a party without accounts and on a batch of more than 2**62 micro-units.
        """
        paid, received = Book(entries.payer_book), Book(entries.payee_book)
        payer, payee, amount = (_whole(entries.kind, c) for c in (entries.payer, entries.payee, entries.amount))
        if amount.ndim != 1 or not payer.shape == payee.shape == amount.shape:
            raise ValueError(f"{entries.kind}: payer, payee and amount are not columns of one length")
        if amount.size and amount.min() < 0:
            raise ValueError(f"{entries.kind}: negative amount {amount.min()}")
        if float(amount.sum(dtype=np.float64)) > _LARGEST_BATCH:
            raise ValueError(f"{entries.kind}: more than 2**62 micro-units in one batch")
        source, target = self._slots(payer), self._slots(payee)
        moving = amount > 0
        if not moving.all():
            payer, payee, amount, source, target = (c[moving] for c in (payer, payee, amount, source, target))
            tick = tick[moving] if isinstance(tick, np.ndarray) else tick
        if not amount.size:
            return
        np.subtract.at(self._balance[paid], source, amount)
        np.add.at(self._balance[received], target, amount)
        short: BoolColumn = (self._balance[paid, source] < 0) & (payer != WORLD)
        if short.any():
            first = int(np.argmax(short))
            missing = -int(self._balance[paid, source[first]])
            np.add.at(self._balance[paid], source, amount)
            np.subtract.at(self._balance[received], target, amount)
            raise Overdraft(entries.kind, int(payer[first]), paid, missing)
        payer, payee, amount = payer.copy(), payee.copy(), amount.copy()  # the caller may reuse its arrays
        self._journal.append(Journal(tick, round, entries.kind, payer, int(paid), payee, int(received), amount))

    def drain(self) -> list[Journal]:
        """The batches posted since the last drain, in order; empties the journal."""
        drained, self._journal = self._journal, []
        return drained

    def _slots(self, party: IntColumn) -> IntColumn:
        if party.size:
            lowest, highest = party.min(), party.max()
            if lowest >= 0 and highest < self._owners:
                return party + self._first
            if lowest >= min(_INSTITUTIONS) and highest < 0:
                return -1 - party
        center = _FIRST_CENTER - party
        slot = np.where(party >= 0, self._first + party, np.where(center >= 0, len(_INSTITUTIONS) + center, -1 - party))
        known = (party < self._owners) & np.where(center >= 0, center < self._centers, party >= min(_INSTITUTIONS))
        if not known.all():
            raise ValueError(f"no account of {_describe(int(party[np.argmin(known)]))}")
        return np.asarray(slot, dtype=np.int64)

    def state(self) -> dict[str, Any]:
        """Everything needed to continue: balances [2, parties], the number of centers, the journal not yet drained."""
        used = self._first + self._owners
        return {
            "balance": self._balance[:, :used].copy(),
            "centers": self._centers,
            "journal": [asdict(batch) for batch in self._journal],
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue from ``state()``."""
        self._balance = np.array(state["balance"], dtype=np.int64)
        self._centers = int(state["centers"])
        self._first = len(_INSTITUTIONS) + self._centers
        self._owners = self._balance.shape[1] - self._first
        self._journal = [Journal(**batch) for batch in state["journal"]]


def _whole(kind: str, column: ArrayLike) -> IntColumn:
    """The column as integers; a fraction of a micro-unit would vanish without a trace."""
    given = np.asarray(column)
    if given.size and not np.issubdtype(given.dtype, np.integer):
        raise ValueError(f"{kind}: expected whole numbers, got {given.dtype}")
    return given.astype(np.int64, copy=False)


def _describe(party: int) -> str:
    try:
        return party_name(party)
    except KeyError:
        return f"party {party}"
