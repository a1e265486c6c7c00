"""What an owner can send as its update: really trained, or forged without training."""

from __future__ import annotations

from enum import IntEnum


class Upload(IntEnum):
    """Kinds of upload; everything but TRAINED costs no training."""

    TRAINED = 0
    GLOBAL_COPY = 1
    REPLAY = 2
    NOISE = 3
    PEER_COPY = 4
