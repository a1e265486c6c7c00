"""CoCoGen+: rivals who train together, generate synthetic data, and pay each other for contribution and competition.

Each round is a weighted potential game in the volumes of synthetic data. ``Game`` holds players and rules;
``equilibrium`` finds the volumes, ``play`` tells what any volumes are worth to whom, ``welfare_optimum`` what a planner
would choose. After CoCoGen+ (arXiv 2604.14886) and CoCoGen (arXiv 2509.18120), of which the public text fixes the
structure and the findings but no formulas: those here are a reconstruction.
"""

from __future__ import annotations

from market.cocogen.competition import LowRank
from market.cocogen.equilibrium import Equilibrium, equilibrium
from market.cocogen.game import Game, Organisations, WeightsNotPositive
from market.cocogen.heterogeneity import ResidualEmd, filling, towards_global
from market.cocogen.payoffs import Outcome, Payoffs, play, potential, redistribution
from market.cocogen.performance import LearningCurve

__all__ = [
    "Equilibrium",
    "Game",
    "LearningCurve",
    "LowRank",
    "Organisations",
    "Outcome",
    "Payoffs",
    "ResidualEmd",
    "WeightsNotPositive",
    "equilibrium",
    "filling",
    "play",
    "potential",
    "redistribution",
    "towards_global",
]
