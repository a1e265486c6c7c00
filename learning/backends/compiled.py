"""The mapped gradient function of ``vmap``, compiled for fixed shapes; pays in long runs of small convolutions.

The first call of a shape takes tens of seconds (the compiler keeps its results on disk, in the folder that PyTorch's
``TORCHINDUCTOR_CACHE_DIR`` names). So shapes must be few: the active owners of a step are filled up to a power of two
with owners whose batch weighs nothing and whose gradient is thrown away.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor
from torch.func import grad, vmap

from learning.backends import vmap as mapped
from learning.backends.descent import Descent
from learning.batches import BatchTable, LocalTraining
from learning.local_terms import LocalTerms
from learning.models import FlatModel

Gradients = Callable[[list[Tensor], Tensor, Tensor, Tensor], list[Tensor]]

SHAPES = 64
"""Shapes that one process may compile, all models together, before PyTorch computes without the compiler."""


def train_compiled(
    model: FlatModel,
    start: Tensor,
    x: Tensor,
    y: Tensor,
    batches: BatchTable,
    plan: LocalTraining,
    terms: LocalTerms,
    trained: Tensor,
) -> None:
    """Train a chunk with a compiled gradient. The last bits depend on the chunk and on the compiler.

    Needs a C++ compiler on a CPU and Triton on CUDA. Raises ``ValueError`` for a model that cannot be mapped.
    """
    if not mapped.fits(model):
        problem = "it has layers that do not map"
        raise ValueError(f"the back-end 'compiled' cannot train the model '{model.name}': {problem}")
    descent = Descent(start, model, plan, terms, trained)
    gradients = _gradients(model)
    index = torch.from_numpy(batches.index).to(x.device)
    share = batches.share(start.dtype, x.device)
    for span, active in zip(batches.spans, batches.active, strict=True):
        size = min(len(start), 1 << (active - 1).bit_length())
        rows, parts = _filled(index[span], size), _filled(share[span], size)
        now = [part[:size] for part in descent.weights]
        with torch._dynamo.config.patch(recompile_limit=SHAPES):
            slopes = gradients(now, x[rows].to(start.dtype), y[rows], parts)
        descent.step(active, [slope[:active] for slope in slopes])


@lru_cache(maxsize=8)
def _gradients(model: FlatModel) -> Gradients:
    """The compiled function of a model, which holds one program per shape, type and device."""
    names = list(model.unflatten(torch.empty(1, model.size, device="meta")))

    def loss(weights: list[Tensor], samples: Tensor, labels: Tensor, parts: Tensor) -> Tensor:
        return mapped.batch_loss(model, names, weights, samples, labels, parts)

    compiled: Gradients = torch.compile(vmap(grad(loss)), dynamic=False, fullgraph=True)
    return compiled


def _filled(table: Tensor, rows: int) -> Tensor:
    """``table`` [k, B] with rows of zeros up to [rows, B]."""
    return torch.cat([table, table.new_zeros(rows - len(table), table.shape[1])]) if rows > len(table) else table
