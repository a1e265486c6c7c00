from __future__ import annotations

import pickle
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.ledger import DEPOSIT, WALLET, Book, Entries, Ledger, Overdraft
from market.parties import MODEL_OWNER, REGULATOR, WORLD, center_party

OWNERS, CENTERS = 5, 2
PARTIES = [*range(OWNERS), WORLD, MODEL_OWNER, REGULATOR, center_party(0), center_party(1)]

rows = st.lists(st.tuples(st.sampled_from(PARTIES), st.sampled_from(PARTIES), st.integers(0, 100)), max_size=8)
batches = st.lists(st.tuples(rows, st.sampled_from(list(Book)), st.sampled_from(list(Book))), max_size=12)


def funded(*, money: int = 1000) -> Ledger:
    ledger = Ledger(OWNERS, CENTERS)
    ledger.post(0, 0, Entries.of("endowment", WORLD, [*range(OWNERS), MODEL_OWNER], money))
    ledger.drain()
    return ledger


def balances(ledger: Ledger) -> dict[tuple[int, int], int]:
    return {(party, book): ledger.balance(party, book) for party in PARTIES for book in Book}


def test_money_moves_from_payer_to_payee() -> None:
    ledger = funded()
    ledger.post(3, 1, Entries.of("payment", MODEL_OWNER, [0, 2], [40, 60]))
    assert ledger.balance(MODEL_OWNER) == 900
    np.testing.assert_array_equal(ledger.wallet, [1040, 1000, 1060, 1000, 1000])


def test_a_deposit_is_locked_beside_the_wallet() -> None:
    ledger = funded()
    ledger.post(0, 0, Entries.of("deposit", [1], [1], [300], payee_book=DEPOSIT))
    assert (ledger.balance(1, WALLET), ledger.balance(1, DEPOSIT)) == (700, 300)
    ledger.post(0, 0, Entries.of("slash", [1], REGULATOR, [200], payer_book=DEPOSIT))
    assert (ledger.balance(1, DEPOSIT), ledger.balance(REGULATOR)) == (100, 200)


def test_the_world_owes_all_the_money_in_the_market() -> None:
    ledger = funded(money=50)
    assert ledger.balance(WORLD) == -50 * (OWNERS + 1)
    assert ledger.imbalance() == 0


@given(batches)
def test_the_books_agree_with_a_plain_count_after_any_batches(history: list[tuple[list, Book, Book]]) -> None:
    ledger = funded(money=120)
    expected: dict[tuple[int, int], int] = defaultdict(int, balances(ledger))
    for batch, payer_book, payee_book in history:
        trial = expected.copy()
        for payer, payee, amount in batch:
            trial[payer, payer_book] -= amount
            trial[payee, payee_book] += amount
        covered = all(money >= 0 for (party, _), money in trial.items() if party != WORLD)
        columns = np.array(batch, dtype=np.int64).reshape(-1, 3).T
        entries = Entries("any", *columns, payer_book=payer_book, payee_book=payee_book)
        if covered:
            ledger.post(1, 1, entries)
            expected = trial
        else:
            with pytest.raises(Overdraft):
                ledger.post(1, 1, entries)
        assert balances(ledger) == dict(expected)
        assert ledger.imbalance() == 0


@given(batches)
def test_the_journal_alone_explains_every_balance(history: list[tuple[list, Book, Book]]) -> None:
    ledger = funded(money=120)
    explained = defaultdict(int, balances(ledger))
    for tick, (batch, payer_book, payee_book) in enumerate(history):
        columns = np.array(batch, dtype=np.int64).reshape(-1, 3).T
        try:
            ledger.post(tick, 7, Entries("any", *columns, payer_book=payer_book, payee_book=payee_book))
        except Overdraft:
            continue
    for posted in ledger.drain():
        assert posted.round == 7
        for payer, payee, amount in zip(posted.payer, posted.payee, posted.amount, strict=True):
            assert amount > 0
            explained[int(payer), posted.payer_book] -= int(amount)
            explained[int(payee), posted.payee_book] += int(amount)
    assert dict(explained) == balances(ledger)
    assert ledger.drain() == []


def test_an_overdraft_leaves_everything_unchanged_and_names_who_is_short() -> None:
    ledger = funded()
    before = balances(ledger)
    with pytest.raises(Overdraft, match=r"^fee: the wallet of owner 3 is 1 micro-units short$"):
        ledger.post(0, 0, Entries.of("fee", [0, 3, 3], REGULATOR, [10, 600, 401]))
    assert balances(ledger) == before
    assert ledger.drain() == []


