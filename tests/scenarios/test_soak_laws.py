"""Every law of the soak is broken here once, by hand, and notices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
from market_runs import small

from agents.population import Status
from agents.strategies.base import STRATEGIES, Observation, Strategy
from learning.columns import FloatColumn
from market.baselines import Proportional
from market.ledger import DEPOSIT, WALLET
from market.mechanism import DATA_SIZE, MECHANISMS, Allocation, Outcome, Settlement, Terms, Transfers
from market.parties import MODEL_OWNER, WORLD
from scenarios.engine.clock import NOBODY, Happening, Kind
from scenarios.schema import Scenario
from scenarios.simulation import Simulation
from scenarios.soak.invariants import (
    AT_EVENTS,
    AT_THE_END,
    TOLD,
    Broken,
    Finished,
    Watch,
    Wrong,
    check_tables,
    guard_handlers,
)
from scenarios.soak.trial import KeptTables, digests, play_watched, try_market

QUICK: dict[str, Any] = {"horizon": 5, "learning": {"enabled": False}}
Sabotage = Callable[[Simulation, Happening], None]


@pytest.fixture(scope="module")
def market() -> Finished:
    """A market with audits, expulsions, newcomers and lies, in which every law holds."""
    found = play_watched(small(**QUICK))
    check_tables(found)
    return found


# ---- laws of every moment ---------------------------------------------------------------------------------------------


def leak(simulation: Simulation, happening: Happening) -> None:
    simulation.world.ledger._balance[0, -1] += 1


def debt(simulation: Simulation, happening: Happening) -> None:
    ledger = simulation.world.ledger
    ledger._balance[WALLET, ledger._first] -= 10**9
    ledger._balance[WALLET, 0] += 10**9


def deposit_of_nobody(simulation: Simulation, happening: Happening) -> None:
    simulation.population.status[simulation.population.active()[0]] = Status.LEFT


def answer_of_nobody(simulation: Simulation, happening: Happening) -> None:
    if simulation.world.round is not None:
        simulation.world.round.reported[:] = False


def two_uploads(simulation: Simulation, happening: Happening) -> None:
    simulation.world.flights.owner[:] = simulation.world.flights.owner[:1]


def standing(simulation: Simulation, happening: Happening) -> None:
    simulation.population.reputation[0] = 1.5


def lie(simulation: Simulation, happening: Happening) -> None:
    current = simulation.world.round
    if current is not None:
        honest = simulation.population.strategy[current.decisions.owner] == 0
        current.decisions.claims[DATA_SIZE][honest] += 1.0


@pytest.mark.parametrize(
    ("law", "sabotage", "moment"),
    [
        ("books_close", leak, Kind.PLAN),
        ("no_debts", debt, Kind.PLAN),
        ("only_members", deposit_of_nobody, Kind.PLAN),
        ("participants_are_members", answer_of_nobody, Kind.PLAN),
        ("one_upload_at_a_time", two_uploads, Kind.PLAN),
        ("standing_is_a_share", standing, Kind.PLAN),
        ("only_declared_lies", lie, Kind.OPEN),
    ],
)
def test_a_law_of_every_moment_notices_when_it_is_broken(law: str, sabotage: Sabotage, moment: Kind) -> None:
    def meddle(simulation: Simulation, happening: Happening) -> None:
        if happening.kind is moment:
            sabotage(simulation, happening)

    scenario = small(**QUICK)
    simulation = Simulation(scenario=scenario, device="cpu", recorder=KeptTables(), probes=[meddle, Watch()])
    with pytest.raises(Broken) as broken:
        simulation.run()
    assert broken.value.invariant == law


def test_a_model_that_nobody_needs_any_more_is_noticed() -> None:
    def hoard(simulation: Simulation, happening: Happening) -> None:
        federation = simulation.world.federation
        assert federation is not None
        federation._versions._weights[10**6] = federation._versions.at(federation.version)

    scenario = small(horizon=2)
    with pytest.raises(Broken, match=("old_models_are_dropped")):
        Simulation(scenario=scenario, device="cpu", recorder=KeptTables(), probes=[hoard, Watch()]).run()


def test_privacy_beyond_a_lifetime_is_noticed() -> None:
    def overspend(simulation: Simulation, happening: Happening) -> None:
        accounts = simulation.world.accounts
        assert accounts is not None
        accounts.ledger.spent[:] = 3.0

    types = {"privacy_budget": 1.0, "lifetime_privacy": 2.0, "valuation": 0.1}
    scenario = small(**QUICK, market={"mechanism": "privacy_auction"}, population={"types": types})
    check_tables(play_watched(scenario))
    with pytest.raises(Broken, match=("privacy_within_lifetime")):
        Simulation(scenario=scenario, device="cpu", recorder=KeptTables(), probes=[overspend, Watch()]).run()


def test_an_event_of_the_past_is_noticed() -> None:
    watch, simulation = Watch(), Simulation(scenario=small(**QUICK), device="cpu", recorder=KeptTables())
    simulation.step()
    columns = (np.array([5]), np.array([NOBODY]), np.array([0]))
    watch(simulation, Happening(Kind.OPEN, *columns))
    with pytest.raises(Broken, match=("time_goes_forward")):
        watch(simulation, Happening(Kind.OPEN, np.array([4]), *columns[1:]))


def test_an_event_for_somebody_who_has_left_is_noticed() -> None:
    simulation = Simulation(scenario=small(**QUICK), device="cpu", recorder=KeptTables())
    guard_handlers(simulation)
    simulation.world.clock._valid = lambda kind, owners, stays: np.ones(len(owners), dtype=np.bool_)
    simulation.step()
    simulation.world.clock.at(Kind.ARRIVE, simulation.now, int(simulation.population.active()[0]))
    with pytest.raises(Broken, match=("nobody_absent_acts")):
        simulation.step()


# ---- laws of a finished market ----------------------------------------------------------------------------------------


def rows(found: Finished, table: str) -> pd.DataFrame:
    return found.table(table)


def first(found: Finished, table: str, column: str, value: Any) -> None:
    """Change one number in the first row of a table."""
    frame = rows(found, table)
    frame[column] = frame[column].astype(object) if isinstance(value, str) else frame[column]
    frame.loc[frame.index[0], column] = value


def last(found: Finished, table: str, column: str, more: float) -> None:
    frame = rows(found, table)
    frame.loc[frame.index[-1], column] += more


def doubled(found: Finished, table: str, **where: Any) -> None:
    """Have the first such row of a table twice."""
    frame = rows(found, table)
    fits = np.logical_and.reduce([(frame[name] == value).to_numpy() for name, value in where.items()])
    found.__dict__["_tables"][table] = pd.concat([frame, frame[fits].iloc[:1]], ignore_index=True)


def relabelled(found: Finished, table: str, column: str, old: str, new: str) -> None:
    frame = rows(found, table)
    frame[column] = frame[column].astype(str).replace({old: new})


BREACHES: list[tuple[str, Callable[[Finished], None]]] = [
    ("money_has_a_source", lambda found: relabelled(found, "transfers", "kind", "endowment", "gift")),
    ("transfers_are_balances", lambda found: last(found, "transfers", "amount_micro", 1)),
    ("settled_once", lambda found: doubled(found, "transfers", kind="payment")),
    ("rounds_say_what_was_booked", lambda found: last(found, "rounds", "paid", 0.01)),
    ("budget_is_kept", lambda found: first(found, "rounds", "budget", 0.0)),
    ("utilities_add_up", lambda found: last(found, "episodes", "utility", 0.01)),
    ("utilities_from_true_types", lambda found: first(found, "owners", "utility", 77.0)),
    ("training_at_true_cost", lambda found: first(found, "owners", "cost", 0.0)),
    ("columns_are_finite", lambda found: first(found, "owners", "payment", np.nan)),
    ("shares_are_shares", lambda found: first(found, "owners", "reputation", 1.01)),
    ("every_stay_is_told", lambda found: first(found, "episodes", "exit_cause", "regret_of_nobody")),
    ("every_stay_is_told", lambda found: doubled(found, "episodes", stay=1)),
    ("the_summary_counts", lambda found: first(found, "runs", "exits", 999)),
    ("events_in_order", lambda found: last(found, "events", "tick", -(10**9))),
    ("rounds_are_logged", lambda found: first(found, "rounds", "selected", 999)),
    ("counts_are_events", lambda found: first(found, "rounds", "audited", 999)),
    ("uploads_are_accounted_for", lambda found: first(found, "rounds", "late", 999)),
    ("owners_are_the_rounds", lambda found: first(found, "rounds", "trained", 999)),
    ("edges_are_payments", lambda found: first(found, "edges", "payment", 999.0)),
    ("audits_are_the_rounds", lambda found: doubled(found, "audits", round=0)),
    ("rounds_fit_in_time", lambda found: first(found, "rounds", "closed_tick", 10**12)),
]


@pytest.mark.parametrize(("law", "breach"), BREACHES, ids=[f"{law}-{n}" for n, (law, _) in enumerate(BREACHES)])
def test_a_law_of_the_tables_notices_when_it_is_broken(
    market: Finished, law: str, breach: Callable[[Finished], None]
) -> None:
    copy = Finished(market.simulation, market.recorder)
    copy.__dict__["_tables"] = {name: market.table(name).copy() for name in market._tables}
    breach(copy)
    with pytest.raises(Wrong):
        AT_THE_END[law](copy)


def test_every_law_is_broken_in_this_module() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    for law in {*AT_EVENTS, *AT_THE_END, *TOLD} - {"no_hang"}:  # that one in test_soak_command
        assert f'"{law}"' in text, law


# ---- laws of playing, and planted faults --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mint(Proportional):
    """Pays everybody a gift that nobody gives."""

    name: ClassVar[str] = "mint"

    def settle(self, terms: Terms, allocation: Allocation, outcome: Outcome) -> Settlement:
        plain = super().settle(terms, allocation, outcome)
        count = len(allocation)
        plain.further["gift"] = Transfers(np.full(count, WORLD), allocation.owner, np.ones(count))  # type: ignore[index]
        return plain


@dataclass(frozen=True)
class PayTwice(Proportional):
    """Lists every payment twice."""

    name: ClassVar[str] = "pay_twice"

    def settle(self, terms: Terms, allocation: Allocation, outcome: Outcome) -> Settlement:
        plain = super().settle(terms, allocation, outcome)
        paid = plain.transfers
        plain.further["payment"] = Transfers(paid.payer, paid.payee, paid.amount)  # type: ignore[index]
        return plain


@dataclass(frozen=True)
class Stumble(Proportional):
    """Fails in its second round."""

    name: ClassVar[str] = "stumble"

    def settle(self, terms: Terms, allocation: Allocation, outcome: Outcome) -> Settlement:
        if terms.round == 1:
            raise ZeroDivisionError("a division by nothing")
        return super().settle(terms, allocation, outcome)


COUNT = iter(range(10**9))


@dataclass(frozen=True)
class Moody(Strategy):
    """Claims something else whenever it is asked, by a counter that nobody keeps."""

    name: ClassVar[str] = "moody"
    lies_about: ClassVar[frozenset[str]] = frozenset({DATA_SIZE})

    def report(self, seen: Observation) -> dict[str, FloatColumn]:
        return {**super().report(seen), DATA_SIZE: seen.own.data_size + next(COUNT) % 97}


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in (Mint, PayTwice, Stumble):
        monkeypatch.setitem(MECHANISMS._entries, kind.name, kind)
    monkeypatch.setitem(STRATEGIES._entries, Moody.name, Moody)


@pytest.mark.parametrize(
    ("law", "change"),
    [
        ("money_has_a_source", {"market": {"mechanism": "mint"}}),
        ("settled_once", {"market": {"mechanism": "pay_twice"}}),
        ("no_crash", {"market": {"mechanism": "stumble"}}),
        ("replay", {"population": {"strategies": [{"name": "moody"}]}}),
    ],
)
def test_a_planted_fault_is_found(planted: None, law: str, change: dict[str, Any]) -> None:
    scenario = Scenario.model_validate(small(**{**QUICK, **change}).model_dump(mode="json"))
    verdict = try_market(scenario)
    assert verdict.broken == law
    assert "\n" not in verdict.said


def test_state_that_a_checkpoint_forgets_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    import scenarios.soak.trial as trial

    put_back = trial.put_back

    def forgetful(snapshot: Any, simulation: Simulation, buffers: Any) -> None:
        put_back(snapshot, simulation, buffers)
        simulation.population.strikes[:] += 1

    monkeypatch.setattr(trial, "put_back", forgetful)
    verdict = try_market(small(**QUICK), again=False, broken_off_after=3)
    assert verdict.broken == "resume"


def test_the_same_bytes_have_the_same_digest_and_one_other_row_has_not(market: Finished) -> None:
    again = play_watched(small(**QUICK))
    assert digests(again.recorder) == digests(market.recorder)
    other = play_watched(small(**QUICK, seed=2))
    assert digests(other.recorder)["events"] != digests(market.recorder)["events"]


def test_balances_are_seen_party_by_party(market: Finished) -> None:
    assert MODEL_OWNER in market.parties
    assert market.simulation.world.ledger.balance(MODEL_OWNER, DEPOSIT) == 0
