"""The table of model families, and what they ask of the samples' shape.

A family is a function of the shape of one sample and the number of classes. It returns a module that maps samples
[B, *shape] to logits [B, classes], and raises ``ValueError`` with one line for a shape it cannot take. A module that
reads token ids instead of numbers says how many there are in its attribute ``vocabulary``. Buffers that training
never changes (a frozen base) are named in its attribute ``frozen``.

A family of language models has a keyword parameter ``answers`` (``learning.data.answers``), and its modules give logits
[B, R, V] over the V token ids at each of the R places of the answer (see ``learning.objective``). A module that must
train alone, one owner after another, says so in an attribute ``alone``. Further keyword parameters are the user's.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from learning.registry import Registry

Family = Callable[..., nn.Module]

MODELS: Registry[Family] = Registry("model")


def image_shape(name: str, shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Channels, height and width. Raises ``ValueError`` unless ``shape`` is that of images of at least 8 x 8."""
    if len(shape) != 3 or min(shape[1:]) < 8:
        raise ValueError(f"the model '{name}' needs images of at least 8 x 8, the samples have shape {shape}")
    channels, height, width = shape
    return channels, height, width


def sequence_length(name: str, shape: tuple[int, ...]) -> int:
    """Tokens per sample. Raises ``ValueError`` unless a sample is one row of at least one token id."""
    if len(shape) != 1 or shape[0] < 1:
        raise ValueError(f"the model '{name}' needs sequences of token ids [length], the samples have shape {shape}")
    return shape[0]
