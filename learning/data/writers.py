"""Handwriting by many hands: real digits, each written over again by a writer with a slant, a pen and a place.

Stands in for FEMNIST (62 characters by 3,500 writers; Caldas et al. 2018), which is no registered download. The digits
are real, the hands are generated: a writer shears, scales and shifts what it writes and has a thin or a thick pen.
Test samples are by other writers than training samples, as in the experiments with FEMNIST.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from learning.columns import FloatColumn, IntColumn
from learning.data.arrays import standardise
from learning.data.dataset import DATASETS, Dataset, FloatArray
from learning.data.images import digits, mnist
from learning.streams import Streams

WRITERS = 20
"""Writers of the training half; as many others wrote the test half."""

SLANT, SHIFT, STRETCH, PEN = 0.5, 0.08, 0.2, 0.6
"""How far hands differ: shear in pixels per pixel, shift as a share of the height, log of the scale, pen strength.

All are uniform around none, up to this much to either side.
"""

_SEED = 20180523
"""The data set is the same in every run, whatever the run's seed."""


@dataclass(frozen=True)
class Hands:
    """Columns [writers]: ``slant``, ``down`` and ``across`` (shifts, share of the height), ``stretch``, ``pen``.

    ``size`` is the share of the samples that a writer wrote.
    """

    slant: FloatColumn
    down: FloatColumn
    across: FloatColumn
    stretch: FloatColumn
    pen: FloatColumn
    size: FloatColumn


def hands() -> Hands:
    """2 * ``WRITERS`` hands: those of the training half, then those of the test half."""
    streams, writers = Streams(_SEED), np.arange(2 * WRITERS)

    def between(purpose: str, most: float) -> FloatColumn:
        return most * (2 * streams.uniform(f"writers/{purpose}", writers) - 1)

    size = 0.5 + streams.uniform("writers/size", writers)  # a writer has up to three times as much as another one
    return Hands(
        between("slant", SLANT), between("down", SHIFT), between("across", SHIFT), np.exp(between("stretch", STRETCH)),
        between("pen", PEN), size,
    )  # fmt: skip


def written(images: FloatArray, writer: IntColumn, of: Hands) -> FloatArray:
    """Grey images [n, 1, height, width] in [0, 1] as their writers [n] would have written them."""
    from scipy.ndimage import affine_transform, gaussian_filter

    result = np.empty_like(images)
    height = images.shape[2]
    middle = (np.array(images.shape[2:]) - 1) / 2
    for number in np.unique(writer).tolist():
        own = np.flatnonzero(writer == number)
        # Where each pixel of the new image comes from in the old one, around the middle.
        matrix = np.array([[1.0, 0.0], [of.slant[number], 1.0]]) / of.stretch[number]
        shift = height * np.array([of.down[number], of.across[number]])
        around = np.eye(3)
        around[1:, 1:] = matrix
        offset = np.concatenate(([0.0], middle - matrix @ (middle + shift)))
        moved = affine_transform(images[own, 0], around, offset, order=1)
        # A soft copy added spreads the ink; taken away, it thins the strokes.
        soft = gaussian_filter(moved, (0.0, height / 20, height / 20))
        result[own, 0] = np.clip(moved + of.pen[number] * soft, 0.0, 1.0)
    return result


def by_writers(name: str, base: Dataset) -> Dataset:
    """The images of ``base``, grey and brought to [0, 1], by writers; the groups are the training writers."""
    low, high = float(base.x_train.min()), float(base.x_train.max())
    streams, of = Streams(_SEED), hands()
    halves = []
    for part, images in enumerate((base.x_train, base.x_test)):
        ours = np.arange(WRITERS) + part * WRITERS
        up_to = np.cumsum(of.size[ours]) / of.size[ours].sum()
        lot = streams.uniform("writers/of an image", np.arange(len(images)), part)
        writer = ours[np.minimum(np.searchsorted(up_to, lot, side="right"), WRITERS - 1)]
        scaled = np.clip((images - low) / (high - low), 0.0, 1.0).astype(np.float32)
        halves.append((written(scaled, writer, of), writer))
    (x_train, writer), (x_test, _) = halves
    x_train, x_test = standardise(x_train, x_test)
    groups = np.unique(writer, return_inverse=True)[1].astype(np.int64)
    return Dataset(name, x_train, base.y_train, x_test, base.y_test, base.classes, groups)


@lru_cache(maxsize=2)
def _by_hands(name: str, folder: Path) -> Dataset:
    """Kept, because writing 70,000 digits takes some seconds."""
    return by_writers(name, {"digits_writers": digits, "mnist_writers": mnist}[name](folder))


@DATASETS.register("digits_writers")
def digits_writers(folder: Path) -> Dataset:
    """`digits` by 20 generated hands, the test half by 20 others; for FEMNIST, comes with the installation."""
    return _by_hands("digits_writers", folder)


@DATASETS.register("mnist_writers")
def mnist_writers(folder: Path) -> Dataset:
    """`mnist` by 20 generated hands, the test half by 20 others; for FEMNIST."""
    return _by_hands("mnist_writers", folder)
