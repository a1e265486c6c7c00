"""The worth of one coalition of a round's uploads, evaluated by itself: what a valuation library calls as its utility.

The accuracy, on the same test samples for every side, of the weighted mean of the coalition's uploads; of the base
model for the empty coalition.
"""

from __future__ import annotations

import torch
from architectures import build
from torch.nn.utils import vector_to_parameters
from worker import Work


class Game:
    """``worth`` of a coalition, and how many were asked for. ``players`` limits the game to the first uploads."""

    def __init__(self, work: Work, players: int | None = None) -> None:
        plan = work.plan
        self.uploads = torch.from_numpy(work.arrays["uploads"])[:players]
        self.weights = torch.from_numpy(work.arrays["weights"])[:players].float()
        self.base, self.x, self.y = work.initial, work.x, work.y
        self.module = build(plan["model"], plan["shape"], plan["classes"])
        self.evaluations = 0

    @torch.no_grad()
    def worth(self, members: list[int]) -> float:
        self.evaluations += 1
        weights = self.base
        if len(members) > 0:
            held = self.weights[members]
            weights = (held / held.sum()) @ self.uploads[members]
        vector_to_parameters(weights, self.module.parameters())
        return float((self.module(self.x).argmax(dim=1) == self.y).float().mean())
