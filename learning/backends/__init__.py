"""Ways to train one chunk of owners: the same result up to rounding, at different speed.

A back-end takes the model, the starting weights [K, P], the flat data x [N, *shape] and y [N], the batch table of the
K owners (longest first) and the plan, and returns new weights [K, P]. It never changes or aliases the start, which
may be one row expanded to K.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from learning.backends.linear import train_linear
from learning.backends.loop import train_loop
from learning.backends.vmap import train_vmap
from learning.batches import BatchTable, LocalTraining
from learning.models import FlatModel
from learning.registry import Registry

Backend = Callable[[FlatModel, Tensor, Tensor, Tensor, BatchTable, LocalTraining], Tensor]

BACKENDS: Registry[Backend] = Registry("training back-end")
BACKENDS.register("loop")(train_loop)
BACKENDS.register("linear")(train_linear)
BACKENDS.register("vmap")(train_vmap)
