"""Learning curves: accuracy against the volume of real and synthetic data and against heterogeneity.

    accuracy = limit - a S^(-b) - zeta H        S = D + kappa (1 - delta s) g        s = g / (D + g)

with D real and g synthetic samples in all, and H the mean distance of the owners' label mixes from the global one,
weighted by data (``learning.heterogeneity.emd``). It is the common performance of CoCoGen+ (arXiv 2604.14886) up to
the constant ``limit``; delta = 0 there. delta > 0 says that a synthetic sample is worth the less, the greater the
share of synthetic ones. The power law in the volume is the usual one (Hestness et al. 2017, "Deep learning scaling is
predictable, empirically").

The parameters are fitted by least squares to trials of real training; their standard errors hold for trials whose
noise depends on the volume (the sandwich estimate HC1 of MacKinnon and White 1985), within the limits of a curve that
is linear near its optimum.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.special import stdtrit

from learning.columns import FloatColumn

VOLUME = ("limit", "volume_scale", "volume_exponent")
"""Parameters of every curve; the others have a value at which they do nothing."""
NEUTRAL = {"emd_penalty": 0.0, "synthetic_quality": 1.0, "quality_decay": 0.0}

EXPONENTS = (0.15, 0.4, 0.8, 1.5)
"""Starting values: from a single one the search may end in a local minimum."""
BOUNDS = {
    "limit": (-np.inf, 1.0),
    "volume_scale": (0.0, np.inf),
    "volume_exponent": (0.01, 4.0),
    "emd_penalty": (-np.inf, np.inf),
    "synthetic_quality": (-np.inf, np.inf),
    "quality_decay": (-5.0, 5.0),
}

Parameters = Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Trials:
    """Results of M trainings: ``real`` and ``synthetic`` samples of all owners, ``heterogeneity``, ``accuracy`` [M]."""

    real: FloatColumn
    synthetic: FloatColumn
    heterogeneity: FloatColumn
    accuracy: FloatColumn

    def __post_init__(self) -> None:
        columns = (self.real, self.synthetic, self.heterogeneity, self.accuracy)
        if len({len(column) for column in columns}) > 1:
            raise ValueError(f"the columns of trials differ in length: {[len(column) for column in columns]}")
        if not all(np.isfinite(column).all() for column in columns):
            raise ValueError("trials must be finite numbers")
        if (self.real <= 0).any() or (self.synthetic < 0).any():
            raise ValueError("trials need real samples, and synthetic ones of at least 0")

    def __len__(self) -> int:
        return len(self.accuracy)


@dataclass(frozen=True)
class Estimate:
    """A fitted number, its standard error (NaN where it is at a bound), and the degrees of freedom of the fit."""

    value: float
    standard_error: float
    freedom: int

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Confidence limits by Student's t, symmetric about the value."""
        reach = self._reach(level)
        return self.value - reach, self.value + reach

    def log_interval(self, level: float = 0.95) -> tuple[float, float]:
        """Confidence limits symmetric about the logarithm of a value above 0, such as a scale."""
        reach = float(np.exp(self._reach(level) / self.value))
        return self.value / reach, self.value * reach

    def _reach(self, level: float) -> float:
        return float(stdtrit(self.freedom, 0.5 + level / 2)) * self.standard_error


