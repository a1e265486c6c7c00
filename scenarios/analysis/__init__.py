"""Analysis of finished runs: who stays and why they go, who cheats and is found out, who gains, what changed when.

Every function takes a table (or a run) and gives a tidy table; ``scenarios.plots`` draws them.
"""

from scenarios.analysis.behaviour import audit_rates, cooperation, detection_spells
from scenarios.analysis.games import Anarchy, anarchy
from scenarios.analysis.hazard import churn_hazard, cox_exit, exit_intervals
from scenarios.analysis.incidence import cumulative_incidence
from scenarios.analysis.inequality import lorenz, payoff_inequality
from scenarios.analysis.over_runs import kaplan_meier_over_runs
from scenarios.analysis.regimes import regimes
from scenarios.analysis.retention import retention
from scenarios.analysis.spells import market_spells, tenure_spells
from scenarios.analysis.survival import LogRank, half_life, kaplan_meier, log_rank, mean_tenure
from scenarios.analysis.welfare import utility_by_part, welfare_by_party

__all__ = [
    "Anarchy",
    "LogRank",
    "anarchy",
    "audit_rates",
    "churn_hazard",
    "cooperation",
    "cox_exit",
    "cumulative_incidence",
    "detection_spells",
    "exit_intervals",
    "half_life",
    "kaplan_meier",
    "kaplan_meier_over_runs",
    "log_rank",
    "lorenz",
    "market_spells",
    "mean_tenure",
    "payoff_inequality",
    "regimes",
    "retention",
    "tenure_spells",
    "utility_by_part",
    "welfare_by_party",
]
