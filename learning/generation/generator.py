"""What makes synthetic samples looks like, the registry of generators, and the data that they can make.

A generator is a frozen dataclass of parameters. Trained on an organisation's own samples it becomes a ``Fitted`` one,
which makes samples of given labels. Every draw is a function of (owner, counter), so a fitted generator need not be
kept: fitting again gives the same one. Where a generator computes on a device, its result is there, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor

from learning.columns import BoolColumn, IntColumn
from learning.data import Dataset
from learning.registry import Registry
from learning.streams import Streams


class Fitted(Protocol):
    """A generator that has been trained. ``known`` [C] says which classes it can make: those it was trained on."""

    @property
    def known(self) -> BoolColumn: ...

    def sample(self, labels: IntColumn, owner: int, counter: int, streams: Streams) -> Tensor:
        """Synthetic samples [n, *shape], float32, one for each label, within the range of the data trained on.

        The first samples do not depend on how many follow (but for rounding). Raises ``UnknownClass`` for a label that
        the generator does not know.
        """
        ...


class Generator(Protocol):
    """Parameters of a way to make synthetic samples.

    ``axes``: how many axes a sample may have, 1 for a row of a table, 3 for an image.
    """

    axes: ClassVar[tuple[int, ...]]

    def fit(self, x: Tensor, y: Tensor, classes: int, owner: int, counter: int, streams: Streams) -> Fitted:
        """Train on samples x [n, *shape] with labels y [n] in 0..classes-1.

        Raises ``UnsupportedData`` for a kind of data that it cannot make, ``ValueError`` for no samples at all.
        """
        ...


KINDS = {3: "images", 1: "tables of numbers"}
"""Kinds of data by the axes of a sample."""

GENERATORS: Registry[type[Generator]] = Registry("generator")


class UnsupportedData(ValueError):
    """A kind of data that a generator cannot make. ``str()`` is one line."""


class UnknownClass(ValueError):
    """A label of which a generator has seen no sample."""


def generator_for(name: str, dataset: Dataset, **parameters: Any) -> Generator:
    """The registered generator ``name``, if it can make such data.

    Raises ``UnknownName``, and ``UnsupportedData``, always for token ids: no generator here writes text.
    """
    kind = GENERATORS[name]
    if dataset.vocabulary is not None:
        raise UnsupportedData(
            f"the generator '{name}' makes {_kinds(kind)}, the data set '{dataset.name}' holds token ids"
        )
    if len(dataset.shape) not in kind.axes:
        raise UnsupportedData(
            f"the generator '{name}' makes {_kinds(kind)}, samples of '{dataset.name}' have shape {dataset.shape}"
        )
    return kind(**parameters)


def _kinds(kind: type[Generator]) -> str:
    """The data that a generator makes, in words."""
    return " and ".join(words for axes, words in KINDS.items() if axes in kind.axes)


def check_samples(generator: Generator, x: Tensor, y: Tensor, classes: int) -> None:
    """Raise ``ValueError`` unless a generator can be trained on samples x with labels y.

    It makes data of this kind, there are samples and a label for each, all are finite and in range.
    """
    if x.ndim - 1 not in generator.axes:
        raise UnsupportedData(f"{type(generator).__name__} makes {_kinds(type(generator))}, got {list(x.shape)}")
    if len(x) == 0:
        raise ValueError("a generator needs samples to be trained on")
    if y.shape != (len(x),):
        raise ValueError(f"{len(x)} samples need as many labels, got {list(y.shape)}")
    if int(y.min()) < 0 or int(y.max()) >= classes:
        raise ValueError(f"labels must be 0..{classes - 1}, got {int(y.min())}..{int(y.max())}")
    if not bool(torch.isfinite(x).all()):
        raise ValueError("a generator cannot be trained on NaN or infinite values")


def check_labels(labels: IntColumn, known: BoolColumn) -> None:
    """Raise ``UnknownClass`` for labels [n] outside ``known`` [C]."""
    inside = (labels >= 0) & (labels < len(known))
    strange = np.unique(labels[~inside | ~known[np.where(inside, labels, 0)]])
    if len(strange):
        raise UnknownClass(f"no sample of class {', '.join(map(str, strange))} was there to learn from")


def known_classes(y: Tensor, classes: int) -> BoolColumn:
    """Which classes [C] are among labels y [n]."""
    return np.asarray(torch.bincount(y, minlength=classes).cpu().numpy() > 0)


@dataclass(frozen=True, eq=False)
class DataRange:
    """Least and greatest values of data: per feature of a table, per channel of images. Broadcast with samples."""

    low: Tensor
    high: Tensor

    @classmethod
    def of(cls, x: Tensor) -> DataRange:
        """The range of samples x [n, *shape]."""
        axes = (0,) if x.ndim == 2 else (0, 2, 3)
        return cls(x.amin(dim=axes, keepdim=True), x.amax(dim=axes, keepdim=True))

    def clip(self, x: Tensor) -> Tensor:
        """Samples [n, *shape] with every value moved into the range."""
        return torch.maximum(torch.minimum(x, self.high), self.low)
