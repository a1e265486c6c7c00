"""The record of audits: what was looked at, what was found and by what, what became of it, and the truth beside it."""

from __future__ import annotations

import numpy as np

from learning.columns import BoolColumn, IntColumn
from learning.inspection_names import SIGNALS
from learning.uploads import Upload
from market.enforcement import Verdicts
from market.money import from_micro
from scenarios.buffers import Codes
from scenarios.engine.appealing import Heard
from scenarios.engine.settled import Settled
from scenarios.engine.world import World

_UPLOADS = [kind.name.lower() for kind in Upload]


def write_audits(
    world: World, settled: Settled, took: BoolColumn, first: Verdicts, final: Verdicts, heard: Heard, slashed: IntColumn
) -> None:
    """One row per audit of the round; ``took`` are the settled owners that the other columns belong to."""
    seen = first.audited
    if not seen.any():
        return
    owners = settled.owner[took][seen]
    measured = settled.evidence.measured
    nothing = np.full(len(settled.owner), np.nan)
    world.write(
        "audits",
        {
            "round": world.rounds_closed,
            "owner": owners,
            "person": world.population.person[owners],
            "strategy": Codes(settled.strategy[owners], world.strategy_names),
            "upload": Codes(settled.upload[took][seen], _UPLOADS),
            "lie": settled.lie[took][seen],
            "violation": settled.violation[took][seen],
            "chance": first.chance[seen],
            "claimed": settled.evidence.claimed[took][seen],
            **{name: measured.get(name, nothing)[took][seen] for name in SIGNALS},
            "found_by": first.found_by[seen],
            "found_guilty": first.flagged[seen],
            "appealed": heard.appealed[seen],
            "overturned": heard.overturned[seen],
            "guilty": final.flagged[seen],
            "slashed": from_micro(slashed[seen]),
            "appeal_fee": heard.fee[seen],
        },
    )