@dataclass(frozen=True, eq=False)
class LearningCurve:
    """A fitted curve: its parameters by name, of which some may not have been estimated, and the ``noise`` of a trial.

    ``noise`` is the standard deviation of a trial's accuracy about the curve.
    """

    estimates: Mapping[str, Estimate]
    noise: float

    def interval(self, name: str, level: float = 0.95) -> tuple[float, float]:
        """Confidence limits of a parameter; those of the scale, which goes with a power, are never below 0."""
        estimate = self.estimates[name]
        return estimate.log_interval(level) if name == "volume_scale" else estimate.interval(level)

    @property
    def parameters(self) -> dict[str, float]:
        """All parameters; those that were not estimated have the value at which they do nothing."""
        return NEUTRAL | {name: estimate.value for name, estimate in self.estimates.items()}

    def accuracy(self, real: FloatColumn, synthetic: FloatColumn, heterogeneity: FloatColumn) -> FloatColumn:
        """Expected accuracy [M]; below 0 where the curve is not meant to be read."""
        return _accuracy(self.parameters, real, synthetic, heterogeneity)

    def performance(self, volume: FloatColumn, heterogeneity: FloatColumn) -> FloatColumn:
        """P of CoCoGen+ [M], accuracy less its limit, at effective volumes [M]."""
        found = self.parameters
        loss = found["volume_scale"] * np.asarray(volume, dtype=np.float64) ** -found["volume_exponent"]
        return np.asarray(-loss - found["emd_penalty"] * np.asarray(heterogeneity))

    def equivalent_volume(self, accuracy: FloatColumn, heterogeneity: FloatColumn) -> FloatColumn:
        """How many real samples [M] give such accuracies; infinite where none can."""
        found = self.parameters
        gap = found["limit"] - found["emd_penalty"] * np.asarray(heterogeneity) - accuracy
        with np.errstate(divide="ignore"):
            needed = (np.maximum(gap, 0.0) / found["volume_scale"]) ** (-1.0 / found["volume_exponent"])
        return np.asarray(needed)


def fit_learning_curve(trials: Trials, others: Sequence[str] = ()) -> LearningCurve:
    """The curve that fits the trials best, by least squares.

    ``others`` names the parameters that are estimated besides those of the volume (keys of ``NEUTRAL``). Raises
    ``ValueError`` for a name that there is not, and for trials that cannot tell the parameters apart.
    """
    unknown = [name for name in others if name not in NEUTRAL]
    if unknown:
        raise ValueError(f"a learning curve has no parameter '{unknown[0]}' to add, known: {', '.join(NEUTRAL)}")
    names = (*VOLUME, *others)
    _check_identified(trials, names)
    centre = float(np.exp(np.log(trials.real + trials.synthetic).mean()))
    # Volumes in units of their mean, so that the scale and the exponent do not move together.
    units = Trials(trials.real / centre, trials.synthetic / centre, trials.heterogeneity, trials.accuracy)
    fits = [_descended(units, names, exponent) for exponent in EXPONENTS]
    _, best = min(fits, key=lambda fit: fit[0])
    found = NEUTRAL | dict(zip(names, best.tolist(), strict=True))
    found["volume_scale"] *= centre ** found["volume_exponent"]
    free = [name for name in names if not np.isclose(found[name], BOUNDS[name], rtol=1e-6, atol=1e-9).any()]
    residual = trials.accuracy - _accuracy(found, trials.real, trials.synthetic, trials.heterogeneity)
    freedom = len(trials) - len(free)
    errors = dict(zip(free, _standard_errors(trials, found, free, residual).tolist(), strict=True))
    estimates = {name: Estimate(found[name], errors.get(name, np.nan), freedom) for name in names}
    return LearningCurve(estimates, float(np.sqrt(np.square(residual).sum() / freedom)))


def effective_volume(real: FloatColumn, synthetic: FloatColumn, quality: float, decay: float = 0.0) -> FloatColumn:
    """Volume [M] of real and synthetic samples [M]; of the latter each is worth ``quality`` (1 - ``decay`` s)."""
    real, synthetic = np.asarray(real, dtype=np.float64), np.asarray(synthetic, dtype=np.float64)
    return np.asarray(real + quality * (1.0 - decay * synthetic / (real + synthetic)) * synthetic)


def _accuracy(found: Parameters, real: FloatColumn, synthetic: FloatColumn, heterogeneity: FloatColumn) -> FloatColumn:
    volume = effective_volume(real, synthetic, found["synthetic_quality"], found["quality_decay"])
    # A synthetic sample may do harm, but no volume is left with less than a thousandth of its real samples.
    volume = np.maximum(volume, 1e-3 * np.asarray(real))
    loss = found["volume_scale"] * volume ** -found["volume_exponent"]
    return np.asarray(found["limit"] - loss - found["emd_penalty"] * np.asarray(heterogeneity))


