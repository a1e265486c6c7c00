"""Image sets: handwritten digits that come with the installation, and the usual downloads."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learning.data.arrays import dataset_from_arrays, read_npz
from learning.data.dataset import DATASETS, BadData, Dataset, each_fifth


@DATASETS.register("digits")
def digits(folder: Path) -> Dataset:
    """Handwritten digits of scikit-learn: 1797 grey images of 8 x 8, in [0, 1]; comes with the installation.

    Of every class each fifth sample is for testing, so the split needs no random numbers.
    """
    from sklearn.datasets import load_digits

    pixels, raw_labels = load_digits(return_X_y=True)
    images = (pixels / 16.0).astype(np.float32).reshape(-1, 1, 8, 8)
    labels = np.asarray(raw_labels, dtype=np.int64)
    testing = each_fifth(labels)
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


@DATASETS.register("cifar100")
def cifar100(folder: Path) -> Dataset:
    """Small photographs of a hundred kinds: 50,000 + 10,000 colour images of 32 x 32 (Krizhevsky 2009)."""
    return _image_set("cifar100", "CIFAR100", folder)


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
