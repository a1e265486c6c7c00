"""Arrival processes, each in a module of its own."""

from __future__ import annotations

from agents.arrivals.base import ARRIVALS, Arrivals, Draws, Visits, make_arrivals
from agents.arrivals.cohorts import Cohorts
from agents.arrivals.hawkes import SelfExciting
from agents.arrivals.poisson import Poisson
from agents.arrivals.thinned import Seasonal, VaryingRate
from agents.arrivals.trace import Trace

__all__ = [
    "ARRIVALS",
    "Arrivals",
    "Cohorts",
    "Draws",
    "Poisson",
    "Seasonal",
    "SelfExciting",
    "Trace",
    "VaryingRate",
    "Visits",
    "make_arrivals",
]
