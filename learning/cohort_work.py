"""What the owners of a cohort do in a round, as columns."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from learning.aggregation import finite
from learning.columns import FloatColumn, IntColumn


@dataclass(frozen=True, eq=False)
class CohortWork:
    """What K owners do in a round; aligned columns [K].

    ``owner``: id; ``shard``: row of its data; ``samples``: how many of them it trains on; ``base_version``: the global
    version it received; ``upload``: kind of upload (``Upload``); ``scale``: noise norm as a multiple of the reference
    norm; ``peer``: owner whose last upload is copied, -1 for none; ``noise_std``: standard deviation of the noise that
    an owner adds to each weight of what it trained (None: as the federation's ``privacy`` says); ``synthetic``:
    generated samples that it trains on beside its own (None: nobody does).
    """

    owner: IntColumn
    shard: IntColumn
    samples: IntColumn
    base_version: IntColumn
    upload: NDArray[np.int8]
    scale: FloatColumn
    peer: IntColumn
    noise_std: FloatColumn | None = None
    synthetic: IntColumn | None = None

    def __post_init__(self) -> None:
        columns = {column.name: getattr(self, column.name) for column in fields(self)}
        lengths = {name: len(column) for name, column in columns.items() if column is not None}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"the columns of a cohort's work differ in length: {lengths}")
        if self.noise_std is not None and len(np.unique(self.owner)) < len(self.owner):
            raise ValueError("an owner sends twice with noise of its own: under one counter it would be the same noise")

    def __len__(self) -> int:
        return len(self.owner)

    @property
    def trained_on(self) -> IntColumn:
        """Samples [K] that each trains on, synthetic ones included."""
        return self.samples if self.synthetic is None else self.samples + self.synthetic

    def take(self, rows: IntColumn) -> CohortWork:
        """The work of some of the owners, in the order of ``rows``."""
        taken: dict[str, Any] = {}
        for field in fields(self):
            column = getattr(self, field.name)
            taken[field.name] = None if column is None else column[rows]
        return CohortWork(**taken)


def refuse_poison(uploads: Tensor, work: CohortWork) -> None:
    """Raise ``ValueError`` that names the owners of uploads [K, P] that are not finite."""
    good = finite(uploads)
    if not good.all():
        raise ValueError(f"uploads with NaN or infinite weights, of owners {work.owner[~good].tolist()}")
