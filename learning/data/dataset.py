"""What a data set is, and the table of those with a name."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from learning.columns import BoolColumn, IntColumn
from learning.data.answers import FILL, Answers
from learning.registry import Registry

FloatArray = NDArray[np.float32]


class BadData(ValueError):
    """Data that cannot be used. ``source`` says where, ``problem`` what; ``str()`` is one line of both."""

    def __init__(self, source: str, problem: str) -> None:
        super().__init__(source, problem)
        self.source = source
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.source}: {self.problem}"


@dataclass(frozen=True, eq=False)
class Dataset:
    """Samples for training and testing.

    ``x_*`` float32 [n, *shape] (images channel first; text as token ids [n, length]), ``y_*`` int64 [n] in
    0..classes-1. ``groups``: int64 [n_train], the natural group (author, device) of each training sample, None if
    there are none. ``vocabulary``: how many token ids there are if ``x_*`` are token ids, None if they are numbers.
    ``answers``: what is to be said if samples are prompts with their answers, None if the label is all there is.
    """

    name: str
    x_train: FloatArray
    y_train: IntColumn
    x_test: FloatArray
    y_test: IntColumn
    classes: int
    groups: IntColumn | None = None
    vocabulary: int | None = None
    answers: Answers | None = None

    def __post_init__(self) -> None:
        if self.groups is not None and len(self.groups) != len(self.y_train):
            raise ValueError(f"{len(self.y_train)} training samples have {len(self.groups)} groups")

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return tuple(self.x_train.shape[1:])

    @property
    def chance(self) -> float:
        """Test accuracy of the best guess that does not look at the sample, but for the domain of what is asked."""
        if self.answers is not None:
            return self.answers.chance(self.y_test)
        return float(np.bincount(self.y_test, minlength=self.classes).max() / len(self.y_test))

    def with_answers_of(self, rows: IntColumn, source: IntColumn) -> FloatArray:
        """Training samples ``rows`` [k] with the answers of the samples ``source`` [k]; for prompts with answers."""
        assert self.answers is not None
        samples, place = self.x_train[rows], slice(-self.answers.length, None)
        samples[:, place] = self.x_train[source, place]
        return samples

    def prompt_tokens(self, samples: FloatArray) -> BoolColumn:
        """Where in samples [k, length] there are tokens of the prompt."""
        assert self.answers is not None
        there: BoolColumn = samples != FILL
        there[:, -self.answers.length :] = False
        return there

    def first(self, train: int | None, test: int | None) -> Dataset:
        """The first samples of each half (None: all); spread over the classes where these leave a class out."""
        kept, tested = _first(self.y_train, train), _first(self.y_test, test)
        return dataclasses.replace(
            self,
            x_train=self.x_train[kept],
            y_train=self.y_train[kept],
            x_test=self.x_test[tested],
            y_test=self.y_test[tested],
            groups=None if self.groups is None else self.groups[kept],
        )


DATASETS: Registry[Callable[..., Dataset]] = Registry("data set")


def data_folder() -> Path:
    """The folder that holds downloaded data: ``$DATAGORA_DATA``, else ``~/.cache/datagora/data``."""
    named = os.environ.get("DATAGORA_DATA")
    return Path(named) if named else Path.home() / ".cache" / "datagora" / "data"


def _first(labels: IntColumn, count: int | None) -> IntColumn | slice:
    """Which samples the first ``count`` are: files are often sorted by class, and then the first are all of one."""
    if count is None or count >= len(labels):
        return slice(None)
    if len(np.unique(labels[:count])) == min(count, len(np.unique(labels))):
        return slice(count)
    return np.sort(interleaved(labels)[:count])


def interleaved(labels: IntColumn) -> IntColumn:
    """An order [n] of samples in which every beginning has about the class shares of the whole; no random numbers."""
    place = np.zeros(len(labels))
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        place[own] = (np.arange(len(own)) + 0.5) / len(own)
    return np.argsort(place, kind="stable")


def each_fifth(labels: IntColumn) -> BoolColumn:
    """Which samples [n] are for testing: of every class each fifth, so the split needs no random numbers."""
    testing = np.zeros(len(labels), dtype=np.bool_)
    for label in np.unique(labels):
        testing[np.flatnonzero(labels == label)[::5]] = True
    return testing
