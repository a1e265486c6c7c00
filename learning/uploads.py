"""What an owner can send as its update: really trained, spoilt after training, or forged without training."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike

from learning.columns import BoolColumn


class Upload(IntEnum):
    """Kinds of upload; ``works`` tells which cost training. What each is made of stands in ``learning.forging``."""

    TRAINED = 0
    GLOBAL_COPY = 1
    REPLAY = 2
    NOISE = 3
    PEER_COPY = 4
    SHUFFLE = 5
    SIGN_FLIP = 6
    SAME_VALUE = 7
    RANDOM = 8
    OWN_LAST = 9
    LABEL_FLIP = 10
    BACKDOOR = 11
    REPLACEMENT = 12
    BOOST = 13
    NOISY = 14
    NOISY_COPY = 15
    SCALED_REPLAY = 16


_BACKDOORS = (Upload.BACKDOOR, Upload.REPLACEMENT)
_POISONED = (Upload.LABEL_FLIP, *_BACKDOORS)
_COPIES = (Upload.PEER_COPY, Upload.NOISY_COPY)
_WORKED = (Upload.TRAINED, Upload.SHUFFLE, Upload.SIGN_FLIP, Upload.BOOST, Upload.NOISY, *_POISONED)


def works(upload: ArrayLike) -> BoolColumn:
    """Behind which of these kinds [K] there is real training, paid for and done."""
    return np.isin(upload, _WORKED)


def poisons(upload: ArrayLike) -> BoolColumn:
    """Which of these kinds [K] are trained on data that were falsified for it (``learning.poisoning``)."""
    return np.isin(upload, _POISONED)


def plants(upload: ArrayLike) -> BoolColumn:
    """Which of these kinds [K] try to plant a backdoor."""
    return np.isin(upload, _BACKDOORS)


def copies(upload: ArrayLike) -> BoolColumn:
    """Which of these kinds [K] are made from the last upload of another owner."""
    return np.isin(upload, _COPIES)


def recalls(upload: ArrayLike) -> BoolColumn:
    """Which of these kinds [K] send an earlier upload again, so that uploads have to be kept.

    A replay does so among personal models only: of a global model it repeats the last change.
    """
    return np.isin(upload, (Upload.REPLAY, Upload.SCALED_REPLAY, Upload.OWN_LAST, *_COPIES))