@pytest.mark.parametrize("party", [0, MODEL_OWNER, REGULATOR, center_party(1)])
def test_nobody_but_the_world_goes_below_zero(party: int) -> None:
    ledger = Ledger(OWNERS, CENTERS)
    with pytest.raises(Overdraft):
        ledger.post(0, 0, Entries.of("cost", party, WORLD, 1))
    ledger.post(0, 0, Entries.of("endowment", WORLD, party, 1))
    ledger.post(0, 0, Entries.of("cost", party, WORLD, 1))


def test_rows_of_a_batch_are_simultaneous() -> None:
    ledger = Ledger(3)
    ledger.post(0, 0, Entries.of("endowment", WORLD, 0, 5))
    ledger.post(0, 0, Entries.of("chain", [2, 1, 0], [0, 2, 1], [5, 5, 5]))
    np.testing.assert_array_equal(ledger.wallet, [5, 0, 0])


def test_rows_of_nothing_are_not_posted() -> None:
    ledger = funded()
    ledger.post(0, 0, Entries.of("payment", MODEL_OWNER, [0, 1, 2], [0, 7, 0]))
    (posted,) = ledger.drain()
    np.testing.assert_array_equal(posted.payee, [1])
    ledger.post(0, 0, Entries.of("payment", MODEL_OWNER, [0, 1], 0))
    assert ledger.drain() == []


def test_the_journal_does_not_change_with_the_callers_arrays() -> None:
    ledger = funded()
    amount = np.array([5, 6])
    ledger.post(0, 0, Entries("payment", np.array([0, 1]), np.array([1, 2]), amount))
    amount[:] = 0
    np.testing.assert_array_equal(ledger.drain()[0].amount, [5, 6])


@pytest.mark.parametrize(
    ("entries", "complaint"),
    [
        (Entries.of("pay", MODEL_OWNER, 0, -1), "negative amount -1"),
        (Entries.of("pay", MODEL_OWNER, OWNERS, 1), f"no account of owner {OWNERS}"),
        (Entries.of("pay", center_party(CENTERS), 0, 1), f"no account of center {CENTERS}"),
        (Entries.of("pay", MODEL_OWNER, -50, 1), "no account of party -50"),
        (Entries.of("pay", WORLD, 0, 2**62 + 1024), "more than 2"),
        (Entries("pay", np.array([0]), np.array([1, 2]), np.array([1])), "one length"),
    ],
)
def test_bad_entries_are_refused_and_change_nothing(entries: Entries, complaint: str) -> None:
    ledger = funded()
    before = balances(ledger)
    with pytest.raises(ValueError, match=complaint):
        ledger.post(0, 0, entries)
    assert balances(ledger) == before


def test_fractions_of_a_micro_unit_are_refused() -> None:
    with pytest.raises(ValueError, match="whole numbers"):
        Entries.of("pay", MODEL_OWNER, 0, 0.5)


def test_new_accounts_are_empty_and_old_ones_keep_their_money() -> None:
    ledger = funded()
    for owners in (6, 7, 40, 1000):
        ledger.open_accounts(owners)
        assert ledger.owners == len(ledger.wallet) == len(ledger.deposit) == owners
        np.testing.assert_array_equal(ledger.wallet[:OWNERS], 1000)
        assert ledger.wallet[OWNERS:].sum() == ledger.deposit.sum() == 0
    ledger.open_accounts(3)
    assert ledger.owners == 1000


def test_columns_cannot_be_written_past_the_ledger() -> None:
    ledger = funded()
    with pytest.raises(ValueError, match="read-only"):
        ledger.wallet[0] = 5
    ledger.post(0, 0, Entries.of("payment", MODEL_OWNER, 0, 1))


@settings(max_examples=20)
@given(st.integers(0, 60), st.integers(0, 60))
def test_a_restored_ledger_continues_like_the_original(first: int, second: int) -> None:
    ledger = funded()
    ledger.post(1, 1, Entries.of("payment", MODEL_OWNER, [0, 1], [first, second]))
    restored = Ledger()
    restored.load_state(pickle.loads(pickle.dumps(ledger.state())))
    for books in (ledger, restored):
        books.open_accounts(9)
        books.post(2, 1, Entries.of("deposit", [0, 1], [0, 1], [second, first], payee_book=DEPOSIT))
        books.post(2, 1, Entries.of("fee", 8, center_party(1), 0))
    assert balances(restored) == balances(ledger)
    assert [(b.tick, b.kind, b.amount.tolist()) for b in restored.drain()] == [
        (b.tick, b.kind, b.amount.tolist()) for b in ledger.drain()
    ]


def test_a_saved_state_does_not_move_with_the_ledger() -> None:
    ledger = funded()
    saved = ledger.state()
    ledger.post(0, 0, Entries.of("payment", MODEL_OWNER, 0, 100))
    restored = Ledger()
    restored.load_state(saved)
    assert restored.balance(0) == 1000
