"""Which factors a measure depends on, over their whole ranges: Sobol indices and Morris's effects, by SALib."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from learning.columns import FloatColumn
from learning.streams import Streams
from scenarios.results import BadRun
from scenarios.studies.results import StudyResults

RESAMPLES = 200


def sensitivity(study: StudyResults, measure: str, scenario: str | None = None) -> pd.DataFrame:
    """Indices of the factors of a ``saltelli`` or ``morris`` design, for one scenario (default: the first).

    Replications are averaged first. ``BadRun`` (one line) for another design, and while points are missing.
    """
    design = study.study.design
    if study.places is None or design.name not in ("saltelli", "morris"):
        raise BadRun(f"{study.folder}: indices need the design saltelli or morris, not {design.name}")
    frame = study.measures
    here = frame[frame["scenario"] == (scenario or next(iter(study.study.scenarios)))]
    means = here.groupby("point")[measure].mean().reindex(range(len(study.places)))
    if means.isna().any():
        raise BadRun(f"{study.folder}: indices need every point, but {int(means.isna().sum())} have no {measure}")
    outcome = means.to_numpy(dtype=np.float64)
    seed = study.study.seed
    if design.name == "morris":
        return morris_effects(study.listing.fields, study.places, outcome, levels=design.params["levels"], seed=seed)
    return sobol_indices(study.listing.fields, outcome, second_order=design.params["second_order"], seed=seed)


def sobol_indices(fields: list[str], outcome: FloatColumn, *, second_order: bool = True, seed: int = 1) -> pd.DataFrame:
    """First-order and total indices of a Saltelli design: ``field``, ``first``, ``total`` and half-widths (95 %).

    ``outcome`` [points] is in the order of the design. All NaN where the outcome never changes.
    """
    from SALib.analyze import sobol

    if np.ptp(outcome) == 0:
        nothing = np.full(len(fields), np.nan)
        return pd.DataFrame({"field": fields} | dict.fromkeys(("first", "first ±", "total", "total ±"), nothing))
    problem = _problem(fields)
    found = sobol.analyze(
        problem, outcome, calc_second_order=second_order, num_resamples=RESAMPLES, seed=_salib_seed(seed)
    )
    return pd.DataFrame({
        "field": fields, "first": found["S1"], "first ±": found["S1_conf"], "total": found["ST"],
        "total ±": found["ST_conf"],
    })  # fmt: skip


def morris_effects(
    fields: list[str], places: FloatColumn, outcome: FloatColumn, *, levels: int = 4, seed: int = 1
) -> pd.DataFrame:
    """Elementary effects of a Morris design: ``field``, ``mean``, ``mean size`` (of the absolute effect), its
    half-width (95 %) and ``spread``, which tells of interactions and curvature. Effects are per full range."""
    from SALib.analyze import morris

    found = morris.analyze(
        _problem(fields), places, outcome, num_levels=levels, num_resamples=RESAMPLES, seed=_salib_seed(seed)
    )
    return pd.DataFrame({
        "field": fields, "mean": np.asarray(found["mu"]), "mean size": np.asarray(found["mu_star"]),
        "mean size ±": np.asarray(found["mu_star_conf"]), "spread": np.asarray(found["sigma"]),
    })  # fmt: skip


def _problem(fields: list[str]) -> dict[str, Any]:
    return {"num_vars": len(fields), "names": fields, "bounds": [[0.0, 1.0]] * len(fields)}


def _salib_seed(seed: int) -> int:
    """Never 0, which SALib takes for no seed."""
    return 1 + int(Streams(seed).generator("study/indices").integers(2**31))
