"""The questions of MFG-RegretNet, arXiv 2603.28329, under one fair protocol.

Published numbers are from the manuscript and the result files of its repository; those of its figures that scripts
draw from formulas are left out.
"""

from __future__ import annotations

from scenarios.reproduce import SYSTEMS, System
from scenarios.reproduce.privacy_auction import (
    accuracy,
    budgets,
    inversion,
    mean_field,
    regret,
    robustness,
    scaling,
)

SYSTEMS.register("privacy-auction")(
    System(
        "Privacy auction",
        "MFG-RegretNet and its rivals: the privacy auction game for federated learning, arXiv 2603.28329",
        (
            budgets.budget_factors,
            budgets.paper_budgets,
            regret.regrets,
            robustness.robustness,
            mean_field.mean_field,
            scaling.scaling,
            accuracy.by_epsilon,
            accuracy.by_rule,
            inversion.inversion,
        ),
    )
)
