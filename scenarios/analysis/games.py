"""Small games from payoff tables: pure equilibria, price of anarchy and of stability."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Anarchy:
    """What selfish play costs: ``optimum`` is the best welfare of any profile, in money.

    ``price_of_anarchy``: optimum over the welfare of the worst equilibrium, ``price_of_stability`` over that of the
    best one (Koutsoupias and Papadimitriou 1999; Anshelevich et al. 2004). NaN where no pure equilibrium exists, or
    where a welfare is not positive: then a ratio says nothing. ``equilibria`` are profiles, one choice per player.
    """

    optimum: float
    equilibria: tuple[tuple[int, ...], ...]
    price_of_anarchy: float
    price_of_stability: float


def anarchy(payoff: NDArray[np.float64], welfare: NDArray[np.float64] | None = None, tolerance: float = 0.0) -> Anarchy:
    """Price of anarchy of a finite game given by all of its profiles.

    ``payoff`` [choices of player 0, ..., choices of player n-1, n]: what each player gets (money). ``welfare`` [choices
    ...]: what a profile is worth to all, the sum of payoffs by default (a market has more parties than its players).
    A profile is an equilibrium when nobody alone gains more than ``tolerance`` (money) by another choice.
    ValueError where the number of axes is not the number of players plus one.
    """
    players = payoff.shape[-1]
    if payoff.ndim != players + 1:
        raise ValueError(f"{players} players need {players} axes of choices and one of payoffs, not {payoff.ndim} axes")
    worth = payoff.sum(axis=-1) if welfare is None else welfare
    if worth.shape != payoff.shape[:-1]:
        raise ValueError(f"welfare has the shape {worth.shape}, the profiles have {payoff.shape[:-1]}")
    stable = np.ones(worth.shape, dtype=np.bool_)
    for player in range(players):
        own = payoff[..., player]
        stable &= own.max(axis=player, keepdims=True) <= own + tolerance
    equilibria = tuple(tuple(int(choice) for choice in profile) for profile in np.argwhere(stable))
    optimum, reached = float(worth.max()), worth[stable]
    worst, best = (float(reached.min()), float(reached.max())) if len(reached) else (np.nan, np.nan)
    return Anarchy(optimum, equilibria, _ratio(optimum, worst), _ratio(optimum, best))


def _ratio(optimum: float, reached: float) -> float:
    return optimum / reached if reached > 0 else float("nan")
