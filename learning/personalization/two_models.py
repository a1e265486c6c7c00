"""A model of one's own beside the common one (Ditto, Li, Hu, Beirami, Smith 2021)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from learning.columns import BoolColumn
from learning.personalization.anchors import Anchor, ditto
from learning.personalization.method import PERSONALIZATION, Meeting, Memory, Outcome, PersonalMethod, shares
from learning.personalization.mixing import mix


@PERSONALIZATION.register("ditto")
@dataclass(frozen=True, kw_only=True)
class Ditto(PersonalMethod):
    """A global model by FedAvg, and own models trained with a pull ``lam`` / 2 · ‖v − w‖² to it (Li et al. 2021).

    Both train in the same round on the same batches (algorithm 1): a copy of the global model ``w`` as it was received,
    which is all that is sent, and the own model ``v``, which never leaves its owner. So each round trains twice as
    much as the others' do.
    """

    lam: float = 1.0

    centred: ClassVar[bool] = True
    shares_centre: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not (np.isfinite(self.lam) and self.lam >= 0):
            raise ValueError(f"lam must be a number of at least 0, got {self.lam}")

    def anchor(self, start: Tensor, centre: Tensor, met: BoolColumn) -> Anchor | None:
        return ditto(start, centre, self.lam)

    def collaboration(self, meeting: Meeting, memory: Memory) -> Tensor:
        return shares(meeting.weights)

    def exchange(self, meeting: Meeting, taken: NDArray[np.float64], memory: Memory) -> Outcome:
        return Outcome(meeting.own, meeting.own, mix(torch.from_numpy(taken).to(meeting.sent.device), meeting.sent))
