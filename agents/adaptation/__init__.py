"""Adaptation: how owners change their strategy over time. A rule combines with any strategy.

The registry holds all rules once this package is imported.
"""

from agents.adaptation.bandits import EpsilonGreedy, Exp3
from agents.adaptation.base import (
    ADAPTATION,
    Adaptation,
    Change,
    Experience,
    Knows,
    NoAdaptation,
    Prospects,
    make_adaptation,
)
from agents.adaptation.imitation import Imitation, ProportionalImitation, Replicator
from agents.adaptation.moran import Moran
from agents.adaptation.norms import Threshold
from agents.adaptation.reinforcement import BushMosteller, RothErev
from agents.adaptation.responses import BestResponse

__all__ = [
    "ADAPTATION",
    "Adaptation",
    "BestResponse",
    "BushMosteller",
    "Change",
    "EpsilonGreedy",
    "Exp3",
    "Experience",
    "Imitation",
    "Knows",
    "Moran",
    "NoAdaptation",
    "ProportionalImitation",
    "Prospects",
    "Replicator",
    "RothErev",
    "Threshold",
    "make_adaptation",
]
