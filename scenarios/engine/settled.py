"""What one round came to, as columns: filled phase by phase, then written to the tables."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from learning.columns import BoolColumn, FloatColumn, IntColumn


@dataclass
class Settled:
    """What one round came to; columns are aligned with ``owner`` (its flights that are settled now)."""

    owner: IntColumn
    arrived: BoolColumn
    upload: IntColumn
    violation: BoolColumn
    lie: BoolColumn
    weight: FloatColumn
    contribution: FloatColumn
    contribution_error: FloatColumn
    spent: FloatColumn
    previous_accuracy: float
    payment: FloatColumn
    audited: BoolColumn
    flagged: BoolColumn
    penalty: FloatColumn
    strategy: IntColumn  # of everybody (one entry per identity), as played in this round
    revenue: float = 0.0
    paid: float = 0.0
    slashed: float = 0.0
    audit_cost: float = 0.0
    claimed: float = 0.0
    expelled: int = 0
    center_income: float = 0.0
    paper_utility: FloatColumn = field(default_factory=lambda: np.zeros(0))  # of each owner, as the source defines it
    paper_model_owner: float = np.nan
    paper_centers: float = np.nan
