"""The end of a round: train and evaluate, settle, enforce, react. Four phases, each on whole columns."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np

from agents.participation import skill
from agents.population import Status
from agents.strategies.base import Observation, OwnRows
from learning.columns import BoolColumn, FloatColumn, IntColumn
from market.enforcement import audit, drift, sanction
from market.ledger import DEPOSIT
from market.mechanism import DATA_SIZE, Allocation, Edges, Outcome, Settlement
from market.money import from_micro, to_micro
from market.parties import MODEL_OWNER, REGULATOR, WORLD
from scenarios.bookkeeping import write_round
from scenarios.clock import NOBODY, TICKS_PER_SECOND, Kind
from scenarios.decisions import true_types
from scenarios.event_log import Event
from scenarios.membership import ExitKind, forget_flights, leave, top_up_deposit
from scenarios.world import World

if TYPE_CHECKING:
    from torch import Tensor

    from learning.federation import CohortWork


@dataclass
class Settled:
    """What one round came to; columns are aligned with ``owner`` (its flights that are settled now)."""

    owner: IntColumn
    arrived: BoolColumn
    upload: IntColumn
    violation: BoolColumn
    lie: BoolColumn
    weight: FloatColumn
    spent: FloatColumn
    previous_accuracy: float
    payment: FloatColumn
    audited: BoolColumn
    flagged: BoolColumn
    penalty: FloatColumn
    strategy: IntColumn  # of everybody (one entry per identity), as played in this round
    revenue: float = 0.0
    paid: float = 0.0
    slashed: float = 0.0
    audit_cost: float = 0.0
    claimed: float = 0.0
    expelled: int = 0


def close_round(world: World, tick: int) -> None:
    """CLOSE: the four phases, in order; then the round is written and the next one can open."""
    rows = _due(world)
    settled = train_and_evaluate(world, rows, tick)
    settle(world, rows, settled, tick)
    enforce(world, settled, tick)
    react(world, settled, tick)
    forget_flights(world, _still_there(world, rows))
    world.log.add(Event.CLOSE, tick, world.rounds_closed, NOBODY, world.accuracy)
    write_round(world, settled, tick)
    world.rounds_closed += 1
    world.round = None


def _due(world: World) -> IntColumn:
    """Flights settled now: all of this round, or, in asynchronous rounds, those that have been aggregated."""
    if world.scenario.round.late == "buffer":
        return np.flatnonzero(world.flights.used)
    return np.arange(len(world.flights))


def _work(world: World, rows: IntColumn) -> CohortWork:
    from learning.federation import CohortWork

    flights, population = world.flights, world.population
    owners, peers = flights.owner[rows], flights.peer[rows]
    return CohortWork(
        owner=population.person[owners],
        shard=population.shard[owners],
        samples=flights.samples[rows],
        base_version=flights.base_version[rows],
        upload=flights.upload[rows],
        scale=flights.scale[rows],
        peer=np.where(peers >= 0, population.person[np.maximum(peers, 0)], -1),
    )


def _aggregation_weight(world: World, rows: IntColumn) -> FloatColumn:
    """The server knows only what was claimed: data size times offered share."""
    flights = world.flights
    return np.asarray(flights.claims[DATA_SIZE][rows] * flights.data_share[rows])


def aggregate_buffer(world: World, rows: IntColumn, tick: int) -> None:
    """Asynchronous rounds: train the owners whose updates are in and merge them, discounted by staleness."""
    flights = world.flights
    flights.used[rows] = True
    if world.federation is None:
        return
    work = _work(world, rows)
    uploads = world.federation.uploads(work, world.rounds_closed, world.uploads_norm)
    good = _quarantine(world, rows, world.federation.finite(uploads), tick)
    if not good.any():
        return
    weights = _aggregation_weight(world, rows)[good]
    flights.arrived[rows[~good]] = False
    flights.weight[rows[good]] = weights / max(float(weights.sum()), 1e-300)
    world.tally.staleness.append((world.federation.version - flights.base_version[rows]).astype(np.float64))
    world.uploads_norm = float(np.median(world.federation.norms(uploads, work)[good]))
    _measure(world, rows[good], uploads[good], weights)
    exponent = world.scenario.round.staleness_exponent
    world.federation.aggregate_buffered(uploads[good], _work(world, rows[good]), weights, exponent)
    world.log.add(Event.AGGREGATE, tick, world.rounds_closed, NOBODY, world.federation.version)


def _quarantine(world: World, rows: IntColumn, finite: BoolColumn, tick: int) -> BoolColumn:
    """Updates with NaN or infinite weights never reach the model."""
    bad = rows[~finite]
    world.log.add(Event.QUARANTINE, tick, world.rounds_closed, world.flights.owner[bad], world.flights.upload[bad])
    return finite


def train_and_evaluate(world: World, rows: IntColumn, tick: int) -> Settled:
    """Train everybody whose update has arrived in one call, aggregate, test, and measure what the mechanism asked."""
    flights, federation = world.flights, world.federation
    arrived, previous = flights.arrived[rows].copy(), world.accuracy
    in_time = rows[arrived]
    if world.scenario.round.late == "buffer" and len(rows):
        # Each aggregate had weights of its own; together they are the round's.
        flights.weight[rows] /= max(float(flights.weight[rows].sum()), 1e-300)
    if federation is None:
        weights = _aggregation_weight(world, in_time)
        flights.weight[in_time] = weights / max(weights.sum(), 1e-300)
    elif world.scenario.round.late != "buffer" and len(in_time):
        work = _work(world, in_time)
        uploads = federation.uploads(work, world.rounds_closed, world.uploads_norm)
        good = _quarantine(world, in_time, federation.finite(uploads), tick)
        arrived[np.flatnonzero(arrived)[~good]] = False
        weights = _aggregation_weight(world, in_time[good])
        if good.any() and weights.sum() > 0:
            flights.weight[in_time[good]] = weights / weights.sum()
            world.uploads_norm = float(np.median(federation.norms(uploads, work)[good]))
            _measure(world, in_time[good], uploads[good], weights)
            federation.aggregate(uploads[good], _work(world, in_time[good]), weights)
            world.tally.staleness.append(np.zeros(len(weights)))
            world.log.add(Event.AGGREGATE, tick, world.rounds_closed, NOBODY, federation.version)
    if federation is not None:
        world.evaluation = federation.evaluate()
    none = np.zeros(len(rows))
    return Settled(
        owner=flights.owner[rows].copy(),
        arrived=arrived,
        upload=flights.upload[rows].astype(np.int64),
        violation=flights.violation[rows].copy(),
        lie=flights.lie[rows].copy(),
        weight=flights.weight[rows].copy(),
        spent=flights.spent[rows].copy(),
        previous_accuracy=previous,
        payment=none.copy(),
        audited=np.zeros(len(rows), dtype=np.bool_),
        flagged=np.zeros(len(rows), dtype=np.bool_),
        penalty=none.copy(),
        strategy=world.population.strategy.astype(np.int64),
    )


class _Shapley(Protocol):
    """What a mechanism that measures ``shapley`` says about the effort to spend on it."""

    permutations: int
    tolerance: float


def _measure(world: World, rows: IntColumn, uploads: Tensor, weights: FloatColumn) -> None:
    """Measure what the mechanism asked for, and nothing else, before the uploads are merged."""
    if "shapley" in world.mechanism.measures and world.federation is not None:
        effort = cast(_Shapley, world.mechanism)
        contribution = world.federation.contribution(
            uploads,
            weights,
            permutations=effort.permutations,
            tolerance=effort.tolerance,
            counter=world.federation.version,
        )
        world.flights.shapley[rows] = contribution.values


def settle(world: World, rows: IntColumn, settled: Settled, tick: int) -> None:
    """Turn uploads and measurements into transfers, edges and deliveries."""
    current, flights, population = world.round, world.flights, world.population
    assert current is not None
    settled.revenue = world.model_owner.revenue(world.accuracy, world.board.chance)
    world.post(tick, "revenue", WORLD, MODEL_OWNER, to_micro(settled.revenue))
    allocation = Allocation(
        settled.owner,
        np.ones(len(rows), dtype=np.bool_),
        flights.data_share[rows],
        flights.promised[rows],
        {name: column[rows] for name, column in flights.claims.items()},
    )
    measured = {name: np.where(settled.arrived, getattr(flights, name)[rows], 0.0) for name in world.mechanism.measures}
    outcome = Outcome(settled.arrived, settled.weight, world.accuracy, settled.previous_accuracy, measured)
    result = world.mechanism.settle(current.terms, allocation, outcome)
    transfers = result.transfers
    amount = to_micro(transfers.amount)
    world.post(tick, "payment", transfers.payer, transfers.payee, amount)
    settled.claimed, settled.paid = result.claimed, float(from_micro(amount.sum()))
    net = np.zeros(len(population), dtype=np.int64)
    for party, sign in ((transfers.payee, 1), (transfers.payer, -1)):
        np.add.at(net, party[party >= 0], sign * amount[party >= 0])
    settled.payment = np.asarray(from_micro(net[settled.owner]), dtype=np.float64)
    _deliver(world, settled, result)


def _deliver(world: World, settled: Settled, result: Settlement) -> None:
    """Hand over the new model to whom it is due, and note who used whose model. On probation nobody gets any."""
    population, flights = world.population, world.flights
    entitled = result.delivered & ~population.restricted[settled.owner]
    receivers = settled.owner[entitled]
    if world.federation is not None and world.evaluation is not None:
        population.model_version[receivers] = world.federation.version
        test, shards = world.evaluation, population.shard[receivers]
        population.held_accuracy[receivers] = world.federation.owner_mean(test.class_accuracy, shards)
        population.held_loss[receivers] = world.federation.owner_mean(test.class_loss, shards)
    edges = result.edges
    kept = (edges.source != MODEL_OWNER) | np.isin(edges.user, receivers)
    copied = np.flatnonzero((flights.peer >= 0) & np.isin(flights.owner, settled.owner[settled.arrived]))
    copies = len(copied)
    used = Edges(
        np.concatenate([edges.user[kept], flights.owner[copied]]),
        np.concatenate([edges.source[kept], flights.peer[copied]]),
        np.concatenate([edges.weight[kept], np.ones(copies)]),
        np.concatenate([edges.payment[kept], np.zeros(copies)]),
    )
    world.graph.use(used, world.rounds_closed)
    if world.rounds_closed % world.scenario.recording.edges_every == 0:
        world.write(
            "edges",
            {
                "round": world.rounds_closed,
                "user": used.user,
                "source": used.source,
                "weight": used.weight,
                "payment": used.payment,
            },
        )


def enforce(world: World, settled: Settled, tick: int) -> None:
    """Draw audits, judge, slash, adjust standing, restrict and expel. The truth stands beside every verdict."""
    population, policy, number = world.population, world.policy, world.rounds_closed
    took = settled.arrived & (population.status[settled.owner] == Status.ACTIVE)
    who, violation = settled.owner[took], settled.violation[took]
    verdicts = audit(policy, violation, world.uniform("audit", who, number), world.uniform("verdict", who, number))
    settled.audited[took], settled.flagged[took] = verdicts.audited, verdicts.flagged
    settled.audit_cost = policy.audit_cost * int(verdicts.audited.sum())
    _pay_for_audits(world, settled.audit_cost, tick)
    sanctions = sanction(
        policy,
        verdicts,
        world.ledger.deposit[who],
        population.reputation[who],
        population.strikes[who],
        population.probation_until[who],
        number,
    )
    world.post(tick, "slash", who, REGULATOR, sanctions.slashed_micro, payer_book=DEPOSIT)
    settled.penalty[took] = from_micro(sanctions.slashed_micro)
    settled.slashed = float(settled.penalty.sum())
    active = population.status == Status.ACTIVE
    active[who] = False
    idle = np.flatnonzero(active)
    population.reputation[idle] = drift(policy, population.reputation[idle])
    population.reputation[who], population.strikes[who] = sanctions.reputation, sanctions.strikes
    population.probation_until[who] = sanctions.probation_until
    population.flagged[who] = verdicts.flagged
    present = np.concatenate([idle, who])
    world.graph.set_standing(present, population.reputation[present])
    world.log.add(Event.AUDIT, tick, number, who[verdicts.audited], violation[verdicts.audited])
    world.log.add(Event.GUILTY, tick, number, who[verdicts.flagged], settled.penalty[took][verdicts.flagged])
    _book_utilities(world, settled)
    for owner in who[(sanctions.probation_until > number + 1) & ~population.restricted[who]].tolist():
        population.restricted[owner] = True
        world.graph.restrict(owner)
    expelled = who[sanctions.expelled]
    settled.expelled = len(expelled)
    for owner in expelled.tolist():
        leave(world, owner, ExitKind.EXPELLED, tick)
    rest = who[~sanctions.expelled]
    for owner in top_up_deposit(world, rest, tick).tolist():
        leave(world, owner, ExitKind.BANKRUPT, tick)


def _pay_for_audits(world: World, cost: float, tick: int) -> None:
    """The regulator pays for audits from fees and fines; what these do not cover is a public subsidy."""
    bill = int(to_micro(cost))
    world.post(tick, "audit subsidy", WORLD, REGULATOR, max(0, bill - world.ledger.balance(REGULATOR)))
    world.post(tick, "audit", REGULATOR, WORLD, bill)


def _book_utilities(world: World, settled: Settled) -> None:
    """Realised utility of the round, from true types, for everybody in the market."""
    population = world.population
    active = population.active()
    for name in ("payment", "training_cost", "penalty"):
        getattr(population, name)[active] = 0.0
    population.payment[settled.owner] = settled.payment
    population.training_cost[settled.owner] = settled.spent
    population.penalty[settled.owner] = settled.penalty
    held = np.nan_to_num(population.held_accuracy[active])
    population.model_benefit[active] = population.model_value[active] * skill(held, world.board.chance)
    utility = (
        population.payment[active]
        - population.training_cost[active]
        + population.model_benefit[active]
        - population.penalty[active]
    )
    population.utility[active] = utility
    population.utility_total[active] += utility
    population.stay_utility[active] += utility
    arrived = settled.owner[settled.arrived]
    population.rounds_taken[arrived] += 1
    population.stay_rounds[arrived] += 1


def react(world: World, settled: Settled, tick: int) -> None:
    """Owners see what they got, update beliefs, change strategy, decide to go."""
    current, population, number = world.round, world.population, world.rounds_closed
    assert current is not None
    publish_board(world, settled)
    concerned = np.zeros(len(population), dtype=np.bool_)
    concerned[current.invited] = True
    concerned[world.flights.owner] = False
    concerned[settled.owner] = True
    who = np.flatnonzero(concerned & (population.status == Status.ACTIVE))
    if len(who) == 0:
        return
    rule, outside = world.participation, population.outside_option[who]
    believed = rule.believe(population.believed_utility[who], population.utility[who], population.stay_rounds[who])
    population.believed_utility[who] = believed
    population.disappointed[who] = rule.disappointed(population.disappointed[who], believed, outside)
    leaving = rule.exits(population.disappointed[who], believed, outside, world.uniform("exit", who, number))
    leaving |= _walkouts(world, who)
    _adapt(world, who[~leaving], tick)
    going = who[leaving]
    delay = population.think_time[going] * world.exponential("leaving", going, number)
    ticks = tick + np.maximum(1, np.rint(delay * TICKS_PER_SECOND)).astype(np.int64)
    world.clock.schedule(Kind.LEAVE, ticks, going, population.stay[going])


def publish_board(world: World, settled: Settled) -> None:
    """What everybody can read from now on."""
    world.board = dataclasses.replace(
        world.board,
        round=world.rounds_closed + 1,
        participants=int(settled.arrived.sum()),
        claimed=settled.claimed,
        paid=settled.paid,
        accuracy=world.accuracy,
        update_norm=world.uploads_norm,
    )


def _walkouts(world: World, who: IntColumn) -> BoolColumn:
    """Owners whose strategy leaves after what has just happened."""
    current, population = world.round, world.population
    assert current is not None
    gone = np.zeros(len(who), dtype=np.bool_)
    chosen = population.strategy[who]
    for index in np.unique(chosen):
        rows = np.flatnonzero(chosen == index)
        advice = world.mechanism.recommend(current.terms, true_types(population, who[rows]))
        seen = Observation(world.board, current.terms, advice, OwnRows(population, who[rows]), world.streams)
        gone[rows] = world.strategies[index].react(seen)
    return gone


def _adapt(world: World, who: IntColumn, tick: int) -> None:
    """Some owners look at a neighbour that shares with them and may take over its strategy."""
    population, number = world.population, world.rounds_closed
    looking = who[world.adaptation.looks(world.uniform("look", who, number))]
    neighbour = world.graph.open_neighbour(looking, world.uniform("neighbour", looking, number))
    looking, neighbour = looking[neighbour >= 0], neighbour[neighbour >= 0]
    fresh = world.adaptation.adapt(
        population.strategy[looking],
        population.believed_utility[looking],
        population.strategy[neighbour],
        population.believed_utility[neighbour],
        world.uniform("switch", looking, number),
    )
    switched = fresh != population.strategy[looking]
    population.strategy[looking] = fresh
    world.log.add(Event.SWITCH, tick, number, looking[switched], fresh[switched])


def _still_there(world: World, rows: IntColumn) -> BoolColumn:
    """Rows that are settled now; owners that left meanwhile have taken theirs along."""
    if world.scenario.round.late == "buffer":
        return np.asarray(world.flights.used)
    return np.ones(len(world.flights), dtype=np.bool_)
