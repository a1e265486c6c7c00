"""Raw arrays, of a user's ``.npz`` file or of a download, brought to a checked data set.

A Keras-style file holds ``x_train``, ``y_train``, ``x_test``, ``y_test``. The number of axes of ``x`` says what it is:
2 = tabular [n, features]; 3 = grey images [n, height, width]; 4 = images, channel last [n, height, width, channels].

It may also hold ``groups`` [n_train], whole numbers that say which training samples belong together by nature (the
same author, device, hospital), and ``vocabulary``, one number V: then ``x`` [n, length] are token ids 0..V-1.
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from learning.columns import IntColumn
from learning.data.dataset import BadData, Dataset, FloatArray
from learning.limits import check_arrays

ARRAYS = ("x_train", "y_train", "x_test", "y_test")
EXTRAS = ("groups", "vocabulary")
MOST_WORDS = 2**24
"""Most token ids of a vocabulary."""
_ZIP = (NotImplementedError, RuntimeError, KeyError)
"""What the archive's reader raises for an unknown compression, an encrypted array, and a wrong directory."""


def read_npz(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a Keras-style file. Raises ``BadData`` if it is unreadable or lacks one of the four."""
    try:
        if path.exists() and not zipfile.is_zipfile(path):
            raise BadData(str(path), "not an .npz file (an archive of arrays, as numpy.savez writes it)")
        with path.open("rb") as file:
            check_arrays(file, (*ARRAYS, *EXTRAS))
            return _arrays(path, file)
    except FileNotFoundError:
        raise BadData(str(path), "there is no such file") from None
    except BadData:
        raise
    except (OSError, ValueError, TypeError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error, *_ZIP) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise BadData(str(path), f"not a readable .npz file ({reason})") from error


def _arrays(path: Path, file: IO[bytes]) -> dict[str, NDArray[Any]]:
    with np.load(file, allow_pickle=False) as archive:
        missing = [name for name in ARRAYS if name not in archive]
        if missing:
            raise BadData(str(path), f"array {', '.join(missing)} is missing (expected {', '.join(ARRAYS)})")
        return {name: archive[name] for name in (*ARRAYS, *EXTRAS) if name in archive}


def dataset_from_arrays(name: str, arrays: dict[str, NDArray[Any]], source: str) -> Dataset:
    """Check raw arrays and bring them to a ``Dataset``, standardised by the statistics of the training half.

    Tabular data is standardised per feature, images per channel, token ids not at all. Integer pixels need no scaling
    to [0, 1] first: standardising undoes any scale. Raises ``BadData``.
    """
    x_train, x_test = (_samples(arrays, name, source) for name in ("x_train", "x_test"))
    y_train, y_test = (_labels(arrays, name, source) for name in ("y_train", "y_test"))
    for x, y, part in ((x_train, y_train, "train"), (x_test, y_test, "test")):
        if len(x) != len(y):
            raise BadData(source, f"x_{part} has {len(x)} samples but y_{part} has {len(y)} labels")
    if x_train.shape[1:] != x_test.shape[1:]:
        raise BadData(source, f"x_train has samples of shape {x_train.shape[1:]}, x_test of {x_test.shape[1:]}")
    classes = int(y_train.max()) + 1
    if classes < 2:
        raise BadData(source, "y_train has only the label 0, at least two classes are needed")
    if classes > len(y_train):
        raise BadData(source, f"y_train has the label {classes - 1} among only {len(y_train)} samples")
    if int(y_test.max()) >= classes:
        raise BadData(source, f"y_test has the label {int(y_test.max())}, y_train only 0..{classes - 1}")
    groups, vocabulary = _groups(arrays, len(y_train), source), _vocabulary(arrays, x_train, x_test, source)
    if vocabulary is None:
        x_train, x_test = standardise(x_train, x_test)
    return Dataset(name, x_train, y_train, x_test, y_test, classes, groups, vocabulary)


def standardise(x_train: FloatArray, x_test: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Both halves with mean 0 and deviation 1 of the training half, per feature (2 axes) or per channel (4 axes)."""
    axes = (0,) if x_train.ndim == 2 else (0, *range(2, x_train.ndim))
    mean = x_train.mean(axis=axes, keepdims=True, dtype=np.float64)
    spread = x_train.std(axis=axes, keepdims=True, dtype=np.float64)
    # Rounding leaves a trace of spread in a constant feature, which must not be blown up to noise of deviation 1.
    constant = spread <= 1e-6 * np.maximum(np.abs(mean), np.finfo(np.float32).tiny)
    centre, scale = mean.astype(np.float32), np.where(constant, 1.0, spread).astype(np.float32)
    return (x_train - centre) / scale, (x_test - centre) / scale


def _samples(arrays: dict[str, NDArray[Any]], name: str, source: str) -> FloatArray:
    raw = arrays[name]
    if raw.ndim not in (2, 3, 4):
        raise BadData(source, f"{name} has {raw.ndim} axes, expected 2 (tabular), 3 (grey) or 4 (channel-last images)")
    if raw.size == 0:
        raise BadData(source, f"{name} is empty (shape {raw.shape})")
    if raw.dtype.kind not in "buif":
        raise BadData(source, f"{name} holds {raw.dtype}, expected numbers")
    with np.errstate(over="ignore"):
        values = raw.astype(np.float32)
    if not np.isfinite(values).all():
        raise BadData(source, f"{name} holds NaN, infinite or too large values")
    if values.ndim == 3:
        return np.ascontiguousarray(values[:, None])
    if values.ndim == 4:
        return np.ascontiguousarray(values.transpose(0, 3, 1, 2))
    return values


def _labels(arrays: dict[str, NDArray[Any]], name: str, source: str) -> IntColumn:
    raw = arrays[name]
    if raw.ndim == 2 and raw.shape[1] == 1:
        raw = raw[:, 0]
    if raw.ndim != 1:
        raise BadData(source, f"{name} has shape {raw.shape}, expected one label per sample")
    if raw.size == 0:
        raise BadData(source, f"{name} is empty")
    if raw.dtype.kind not in "ui":
        raise BadData(source, f"{name} holds {raw.dtype}, labels must be whole numbers 0..classes-1")
    # Before the cast: a huge unsigned label would turn negative in int64.
    if int(raw.min()) < 0:
        raise BadData(source, f"{name} has the label {int(raw.min())}, labels start at 0")
    if int(raw.max()) > np.iinfo(np.int32).max:
        raise BadData(source, f"{name} has the label {int(raw.max())}, labels must be 0..classes-1")
    return raw.astype(np.int64)


def _groups(arrays: dict[str, NDArray[Any]], samples: int, source: str) -> IntColumn | None:
    """Natural groups [n_train], numbered 0, 1, ... in the order of their names."""
    raw = arrays.get("groups")
    if raw is None:
        return None
    if raw.shape != (samples,) or raw.dtype.kind not in "ui":
        problem = f"groups is {raw.dtype} of shape {raw.shape}"
        raise BadData(source, f"{problem}, expected a whole number for each of the {samples} training samples")
    return np.unique(raw, return_inverse=True)[1].astype(np.int64)


def _vocabulary(arrays: dict[str, NDArray[Any]], x_train: FloatArray, x_test: FloatArray, source: str) -> int | None:
    """How many token ids there are, None if the samples are numbers."""
    raw = arrays.get("vocabulary")
    if raw is None:
        return None
    if raw.size != 1 or raw.dtype.kind not in "ui" or not 2 <= int(raw.item()) <= MOST_WORDS:
        raise BadData(source, f"vocabulary must be one whole number of at least 2 and at most {MOST_WORDS}")
    vocabulary = int(raw.item())
    for x, name in ((x_train, "x_train"), (x_test, "x_test")):
        if x.ndim != 2:
            raise BadData(source, f"{name} has {x.ndim} axes, token ids have 2 [n, length]")
        if x.min() < 0 or x.max() >= vocabulary or (x != np.floor(x)).any():
            raise BadData(source, f"{name} holds other values than token ids 0..{vocabulary - 1}")
    return vocabulary
