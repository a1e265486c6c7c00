"""What must hold after every batch of handled events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from agents.population import Status
from market.mechanism import CLAIMS
from market.parties import MODEL_OWNER, REGULATOR, center_party
from scenarios.engine.clock import NOBODY, Happening, Kind
from scenarios.engine.privacy import ANY_LIFETIME
from scenarios.soak.invariants.base import AT_EVENTS, Broken, Wrong, require

if TYPE_CHECKING:
    from scenarios.simulation import Simulation

_FUZZ = 1e-9


@AT_EVENTS.register("books_close")
def books_close(simulation: Simulation, happening: Happening) -> None:
    """The sum over all accounts is zero."""
    imbalance = simulation.world.ledger.imbalance()
    require(imbalance == 0, f"{imbalance} micro-units too many")


@AT_EVENTS.register("no_debts")
def no_debts(simulation: Simulation, happening: Happening) -> None:
    """No account is below zero but that of the world outside."""
    world = simulation.world
    require((world.ledger.wallet >= 0).all(), "an owner's wallet is below zero")
    require((world.ledger.deposit >= 0).all(), "an owner's deposit is below zero")
    for party in (MODEL_OWNER, REGULATOR, *(center_party(number) for number in range(len(world.centers)))):
        for book in (0, 1):
            require(world.ledger.balance(party, book) >= 0, f"party {party} is below zero")


@AT_EVENTS.register("only_members")
def only_members(simulation: Simulation, happening: Happening) -> None:
    """Who is not in the market has no deposit, no place on the graph, no agent, no upload on its way, no slot."""
    world = simulation.world
    active = simulation.population.status == Status.ACTIVE
    members = set(np.flatnonzero(active).tolist())
    require(not world.ledger.deposit[~active].any(), "somebody outside has a deposit")
    require(set(simulation.owners) == members, "agents are not the members")
    require(set(world.graph.owners) == members, "the graph's owners are not the members")
    flying = set(world.flights.owner.tolist())
    require(flying <= members, f"uploads of absent owners {sorted(flying - members)}")
    busy = {owner for center in world.centers for owner in (*center.running(), *center.queue())}
    require(busy <= flying, f"centers work for {sorted(busy - flying)}, who have no upload on its way")


@AT_EVENTS.register("participants_are_members")
def participants_are_members(simulation: Simulation, happening: Happening) -> None:
    """At the plan only members that have answered are counted, and only they are selected."""
    current, world = simulation.world.round, simulation.world
    if happening.kind is not Kind.PLAN or current is None or not current.planned:
        return
    reported = set(current.invited[current.reported].tolist())
    members = set(np.flatnonzero(simulation.population.status == Status.ACTIVE).tolist())
    require(reported <= members, f"participants {sorted(reported - members)} are not in the market")
    started = set(world.flights.owner[world.flights.round == current.number].tolist())
    require(started <= reported, f"selected {sorted(started - reported)} did not answer")


@AT_EVENTS.register("one_upload_at_a_time")
def one_upload_at_a_time(simulation: Simulation, happening: Happening) -> None:
    """Nobody has two uploads on the way, and each is known by a number of its own."""
    flights = simulation.world.flights
    require(len(np.unique(flights.owner)) == len(flights.owner), "an owner has two uploads on the way")
    require(len(np.unique(flights.serial)) == len(flights.serial), "two uploads have one number")


@AT_EVENTS.register("old_models_are_dropped")
def old_models_are_dropped(simulation: Simulation, happening: Happening) -> None:
    """Of the model's versions only those are kept that somebody still trains from."""
    federation = simulation.world.federation
    if federation is not None:
        needed = set(simulation.world.flights.base_version.tolist()) | {federation.version, federation.version - 1}
        kept = set(federation._versions)
        require(kept <= needed, f"versions {sorted(kept - needed)} are kept for nobody")


