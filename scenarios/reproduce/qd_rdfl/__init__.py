"""The experiments of QD-RDFL: "Data Assetization via Resources-decoupled Federated Learning", arXiv 2501.14588.

Published numbers are from the authors' saved logs and plots.
"""

from __future__ import annotations

from scenarios.reproduce import SYSTEMS, System
from scenarios.reproduce.qd_rdfl import accuracy, comparison, matching, misreports, noise, sweeps

SYSTEMS.register("qd-rdfl")(
    System(
        "QD-RDFL",
        "Data Assetization via Resources-decoupled Federated Learning, arXiv 2501.14588",
        (
            comparison.comparison,
            sweeps.sweeps,
            accuracy.ablation,
            matching.matching,
            noise.noise,
            misreports.misreports,
            accuracy.adjustment_round,
        ),
    )
)
