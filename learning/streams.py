"""Random numbers as a function of (root seed, purpose, owner, counter, item).

Nothing here holds a position in a stream: the same arguments always give the same number, for one owner or for a
whole column, in any order, in any process. So a new draw somewhere never shifts another one, and two worlds with
the same seed meet the same luck.

The generator is Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = (0x9E3779B9, 0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_FEW = 8

FloatColumn = NDArray[np.float64]


def philox4x32(counter: tuple[ArrayLike, ArrayLike, ArrayLike, ArrayLike], key: tuple[int, int]) -> NDArray[np.uint64]:
    """Ten rounds of Philox on broadcast 32-bit counter words; returns the four output words, shape [4, ...]."""
    a, b, c, d = np.broadcast_arrays(*(np.asarray(word, dtype=np.uint64) & _LOW for word in counter))
    if a.size <= _FEW:
        # One owner at a time is a common case, and there an array operation costs as much as this whole block.
        each = [_block(words, key) for words in zip(*(w.ravel().tolist() for w in (a, b, c, d)), strict=True)]
        return np.array(each, dtype=np.uint64).T.reshape(4, *a.shape)
    low, high = key
    for _ in range(10):
        left, right = a * _MULTIPLIERS[0], c * _MULTIPLIERS[1]
        a, b, c, d = (
            (right >> _HALF) ^ b ^ np.uint64(low),
            right & _LOW,
            (left >> _HALF) ^ d ^ np.uint64(high),
            left & _LOW,
        )
        low, high = (low + _WEYL[0]) & 0xFFFFFFFF, (high + _WEYL[1]) & 0xFFFFFFFF
    return np.stack([a, b, c, d])


def _block(counter: tuple[int, int, int, int], key: tuple[int, int]) -> tuple[int, int, int, int]:
    """The same for one block of plain integers."""
    (a, b, c, d), (low, high) = counter, key
    for _ in range(10):
        left, right = a * 0xD2511F53, c * 0xCD9E8D57
        a, b, c, d = (right >> 32) ^ b ^ low, right & 0xFFFFFFFF, (left >> 32) ^ d ^ high, left & 0xFFFFFFFF
        low, high = (low + _WEYL[0]) & 0xFFFFFFFF, (high + _WEYL[1]) & 0xFFFFFFFF
    return a, b, c, d


@lru_cache(maxsize=4096)
def _key(seed: int, purpose: str) -> tuple[int, int]:
    # A stable hash: Python's own hash of a string differs between processes.
    digest = hashlib.blake2b(f"{seed}/{purpose}".encode(), digest_size=8).digest()
    return int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:], "little")


class Streams:
    """The named random streams of one run.

    ``owner`` (up to 64 bits), ``counter`` and ``item`` (32 bits each) may be numbers or arrays; they broadcast.
    By custom ``counter`` is the round and ``item`` a position within it.
    """

    def __init__(self, seed: int) -> None:
        self.seed = int(seed)

    def _words(self, purpose: str, owner: ArrayLike, counter: ArrayLike, item: ArrayLike) -> NDArray[np.uint64]:
        who = np.asarray(owner).astype(np.uint64)
        return philox4x32((item, counter, who & _LOW, who >> _HALF), _key(self.seed, purpose))

    def uniform(self, purpose: str, owner: ArrayLike, counter: ArrayLike = 0, item: ArrayLike = 0) -> FloatColumn:
        """Uniform numbers in the open interval (0, 1), 52 bits each."""
        places = [np.asarray(place) for place in (owner, counter, item)]
        if places[0].size == places[1].size == places[2].size == 1:
            # One owner at a time is a common case; array operations would cost ten times as much.
            who, count, position = (int(place.item()) for place in places)
            words = (position & 0xFFFFFFFF, count & 0xFFFFFFFF, who & 0xFFFFFFFF, who >> 32 & 0xFFFFFFFF)
            block = _block(words, _key(self.seed, purpose))
            number = ((block[0] << 20 | block[1] >> 12) + 0.5) * 2.0**-52
            return np.full(max((place.shape for place in places), key=len), number)
        drawn = self._words(purpose, owner, counter, item)
        bits = (drawn[0] << np.uint64(20)) | (drawn[1] >> np.uint64(12))
        return np.asarray((bits.astype(np.float64) + 0.5) * 2.0**-52)

    def normal(self, purpose: str, owner: ArrayLike, counter: ArrayLike = 0, item: ArrayLike = 0) -> FloatColumn:
        """Standard normal numbers, by inversion of one uniform each."""
        return np.asarray(ndtri(self.uniform(purpose, owner, counter, item)))

    def exponential(self, purpose: str, owner: ArrayLike, counter: ArrayLike = 0, item: ArrayLike = 0) -> FloatColumn:
        """Exponential numbers of mean one."""
        return np.asarray(-np.log(self.uniform(purpose, owner, counter, item)))

    def integers(
        self, purpose: str, owner: ArrayLike, high: ArrayLike, counter: ArrayLike = 0, item: ArrayLike = 0
    ) -> NDArray[np.int64]:
        """Integers in [0, high); ``high`` may be an array."""
        return np.asarray(np.floor(self.uniform(purpose, owner, counter, item) * np.asarray(high)), dtype=np.int64)

    def generator(self, purpose: str, owner: int = 0, counter: int = 0) -> np.random.Generator:
        """A NumPy generator of its own for one (purpose, owner, counter): for bulk draws such as a noise vector."""
        low, high = _key(self.seed, purpose)
        key = np.array([low | high << 32, int(owner)], dtype=np.uint64)
        return np.random.Generator(np.random.Philox(key=key, counter=[0, 0, 0, int(counter)]))
