"""Privacy as something that runs out: what was sold in a round, what is sent for it, what is lost, what is left.

Where the mechanism buys epsilon, an owner's upload is clipped and gets the noise of what it sold. A ledger adds the
losses up, person by person, whatever identities they use. What is left bounds what an owner can sell next: the column
``privacy_budget``. Who has next to nothing left has sold out, and waits or leaves as the scenario says.

An upload counts as sent when it has arrived in time. What comes too late is thrown away unseen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from agents.participation import ExitCause
from agents.population import Status
from learning.columns import BoolColumn, FloatColumn, IntColumn
from learning.privacy.aggregation_weights import AGGREGATION_WEIGHTS, least_error_weights
from learning.privacy.ledger import PrivacyLedger
from learning.privacy.terms import NeighbouringRelation, PrivacyTerms
from learning.uploads import works
from market.mechanism import PRIVACY_BUDGET, Allocation
from scenarios.engine.clock import Kind
from scenarios.engine.decisions import Decisions
from scenarios.engine.settled import Settled
from scenarios.engine.world import World
from scenarios.registries import mechanisms
from scenarios.schema import PrivacySpec, Scenario

ANY_LIFETIME = 1e6
"""A lifetime budget of so much epsilon, or more, is no limit."""
SOLD_OUT = 0.01
"""Who can sell less than this part of what it sells in a round has sold out."""
NOTHING = -1

Weigh = Callable[[FloatColumn, FloatColumn], FloatColumn]


@dataclass
class PrivacyAccounts:
    """What each person has lost: rows of ``ledger`` are persons. ``weigh`` makes weights of epsilon and data sizes.

    ``last``: the number of the round in which a person last sent something, so that nobody ever does so twice under
    one draw of the noise, which would cancel.
    """

    terms: PrivacyTerms
    weigh: Weigh
    leaves: bool
    ledger: PrivacyLedger = field(init=False)
    last: IntColumn = field(init=False)

    def __post_init__(self) -> None:
        self.ledger = PrivacyLedger(self.terms, np.zeros(0))
        self.last = np.zeros(0, dtype=np.int64)

    def admit(self, lifetime: FloatColumn) -> None:
        """Open accounts of further persons who will lose so much epsilon at most."""
        self.ledger.grow(np.where(lifetime >= ANY_LIFETIME, np.inf, lifetime))
        self.last = np.append(self.last, np.full(len(lifetime), NOTHING))

    def weights(self, epsilon: FloatColumn, data_size: FloatColumn) -> FloatColumn:
        """How much uploads count [K], by the epsilon sold and the data claimed; sums to 1, or is 0 without any data."""
        return self.weigh(epsilon, data_size) if data_size.sum() > 0 else np.zeros(len(epsilon))

    def send(self, persons: IntColumn, epsilon: FloatColumn, counter: int) -> None:
        """Enter one upload each. Raises ``ValueError`` for a second one under the same counter, and ``OverBudget``."""
        again = self.last[persons] >= counter
        if again.any():
            raise ValueError(f"person {persons[again][0]} sends twice with the noise of round {counter}")
        self.ledger.spend(persons, self.terms.noise_std(epsilon))
        self.last[persons] = counter

    def left(self, persons: IntColumn, cap: FloatColumn) -> FloatColumn:
        """The most epsilon [K] that they can sell in the next release, given their caps per round; 0 if sold out."""
        rest = np.minimum(self.ledger.largest_epsilon(persons), cap)
        return np.where(rest >= SOLD_OUT * cap, rest, 0.0)


def open_accounts(scenario: Scenario) -> PrivacyAccounts | None:
    """Accounts for a scenario whose mechanism buys privacy; None for any other."""
    mechanism, spec = scenario.market.mechanism, scenario.learning.privacy
    if PRIVACY_BUDGET not in mechanisms()[mechanism.name](**mechanism.params).needs:
        return None
    clip = 1.0 if spec.clip is None else spec.clip  # without training only the ratio of noise and clip matters
    terms = PrivacyTerms(clip, spec.delta, spec.mechanism, NeighbouringRelation(spec.neighbours))
    return PrivacyAccounts(terms, _weigh(spec, terms), scenario.population.sold_out == "leave")


def _weigh(spec: PrivacySpec, terms: PrivacyTerms) -> Weigh:
    if spec.weights == "least_error":
        return partial(_least_error, terms, spec.bias_weight)
    return AGGREGATION_WEIGHTS[spec.weights]


def _least_error(terms: PrivacyTerms, bias_weight: float, epsilon: FloatColumn, data_size: FloatColumn) -> FloatColumn:
    return least_error_weights(terms.noise_std(epsilon) ** 2, data_size, bias_weight)


# -- types ----------------------------------------------------------------------------------------------------------


def further_valuation(world: World, owners: IntColumn) -> FloatColumn:
    """What the scenario's valuation rule adds to the drawn valuations of these owners, in money per epsilon."""
    rule, population = world.scenario.population.valuation_rule, world.population
    cap = population.privacy_cap[owners]
    of_accuracy = np.divide(population.quality[owners], cap, out=np.zeros(len(owners)), where=cap > 0)
    return np.asarray(
        rule.accuracy * of_accuracy
        + rule.data * population.data_size[owners]
        + rule.non_iid * world.shard_emd[population.shard[owners]] / 2
    )


