"""The regulator: holds the enforcement policy and tells its public part."""

from __future__ import annotations

import dataclasses

import mesa

from market.enforcement import EnforcementPolicy
from market.mechanism import Board


class Regulator(mesa.Agent):
    """Enforces ``policy``; the rules themselves are pure functions in ``market.enforcement``."""

    def __init__(self, model: mesa.Model, policy: EnforcementPolicy) -> None:
        super().__init__(model)
        self.policy = policy

    def announcement(self) -> Board:
        """The public board before the first round, with what it says about enforcement."""
        return self.published(Board(round=0, budget=0.0))

    def published(self, board: Board) -> Board:
        """The board with what the policy in force says in public."""
        policy = self.policy
        return dataclasses.replace(
            board,
            deposit=policy.deposit,
            fine=policy.deposit * policy.slash_share,
            audit_rate=policy.audit_rate,
            detection_rate=policy.detection_rate,
            admission_fee=policy.admission_fee,
        )
