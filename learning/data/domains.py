"""The same kinds of images in four domains: what a picture shows stays, how it looks changes.

Stands in for PACS (photographs, art, cartoons, sketches; Li et al. 2017), which is no registered download. The images
are those of a registered set; the domains are fixed transformations of them, so a domain shift is real and known.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from learning.columns import IntColumn
from learning.data.arrays import standardise
from learning.data.dataset import DATASETS, Dataset, FloatArray
from learning.data.images import cifar10, digits, fashion_mnist, mnist


def plain(images: FloatArray) -> FloatArray:
    """As they are."""
    return images


def negative(images: FloatArray) -> FloatArray:
    """Dark for light."""
    return -images


def turned(images: FloatArray) -> FloatArray:
    """A quarter turn against the clock; of images that are not square, only the axes are reversed."""
    square = images.shape[2] == images.shape[3]
    return np.ascontiguousarray(np.rot90(images, axes=(2, 3)) if square else images[:, :, ::-1, ::-1])


def edges(images: FloatArray) -> FloatArray:
    """The length of the gradient at each pixel: outlines alone, as in a sketch."""
    down, across = np.gradient(images, axis=(2, 3))
    length: FloatArray = np.hypot(down, across)
    return length


DOMAINS: dict[str, Callable[[FloatArray], FloatArray]] = {
    "plain": plain,
    "negative": negative,
    "turned": turned,
    "edges": edges,
}
"""Transformations of images [n, channels, height, width] by domain, in the order of the group numbers."""


def in_domains(name: str, base: Dataset) -> Dataset:
    """The images of ``base``, each in one of the four domains; the groups are the domains.

    Of every class each fourth image goes to a domain, in both halves alike, so no image is seen in two and the split
    needs no random numbers. Each domain is standardised by its training half, then all are.
    """
    half = {"train": (base.x_train, base.y_train), "test": (base.x_test, base.y_test)}
    domain = {part: dealt_domains(labels) for part, (_, labels) in half.items()}
    moved = {part: np.empty_like(images) for part, (images, _) in half.items()}
    for number, look in enumerate(DOMAINS.values()):
        there = {part: np.flatnonzero(domain[part] == number) for part in half}
        looks = {part: look(half[part][0][there[part]]) for part in half}
        looks["train"], looks["test"] = standardise(looks["train"], looks["test"])
        for part in half:
            moved[part][there[part]] = looks[part]
    return Dataset(name, moved["train"], base.y_train, moved["test"], base.y_test, base.classes, domain["train"])


def dealt_domains(labels: IntColumn) -> IntColumn:
    """The domain [n] of each image: of each class each fourth, in turn; a class more begins one domain further."""
    domain = np.empty(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        domain[own] = (np.arange(len(own)) + label) % len(DOMAINS)
    return domain


@DATASETS.register("digits_domains")
def digits_domains(folder: Path) -> Dataset:
    """`digits` in four domains: plain, negative, turned, edges; for PACS, comes with the installation."""
    return in_domains("digits_domains", digits(folder))


@DATASETS.register("mnist_domains")
def mnist_domains(folder: Path) -> Dataset:
    """`mnist` in four domains: plain, negative, turned, edges; for PACS."""
    return in_domains("mnist_domains", mnist(folder))


@DATASETS.register("fashion_mnist_domains")
def fashion_mnist_domains(folder: Path) -> Dataset:
    """`fashion_mnist` in four domains: plain, negative, turned, edges; for PACS."""
    return in_domains("fashion_mnist_domains", fashion_mnist(folder))


@DATASETS.register("cifar10_domains")
def cifar10_domains(folder: Path) -> Dataset:
    """`cifar10` in four domains: plain, negative, turned, edges; for PACS."""
    return in_domains("cifar10_domains", cifar10(folder))
