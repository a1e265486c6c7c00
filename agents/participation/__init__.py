"""Participation: rules to join, stay and leave, kinds of patience, and the causes that end stays."""

from __future__ import annotations

from agents.participation.base import PARTICIPATION, Participation, Stay, make_participation
from agents.participation.causes import ExitCause
from agents.participation.expectations import PRIOR_SKILL, expected_utility, skill
from agents.participation.logit import Logit
from agents.participation.patience import PATIENCE, Patience, make_patience
from agents.participation.regret import RegretHazard
from agents.participation.strict import Strict
from agents.participation.sunk_cost import SunkCost
from agents.participation.word_of_mouth import WordOfMouth

__all__ = [
    "PARTICIPATION",
    "PATIENCE",
    "PRIOR_SKILL",
    "ExitCause",
    "Logit",
    "Participation",
    "Patience",
    "RegretHazard",
    "Stay",
    "Strict",
    "SunkCost",
    "WordOfMouth",
    "expected_utility",
    "make_participation",
    "make_patience",
    "skill",
]
