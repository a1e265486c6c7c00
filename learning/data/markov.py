"""Generated text of authors with habits of their own: next-character data whose best possible accuracy is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.special import softmax

from learning.columns import FloatColumn, IntColumn
from learning.data.dataset import DATASETS, Dataset, FloatArray
from learning.streams import Streams

CHARACTERS = 30
AUTHORS = 24
CONTEXT = 12
TRAIN_WINDOWS, TEST_WINDOWS = 500, 100
"""Windows per author in each half."""

BURN_IN = 16
LAST, BEFORE = 2.0, 1.0
"""How strongly the last character and the one before it favour or hinder the next: deviation of the log-chances."""
HABIT = 0.7
"""An author's own preferences, as a share of those that all authors have in common."""

_SEED = 20170408
"""The data set is the same in every run, whatever the run's seed."""


def transition_probabilities() -> FloatColumn:
    """Chance [authors, a, b, c] that an author writes character c after the characters a, b.

    The log-chance is, but for the norm, the sum of a preference of a for c and of one of b for c; each is the sum of
    a common and a personal one, all Gaussian. So a small network can learn it, and authors are alike but not equal.
    """
    streams = Streams(_SEED)
    table = (CHARACTERS, CHARACTERS)
    before, last = (_preferences(streams, part, (AUTHORS, *table)) for part in ("before", "last"))
    favour = BEFORE * before[:, :, None] + LAST * last[:, None]
    return np.asarray(softmax(favour, axis=-1))


def _preferences(streams: Streams, part: str, shape: tuple[int, ...]) -> FloatColumn:
    """Common preferences [1, a, c] plus personal ones [authors, a, c]."""
    common = streams.generator(f"markov/{part}/common").standard_normal(shape[1:])
    return common + HABIT * streams.generator(f"markov/{part}/personal").standard_normal(shape)


@DATASETS.register("markov_text")
def markov_text(folder: Path) -> Dataset:
    """Generated text: 24 authors, 30 characters, the next one depends on the last two and the author; 12 are given.

    Second-order Markov chains, 500 windows per author for training and 100 for testing, each window from a chain of
    its own. The natural groups are the authors. It is the same data every time.
    """
    chances = transition_probabilities()
    halves = [_windows(chances, count, part) for part, count in (("train", TRAIN_WINDOWS), ("test", TEST_WINDOWS))]
    (x_train, y_train, groups), (x_test, y_test, _) = halves
    return Dataset("markov_text", x_train, y_train, x_test, y_test, CHARACTERS, groups, vocabulary=CHARACTERS)


def _windows(chances: FloatColumn, count: int, part: str) -> tuple[FloatArray, IntColumn, IntColumn]:
    """``count`` contexts per author, the character that follows each, and the author; one after another in turn."""
    author = np.tile(np.arange(AUTHORS), count)
    draws = Streams(_SEED).generator(f"markov/{part}").random((BURN_IN + CONTEXT + 1, len(author)))
    up_to = chances.cumsum(axis=-1)
    up_to /= up_to[..., -1:]
    text = np.zeros((len(draws) + 2, len(author)), dtype=np.int64)
    for place, draw in enumerate(draws, start=2):
        below = up_to[author, text[place - 2], text[place - 1]]
        text[place] = (draw[:, None] >= below).sum(axis=1)
    context = text[-CONTEXT - 1 : -1].T
    return np.ascontiguousarray(context, dtype=np.float32), text[-1], author
