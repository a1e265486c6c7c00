"""Who decides how much synthetic data each organisation makes, and by what: the rules that a market can follow.

A rule gets the game of the reports, an effective volume to start the search from, what each organisation offers [N],
a number drawn for the round and the ids of the owners [N], and gives volumes [N].
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from learning.columns import FloatColumn, IntColumn
from learning.registry import Registry
from learning.streams import Streams
from market.cocogen import baselines
from market.cocogen.claimed import of_the_willing
from market.cocogen.equilibrium import equilibrium
from market.cocogen.game import Game
from market.cocogen.welfare import welfare_optimum

VolumeRule = Callable[[Game, float | None, FloatColumn, float, IntColumn], FloatColumn]

VOLUME_RULES: Registry[VolumeRule] = Registry("volume rule")


@VOLUME_RULES.register("equilibrium")
def planned(game: Game, start: float | None, offered: FloatColumn, lot: float, owner: IntColumn) -> FloatColumn:
    """The equilibrium of what was reported."""
    return equilibrium(of_the_willing(game), start).synthetic_volume


@VOLUME_RULES.register("best_reply")
def chosen(game: Game, start: float | None, offered: FloatColumn, lot: float, owner: IntColumn) -> FloatColumn:
    """What each organisation offers: its best reply to what was announced, if it is rational."""
    return np.clip(offered, 0.0, game.organisations.synthetic_volume_cap)


@VOLUME_RULES.register("vcfl")
def vcfl(game: Game, start: float | None, offered: FloatColumn, lot: float, owner: IntColumn) -> FloatColumn:
    """Vanilla cross-silo federated learning: nobody generates."""
    return baselines.vcfl(game)


@VOLUME_RULES.register("wco")
def wco(game: Game, start: float | None, offered: FloatColumn, lot: float, owner: IntColumn) -> FloatColumn:
    """As if nobody competed and nothing were redistributed."""
    return equilibrium(of_the_willing(baselines.without_competition(game)), start).synthetic_volume


@VOLUME_RULES.register("radg")
def radg(game: Game, start: float | None, offered: FloatColumn, lot: float, owner: IntColumn) -> FloatColumn:
    """At random up to the cap: a draw of the owner's own, whoever else is there."""
    chance = Streams(int(lot * 2.0**52))
    return baselines.radg(game, chance.uniform("random generation", owner))


@VOLUME_RULES.register("uniform")
def uniform(game: Game, start: float | None, offered: FloatColumn, lot: float, owner: IntColumn) -> FloatColumn:
    """The equilibrium's total, spread evenly among all who can generate."""
    sharing = max(1, int((game.organisations.synthetic_volume_cap > 0.0).sum()))
    return baselines.uniform(game, float(planned(game, start, offered, lot, owner).sum()) / sharing)


@VOLUME_RULES.register("optimum")
def optimum(game: Game, start: float | None, offered: FloatColumn, lot: float, owner: IntColumn) -> FloatColumn:
    """What a planner would have all of them make."""
    return welfare_optimum(game).synthetic_volume
