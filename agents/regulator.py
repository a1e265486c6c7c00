"""The regulator: holds the enforcement policy, tells its public part, and tunes it by the verdicts of each round."""

from __future__ import annotations

import dataclasses
from typing import Any

import mesa
import numpy as np

from agents.regulation import Fixed, Prospect, Regulation, Verdicts
from market.enforcement import EnforcementPolicy
from market.mechanism import Board


class Regulator(mesa.Agent):
    """Enforces ``policy``; the rules themselves are pure functions in ``market.enforcement``.

    ``regulation`` sets the audit rate from round to round; ``memory`` is all that it remembers.
    """

    def __init__(self, model: mesa.Model, policy: EnforcementPolicy, regulation: Regulation | None = None) -> None:
        super().__init__(model)
        self.policy = policy
        self.regulation = regulation or Fixed()
        self.memory = self.regulation.memory()

    def regulate(self, regulation: Regulation) -> None:
        """Go by another rule from now on, which remembers nothing yet."""
        self.regulation = regulation
        self.memory = regulation.memory()

    @property
    def tunes(self) -> bool:
        """Whether it ever changes the audit rate by itself."""
        return not isinstance(self.regulation, Fixed)

    def announcement(self) -> Board:
        """The public board before the first round, with what it says about enforcement."""
        return self.published(Board(round=0, budget=0.0))

    def published(self, board: Board) -> Board:
        """The board with what the policy in force says in public."""
        policy = self.policy
        return dataclasses.replace(
            board,
            deposit=policy.deposit,
            fine=policy.fine,
            audit_rate=policy.audit_rate,
            detection_rate=policy.detection_rate,
            admission_fee=policy.admission_fee,
        )

    def hear(self, judged: int, audited: int, guilty: int, spent: float) -> None:
        """Learn from a round's public verdicts; ``spent``: money that looking has cost."""
        seen = Verdicts(judged, audited, guilty, self.policy.audit_rate, spent)
        self.memory = self.regulation.learn(self.memory, seen, self._prospect(judged, 0.5))

    def tuned(self, expects: int, draw: float) -> EnforcementPolicy:
        """The policy for a round in which it ``expects`` so many owners; ``draw`` is uniform in (0, 1)."""
        rate = self.regulation.rate(self.memory, self._prospect(expects, draw))
        return dataclasses.replace(self.policy, audit_rate=rate)

    def _prospect(self, expects: int, draw: float) -> Prospect:
        policy = self.policy
        return Prospect(
            expects, policy.audit_cost, policy.detection_rate, policy.false_alarm_rate, policy.audit_rate, draw
        )

    def state(self) -> dict[str, Any]:
        """What changes in a run, as plain numbers."""
        return {"memory": self.memory.copy(), "audit_rate": self.policy.audit_rate}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over what ``state`` gave; the other rules stay as they are."""
        self.memory = np.array(state["memory"], dtype=np.float64)
        self.policy = dataclasses.replace(self.policy, audit_rate=float(state["audit_rate"]))
