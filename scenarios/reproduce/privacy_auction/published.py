"""Numbers of the manuscript and of the result files in its repository, and what was measured there instead."""

from __future__ import annotations

from collections.abc import Mapping

REGRET: Mapping[str, float] = {"mfg_regretnet": 55.05, "regretnet": 121.55, "dm_regretnet": 90.65}
"""Normalised regret in percent, five runs. Costs of the last two are multiplied by data sizes of 10 to 500."""
LOSSES: Mapping[str, float] = {"mfg_regretnet": 0.15}
"""Owners at a loss in percent, as printed in the manuscript."""
UTILISATION: Mapping[str, float] = {
    "mfg_regretnet": 1.0, "regretnet": 0.985, "dm_regretnet": 0.988, "mfg_pricing": 1.0,
}  # fmt: skip
"""Payments over B = 50, uniform types."""
WELFARE: Mapping[str, float] = {
    "mfg_regretnet": 37.23, "regretnet": 36.47, "dm_regretnet": 36.64, "mfg_pricing": 37.21,
}  # fmt: skip
"""Social welfare in money at B = 50, uniform types."""
ACCURACY: Mapping[str, Mapping[str, float]] = {
    "mnist": {
        "mfg_regretnet": 92.4, "regretnet": 92.8, "dm_regretnet": 92.9, "pac": 92.6, "no privacy": 92.6,
    },
    "cifar10": {
        "mfg_regretnet": 36.0, "regretnet": 36.6, "dm_regretnet": 35.4, "pac": 36.8, "no privacy": 36.7,
    },
}  # fmt: skip
"""Final accuracy in percent, Dirichlet 0.5, three runs."""
TIME_SLOPE: Mapping[str, float] = {
    "pac": 0.90, "vcg": 0.86, "csra": 0.75, "mfg_pricing": -0.17, "mfg_regretnet": -0.01,
}  # fmt: skip
"""Slope of log seconds over log owners, from 10 to 500 owners, to 100 for the network."""

RATIONAL = frozenset({"pac", "vcg", "csra", "all_in", "mfg_regretnet", "first_best"})
"""Rules of which it was claimed that no owner loses."""
TRUTHFUL = frozenset({"pac", "vcg", "csra", "all_in"})
"""Rules of which it was claimed that lies about the valuation never pay."""
