"""Who decides the synthetic volumes: the game, a planner, or one of the baselines that the paper names."""

from __future__ import annotations

import numpy as np

from learning.columns import FloatColumn
from market.cocogen import Game, baselines, equilibrium, play
from market.cocogen.welfare import welfare_optimum
from scenarios.palette import BLUE, GREEN, MUTED, ORANGE, PURPLE
from scenarios.reproduce.cocogen.rivals import STREAMS

OPTIMUM, EQUILIBRIUM, WCO, UNIFORM, RADG, VCFL = "optimum", "equilibrium", "WCO", "uniform", "RaDG", "VCFL"
RULES = (OPTIMUM, EQUILIBRIUM, WCO, UNIFORM, RADG, VCFL)
PUBLISHED_BASELINES = (WCO, RADG, VCFL)
COLOURS = {OPTIMUM: GREEN, EQUILIBRIUM: BLUE, WCO: ORANGE, UNIFORM: PURPLE, RADG: "#8B5A2B", VCFL: MUTED}

SAYS = (
    "'optimum' is a planner's choice, 'equilibrium' the game's; 'WCO' decides as if nobody competed, 'RaDG' at random "
    "up to the cap, 'uniform' spreads the equilibrium's total evenly, and with 'VCFL' nobody generates. All are paid "
    "by the same game"
)
RANDOM_DRAWS = 20


def volumes(game: Game, instance: int, draws: int = RANDOM_DRAWS) -> dict[str, FloatColumn]:
    """Synthetic volumes [K, N] by rule, in samples: ``draws`` profiles of RaDG, one of each other rule."""
    decided = equilibrium(game).synthetic_volume
    who = np.arange(len(game))
    drawn = STREAMS.uniform("rivals/volume", who, instance, np.arange(draws)[:, None])
    found = {
        OPTIMUM: welfare_optimum(game, decided).synthetic_volume,
        EQUILIBRIUM: decided,
        WCO: baselines.wco(game),
        UNIFORM: baselines.uniform(game, float(decided.mean())),
        RADG: baselines.radg(game, drawn),
        VCFL: baselines.vcfl(game),
    }
    return {rule: np.atleast_2d(volume) for rule, volume in found.items()}


def welfare(game: Game, profiles: FloatColumn) -> float:
    """Mean social welfare (money) of profiles [K, N]."""
    return float(np.mean([play(game, profile).social_welfare for profile in profiles]))
