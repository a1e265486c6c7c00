"""Synthetic data: generators that organisations train on their own samples, what to make with them, what it is worth.

generator = generator_for("gaussian_mixture", dataset)
fitted = generator.fit(x, y, dataset.classes, owner, counter, streams)
counts = class_counts("fill", own_counts, global_mix, 500, fitted.known)
samples = fitted.sample(labels_of(counts), owner, counter, streams)
"""

from __future__ import annotations

from learning.generation import diffusion, gaussian_mixture, vae
from learning.generation.augmentation import Synthetic, with_synthetic
from learning.generation.class_mix import TARGETS, class_amounts, class_counts, emd_after, labels_of
from learning.generation.generator import (
    GENERATORS,
    Fitted,
    Generator,
    UnknownClass,
    UnsupportedData,
    generator_for,
)
from learning.generation.shared import Complemented
from learning.generation.speed import GenerationSpeed, compute_energy, measured_speed

__all__ = [
    "GENERATORS",
    "TARGETS",
    "Complemented",
    "Fitted",
    "GenerationSpeed",
    "Generator",
    "Synthetic",
    "UnknownClass",
    "UnsupportedData",
    "class_amounts",
    "class_counts",
    "compute_energy",
    "emd_after",
    "generator_for",
    "labels_of",
    "measured_speed",
    "with_synthetic",
]

# Importing a family files it in GENERATORS.
del diffusion, gaussian_mixture, vae
