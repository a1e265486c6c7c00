from __future__ import annotations

import mesa

from agents.regulator import Regulator
from market.enforcement import EnforcementPolicy


def test_the_board_shows_the_public_part_of_the_policy() -> None:
    policy = EnforcementPolicy(
        deposit=4.0, admission_fee=1.0, audit_rate=0.2, detection_rate=0.9, false_alarm_rate=0.05
    )
    regulator = Regulator(mesa.Model(seed=1), policy)
    board = regulator.announcement()
    assert (board.deposit, board.admission_fee, board.audit_rate, board.detection_rate) == (4.0, 1.0, 0.2, 0.9)
    assert board.fine == 4.0
    assert regulator.policy is policy
