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


def works(upload: ArrayLike) -> BoolColumn:
    """Behind which of these kinds [K] there is real training, paid for and done."""
    return np.isin(upload, (Upload.TRAINED, Upload.SHUFFLE, Upload.SIGN_FLIP))


def recalls(upload: ArrayLike) -> BoolColumn:
    """Which of these kinds [K] send an earlier upload again, so that uploads have to be kept.

    A replay does so among personal models only: of a global model it repeats the last change.
    """
    return np.isin(upload, (Upload.REPLAY, Upload.PEER_COPY, Upload.OWN_LAST))
