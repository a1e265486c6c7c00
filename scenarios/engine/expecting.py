"""What owners expect of a round: from the public board, the terms and their own type, for any strategy of theirs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from agents.adaptation import Prospects
from agents.participation import expected_utility
from learning.columns import FloatColumn, IntColumn
from learning.uploads import works
from market.mechanism import DATA_SIZE, Terms, Types
from market.quoting import Offers, Quoting
from scenarios.engine.announcing import full_board
from scenarios.engine.decisions import Decisions, decide, true_types
from scenarios.engine.entry_money import next_fine
from scenarios.engine.identities import share
from scenarios.engine.rivals import label_mixes
from scenarios.engine.world import World


def expected_round(
    world: World, ids: IntColumn, terms: Terms, playing: IntColumn | None = None
) -> tuple[Decisions, FloatColumn]:
    """What these owners would do under the terms, and the utility (money) that they expect of it.

    Pay is expected for what the strategy would really claim, offer and do; costs are the true ones. Owners play their
    strategies, or those that ``playing`` names. All others do as they did in the last round.
    """
    population, board = world.population, world.board
    decisions = decide(
        *(population, world.strategies, world.mechanism, world.policy, world.streams, board, terms, ids, world.labels),
        playing=playing,
    )
    as_claimed = Types.of(decisions.claims, ids)
    as_claimed = replace(
        as_claimed, competition_pressure=population.competition_pressure[ids], labels=label_mixes(world, ids)
    )
    advice = world.mechanism.recommend(terms, as_claimed)
    if isinstance(world.mechanism, Quoting):
        quote = world.mechanism.quote(terms, _offers(world, decisions, as_claimed))
        advice = replace(advice, expected_payment=quote.payment)
        taken = quote.taken
    else:
        taken = np.ones(len(ids), dtype=np.bool_)
    own_cost = population.cost[ids] * population.data_size[ids] * decisions.work_share * taken
    if advice.expected_epsilon is not None:
        own_cost = own_cost + population.valuation[ids] * advice.expected_epsilon
    worth = share(world, ids) * population.model_value[ids] * taken
    fine = next_fine(world, ids, decisions.claims[DATA_SIZE])
    return decisions, expected_utility(board, advice, own_cost, worth, decisions.violation & taken, fine)


def _offers(world: World, decisions: Decisions, said: Types) -> Offers:
    """What the owners would send, beside what is true of them; only real training counts as work."""
    truth = true_types(world.population, decisions.owner, world.labels)
    work_share = np.where(works(decisions.upload), decisions.work_share, 0.0)
    volumes = decisions.offered_volume, decisions.volume_share
    return Offers(truth, said, decisions.offered_share, work_share, *volumes)


def prospects(world: World, ids: IntColumn) -> Prospects:
    """What these owners expect of the next round with each strategy of the scenario."""
    terms = world.mechanism.announce(full_board(world))
    utility = np.zeros((len(ids), len(world.strategies)))
    violates = np.zeros(utility.shape, dtype=np.bool_)
    for index in range(len(world.strategies)):
        decisions, expected = expected_round(world, ids, terms, np.full(len(ids), index))
        utility[:, index], violates[:, index] = expected, decisions.violation
    return Prospects(utility, violates)
