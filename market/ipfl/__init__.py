"""iPFL: owners buy each other's models on a directed collaboration graph, through a neutral server.

Zhang, Chai, Ye, Wang, Chen 2025, "Incentivizing inclusive contributions in model sharing markets", Nature
Communications 16:7923. Reports go through ``clear``, which makes the graph and the payments of one round; ``settle``
tells what they are worth to the owners as they are. How models then learn from each other is
``learning.personalization``.
"""

from __future__ import annotations

from market.ipfl.bundle import BundleTooHard
from market.ipfl.clearing import SharingOutcome, SharingRules, clear, play_round, settle
from market.ipfl.offers import SharingTypes
from market.ipfl.payments import Purchases

__all__ = [
    "BundleTooHard",
    "Purchases",
    "SharingOutcome",
    "SharingRules",
    "SharingTypes",
    "clear",
    "play_round",
    "settle",
]
