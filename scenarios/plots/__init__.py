"""Pictures of a run: one function each, a table (or two) of the run in, matplotlib axes out.

Every function draws on the axes given, or on a new figure of its own (``axes.figure``), and changes no global
setting. Strategies have the same colour everywhere.
"""

from scenarios.plots.course import accuracy, audit_confusion, free_rider_share, welfare_split
from scenarios.plots.graph_course import network_course
from scenarios.plots.money import money_flows
from scenarios.plots.network import network_snapshot
from scenarios.plots.participation import (
    churn,
    exit_causes,
    lorenz_curves,
    regime_course,
    retention_matrix,
    survival_curves,
)
from scenarios.plots.people import population_by_strategy, reputation, utility_by_strategy
from scenarios.plots.privacy import privacy_price, privacy_sold
from scenarios.plots.raster import event_raster
from scenarios.plots.reports import report_drift

__all__ = [
    "accuracy",
    "audit_confusion",
    "churn",
    "event_raster",
    "exit_causes",
    "free_rider_share",
    "lorenz_curves",
    "money_flows",
    "network_course",
    "network_snapshot",
    "population_by_strategy",
    "privacy_price",
    "privacy_sold",
    "regime_course",
    "report_drift",
    "reputation",
    "retention_matrix",
    "survival_curves",
    "utility_by_strategy",
    "welfare_split",
]
