"""Which labels an organisation gives to its synthetic samples, and how far that takes it to the global mix.

With D real samples of label mix q, the global mix q_g and g synthetic samples (CoCoGen+, arXiv 2604.14886):

- ``global``: synthetic labels follow the global mix. The distance from it falls as E D / (D + g).
- ``fill``: synthetic labels fill up what the organisation lacks most to the global mix, in proportion to what is
  missing. The distance falls fastest: to 2 sum_c max(0, D q_c / (D + g) - q_g,c), zero once g is large enough.

A generator that was trained on own data knows only the organisation's own classes. Then the labels are shared out among
those that it can make (``available``), and the distance that is left is larger. A shared generator (``Complemented``)
can make them all.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from learning.columns import BoolColumn, FloatColumn, IntColumn
from learning.partition.pieces import whole_parts
from learning.registry import Registry

Target = Callable[[FloatColumn, FloatColumn, float, BoolColumn], FloatColumn]

TARGETS: Registry[Target] = Registry("synthetic target")


@TARGETS.register("global")
def global_target(counts: FloatColumn, mix: FloatColumn, volume: float, available: BoolColumn) -> FloatColumn:
    """Labels follow the global mix."""
    wanted = np.where(available, mix, 0.0)
    if wanted.sum() == 0:
        wanted = available.astype(np.float64)
    return np.asarray(volume * wanted / wanted.sum())


@TARGETS.register("fill")
def fill_target(counts: FloatColumn, mix: FloatColumn, volume: float, available: BoolColumn) -> FloatColumn:
    """Labels fill up the classes that fall short of the global mix."""
    short = np.where(available, np.maximum(0.0, (counts.sum() + volume) * mix - counts), 0.0)
    # Over all classes at least the volume is short, so none becomes too frequent; over the available ones perhaps less.
    if short.sum() >= volume:
        return np.asarray(short * (volume / short.sum() if volume > 0 else 0.0))
    return short + global_target(counts, mix, volume - float(short.sum()), available)


def class_amounts(
    target: str, counts: FloatColumn, mix: FloatColumn, volume: float, available: BoolColumn | None = None
) -> FloatColumn:
    """How much [C] of a synthetic volume goes to each class; real numbers that sum to ``volume``.

    ``counts`` [C] are the organisation's real samples, ``mix`` [C] the global label mix, ``available`` [C] the classes
    that can be made (None: all). Raises ``UnknownName``, and ``ValueError`` for columns that do not fit, a negative
    volume, or a volume where nothing can be made.
    """
    can = np.ones(len(mix), dtype=np.bool_) if available is None else available
    if not counts.shape == mix.shape == can.shape:
        raise ValueError(f"{len(mix)} classes need as many counts and flags, got {len(counts)} and {len(can)}")
    if (mix < 0).any() or not np.isclose(mix.sum(), 1.0, rtol=0, atol=1e-9):
        raise ValueError("a label mix must be shares of at least 0 that sum to 1")
    if not (np.isfinite(volume) and volume >= 0):
        raise ValueError(f"a synthetic volume must be a number of at least 0, got {volume}")
    chosen = TARGETS[target]
    if volume == 0:
        return np.zeros(len(mix))
    if not can.any():
        raise ValueError("no class can be generated, so there can be no synthetic volume")
    return chosen(np.asarray(counts, dtype=np.float64), np.asarray(mix, dtype=np.float64), float(volume), can)


def class_counts(
    target: str, counts: IntColumn, mix: FloatColumn, volume: int, available: BoolColumn | None = None
) -> IntColumn:
    """The same in whole samples [C] that sum to ``volume``, by largest remainder."""
    amounts = class_amounts(target, np.asarray(counts, dtype=np.float64), mix, volume, available)
    return whole_parts(amounts / volume, volume) if volume > 0 else np.zeros(len(mix), dtype=np.int64)


def labels_of(counts: IntColumn) -> IntColumn:
    """One label [n] for each sample of counts [C], class by class."""
    return np.repeat(np.arange(len(counts)), counts)


def emd_after(target: str, class_mix: NDArray[np.float64], global_mix: FloatColumn, data_size: FloatColumn,
              volume: FloatColumn) -> FloatColumn:  # fmt: skip
    """Distance [K] from the global mix [C] that is left with a synthetic volume [K] of which all classes can be made.

    ``class_mix`` [K, C] and ``data_size`` [K] are those of the real samples. Exact for real-valued amounts; see the
    module's formulas. Raises ``UnknownName``.
    """
    TARGETS[target]
    share = np.where(data_size + volume > 0, data_size / np.maximum(data_size + volume, 1e-300), 0.0)
    if target == "fill":
        return np.asarray(2.0 * np.maximum(0.0, share[:, None] * class_mix - global_mix).sum(axis=1))
    return np.asarray(share * np.abs(class_mix - global_mix).sum(axis=1))
