"""The regulator: holds the enforcement policy, tells its public part, and tunes it by the verdicts of each round."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import mesa

from agents.numbered import NumberedAgent
from agents.regulation import Fixed, Prospect, Regulation, Verdicts, guilty_share
from market.enforcement import EnforcementPolicy
from market.enforcement import Verdicts as Judged
from market.mechanism import Board


class Regulator(NumberedAgent):
    """Enforces ``policy``; the rules themselves are pure functions in ``market.enforcement``.

    ``regulation`` tunes them from round to round; ``memory`` is all that it remembers. ``base`` are the rules that it
    was given, and ``options`` those that it may put in their place, as fields of the policy.
    """

    def __init__(
        self,
        model: mesa.Model,
        policy: EnforcementPolicy,
        regulation: Regulation | None = None,
        options: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        super().__init__(model)
        self.base = self.policy = policy
        self.regulation = regulation or Fixed()
        self.options = tuple(options)
        self.memory = self.regulation.memory()

    def regulate(self, regulation: Regulation, options: Sequence[Mapping[str, Any]] = ()) -> None:
        """Go by another rule from now on, which remembers nothing yet and may choose among ``options``."""
        self.regulation, self.options = regulation, tuple(options)
        self.memory = regulation.memory()

    @property
    def tunes(self) -> bool:
        """Whether it ever changes the rules by itself."""
        return not isinstance(self.regulation, Fixed)

    @property
    def purse(self) -> float:
        """Money that audits and appeals of this round may cost at most."""
        return self.regulation.purse(self.memory)

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

    def amend(self, rules: Mapping[str, Any]) -> EnforcementPolicy:
        """Somebody else has changed these rules, for good; the policy in force from now on."""
        self.base = dataclasses.replace(self.base, **rules)
        return dataclasses.replace(self.policy, **rules)

    def hear(self, verdicts: Judged, spent: float, skill: float = 0.0) -> None:
        """Learn from a round's public verdicts, before any appeal, and what else is public after it.

        ``spent``: money that looking has cost; ``skill`` of the shared model, from 0 (guessing) to 1 (perfect).
        """
        looked = verdicts.audited
        judged = len(looked)
        seen = Verdicts(
            judged=judged,
            audited=int(looked.sum()),
            guilty=int(verdicts.flagged.sum()),
            rate=self.policy.audit_rate,
            spent=spent,
            share=guilty_share(verdicts.flagged[looked], verdicts.chance[looked]),
            skill=skill,
        )
        self.memory = self.regulation.learn(self.memory, seen, self._prospect(self.policy, judged, 0.5))

    def tuned(self, expects: int, draw: float) -> EnforcementPolicy:
        """The policy for a round in which it ``expects`` so many owners; ``draw`` is uniform in (0, 1)."""
        policy = self.policy
        option = self.regulation.option(self.memory)
        if option is not None:
            policy = dataclasses.replace(self.base, **self.options[option])
        rate = self.regulation.rate(self.memory, self._prospect(policy, expects, draw))
        return dataclasses.replace(policy, audit_rate=rate)

    @staticmethod
    def _prospect(policy: EnforcementPolicy, expects: int, draw: float) -> Prospect:
        return Prospect(
            expects, policy.audit_cost, policy.detection_rate, policy.false_alarm_rate, policy.audit_rate, draw
        )
