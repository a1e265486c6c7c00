"""How owners react to a round: beliefs, a change of strategy, leaving."""

from __future__ import annotations

import dataclasses

import numpy as np

from agents.participation import ExitCause, Stay
from agents.population import MEMORY, Status
from agents.strategies.base import Observation, OwnRows, own_luck
from learning.columns import BoolColumn, FloatColumn, IntColumn
from scenarios.engine.adapting import adapt
from scenarios.engine.clock import Kind, after
from scenarios.engine.decisions import true_types
from scenarios.engine.identities import if_all, in_sum, share, with_partners
from scenarios.engine.settled import Settled
from scenarios.engine.world import World


def react(world: World, settled: Settled, tick: int) -> None:
    """Owners see what they got, update beliefs, change strategy, decide to go."""
    current, population, number = world.round, world.population, world.rounds_closed
    assert current is not None
    publish_board(world, settled)
    concerned = np.zeros(len(population), dtype=np.bool_)
    concerned[current.invited[world.still_invited()]] = True
    concerned[world.flights.owner] = False
    concerned[settled.owner] = True
    who = np.flatnonzero(concerned & (population.status == Status.ACTIVE))
    if len(who) == 0:
        return
    rule, outside = world.participation, population.outside_option[who] * share(world, who)
    population.observations[who] += 1
    believed = rule.believe(population.believed_utility[who], population.utility[who], population.observations[who])
    population.believed_utility[who] = believed
    population.regret[who] = rule.regrets(population.regret[who], population.utility[who], outside)
    spent = population.training_cost[who] + population.generation_spent[who]
    population.invested[who] = rule.invests(population.invested[who], spent)
    gone, staying, renaming = _after_thoughts(world, who)
    stay = _after_the_round(world, who, outside, ~staying)
    fed_up = rule.exits(stay, world.resolve("exit", who, number))
    fed_up &= ~staying
    leaving = ~if_all(world, who, ~(fed_up | gone))
    adapt(world, who[~leaving], tick)
    going = with_partners(world, who[leaving], (Status.ACTIVE,))
    causes = np.where(fed_up, rule.causes(stay), ExitCause.STRATEGY)  # who goes along with another name included
    causes[renaming] = ExitCause.NEW_NAME
    delay = population.think_time[going] * world.delay("leaving", going, number)
    ticks = np.maximum(after(tick, delay), tick + 1)
    world.clock.schedule(Kind.LEAVE, ticks, going, population.stay[going], _of(going, who, causes))


def _of(owners: IntColumn, who: IntColumn, causes: IntColumn) -> IntColumn:
    """The causes [K] of ``who``, in ascending order, for ``owners``; who only follows its partners has none."""
    place = np.minimum(np.searchsorted(who, owners), len(who) - 1)
    return np.where(who[place] == owners, causes[place], ExitCause.DISAPPOINTED).astype(np.int64)


def _after_the_round(world: World, who: IntColumn, outside: FloatColumn, counts: BoolColumn) -> Stay:
    """What these owners know of their stays, with this round counted; in sum over those that decide together.

    ``outside``: the part of its person's outside option [K] that each stands for; ``counts``: for whom the round can
    try its patience.
    """
    population, rule = world.population, world.participation
    heard = np.full(len(who), np.nan)
    if rule.listens:
        heard = world.graph.told(who, population.believed_utility)
    seen = population.observations[who]
    stay = Stay(
        in_sum(world, who, population.believed_utility[who]),
        in_sum(world, who, outside),
        heard,
        in_sum(world, who, population.regret[who]),
        in_sum(world, who, population.invested[who]),
        seen,
        population.disappointed[who],
        world.patience.limit(rule.patience, seen, lambda: world.resolve("patience", who, 0)),
    )
    counted = world.patience.count(stay.disappointed, rule.unhappy(stay))
    population.disappointed[who] = np.where(counts, counted, stay.disappointed)
    return dataclasses.replace(stay, disappointed=population.disappointed[who])


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
        audited=int(settled.audited.sum()),
        guilty=int(settled.flagged.sum()),
    )


def _after_thoughts(world: World, who: IntColumn) -> tuple[BoolColumn, BoolColumn, BoolColumn]:
    """Every strategy keeps in mind what it has learnt.

    Columns of ``who``: its strategy leaves now; it stays whatever the rule says; it leaves to take a new name.
    """
    current, population = world.round, world.population
    assert current is not None
    gone, staying, renaming = np.zeros((3, len(who)), dtype=np.bool_)
    chosen = population.strategy[who]
    for index in np.unique(chosen):
        rows = np.flatnonzero(chosen == index)
        advice = world.mechanism.recommend(current.terms, true_types(population, who[rows], world.labels))
        luck = own_luck(world.streams, population.luck[who[rows]], world.board.round)
        seen = Observation(world.board, current.terms, advice, OwnRows(population, who[rows]), luck)
        strategy = world.strategies[index]
        gone[rows], staying[rows] = strategy.react(seen), strategy.stays(seen)
        renaming[rows] = strategy.renames(seen)
        for name, column in strategy.learn(seen).items():
            if name not in MEMORY:
                raise ValueError(f"the strategy '{world.strategy_names[index]}' may not change '{name}'")
            getattr(population, name)[who[rows]] = column
    return gone, staying, gone & renaming
