"""Evolution of two or more strategies by their payoffs: fixation, long-run shares, rest points of the replicator.

Payoffs are numbers of any unit; a ratio says how much faster a step is lost than won. Populations of size n are well
mixed. Sources: Traulsen, Nowak, Pacheco, "Stochastic dynamics of invasion and fixation", Phys. Rev. E 74 (2006), for
the pairwise comparison (Fermi) process; Nowak et al., "Emergence of cooperation and evolutionary stability in finite
populations", Nature 428 (2004), for the Moran process; Fudenberg, Imhof, "Imitation processes with small mutations",
J. Econ. Theory 131 (2006); Taylor and Jonker, "Evolutionarily stable strategies and game dynamics", Math. Biosci. 40
(1978).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from math import comb

import numpy as np
from numpy.typing import NDArray

from learning.columns import FloatColumn

Matrix = NDArray[np.float64]

MOST_SETS = 20_000
"""Sets of strategies that are tried for a rest point: all sets of 14 strategies, of 40 up to those of three."""
_SINGULAR = 1e12
"""Condition number from which on a system of payoffs is taken for one without a single solution."""
_ROUNDING = 1e-9
_LARGEST_EXPONENT = 700.0
"""Beyond it e to the power of it is no float."""


def fermi_ratios(advantage: FloatColumn, selection: float) -> FloatColumn:
    """T-/T+ for k = 1 ... n - 1 mutants [n - 1] whose payoff is ``advantage`` [n - 1] above the residents'.

    Two of the population are compared, and one takes over the other's strategy with the probability
    1 / (1 + exp(-selection * difference)), so that the ratio is exp(-selection * advantage).
    """
    return np.asarray(np.exp(np.clip(-selection * advantage, -_LARGEST_EXPONENT, _LARGEST_EXPONENT)))


def moran_ratios(residents: FloatColumn, mutants: FloatColumn, selection: float) -> FloatColumn:
    """T-/T+ for k = 1 ... n - 1 mutants [n - 1] of the Moran process with fitness 1 - selection + selection * payoff.

    ``selection`` is in [0, 1]. NaN where a fitness is not positive: the process is not defined there.
    """
    fitness = 1.0 - selection + selection * np.asarray([residents, mutants])
    ratio = np.divide(fitness[0], fitness[1], out=np.full(fitness.shape[1], np.nan), where=fitness[1] > 0.0)
    return np.where((fitness > 0.0).all(axis=0), ratio, np.nan)


def fixation_probability(ratios: FloatColumn) -> float:
    """Probability that one mutant takes over: 1 / (1 + sum over m of the product of the first m ratios).

    ``ratios`` [n - 1] are T-/T+ at k = 1 ... n - 1 mutants of n. NaN if one of them is.
    """
    steps = np.cumsum(np.log(ratios))
    highest = max(float(np.max(steps, initial=0.0)), 0.0)
    if np.isnan(steps).any():
        return float("nan")
    # Relative to the largest product, so that none of them overflows.
    return float(np.exp(-highest) / (np.exp(-highest) + np.exp(steps - highest).sum()))


def long_run_shares(fixation: Matrix) -> FloatColumn:
    """Share of time in which each strategy is everybody's [s], when mutations are rare.

    ``fixation`` [s, s]: probability that one mutant of the column's strategy takes over a population of the row's; the
    diagonal does not matter. This is the stationary distribution of the walk that goes on to each of the others with
    fixation / (s - 1). Where the walk has several of them (nothing ever takes over), the one that a uniform start leads
    to. NaN for all where a fixation is NaN.
    """
    count = len(fixation)
    if count == 1:
        return np.ones(1)
    walk = fixation / (count - 1)
    np.fill_diagonal(walk, 0.0)
    if np.isnan(walk).any():
        return np.full(count, np.nan)
    np.fill_diagonal(walk, 1.0 - walk.sum(axis=1))
    if (fixation[~np.eye(count, dtype=np.bool_)] > _ROUNDING).all():
        system = np.vstack([walk.T - np.eye(count), np.ones(count)])
        found = np.linalg.lstsq(system, np.append(np.zeros(count), 1.0), rcond=None)[0]
    else:
        for _ in range(60):  # 2 ** 60 steps
            walk = walk @ walk
            walk /= walk.sum(axis=1, keepdims=True)
        found = walk.mean(axis=0)
    shares = np.maximum(found, 0.0)
    return np.asarray(shares / shares.sum())


@dataclass(frozen=True)
class RestPoint:
    """A population that the replicator leaves as it is: ``shares`` [s], ``payoff`` of all in it.

    ``stable``: small disturbances in any direction die out (all eigenvalues have negative real parts).
    """

    shares: FloatColumn
    payoff: float
    stable: bool


def rest_points(payoff: Matrix) -> list[RestPoint]:
    """Isolated rest points of the replicator dynamics of ``payoff`` [s, s]: what the row earns against the column.

    One for each set of strategies that are all present and earn the same; pure populations are among them. Sets that
    have a continuum of rest points (two strategies that are the same in effect) are left out. Of many strategies, only
    sets up to the size are tried of which there are no more than ``MOST_SETS`` in all.
    """
    found = []
    strategies = range(len(payoff))
    for size in range(1, largest_set(len(payoff)) + 1):
        for support in itertools.combinations(strategies, size):
            shares = _balanced(payoff[np.ix_(support, support)])
            if shares is None:
                continue
            whole = np.zeros(len(payoff))
            whole[list(support)] = shares
            found.append(RestPoint(whole, float(whole @ payoff @ whole), _is_stable(payoff, whole)))
    return found


def largest_set(strategies: int) -> int:
    """Up to how many of these strategies a rest point that is looked for can mix; two at least."""
    tried = itertools.accumulate(comb(strategies, size) for size in range(1, strategies + 1))
    return max(sum(sets <= MOST_SETS for sets in tried), min(strategies, 2))


def _balanced(payoff: Matrix) -> FloatColumn | None:
    """Positive shares of all strategies at which they earn the same; None where there are none or many."""
    size = len(payoff)
    if size == 1:
        return np.ones(1)
    scale = float(np.abs(payoff).max()) or 1.0
    system = np.block([[payoff / scale, -np.ones((size, 1))], [np.ones((1, size)), np.zeros((1, 1))]])
    if not np.linalg.cond(system) < _SINGULAR:
        return None
    shares = np.linalg.solve(system, np.append(np.zeros(size), 1.0))[:size]
    return shares if (shares > _ROUNDING).all() else None


def _is_stable(payoff: Matrix, shares: FloatColumn) -> bool:
    """Whether the linearised replicator contracts within the simplex."""
    earned = payoff @ shares
    mean = shares @ earned
    jacobian = np.diag(earned - mean) + shares[:, None] * (payoff - earned[None, :] - (payoff.T @ shares)[None, :])
    count = len(shares)
    if count == 1:
        return True
    # Columns of the basis span the directions in which shares keep their sum.
    basis = np.linalg.qr(np.eye(count)[:, 1:] - np.eye(count)[:, :1])[0]
    rates = np.linalg.eigvals(basis.T @ jacobian @ basis).real
    return bool((rates < -_ROUNDING * max(float(np.abs(payoff).max()), 1.0)).all())


def crossings(counts: FloatColumn, advantage: FloatColumn, size: int) -> list[tuple[float, bool]]:
    """Shares of mutants at which these earn as much as residents, each with whether it draws the population back.

    ``advantage`` [c] of mutants at ``counts`` [c] of ``size``, in ascending order, joined by straight lines.
    """
    found = []
    for (left, before), (right, after) in itertools.pairwise(zip(counts, advantage, strict=True)):
        if before * after < 0.0:
            found.append((float(left + (right - left) * before / (before - after)) / size, bool(before > after)))
    return found
