"""Model families, one per file, and a module seen as one flat weight vector."""

from __future__ import annotations

from learning.models import convolutional, lenet, recurrent, residual, stacks, transformer
from learning.models.families import MODELS
from learning.models.flat import FlatModel, LinearLayer

__all__ = ["MODELS", "FlatModel", "LinearLayer"]

# Importing a family files it in MODELS. These two stand on the parts above.
from learning.language import causal, tiny

del causal, convolutional, lenet, recurrent, residual, stacks, tiny, transformer
