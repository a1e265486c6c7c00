"""The experiments of CoCoGen+ (arXiv 2604.14886) and CoCoGen (arXiv 2509.18120), of which no numbers are public.

What is set beside what comes out are the findings that their abstracts state in words.
"""

from __future__ import annotations

from scenarios.reproduce import SYSTEMS, System
from scenarios.reproduce.cocogen import cohort, curves, demand, pictures, redistribution, welfare

SYSTEMS.register("cocogen")(
    System(
        "CoCoGen+",
        "CoCoGen+, arXiv 2604.14886, and CoCoGen, arXiv 2509.18120; findings in words, no numbers",
        (
            demand.demand,
            welfare.welfare_sweeps,
            curves.curves,
            cohort.cohort,
            redistribution.redistribution,
            pictures.images,
        ),
    )
)
