"""Names of what ``learning.inspection`` can tell of an upload, for those who ask without importing torch."""

from __future__ import annotations

UPDATE_NORM = "update_norm"
"""L2 norm of the upload less the model that it started from."""
ALIGNMENT = "alignment"
"""Cosine of that change with the mean direction of all other changes of the cohort, in [-1, 1]."""
LOSS_DROP = "loss_drop"
"""How much lower the loss on the owner's own data is with the upload than with the model it started from, in nats."""
HELD_OUT_GAIN = "held_out_gain"
"""The same on the test set."""
DUPLICATES = "duplicates"
"""How many other uploads, earlier ones and known models it equals bit for bit."""
SIMILARITY = "similarity"
"""The largest cosine of its change with that of another upload, of an earlier one, or of the last global step."""

SIGNALS = (UPDATE_NORM, ALIGNMENT, LOSS_DROP, HELD_OUT_GAIN, DUPLICATES, SIMILARITY)
REMEMBERING = frozenset({DUPLICATES, SIMILARITY})
"""Signals for which the last uploads have to be kept."""
