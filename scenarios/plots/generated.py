"""Generated images, to be looked at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from scenarios.palette import INK, MUTED, PAPER
from scenarios.plots.canvas import canvas, nothing_to_show, styled

REAL, GENERATED = 3, 9
"""Images of a class, at most."""
GAP = 0.1
"""Between two images, as a share of their height; between real and generated ones it is six times as wide."""
CELL = 0.5
"""Inches of an image."""

Images = NDArray[np.floating[Any]]


@styled
def generated_images(
    images: Images,
    labels: NDArray[np.int64],
    real: Images,
    real_labels: NDArray[np.int64],
    ax: Axes | None = None,
    *,
    names: Sequence[str] | None = None,
) -> Axes:
    """Generated images beside real ones, a row for each class of either.

    ``images`` and ``real`` [n, C, H, W] with labels [n], C one (grey) or three (colour), in any units: the range of the
    real ones is shown from black to white. ``names``: of the classes, their numbers by default.
    """
    title = "Real and generated images"
    classes = np.union1d(labels, real_labels)
    if images.ndim != 4 or images.shape[1] not in (1, 3) or len(real) == 0:
        return nothing_to_show(ax, title, "not images")
    height, width = images.shape[2:]
    gap = max(1, round(GAP * height))
    low, high = float(real.min()), float(real.max())
    rows = []
    for label in classes.tolist():
        cells = [*_cells(real[real_labels == label], REAL), *_cells(images[labels == label], GENERATED)]
        rows.append(_row([_shown(cell, low, high, (height, width)) for cell in cells], gap))
    between = np.ones((gap, rows[0].shape[1], 3))
    picture = np.concatenate([part for row in rows for part in (row, between)][:-1])
    ax = canvas(ax, (REAL + GENERATED + 1) * CELL * width / height + 0.9, len(classes) * CELL * (1 + GAP) + 0.8)
    ax.imshow(picture, interpolation="nearest", aspect="equal")
    step, first = height + gap, (height - 1) / 2
    ax.set_yticks([first + step * row for row in range(len(classes))],
                  [str(label) if names is None else names[label] for label in classes.tolist()])  # fmt: skip
    ax.set_xticks([_middle(0, REAL, width, gap), _middle(REAL, GENERATED, width, gap)], ["real", "generated"])
    ax.xaxis.tick_top()
    ax.tick_params(length=0, labelcolor=INK, pad=4)
    ax.tick_params(axis="y", labelcolor=MUTED)
    ax.grid(False)
    ax.set_facecolor(PAPER)
    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.set_title(title, loc="left")
    return ax


def kept_images(images: pd.DataFrame) -> Axes:
    """The same from the table ``images`` of a run, all of one size."""
    shape = tuple(images[["channels", "height", "width"]].iloc[0])
    levels = np.array([np.frombuffer(bytes.fromhex(text), dtype=np.uint8) for text in images["levels"].astype(str)])
    pixels = levels.reshape(-1, *shape) / 255.0
    generated, label = images["generated"].to_numpy(dtype=np.bool_), images["label"].to_numpy()
    return generated_images(pixels[generated], label[generated], pixels[~generated], label[~generated])


def _cells(images: Images, number: int) -> list[Images | None]:
    """The first ``number`` images, None for those that there are not."""
    return [*images[:number], *[None] * max(0, number - len(images))]


def _shown(image: Images | None, low: float, high: float, size: tuple[int, int]) -> NDArray[np.float64]:
    """Red, green and blue [H, W, 3] in [0, 1]; white where there is no image."""
    if image is None:
        return np.ones((*size, 3))
    scaled = np.clip((image.astype(np.float64) - low) / (high - low if high > low else 1.0), 0.0, 1.0)
    return np.broadcast_to(scaled.transpose(1, 2, 0), (*size, 3))


def _row(cells: Sequence[NDArray[np.float64]], gap: int) -> NDArray[np.float64]:
    """Cells [H, W, 3] side by side."""
    height = cells[0].shape[0]
    parts: list[NDArray[np.float64]] = []
    for place, cell in enumerate(cells):
        if place > 0:
            parts.append(np.ones((height, 6 * gap if place == REAL else gap, 3)))
        parts.append(cell)
    return np.concatenate(parts, axis=1)


def _middle(first: int, number: int, width: int, gap: int) -> float:
    """Where the middle of ``number`` cells from the ``first`` on is, in pixels."""
    begin = first * (width + gap) + (5 * gap if first >= REAL else 0)
    return begin + (number * (width + gap) - gap - 1) / 2
