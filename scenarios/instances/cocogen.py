"""``cocogen``: a round of rivals who train together; synthetic volumes, payments, and what deviations bring."""

from __future__ import annotations

from typing import Annotated, Self

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from learning.columns import FloatColumn
from learning.streams import Streams
from market.cocogen import (
    Game,
    LearningCurve,
    Organisations,
    Outcome,
    WeightsNotPositive,
    baselines,
    deviations,
    equilibrium,
    play,
    potential,
    towards_global,
)
from market.cocogen.competition import FloatMatrix
from market.cocogen.game import CompetitionModel
from market.cocogen.readings import potential_weight
from market.cocogen.welfare import Optimum, welfare_optimum
from scenarios.instances import INSTANCES, InstanceKind
from scenarios.instances.fields import BadInstance, Instance, NumberOrNumbers, bounded, check_length

# Wide enough for any unit of money and data, and far from where products of them leave the floats.
Amount = Annotated[float, AfterValidator(bounded(0.0, 1e9))]
Positive = Annotated[float, AfterValidator(bounded(1e-9, 1e9))]
DataSize = Annotated[float, AfterValidator(bounded(1e-3, 1e12))]
Distance = Annotated[float, AfterValidator(bounded(0.0, 2.0))]
Share = Annotated[float, AfterValidator(bounded(0.0, 1.0))]
Quality = Annotated[float, AfterValidator(bounded(1e-6, 1.0))]
Exponent = Annotated[float, AfterValidator(bounded(1e-6, 10.0))]
LARGEST = {"synthetic_volume_cap": 1e12, "quadratic_cost": 1e9}

PERSONAL_GAIN = {"relative": 0.05, "damage": 0.0}
"""What ``personal_gain`` is where none is given."""

_MOVES, _PROFILES, _RANDOM_VOLUMES = 2000, 20, 100
_NUMBERS_AT_MOST = 2**23
"""Of a large instance fewer moves and draws are tried: about this many numbers in all."""


class CoCoGenInstance(Instance):
    """Organisations in order; ``competition_intensity`` [i][j] is that of i against j, 0 on the diagonal."""

    data_size: Annotated[list[DataSize], Field(min_length=1)]
    emd: list[Distance]
    profitability: list[Positive]
    unit_cost: list[Amount]
    quadratic_cost: NumberOrNumbers = 0.0
    synthetic_volume_cap: NumberOrNumbers
    competition_intensity: list[list[Amount]]
    redistribution_rate: Amount = 0.0
    synthetic_quality: Quality = 0.8
    quality_decay: Share = 0.0
    volume_scale: Amount
    volume_exponent: Exponent
    emd_penalty: Amount
    personal_gain: Amount | None = None
    competition_model: CompetitionModel = "relative"

    @model_validator(mode="after")
    def _one_per_organisation(self) -> Self:
        count = len(self.data_size)
        for name in ("emd", "profitability", "unit_cost", "competition_intensity"):
            check_length(name, getattr(self, name), count, "organisation")
        for name in LARGEST:
            if isinstance(getattr(self, name), list):
                check_length(name, getattr(self, name), count, "organisation")
        return self

    def intensities(self) -> FloatMatrix:
        """Competition [N, N]. Raises ``BadInstance`` for rows of another length, and for entries on the diagonal."""
        count = len(self.data_size)
        for row, against in enumerate(self.competition_intensity):
            field = f"competition_intensity.{row}"
            if len(against) != count:
                found = "1 value" if len(against) == 1 else f"{len(against)} values"
                raise BadInstance(field, found, f"expected {count}, one per organisation")
            if against[row] != 0.0:
                raise BadInstance(f"{field}.{row}", against[row], "expected 0, nobody competes with itself")
        return np.array(self.competition_intensity, dtype=np.float64)

    def column(self, name: str) -> FloatColumn:
        """A number for all, or a list, as a column [N]. Raises ``BadInstance`` for one that is too large."""
        value = getattr(self, name)
        for place, number in enumerate(value if isinstance(value, list) else [value]):
            if number > LARGEST.get(name, np.inf):
                field = f"{name}.{place}" if isinstance(value, list) else name
                raise BadInstance(field, number, f"expected a number from 0 to {LARGEST[name]:g}")
        return np.array(np.broadcast_to(value, (len(self.data_size),)), dtype=np.float64)

    def game(self) -> Game:
        """The same in columns. Raises ``BadInstance``, also where the potential has no positive weights."""
        gain = self.personal_gain
        organisations = Organisations(
            data_size=self.column("data_size"),
            residual_emd=towards_global(self.column("emd")),
            profitability=self.column("profitability"),
            unit_cost=self.column("unit_cost"),
            quadratic_cost=self.column("quadratic_cost"),
            synthetic_volume_cap=self.column("synthetic_volume_cap"),
        )
        curve = LearningCurve(
            volume_scale=self.volume_scale,
            volume_exponent=self.volume_exponent,
            emd_penalty=self.emd_penalty,
            synthetic_quality=self.synthetic_quality,
            quality_decay=self.quality_decay,
            personal_gain=PERSONAL_GAIN[self.competition_model] if gain is None else gain,
        )
        game = Game(organisations, self.intensities(), curve, self.competition_model, self.redistribution_rate)
        try:
            potential_weight(game)
        except WeightsNotPositive as problem:
            reason = "profitability less that of its rivals times intensity"
            raise BadInstance("competition_intensity", None, f"{problem} ({reason})") from None
        return game