@AT_EVENTS.register("privacy_within_lifetime")
def privacy_within_lifetime(simulation: Simulation, happening: Happening) -> None:
    """No person has lost more epsilon than it will ever lose, and the owners' column says what the ledger says."""
    accounts, population = simulation.world.accounts, simulation.population
    if accounts is None or len(population) == 0:
        return
    spent, people = accounts.ledger.spent, population.person
    require(np.isfinite(spent).all(), "an epsilon is no number")
    limit = np.where(population.lifetime_privacy >= ANY_LIFETIME, np.inf, population.lifetime_privacy)
    over = spent[people] > limit * (1 + _FUZZ) + _FUZZ
    require(not over.any(), f"persons {people[over][:3].tolist()} lost {spent[people][over][:3].tolist()}")
    require((population.privacy_budget >= 0).all(), "somebody can sell less than nothing")
    told = population.epsilon_spent[population.status == Status.ACTIVE]
    require(np.all(told <= spent[people][population.status == Status.ACTIVE] + _FUZZ), "more is told than was lost")


@AT_EVENTS.register("standing_is_a_share")
def standing_is_a_share(simulation: Simulation, happening: Happening) -> None:
    """Reputations and qualities lie between 0 and 1, and strikes are not negative."""
    population = simulation.population
    for name in ("reputation", "quality"):
        column = getattr(population, name)
        require(((column >= 0) & (column <= 1)).all(), f"a {name} is not between 0 and 1")
    require((population.strikes >= 0).all(), "strikes below zero")


@AT_EVENTS.register("only_declared_lies")
def only_declared_lies(simulation: Simulation, happening: Happening) -> None:
    """Who claims something else than the truth has a strategy that declares that lie; the report says what it said."""
    current, population = simulation.world.round, simulation.population
    # When a round has just opened: truths may change before it is settled.
    if happening.kind is not Kind.OPEN or current is None or current.opened_tick != happening.ticks[0]:
        return
    who = current.decisions.owner
    for claim in CLAIMS:
        said, truth = current.decisions.claims[claim], getattr(population, claim)[who]
        differs = ~((said == truth) | (np.isnan(said) & np.isnan(truth)))
        for owner in who[differs].tolist():
            strategy = simulation.strategies[int(population.strategy[owner])]
            require(claim in strategy.lies_about, f"{strategy.name} lies about {claim} and does not declare it")
        published = getattr(population, f"reported_{claim}")[who]
        require(np.array_equal(said, published, equal_nan=True), f"reported_{claim} is not what was claimed")


class Watch:
    """A probe that asks all invariants of every moment, and that time goes forward. Raises ``Broken``."""

    def __init__(self) -> None:
        self.events = 0
        self._latest = 0

    def __call__(self, simulation: Simulation, happening: Happening) -> None:
        """Look at the market after a batch of events."""
        self.events += len(happening)
        first, last = int(happening.ticks[0]), int(happening.ticks[-1])
        if first < self._latest or (np.diff(happening.ticks) < 0).any():
            raise Broken("time_goes_forward", f"{happening.kind.name} at {first} after {self._latest}")
        self._latest = last
        for name, invariant in AT_EVENTS.items():
            try:
                invariant(simulation, happening)
            except Wrong as wrong:
                raise Broken(name, f"after {happening.kind.name} at tick {last}: {wrong}") from None


def guard_handlers(simulation: Simulation) -> None:
    """Make every handler complain about owners that are not in the market at that moment (or are, if they arrive).

    A process of somebody who has left would be heard of here.
    """
    handlers = simulation.world.clock._handlers
    for kind, handle in list(handlers.items()):
        handlers[kind] = _guarded(simulation, kind, handle)


def _guarded(simulation: Simulation, kind: Kind, handle: Any) -> Any:
    def guarded(happening: Happening) -> None:
        owners = happening.owners[happening.owners != NOBODY]
        here = simulation.population.status[owners] == Status.ACTIVE
        wrong = here if kind is Kind.ARRIVE else ~here
        if wrong.any():
            raise Broken("nobody_absent_acts", f"{kind.name} at {happening.ticks[0]} for {owners[wrong].tolist()}")
        handle(happening)

    return guarded
