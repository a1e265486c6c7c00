"""Differences between combinations, with bootstrap confidence intervals; paired where runs share their seeds.

Paired runs meet the same people and the same luck, so their difference varies less than either of them. What is drawn
again is the seed: the runs of one seed stay together. Intervals are BCa (Efron, "Better bootstrap confidence
intervals", JASA 1987), as SciPy computes them.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from learning.streams import Streams
from scenarios.studies.results import StudyResults
from scenarios.studies.sequential import replications_needed

RESAMPLES = 5000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """A mean with its confidence interval; bounds are NaN for fewer than two values."""

    mean: float
    low: float
    high: float


def bootstrap_mean(
    values: ArrayLike, *, confidence: float = CONFIDENCE, resamples: int = RESAMPLES, seed: int = 1
) -> Interval:
    """The mean of values [n] and its BCa interval; the same seed gives the same interval."""
    return _interval((np.asarray(values, dtype=np.float64),), confidence, resamples, seed)


def bootstrap_difference(
    values: ArrayLike,
    others: ArrayLike,
    *,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 1,
) -> Interval:
    """The mean of values [n] less that of independent others [m], and its BCa interval."""
    samples = (np.asarray(values, dtype=np.float64), np.asarray(others, dtype=np.float64))
    return _interval(samples, confidence, resamples, seed)


def paired_differences(
    study: StudyResults,
    measure: str,
    field: str | None = None,
    *,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
) -> pd.DataFrame:
    """What a measure gains over the baseline, level by level of one field (default: the study's ``contrast``).

    Columns: the field (level), the other fields that vary, ``pairs``, ``mean``, ``low``, ``high`` and ``needed``: how
    many pairs would halve the interval (NaN: unknown). Rows where the other fields are ``all`` pool them: one value per
    seed, the mean over the combinations that both levels have. Runs are paired by seed; those of a study with
    independent replications are compared as two samples, and ``pairs`` is the smaller one. Empty where nothing varies.
    """
    field = field or contrast(study)
    if field is None:
        return pd.DataFrame()
    frame = study.measures
    others = [name for name in study.fields if name != field]
    base = study.baseline(field)
    rows = []
    for level in [level for level in frame[field].unique() if level != base]:
        for place, here in _places(frame, others):
            values, reference = here[here[field] == level], here[here[field] == base]
            found = _compared(study, values, reference, others, measure, confidence, resamples)
            if found is not None:
                rows.append({field: level, **place, **found})
    return pd.DataFrame(rows)


def contrast(study: StudyResults) -> str | None:
    """The field whose levels are compared: the first of the baseline, or the first that varies."""
    candidates = [field for field in study.study.baseline if field in study.fields]
    if study.places is None:
        candidates += study.fields
    elif "scenario" in study.fields:
        candidates.append("scenario")  # drawn points have no levels to compare
    return candidates[0] if candidates else None


def _compared(
    study: StudyResults,
    values: pd.DataFrame,
    reference: pd.DataFrame,
    others: Sequence[str],
    measure: str,
    confidence: float,
    resamples: int,
) -> dict[str, Any] | None:
    """Pairs, mean, interval and pairs needed; None where nothing can be compared."""
    seed = study.study.seed
    if study.study.pairing == "independent":
        first, second = (rows[measure].dropna().to_numpy() for rows in (values, reference))
        count = min(len(first), len(second))
        if not count:
            return None
        found = bootstrap_difference(first, second, confidence=confidence, resamples=resamples, seed=seed)
        return {"pairs": count, "mean": found.mean, "low": found.low, "high": found.high, "needed": np.nan}
    keys = [*others, "replication"]
    both = values.merge(reference, on=keys, suffixes=("", "_base"))
    gains = (both[measure] - both[f"{measure}_base"]).groupby(both["replication"]).mean().dropna().to_numpy()
    if not len(gains):
        return None
    found = bootstrap_mean(gains, confidence=confidence, resamples=resamples, seed=seed)
    width = found.high - found.low
    needed = replications_needed(gains, width / 2, confidence) if width > 0 else len(gains) if width == 0 else np.nan
    return {"pairs": len(gains), "mean": found.mean, "low": found.low, "high": found.high, "needed": needed}


def _places(frame: pd.DataFrame, others: Sequence[str]) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    """All rows together, and each combination of the other fields."""
    yield dict.fromkeys(others, "all"), frame
    if others:
        for values, group in frame.groupby(list(others), sort=False):
            yield dict(zip(others, values, strict=True)), group


def _interval(samples: tuple[Any, ...], confidence: float, resamples: int, seed: int) -> Interval:
    mean = float(np.mean(samples[0]) - (np.mean(samples[1]) if len(samples) > 1 else 0.0))
    if min(len(sample) for sample in samples) < 2:
        return Interval(mean, float("nan"), float("nan"))
    if all(np.ptp(sample) == 0 for sample in samples):
        return Interval(mean, mean, mean)  # no resampling gives anything else
    chance = np.random.default_rng(int(Streams(seed).generator("study/bootstrap").integers(2**63)))
    statistic = _mean if len(samples) == 1 else _mean_difference
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SciPy warns where BCa does not exist, which we look at below
        found = stats.bootstrap(
            samples, statistic, n_resamples=resamples, confidence_level=confidence, method="BCa", rng=chance,
            vectorized=True,
        ).confidence_interval  # fmt: skip
    low, high = float(found.low), float(found.high)
    if np.isnan(low) or np.isnan(high):  # few distinct values: the plain percentiles
        found = stats.bootstrap(
            samples, statistic, n_resamples=resamples, confidence_level=confidence, method="percentile", rng=chance,
            vectorized=True,
        ).confidence_interval  # fmt: skip
        low, high = float(found.low), float(found.high)
    return Interval(mean, low, high)


def _mean(values: Any, axis: int = -1) -> Any:
    return np.mean(values, axis=axis)


def _mean_difference(values: Any, others: Any, axis: int = -1) -> Any:
    return np.mean(values, axis=axis) - np.mean(others, axis=axis)