def solve(instance: CoCoGenInstance) -> dict[str, object]:
    """The equilibrium; lists in the order of organisations, volumes in samples, utilities in money."""
    game = instance.game()
    return _described(game, play(game, equilibrium(game).synthetic_volume))


def check(instance: CoCoGenInstance) -> dict[str, object]:
    """The outcome of ``solve``, and its measured properties beside other ways to decide."""
    game = instance.game()
    outcome = play(game, equilibrium(game).synthetic_volume)
    optimum = welfare_optimum(game, outcome.synthetic_volume)
    nothing = play(game, baselines.vcfl(game)).social_welfare
    taking_part = deviations.participation(game, outcome)
    cap = game.organisations.synthetic_volume_cap
    return _described(game, outcome) | {
        "potential_identity_error": _identity_error(game),
        "best_response_gain": deviations.best_response_gain(game, outcome),
        "redistribution_balance": float(outcome.payoffs.redistribution.sum()),
        "optimal_welfare": optimum.social_welfare,
        "price_of_anarchy": deviations.price_of_anarchy(optimum.social_welfare, outcome.social_welfare, nothing),
        "stand_alone_violations": taking_part.violations,
        "stand_alone_margin": taking_part.lowest_margin,
        "share_at_cap": float((outcome.synthetic_volume >= cap).mean()),
        "welfare_gain": _welfare_gains(game, outcome, optimum, nothing),
    }


def _described(game: Game, outcome: Outcome) -> dict[str, object]:
    return {
        "synthetic_volume": outcome.synthetic_volume.tolist(),
        "effective_volume": outcome.effective_volume,
        "performance": outcome.performance,
        "utility": outcome.utility.tolist(),
        "redistribution": outcome.payoffs.redistribution.tolist(),
        "social_welfare": outcome.social_welfare,
        "potential": potential(game, outcome.synthetic_volume),
        "potential_weight": potential_weight(game).tolist(),
    }


def _welfare_gains(game: Game, outcome: Outcome, optimum: Optimum, nothing: float) -> dict[str, float]:
    """Welfare less that of nobody generating, for the equilibrium and for other decisions, all paid by this game."""
    count = len(game)
    draws = max(1, min(_RANDOM_VOLUMES, _NUMBERS_AT_MOST // count**2))
    drawn = Streams(0).uniform("random generation", np.arange(count), np.arange(draws)[:, None])
    random = np.mean([play(game, volume).social_welfare for volume in baselines.radg(game, drawn)])
    return {
        "equilibrium": outcome.social_welfare - nothing,
        "optimum": optimum.social_welfare - nothing,
        "without_redistribution": play(game, baselines.without_redistribution(game)).social_welfare - nothing,
        "wco": play(game, baselines.wco(game)).social_welfare - nothing,
        "radg": float(random) - nothing,
        "uniform": play(game, baselines.uniform(game, outcome.synthetic_volume.mean())).social_welfare - nothing,
        "vcfl": 0.0,
    }


def _identity_error(game: Game) -> float:
    """Over unilateral moves drawn at random, from profiles drawn at random."""
    count, cap, streams = len(game), game.organisations.synthetic_volume_cap, Streams(0)
    profiles = streams.uniform("volume profile", np.arange(count), np.arange(_PROFILES)[:, None]) * cap
    moves = np.arange(max(100, min(_MOVES, _NUMBERS_AT_MOST * 10 // count**2)))
    movers = streams.integers("unilateral move", moves, count)
    targets = streams.uniform("unilateral move", moves, item=1) * cap[movers]
    return deviations.potential_identity_error(game, profiles, movers, targets)


INSTANCES.register("cocogen")(InstanceKind(CoCoGenInstance, solve, check))
