"""Privacy as something that runs out: what was sold in a round, what is sent for it, what is lost, what is left.

Where the mechanism buys epsilon, an owner's upload is clipped and gets the noise of what it sold. A ledger adds the
losses up, person by person, whatever identities they use. What is left bounds what an owner can sell next: the column
``privacy_budget``. Who has several identities at once divides its privacy among them. Who has next to nothing left has
sold out, and waits or leaves as the scenario says.

An upload counts as sent when it has arrived in time. What comes too late is thrown away unseen.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from agents.participation import ExitCause
from agents.population import Status
from learning.columns import BoolColumn, FloatColumn, IntColumn
from learning.privacy.aggregation_weights import AGGREGATION_WEIGHTS, least_error_weights
from learning.privacy.ledger import PrivacyLedger
from learning.privacy.terms import NeighbouringRelation, PrivacyTerms
from learning.uploads import works
from market.mechanism import PRIVACY_BUDGET, Allocation, Mechanism
from market.money import to_micro
from scenarios.engine.clock import Kind
from scenarios.engine.cohort import quarantine
from scenarios.engine.decisions import Decisions
from scenarios.engine.flights import Flights
from scenarios.engine.identities import siblings
from scenarios.engine.settled import Settled
from scenarios.engine.world import World
from scenarios.schema import Scenario

ANY_LIFETIME = 1e6
"""A lifetime budget of so much epsilon, or more, is no limit."""
SOLD_OUT = 0.01
"""Who can sell less than this part of what it sells in a round has sold out."""
NOTHING = -1


@dataclass
class PrivacyAccounts:
    """What each person has lost: rows of ``ledger`` are persons.

    ``rule`` and ``bias_weight`` say how uploads are weighed (``PrivacySpec``): data and no function, so that a checkpoint
    can hold accounts that were opened on the way.
    ``last``: the number of the round in which a person last sent something, so that nobody ever does so twice under
    one draw of the noise, which would cancel; ``last_of_names``: the same by luck, for further names of persons.
    """

    terms: PrivacyTerms
    rule: str
    bias_weight: float
    leaves: bool
    ledger: PrivacyLedger = field(init=False)
    last: IntColumn = field(init=False)
    last_of_names: dict[int, int] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.ledger = PrivacyLedger(self.terms, np.zeros(0))
        self.last = np.zeros(0, dtype=np.int64)

    def admit(self, lifetime: FloatColumn) -> None:
        """Open accounts of further persons who will lose so much epsilon at most."""
        self.ledger.grow(np.where(lifetime >= ANY_LIFETIME, np.inf, lifetime))
        self.last = np.append(self.last, np.full(len(lifetime), NOTHING))

    def weights(self, epsilon: FloatColumn, data_size: FloatColumn) -> FloatColumn:
        """How much uploads count [K], by the epsilon sold and the data claimed; sums to 1, or is 0 without any data."""
        if data_size.sum() <= 0:
            return np.zeros(len(epsilon))
        if self.rule == "least_error":
            return least_error_weights(self.terms.noise_std(epsilon) ** 2, data_size, self.bias_weight)
        return AGGREGATION_WEIGHTS[self.rule](epsilon, data_size)

    def send(self, persons: IntColumn, epsilon: FloatColumn, counter: int) -> None:
        """Enter one upload each. Raises ``ValueError`` for a second one under the same counter, and ``OverBudget``."""
        _check_last(self.last, persons, counter)
        self.ledger.spend(persons, self.terms.noise_std(epsilon))
        self.last[persons] = counter

    def send_as(self, luck: IntColumn, persons: IntColumn, epsilon: FloatColumn, counter: int) -> FloatColumn:
        """The same under one name each of persons [K] who may have several, one after another; what each loses [K].

        A name loses less than ``epsilon``, or nothing, where the others have used up what their person has.
        """
        lost = epsilon.copy()
        of_names = luck != persons
        for name in luck[of_names].tolist():
            if self.last_of_names.get(name, NOTHING) >= counter:
                raise ValueError(f"the name {name} of a person sends twice with the noise of round {counter}")
            self.last_of_names[name] = counter
        _check_last(self.last, persons[~of_names], counter)
        self.last[persons[~of_names]] = counter
        for turn in _turns(persons):
            lost[turn] = np.minimum(lost[turn], self.ledger.largest_epsilon(persons[turn]))
            sends = turn[lost[turn] > 0]
            self.ledger.spend(persons[sends], self.terms.noise_std(lost[sends]))
        return lost

    def left(self, persons: IntColumn, cap: FloatColumn, identities: IntColumn | int = 1) -> FloatColumn:
        """The most epsilon [K] that they can sell in the next release, given their caps per round; 0 if sold out.

        ``identities``: among how many what is left of each person is divided.
        """
        if np.max(identities, initial=1) > 1:  # several rows of one person
            each, place = np.unique(persons, return_inverse=True)
            rest = self.ledger.largest_epsilon(each)[place] / identities
        else:
            rest = self.ledger.largest_epsilon(persons)
        rest = np.minimum(rest, cap)
        return np.where(rest >= SOLD_OUT * cap, rest, 0.0)


def _check_last(last: IntColumn, persons: IntColumn, counter: int) -> None:
    again = last[persons] >= counter
    if again.any():
        raise ValueError(f"person {persons[again][0]} sends twice with the noise of round {counter}")


def _turns(persons: IntColumn) -> list[IntColumn]:
    """Rows of persons [K], each person once in each: first everybody's first row, then the second ones, ..."""
    order = np.argsort(persons, kind="stable")
    _, first, count = np.unique(persons[order], return_index=True, return_counts=True)
    turn = np.arange(len(persons)) - np.repeat(first, count)
    return [np.sort(order[turn == number]) for number in range(int(count.max(initial=0)))]


