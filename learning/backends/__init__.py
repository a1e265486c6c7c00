"""Ways to train one chunk of owners: the same result up to rounding, at different speed.

A back-end takes the model, the starting weights [K, P], the flat data x [N, *shape] and y [N], the batch table of the
K owners (longest first), the plan and the terms of the K owners, and writes the new weights into its last argument
[K, P], whose rows may lie apart in memory. It never changes the start, which may be one row expanded to K.

=========== ======================================= ============================================================
back-end    trains                                  remarks
=========== ======================================= ============================================================
loop        every model                             the oracle; names the owner that fails
linear      linear layers with ReLU between         fused updates; bits do not depend on the chunk
conv        stacks of convolutions and linear       one grouped convolution for all owners
vmap        what ``torch.func`` can map             any such module
loop_bf16   every model                             changes the numbers: only where it is asked for
compiled    what ``torch.func`` can map             tens of seconds per shape first: only where it is asked for
=========== ======================================= ============================================================
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from learning.backends import conv, linear, vmap
from learning.backends.compiled import train_compiled
from learning.backends.conv import train_conv
from learning.backends.linear import train_linear
from learning.backends.loop import train_loop, train_loop_bf16
from learning.backends.vmap import train_vmap
from learning.batches import BatchTable, LocalTraining
from learning.local_terms import LocalTerms
from learning.models import FlatModel
from learning.registry import Registry

Backend = Callable[[FlatModel, Tensor, Tensor, Tensor, BatchTable, LocalTraining, LocalTerms, Tensor], None]

BACKENDS: Registry[Backend] = Registry("training back-end")
BACKENDS.register("loop")(train_loop)
BACKENDS.register("linear")(train_linear)
BACKENDS.register("vmap")(train_vmap)
BACKENDS.register("conv")(train_conv)
BACKENDS.register("loop_bf16")(train_loop_bf16)
BACKENDS.register("compiled")(train_compiled)

EXACT = ("linear", "conv", "vmap", "loop")
"""Back-ends that agree up to the rounding of the weights' own type and start at once."""

_FITS: dict[str, Callable[[FlatModel], bool]] = {
    "linear": linear.fits,
    "conv": conv.fits,
    "vmap": vmap.fits,
    "compiled": vmap.fits,
}


def can_train(backend: str, model: FlatModel) -> bool:
    """Whether a back-end can train a model. Raises ``UnknownName`` for a back-end that there is not."""
    BACKENDS[backend]
    return backend not in _FITS or _FITS[backend](model)
