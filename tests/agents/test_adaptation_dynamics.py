"""Imitation in large and in small populations that mix, against what is known in closed form."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import networkx as nx
import numpy as np
import pytest
from adapting_owners import Owners
from scipy.integrate import solve_ivp

from agents.adaptation import Adaptation, Experience, Imitation, Moran, ProportionalImitation, Replicator
from agents.adaptation.company import Company, Everybody, Neighbours
from learning.columns import FloatColumn, IntColumn
from market.graph import CollaborationGraph

HAWK_DOVE = np.array([[-0.5, 2.0], [0.0, 1.0]])  # rest point: 2/3 hawks


# ---- large populations --------------------------------------------------------------------------------------------


def replicator_map(share: float, rounds: int, rate: float) -> list[float]:
    """Shares of hawks by the discrete replicator map: x + rate * x * (payoff - mean payoff)."""
    course = []
    for _ in range(rounds):
        paid = HAWK_DOVE @ [share, 1 - share]
        share += rate * share * (paid[0] - (share * paid[0] + (1 - share) * paid[1]))
        course.append(share)
    return course


def played(rule: Adaptation, share: float, rounds: int, count: int) -> list[float]:
    """Shares of hawks (strategy 0) among ``count`` owners that meet each other at random and adapt by ``rule``."""
    owners = Owners(rule, (np.arange(count) >= share * count).astype(np.int64))
    course = []
    for _ in range(rounds):
        owners.live((HAWK_DOVE @ owners.shares)[owners.population.strategy])
        course.append(float(owners.shares[0]))
    return course


@pytest.mark.parametrize("kind", [ProportionalImitation, Replicator])
@pytest.mark.parametrize("start", [0.1, 0.95])
def test_a_large_population_follows_the_discrete_replicator_map(kind: type, start: float) -> None:
    rule = kind(rate=0.5, worst=-0.5, best=2.0, among="everybody")
    expected = replicator_map(start, 20, 0.5 / 2.5)
    assert played(rule, start, 20, 10_000) == pytest.approx(expected, abs=0.025)


@pytest.mark.parametrize("kind", [ProportionalImitation, Replicator])
def test_slow_revision_follows_the_replicator_equation(kind: type) -> None:
    rate, rounds = 0.2, 60
    rule = kind(rate=rate, worst=-0.5, best=2.0, among="everybody")

    def growth(_: float, x: np.ndarray) -> np.ndarray:
        paid = HAWK_DOVE @ [x[0], 1 - x[0]]
        return x * (1 - x) * (paid[0] - paid[1])

    solved = solve_ivp(growth, (0, rounds * rate / 2.5), [0.1], t_eval=np.arange(1, rounds + 1) * rate / 2.5)
    assert played(rule, 0.1, rounds, 10_000) == pytest.approx(solved.y[0], abs=0.03)
    assert solved.y[0, -1] > 0.5  # on its way to 2/3


def test_the_running_range_is_the_worst_and_best_round_of_each_owner() -> None:
    owners = Owners(Replicator(rate=1.0, among="everybody"), np.zeros(3, dtype=np.int64))
    for payoff in ([1.0, 5.0, 0.0], [3.0, 4.0, 0.0], [2.0, 9.0, 0.0]):
        owners.live(np.array(payoff))
    assert owners.population.lowest_utility.tolist() == [1.0, 4.0, 0.0]
    assert owners.population.highest_utility.tolist() == [3.0, 9.0, 0.0]


# ---- fixation in small populations --------------------------------------------------------------------------------

SIZE, RUNS = 5, 1_000


def fixation(backwards: Callable[[int], float], size: int = SIZE) -> float:
    """Chance that one mutant takes over, from the ratios of the chances of one step back and one forth.

    1 / (1 + sum over k of the product of the ratios at 1 .. k mutants) (Nowak 2006, Evolutionary Dynamics, eq. 6.14).
    """
    return 1 / (1 + sum(math.prod(backwards(i) for i in range(1, k + 1)) for k in range(1, size)))


def after_a_round(
    rule: Adaptation, strategy: IntColumn, payoff: FloatColumn, company: Company, look: FloatColumn, luck: FloatColumn
) -> IntColumn:
    """What owners play after a round; ``look`` and ``luck`` are the draws for looking and for the rest."""
    own: Any = SimpleNamespace(strategy=strategy, believed_utility=payoff)  # all that these rules read

    def draw(purpose: str) -> FloatColumn:
        return look if purpose == "look" else luck

    nothing: Any = None
    seen = Experience(nothing, own, 2, draw, draw, lambda among: company, nothing)
    return rule.adapt(seen).strategy


def share_of_takeovers(rule: Adaptation, payoff_of_mutant: Callable[[int], float], runs: int = RUNS) -> float:
    """How often one mutant (strategy 1) among residents that earn nothing takes over, if one owner looks at a time."""
    rng, taken, rows = np.random.default_rng(11), 0, np.arange(SIZE)
    for _ in range(runs):
        strategy = np.array(rows == 0, dtype=np.int64)
        while 0 < (mutants := int(strategy.sum())) < SIZE:
            payoff, luck = np.where(strategy == 1, payoff_of_mutant(mutants), 0.0), rng.random((2, SIZE))
            company = Everybody(strategy, payoff, rows, luck[0].take)
            look = np.where(rows == rng.integers(SIZE), 0.0, 1.0)
            strategy = after_a_round(rule, strategy, payoff, company, look, luck[1])
        taken += mutants == SIZE
    return taken / runs


def test_one_mutant_takes_over_by_birth_and_death_as_often_as_moran_says() -> None:
    fitness = 1.6
    rule = Moran(selection=math.log(fitness), among="everybody")
    expected = (1 - 1 / fitness) / (1 - fitness**-SIZE)
    assert fixation(lambda i: 1 / fitness) == pytest.approx(expected)
    assert share_of_takeovers(rule, lambda i: 1.0) == pytest.approx(expected, abs=0.063)


def test_one_mutant_takes_over_by_death_and_birth_as_often_as_known() -> None:
    fitness = 1.6
    rule = Moran(update="death_birth", selection=math.log(fitness), among="everybody")
    expected = (1 - 1 / SIZE) * (1 - 1 / fitness) / (1 - fitness ** -(SIZE - 1))  # Hindersin, Traulsen 2015
    assert share_of_takeovers(rule, lambda i: 1.0) == pytest.approx(expected, abs=0.063)


def test_one_mutant_takes_over_by_the_fermi_rule_as_often_as_traulsen_and_nowak_say() -> None:
    selection = 0.7
    rule = Imitation(rate=0.5, selection=selection, among="everybody")

    def payoff(mutants: int) -> float:
        return 0.6 * mutants - 0.5  # a game in which mutants help each other

    expected = fixation(lambda i: math.exp(-selection * payoff(i)))
    assert abs(expected - 1 / SIZE) > 0.03  # not the neutral chance
    assert share_of_takeovers(rule, payoff) == pytest.approx(expected, abs=0.058)


# ---- whom owners meet ---------------------------------------------------------------------------------------------


def test_everybody_else_is_met_equally_often() -> None:
    draw = (np.arange(4_000) + 0.5) / 4_000
    for me in range(5):
        everybody = Everybody(np.arange(5), np.zeros(5), np.full(4_000, me), lambda rows: draw[rows])
        met = everybody.meet(np.arange(4_000))
        assert met.there.all()
        counts = np.bincount(met.strategy, minlength=5)
        assert counts[me] == 0
        assert np.delete(counts, me).tolist() == [1_000] * 4


@pytest.mark.parametrize("me", range(4))
def test_fit_owners_are_met_in_proportion_to_their_fitness_however_large(me: int) -> None:
    draw, payoff = (np.arange(6_000) + 0.5) / 6_000, np.array([0.0, 1.0, 900.0, 1.0 + math.log(2.0)])
    everybody = Everybody(np.arange(4), payoff, np.full(6_000, me), lambda rows: draw[rows])
    counts = np.bincount(everybody.meet(np.arange(6_000), lambda paid: paid).strategy, minlength=4)
    others = np.delete(np.arange(4), me)
    weight = np.exp(payoff[others] - payoff[others].max())
    assert counts[me] == 0
    assert counts[others] == pytest.approx(6_000 * weight / weight.sum(), abs=1.5)


def test_neighbours_are_met_along_open_edges_in_proportion_to_their_fitness() -> None:
    graph = CollaborationGraph()
    for owner, peers in ((0, []), (1, [0]), (2, [0, 1]), (3, [0]), (4, [])):
        graph.join(owner, peers, 0, 1.0)
    graph.restrict(3)
    payoff = np.array([0.0, 1.0, 1.0 + math.log(3.0), 50.0, 50.0])
    draw = (np.arange(1_000) + 0.5) / 1_000
    for me, expected in ((0, [0, 250, 750, 0, 0]), (3, [0] * 5), (4, [0] * 5)):
        who = np.full(1_000, me)
        company = Neighbours(graph, who, np.arange(5), payoff, lambda rows: draw[rows])
        met = company.meet(np.arange(1_000), np.asarray)
        assert np.bincount(met.strategy[met.there], minlength=5).tolist() == pytest.approx(expected, abs=1)


def test_a_strategy_is_passed_on_to_a_neighbour_that_decides() -> None:
    graph = CollaborationGraph()
    for owner, peers in ((0, []), (3, [0]), (7, [3])):
        graph.join(owner, peers, 0, 1.0)
    deciding, columns = np.array([0, 3]), np.zeros(8)
    low = Neighbours(graph, deciding, columns.astype(np.int64), columns, lambda rows: np.full(len(rows), 0.01))
    high = Neighbours(graph, deciding, columns.astype(np.int64), columns, lambda rows: np.full(len(rows), 0.99))
    assert low.taker(np.array([0, 1])).tolist() == [1, 0]
    assert high.taker(np.array([0, 1])).tolist() == [1, -1]  # 3's last neighbour, 7, does not decide now


def star_fixation(graph: nx.Graph, fitness: float) -> float:
    """Chance that one mutant at a random place takes over by birth and death, from all 2^n states of the graph."""
    count = len(graph)
    states = 2**count
    step = np.zeros((states, states))
    for state in range(states):
        mutant = np.array([state >> node & 1 for node in range(count)])
        weight = np.where(mutant, fitness, 1.0)
        for parent in graph:
            for child in graph[parent]:
                after = state | 1 << child if mutant[parent] else state & ~(1 << child)
                step[state, after] += weight[parent] / weight.sum() / graph.degree[parent]
    inner = np.arange(1, states - 1)
    chance = np.linalg.solve(np.eye(states - 2) - step[np.ix_(inner, inner)], step[inner, -1])
    return float(np.mean([chance[2**node - 1] for node in range(count)]))


def test_on_a_star_birth_and_death_favour_a_fit_mutant_more_than_in_a_mixed_population() -> None:
    size, fitness, taken = 5, 2.0, 0
    exact = star_fixation(nx.star_graph(size - 1), fitness)
    assert star_fixation(nx.complete_graph(size), fitness) == pytest.approx((1 - 1 / fitness) / (1 - fitness**-size))
    assert exact > star_fixation(nx.complete_graph(size), fitness)  # it amplifies selection (Lieberman et al. 2005)
    graph = CollaborationGraph()
    for owner in range(size):
        graph.join(owner, [0] if owner else [], 0, 1.0)
    rng = np.random.default_rng(5)
    for run in range(1_000):
        strategy = np.array(np.arange(size) == run % size, dtype=np.int64)
        while 0 < strategy.sum() < size:
            payoff, luck = strategy.astype(float), rng.random((2, size))
            company = Neighbours(graph, np.arange(size), strategy, payoff, luck[0].take)
            strategy = after_a_round(Moran(selection=math.log(fitness)), strategy, payoff, company, luck[1], luck[1])
        taken += int(strategy[0])
    assert taken / 1_000 == pytest.approx(exact, abs=0.063)