def open_accounts(scenario: Scenario, mechanism: Mechanism) -> PrivacyAccounts | None:
    """Accounts for a scenario whose mechanism (built) buys privacy; None for any other."""
    if PRIVACY_BUDGET not in mechanism.needs:
        return None
    spec = scenario.learning.privacy
    clip = 1.0 if spec.clip is None else spec.clip  # without training only the ratio of noise and clip matters
    terms = PrivacyTerms(clip, spec.delta, spec.mechanism, NeighbouringRelation(spec.neighbours))
    return PrivacyAccounts(terms, spec.weights, spec.bias_weight, scenario.population.sold_out == "leave")


def open_accounts_of_everybody(world: World, scenario: Scenario) -> None:
    """Accounts of all persons that have come so far, if the scenario's mechanism buys privacy; they have lost none."""
    world.accounts = open_accounts(scenario, world.mechanism)
    if world.accounts is None:
        return
    population = world.population
    first_identity = np.unique(population.person, return_index=True)[1]
    world.accounts.admit(population.lifetime_privacy[first_identity])
    population.privacy_budget[:] = world.accounts.left(population.person, population.privacy_cap)


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


def promised(world: World) -> int:
    """What was promised for uploads still on their way, in micro-units: it cannot be promised once more.

    0 where the mechanism does not buy privacy: the others settle out of the round's own budget.
    """
    return 0 if world.privacy is None else int(to_micro(world.flights.promised).sum())


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


def spend_privacy(world: World, rows: IntColumn, tick: int) -> None:
    """Enter what has arrived, before anything is done with it; less is left to sell, even for who leaves at once."""
    if world.privacy is None:
        return
    population, accounts, flights = world.population, world.privacy, world.flights
    sent = rows[flights.epsilon_lost[rows] > 0]
    who = flights.owner[sent]
    persons, number = population.person[who], world.rounds_closed
    if world.several:
        lost = accounts.send_as(population.luck[who], persons, flights.epsilon_lost[sent], number)
        flights.epsilon_lost[sent] = lost
        quarantine(world, sent[lost <= 0], tick)  # nothing is sent without any noise, or with infinite noise
        sent = sent[lost > 0]
    else:
        accounts.send(persons, flights.epsilon_lost[sent], number)
    flights.sent[sent] = True
    who = siblings(world, who)
    persons = population.person[who]
    population.epsilon_spent[who] = accounts.ledger.spent[persons]
    population.privacy_budget[who] = accounts.left(persons, population.privacy_cap[who], population.identities[who])


def privacy_cost(world: World, flights: Flights) -> FloatColumn:
    """What flights [K] have cost their owners in privacy, at true valuations, in money; 0 for what is not sent."""
    lost = np.where(flights.sent, flights.epsilon_lost, 0.0)
    return np.asarray(world.population.valuation[flights.owner] * lost)


def forfeit_privacy(world: World, flights: Flights) -> float:
    """Book what flights [K] have lost whose owner leaves before they are settled; returns what that costs it."""
    world.tally.epsilon_forfeited += float(flights.epsilon_lost[flights.sent].sum())
    return float(privacy_cost(world, flights).sum())


def price_privacy(world: World, rows: IntColumn, settled: Settled) -> None:
    """What the round has cost its owners in privacy, at their true valuations."""
    if world.privacy is None:
        return
    settled.epsilon = world.flights.epsilon[rows].copy()
    settled.epsilon_lost = np.where(world.flights.sent[rows], world.flights.epsilon_lost[rows], 0.0)
    settled.privacy_cost = world.population.valuation[settled.owner] * settled.epsilon_lost


def wear_privacy(world: World, settled: Settled, tick: int) -> None:
    """Who has sold out leaves, if the scenario says so."""
    if world.privacy is None or not world.privacy.leaves:
        return
    population = world.population
    who = siblings(world, settled.owner[settled.epsilon_lost > 0])
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