def _descended(trials: Trials, names: Sequence[str], exponent: float) -> tuple[float, FloatColumn]:
    """Half the sum of squared residuals at the end of a descent that starts from an exponent, and where that is."""
    start = NEUTRAL | {"volume_exponent": exponent, "synthetic_quality": 0.5}
    if "synthetic_quality" not in names:
        start["synthetic_quality"] = NEUTRAL["synthetic_quality"]
    volume = effective_volume(trials.real, trials.synthetic, start["synthetic_quality"])
    # Given the exponent and the worth of synthetic samples, the rest is linear.
    columns = {
        "limit": np.ones(len(trials)),
        "volume_scale": -(volume**-exponent),
        "emd_penalty": -trials.heterogeneity,
    }
    linear = [name for name in columns if name in names]
    solved = np.linalg.lstsq(np.stack([columns[name] for name in linear], axis=1), trials.accuracy, rcond=None)[0]
    start |= dict(zip(linear, solved.tolist(), strict=True))
    start["volume_scale"] = max(start["volume_scale"], 1e-3)
    start["limit"] = min(start["limit"], 0.999)
    low, high = np.array([BOUNDS[name] for name in names]).T

    def residuals(values: FloatColumn) -> FloatColumn:
        found = NEUTRAL | dict(zip(names, values.tolist(), strict=True))
        return _accuracy(found, trials.real, trials.synthetic, trials.heterogeneity) - trials.accuracy

    begin = np.array([start[name] for name in names])
    fit = least_squares(residuals, begin, bounds=(low, high), x_scale="jac", xtol=1e-12, ftol=1e-12, gtol=1e-12)
    return float(fit.cost), np.asarray(fit.x)


def _standard_errors(trials: Trials, found: Parameters, free: Sequence[str], residual: FloatColumn) -> FloatColumn:
    """Standard errors of the free parameters; infinite where the trials say nothing about one."""
    slopes = _slopes(trials, found)
    design = np.stack([slopes[name] for name in free], axis=1)
    size = np.maximum(np.linalg.norm(design, axis=0), 1e-300)
    design = design / size
    if np.linalg.matrix_rank(design) < len(free):
        return np.full(len(free), np.inf)
    bread = np.linalg.inv(design.T @ design)
    spread = bread @ (design.T * np.square(residual)) @ design @ bread
    scale = len(trials) / (len(trials) - len(free))
    return np.asarray(np.sqrt(scale * np.diagonal(spread)) / size)


def _slopes(trials: Trials, found: Parameters) -> dict[str, NDArray[np.float64]]:
    """Derivatives [M] of the accuracy by each parameter."""
    share = trials.synthetic / (trials.real + trials.synthetic)
    quality, decay = found["synthetic_quality"], found["quality_decay"]
    volume = effective_volume(trials.real, trials.synthetic, quality, decay)
    volume = np.maximum(volume, 1e-3 * trials.real)
    a, b = found["volume_scale"], found["volume_exponent"]
    power, worth = volume**-b, (1.0 - decay * share) * trials.synthetic
    by_volume = a * b * volume ** (-b - 1.0)
    return {
        "limit": np.ones(len(trials)),
        "volume_scale": -power,
        "volume_exponent": a * power * np.log(volume),
        "emd_penalty": -trials.heterogeneity,
        "synthetic_quality": by_volume * worth,
        "quality_decay": -by_volume * quality * share * trials.synthetic,
    }


def _check_identified(trials: Trials, names: Sequence[str]) -> None:
    """Raise ``ValueError`` if the trials cannot tell the parameters apart."""
    if len(trials) <= len(names):
        raise ValueError(f"{len(trials)} trials are too few for {len(names)} parameters and their errors")
    if len(np.unique(trials.real[trials.synthetic == 0])) < len(VOLUME):
        raise ValueError(f"a learning curve needs real data of at least {len(VOLUME)} different volumes")
    if "emd_penalty" in names and np.ptp(trials.heterogeneity) < 1e-9:
        raise ValueError("the penalty on heterogeneity needs trials that differ in it")
    shares = len(np.unique(np.round(trials.synthetic / (trials.real + trials.synthetic), 9))) - 1
    if "synthetic_quality" in names and shares < 1:
        raise ValueError("the worth of synthetic samples needs trials with some")
    if "quality_decay" in names and shares < 2:
        raise ValueError("the decay of their worth needs trials with at least two shares of synthetic samples")