def may_enter(world: World, owners: IntColumn) -> BoolColumn:
    """Whom privacy does not keep out: sold-out owners stay away where they would leave."""
    if world.privacy is None or not world.privacy.leaves:
        return np.ones(len(owners), dtype=np.bool_)
    return np.asarray(world.population.privacy_budget[owners] > 0)


# -- a round --------------------------------------------------------------------------------------------------------


def sold_privacy(
    world: World, chosen: Decisions, allocation: Allocation, selected: IntColumn
) -> dict[str, FloatColumn]:
    """Columns of the flights: the epsilon sold, and the epsilon that the upload will really cost.

    A forgery costs none, for there is nothing in it to protect; and nobody sends what it does not have.
    """
    if allocation.epsilon is None:
        return {}
    sold = allocation.epsilon[selected]
    has = world.population.privacy_budget[chosen.owner]
    return {"epsilon": sold, "epsilon_lost": np.where(works(chosen.upload), np.minimum(sold, has), 0.0)}


def spend_privacy(world: World, rows: IntColumn) -> None:
    """Enter what has arrived, before anything is done with it; less is left to sell, even for who leaves at once."""
    if world.privacy is None:
        return
    population, accounts, flights = world.population, world.privacy, world.flights
    sent = rows[flights.epsilon_lost[rows] > 0]
    who = flights.owner[sent]
    persons = population.person[who]
    accounts.send(persons, flights.epsilon_lost[sent], world.rounds_closed)
    flights.sent[sent] = True
    population.epsilon_spent[who] = accounts.ledger.spent[persons]
    population.privacy_budget[who] = accounts.left(persons, population.privacy_cap[who])


def privacy_cost(world: World, rows: IntColumn) -> FloatColumn:
    """What the flights [K] have cost their owners in privacy, at true valuations, in money; 0 for what is not sent."""
    flights = world.flights
    lost = np.where(flights.sent[rows], flights.epsilon_lost[rows], 0.0)
    return np.asarray(world.population.valuation[flights.owner[rows]] * lost)


def price_privacy(world: World, rows: IntColumn, settled: Settled) -> None:
    """What the round has cost its owners in privacy, at their true valuations."""
    if world.privacy is None:
        return
    settled.epsilon = world.flights.epsilon[rows].copy()
    settled.epsilon_lost = np.where(world.flights.sent[rows], world.flights.epsilon_lost[rows], 0.0)
    settled.privacy_cost = privacy_cost(world, rows)


def wear_privacy(world: World, settled: Settled, tick: int) -> None:
    """Who has sold out leaves, if the scenario says so."""
    if world.privacy is None or not world.privacy.leaves:
        return
    population = world.population
    who = settled.owner[settled.epsilon_lost > 0]
    out = who[(population.privacy_budget[who] <= 0) & (population.status[who] == Status.ACTIVE)]
    cause = np.full(len(out), ExitCause.SOLD_OUT, dtype=np.int64)
    world.clock.schedule(Kind.LEAVE, np.full(len(out), tick + 1), out, population.stay[out], cause)


# -- figures --------------------------------------------------------------------------------------------------------


def privacy_offered(world: World) -> float:
    """Epsilon that the owners whose report came in time have offered, by what they said."""
    if world.privacy is None or world.round is None:
        return 0.0
    return float(world.round.decisions.claims[PRIVACY_BUDGET][world.round.reported].sum())


def sold_out(world: World) -> int:
    """Owners in the market that have no privacy left to sell."""
    if world.privacy is None:
        return 0
    return int((world.population.privacy_budget[world.population.active()] <= 0).sum())
