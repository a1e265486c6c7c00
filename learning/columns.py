"""Short names for the NumPy columns of the learning floor: one entry per shard, upload or owner."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatColumn = NDArray[np.float64]
IntColumn = NDArray[np.int64]
BoolColumn = NDArray[np.bool_]
