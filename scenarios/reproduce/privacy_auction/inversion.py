"""What an honest but curious server reads out of an upload, against the noise and against the epsilon sold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.figure import Figure

from learning.columns import FloatColumn
from learning.data import load_dataset
from learning.models import FlatModel
from learning.privacy.gradient_inversion import Attack, ExactInversion, Victims
from learning.privacy.gradient_matching import GradientMatching
from learning.privacy.terms import PrivacyTerms
from learning.streams import Streams
from scenarios.palette import BLACK, BLUE, MUTED, ORANGE
from scenarios.plots.canvas import styled
from scenarios.reproduce.privacy_auction.markets import Estimate, row
from scenarios.reproduce.study import Options, Row, Study
from scenarios.reproduce.verdicts import law, unpublished

REPETITIONS = 5
SAMPLES = 12
NOISE = (1e-4, 1e-3, 1e-2, 3e-2, 1e-1)
"""Standard deviations of the noise on each weight, for a gradient of norm 1."""
EPSILONS = (0.1, 0.5, 1.0, 2.5, 5.0, 50.0, 1e3, 1e5)
TERMS = PrivacyTerms(clip_norm=1.0)
EXACT, MATCHING = "exact", "matching"
AXES = {"noise": NOISE, "epsilon": EPSILONS}
ERROR = "error / that of a guess"
SLACK = 1.05
"""Errors count as not rising within five percent."""


def inversion(options: Options) -> Study:
    """Median reconstruction errors of a formula and of a search, relative to saying the mean of the samples."""
    draws, steps = (20, 30) if options.quick else (60, 100)
    rows: list[Row] = []
    found: dict[tuple[str, str], FloatColumn] = {}
    for axis in AXES:
        for name in (EXACT, MATCHING):
            found[axis, name] = np.array([_errors(axis, name, seed, draws, steps, options) for seed in _seeds()])
    for (axis, name), errors in found.items():
        rows += [row((name, axis, f"{at:g}", ERROR), column) for at, column in zip(AXES[axis], errors.T, strict=True)]
        rows.append(_trend(axis, name, errors.mean(axis=0)))
    sold = found["epsilon", EXACT][:, : EPSILONS.index(5.0) + 1]
    verdict = unpublished("1 or more: whatever is sold in the paper's types, an attacker does no better than a guess")
    rows.append(row((EXACT, "epsilon", "up to 5", "least error / that of a guess"), sold.min(axis=1), verdict))
    return Study(
        name="inversion",
        title="Inverting an upload",
        method=(
            f"{options.dataset}, softmax regression before training; victims send the gradient of one sample, clipped "
            f"to an L2 norm of {TERMS.clip_norm:g} and noised. 'exact': least squares over the outputs of a linear "
            f"layer; 'matching': {steps} steps of a search for the sample whose gradient looks like the upload (cosine "
            f"distance). Median mean-squared errors over {SAMPLES} samples and the draws of the noise ({draws} and 1); "
            f"{REPETITIONS} repetitions with other weights, samples and noise. A guess says the mean of the samples."
        ),
        columns=("attack", "against", "at", "quantity"),
        rows=tuple(rows),
        figure=_figure(found),
        caption="Means with 95 % intervals; dashed: a guess. Shaded: the epsilon of the paper's types.",
    )


def _seeds() -> range:
    return range(1, REPETITIONS + 1)


def _errors(axis: str, name: str, seed: int, draws: int, steps: int, options: Options) -> FloatColumn:
    """Errors [S] of one attack at each place of an axis, relative to a guess."""
    streams, data = Streams(seed), load_dataset(options.dataset)
    model = FlatModel.for_dataset("softmax", data)
    some = slice(SAMPLES * (seed - 1), SAMPLES * seed)
    x, y = torch.from_numpy(data.x_train[some]), torch.from_numpy(data.y_train[some])
    victims = Victims(model, model.initial(streams).double(), x, y, TERMS.clip_norm)
    limits = float(x.min()), float(x.max())
    attack: Attack = ExactInversion(model)
    if name == MATCHING:
        draws = 1
        attack = GradientMatching(model, victims.weights, streams, clip=TERMS.clip_norm, limits=limits, steps=steps)
    if axis == "noise":
        curve = victims.inversion(attack, NOISE, draws, streams)
    else:
        curve = victims.inversion_against_epsilon(attack, EPSILONS, TERMS, draws, streams)
    return np.asarray(curve.mse / curve.guess_mse)


def _trend(axis: str, name: str, errors: FloatColumn) -> Row:
    """Whether errors rise with noise, or do not rise with epsilon."""
    if axis == "noise":
        # A search has an error of its own, below which noise makes no difference.
        least = 1.0 if name == EXACT else 1.0 / SLACK
        holds, what = bool((errors[1:] > least * errors[:-1]).all()), "the error rises with the noise"
    else:
        holds, what = bool((errors[1:] <= SLACK * errors[:-1]).all()), "the error does not rise with epsilon (by 5 %)"
    return Row((name, axis, "all", "trend"), float(holds), law(holds, what))


@styled
def _figure(found: dict[tuple[str, str], FloatColumn]) -> Figure:
    figure = Figure(figsize=(9.6, 3.9), layout="constrained")
    for ax, axis in zip(figure.subplots(1, 2), AXES, strict=True):
        for name, hue in ((EXACT, BLUE), (MATCHING, ORANGE)):
            columns: Sequence[FloatColumn] = list(found[axis, name].T)
            means = [Estimate.of_sd(float(c.mean()), float(c.std(ddof=1)), REPETITIONS) for c in columns]
            error = np.array([[min(one.half_width, 0.99 * one.mean), one.half_width] for one in means]).T
            ax.errorbar(
                AXES[axis], [one.mean for one in means], yerr=error, color=hue, marker="o", markersize=3, label=name
            )
        ax.axhline(1.0, color=BLACK, linewidth=0.8, linestyle="--")
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.set_xlabel("noise on each weight (norm 1)" if axis == "noise" else "epsilon of one release")
        ax.set_title(f"Against {axis}")
        if axis == "epsilon":
            ax.axvspan(EPSILONS[0], 5.0, color=MUTED, alpha=0.12, linewidth=0)
        else:
            ax.set_ylabel(ERROR)
            ax.legend()
    return figure
