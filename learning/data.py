"""Labelled data sets: the named ones and any user's own ``.npz`` file, brought to one form.

A Keras-style file holds ``x_train``, ``y_train``, ``x_test``, ``y_test``. The number of axes of ``x`` says what it is:
2 = tabular [n, features]; 3 = grey images [n, height, width]; 4 = images, channel last [n, height, width, channels].
"""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learning.columns import IntColumn
from learning.registry import Registry

FloatArray = NDArray[np.float32]

ARRAYS = ("x_train", "y_train", "x_test", "y_test")


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

    ``x_*`` float32 [n, *shape] (images channel first), ``y_*`` int64 [n] in 0..classes-1.
    """

    name: str
    x_train: FloatArray
    y_train: IntColumn
    x_test: FloatArray
    y_test: IntColumn
    classes: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return tuple(self.x_train.shape[1:])


DATASETS: Registry[Callable[[Path], Dataset]] = Registry("data set")


def data_folder() -> Path:
    """The folder that holds downloaded data: ``$DATAGORA_DATA``, else ``~/.cache/datagora/data``."""
    named = os.environ.get("DATAGORA_DATA")
    return Path(named) if named else Path.home() / ".cache" / "datagora" / "data"


def load_dataset(name: str, folder: Path | None = None) -> Dataset:
    """A registered data set, or the file at a path that ends in ``.npz``.

    Named sets are looked for in ``folder`` (default: ``data_folder()``). Raises ``UnknownName`` or ``BadData``.
    """
    if name.endswith(".npz"):
        path = Path(name).expanduser()
        return dataset_from_arrays(path.stem, read_npz(path), source=str(path))
    return DATASETS[name](data_folder() if folder is None else folder)


def read_npz(path: Path) -> dict[str, NDArray[Any]]:
    """The four arrays of a Keras-style file. Raises ``BadData`` if it is unreadable or lacks one."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            missing = [name for name in ARRAYS if name not in archive]
            if missing:
                raise BadData(str(path), f"array {', '.join(missing)} is missing (expected {', '.join(ARRAYS)})")
            return {name: archive[name] for name in ARRAYS}
    except FileNotFoundError:
        raise BadData(str(path), "there is no such file") from None
    except BadData:
        raise
    except (OSError, ValueError, TypeError, AttributeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        # A plain array in a file of this name has no context manager, hence TypeError and AttributeError.
        reason = " ".join(str(error).split()) or type(error).__name__
        raise BadData(str(path), f"not a readable .npz file ({reason})") from error


def dataset_from_arrays(name: str, arrays: dict[str, NDArray[Any]], source: str) -> Dataset:
    """Check four raw arrays and bring them to a ``Dataset``, standardised by the statistics of the training half.

    Tabular data is standardised per feature, images per channel. Integer pixels need no scaling to [0, 1] first:
    standardising undoes any scale. Raises ``BadData``.
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
    x_train, x_test = standardise(x_train, x_test)
    return Dataset(name, x_train, y_train, x_test, y_test, classes)


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


@DATASETS.register("digits")
def digits(folder: Path) -> Dataset:
    """Handwritten digits of scikit-learn: 1797 grey images of 8 x 8, in [0, 1]; comes with the installation.

    Of every class each fifth sample is for testing, so the split needs no random numbers.
    """
    from sklearn.datasets import load_digits

    pixels, raw_labels = load_digits(return_X_y=True)
    images = (pixels / 16.0).astype(np.float32).reshape(-1, 1, 8, 8)
    labels = np.asarray(raw_labels, dtype=np.int64)
    testing = np.zeros(len(labels), dtype=np.bool_)
    for label in range(10):
        testing[np.flatnonzero(labels == label)[::5]] = True
    return Dataset("digits", images[~testing], labels[~testing], images[testing], labels[testing], classes=10)


@DATASETS.register("mnist")
def mnist(folder: Path) -> Dataset:
    """Handwritten digits: 60,000 + 10,000 grey images of 28 x 28 (LeCun et al. 1998)."""
    return _image_set("mnist", "MNIST", folder)


@DATASETS.register("fashion_mnist")
def fashion_mnist(folder: Path) -> Dataset:
    """Articles of clothing: 60,000 + 10,000 grey images of 28 x 28 (Xiao et al. 2017)."""
    return _image_set("fashion_mnist", "FashionMNIST", folder)


@DATASETS.register("cifar10")
def cifar10(folder: Path) -> Dataset:
    """Small photographs of ten kinds: 50,000 + 10,000 colour images of 32 x 32 (Krizhevsky 2009)."""
    return _image_set("cifar10", "CIFAR10", folder)


def _image_set(name: str, torchvision_name: str, folder: Path) -> Dataset:
    path = folder / f"{name}.npz"
    if path.exists():
        return dataset_from_arrays(name, read_npz(path), source=str(path))
    return dataset_from_arrays(name, _torchvision_arrays(name, torchvision_name, folder), source=str(folder))


def _torchvision_arrays(name: str, torchvision_name: str, folder: Path) -> dict[str, NDArray[Any]]:
    """Torchvision's files in the folder, downloaded into it when they are not there."""
    import torchvision

    kind = getattr(torchvision.datasets, torchvision_name)
    arrays: dict[str, NDArray[Any]] = {}
    try:
        for part, training in (("train", True), ("test", False)):
            # With download=True torchvision first looks whether its files are there already.
            half = kind(root=str(folder), train=training, download=True)
            arrays[f"x_{part}"], arrays[f"y_{part}"] = np.asarray(half.data), np.asarray(half.targets, dtype=np.int64)
    except (OSError, RuntimeError, ValueError, EOFError, zlib.error) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise BadData(name, f"neither {name}.npz nor a download into {folder} is to be had ({reason})") from error
    return arrays
