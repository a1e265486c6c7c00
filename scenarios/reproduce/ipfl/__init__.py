"""The experiments of iPFL: "Incentivizing inclusive contributions in model sharing markets", Nat. Commun. 16:7923.

Published numbers are from the paper and its figures.
"""

from __future__ import annotations

from scenarios.reproduce import SYSTEMS, System
from scenarios.reproduce.ipfl import (
    attacks,
    drift,
    dropout,
    identities,
    inclusive,
    instructions,
    lies,
    living_lies,
    riders,
    settings,
    waiting,
)

SYSTEMS.register("ipfl")(
    System(
        "iPFL",
        "Incentivizing inclusive contributions in model sharing markets, Nature Communications 16:7923 (2025)",
        (
            identities.identities,
            settings.nine_settings,
            instructions.instructions,
            attacks.attacks,
            inclusive.inclusive,
            dropout.dropout,
            lies.static_lies,
            living_lies.living_lies,
            waiting.waiting,
            drift.drift,
            riders.riders,
        ),
    )
)
