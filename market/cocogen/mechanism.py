"""CoCoGen+ as a mechanism: rivals train together round after round, and generate as much as the round's game says.

From the claims of who is there the server solves the game (from where it was in the last round), tells everybody its
volume and locks a deposit. After training each organisation earns by the performance of its model, loses to rivals, and
the redistribution is paid out of the deposits, from organisation to organisation. Competition, profitability and the
learning curve are taken for known, as in the paper; data, labels and cost are what owners say.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np

from learning.columns import BoolColumn, FloatColumn, IntColumn
from market.cocogen.claimed import Claimed, Players, organisations, places, players
from market.cocogen.competition import CompetitionMatrix, among, nobody_competes
from market.cocogen.equilibrium import best_replies, equilibrium
from market.cocogen.game import CompetitionModel, Contribution, Game, Organisations
from market.cocogen.netting import netted
from market.cocogen.payoffs import payoffs_of_deviations, play, redistribution
from market.cocogen.performance import LearningCurve
from market.cocogen.readings import READINGS, Relative
from market.cocogen.response import Incentives
from market.cocogen.volume_rules import VOLUME_RULES
from market.mechanism import (
    DATA_SIZE,
    EMD,
    GENERATION_COST,
    MECHANISMS,
    OWN_PERFORMANCE,
    PROFITABILITY,
    Advice,
    Allocation,
    Board,
    Guarantee,
    LabelMixes,
    Members,
    Outcome,
    PaperUtility,
    Reports,
    Settlement,
    Terms,
    Transfers,
    Types,
)
from market.parties import WORLD
from market.settling import arrivals, pay_arrivals

PERFORMANCE_PAY, REDISTRIBUTION = "performance pay", "redistribution"
RATE, EFFECTIVE, REAL, APART, LOT = "redistribution rate", "effective volume", "real volume", "distance", "lot"
"""Figures of the terms: r; S and the real part of it, in samples; sum of D_i EMD_i; the number drawn for the round."""
VOLUME = "synthetic volume"
"""Column of the terms and of the records, samples: what is expected of an owner, and what it was last told."""
_OWNER, _SIZE, _WORTH, _DISTANCE = "owner", "data size", "worth", "sample distance"
_COMPETITION, _PAYS, _AHEAD = "total competition", "pays", "rivals ahead"


@MECHANISMS.register("cocogen")
@dataclass(frozen=True)
class CoCoGen:
    """CoCoGen+: rivals train together and generate data; redistribution pays for contribution and competition.

    ``volume_scale`` a, ``volume_exponent`` b, ``emd_penalty`` zeta, ``personal_gain`` h, ``synthetic_quality`` kappa,
    ``quality_decay`` delta: the curve (``datagora calibrate cocogen`` measures them); ``accuracy_limit``: what
    unlimited data of the global mix would reach. ``quadratic_cost`` (money per squared sample) and
    ``synthetic_volume_cap`` (samples) hold for all. ``competition_model``, ``contribution``, ``redistribution_rate``:
    as in ``datagora solve cocogen``. ``synthetic_target``: labels by the ``global`` law, or ``fill`` what is missing.
    ``rule``: who decides about volumes: ``equilibrium`` of the reports, each owner's own ``best_reply``, the
    ``optimum`` of a planner, or a baseline: ``vcfl``, ``wco``, ``radg``, ``uniform``. ``pays_for``: accuracy
    ``measured`` on each owner's own label mix, or by the ``curve``.

    Reports are taken for true, so no incentive compatibility is declared; nor is individual rationality, for whether
    taking part beats staying alone depends on the instance. Without data or profitability an owner trains and
    generates nothing; so does one that under ``damage`` would strengthen rivals more than itself.
    """

    volume_scale: float = 0.847
    volume_exponent: float = 0.209
    emd_penalty: float = 0.063
    personal_gain: float = 0.05
    synthetic_quality: float = 0.8
    quality_decay: float = 0.0
    accuracy_limit: float = 1.0
    quadratic_cost: float = 0.0
    synthetic_volume_cap: float = 4000.0
    competition_model: CompetitionModel = "relative"
    contribution: Contribution = "synthetic"
    redistribution_rate: float = 0.0
    synthetic_target: Literal["global", "fill"] = "global"
    rule: str = "equilibrium"
    pays_for: Literal["measured", "curve"] = "measured"

    name: ClassVar[str] = "cocogen"
    needs: ClassVar[tuple[str, ...]] = (DATA_SIZE, EMD, GENERATION_COST, PROFITABILITY)
    measures: ClassVar[tuple[str, ...]] = (OWN_PERFORMANCE,)
    watches_members: ClassVar[bool] = True
    guarantees: ClassVar[tuple[Guarantee, ...]] = (Guarantee("budget_feasibility"),)
    reference: ClassVar[str] = "Nguyen, Van Huynh, Pham 2026, CoCoGen+, arXiv 2604.14886 (reconstruction)"

    def __post_init__(self) -> None:
        for name in ("quadratic_cost", "synthetic_volume_cap", "redistribution_rate"):
            value = getattr(self, name)
            if not (value >= 0.0 and math.isfinite(value)):
                raise ValueError(f"{name}: expected a number of at least 0, got {value}")
        if not 0.0 < self.accuracy_limit <= 1.0:
            raise ValueError(f"accuracy_limit: expected a number above 0 up to 1, got {self.accuracy_limit}")
        if self.rule not in VOLUME_RULES:
            raise ValueError(f"rule: expected one of {', '.join(VOLUME_RULES)}, got {self.rule}")
        assert self.curve

    @property
    def curve(self) -> LearningCurve:
        """What training together achieves. Raises ``ValueError``."""
        return LearningCurve(
            volume_scale=self.volume_scale,
            volume_exponent=self.volume_exponent,
            emd_penalty=self.emd_penalty,
            synthetic_quality=self.synthetic_quality,
            quality_decay=self.quality_decay,
            personal_gain=self.personal_gain,
        )

    # The game

    def players(self, said: Claimed, labels: LabelMixes | None, competition: CompetitionMatrix, rate: float) -> Players:
        """The game of owners who are as ``said``, with the intensities among them."""

        def game_of(rows: IntColumn) -> Game:
            return Game(
                self._organisations(said.take(rows), None if labels is None else labels.take(rows)),
                among(competition, rows),
                self.curve,
                self.competition_model,
                rate,
                self.contribution,
            )

        return players(said, game_of)

    def _organisations(self, said: Claimed, labels: LabelMixes | None) -> Organisations:
        used = labels if self.synthetic_target == "fill" else None
        return organisations(said, used, self.quadratic_cost, self.synthetic_volume_cap)

    # The moments

    def announce(self, board: Board) -> Terms:
        """The rate, and what the claims of the members make the server expect of everybody."""
        members = _by_owner(board.members or _NOBODY)
        rate = self.redistribution_rate
        competition = nobody_competes(len(members)) if members.competition is None else members.competition
        said = Claimed.of(lambda name: members.claims.get(name, np.zeros(len(members))))
        playing = self.players(said, members.labels, competition, rate)
        columns = {name: np.zeros(len(members)) for name in (VOLUME, _SIZE, _WORTH, _DISTANCE, _PAYS, _AHEAD)}
        columns[_COMPETITION] = competition @ np.ones(len(members))
        last = _last(members, EFFECTIVE)
        figures = {RATE: rate, LOT: board.lot, EFFECTIVE: last, REAL: 0.0, APART: 0.0}
        if playing.game is not None:
            expected = self._expected(playing.game, None if math.isnan(last) else last)
            for name, column in expected.items():
                columns[name][playing.rows] = column
            figures |= {
                REAL: playing.game.real_volume,
                EFFECTIVE: float((expected[_SIZE] + expected[_WORTH]).sum()),
                APART: float(expected[_DISTANCE].sum()),
            }
        known = {_OWNER: members.owner, **columns}
        return Terms(board.round, board.budget, figures, known, competition=competition, labels=members.labels)

    def _expected(self, game: Game, start: float | None) -> dict[str, FloatColumn]:
        """What the players of a game are expected to make, and what that does to each, [N]."""
        volume = equilibrium(game, start).synthetic_volume
        size = game.organisations.data_size
        emd = game.organisations.residual_emd.at(1.0 + volume / size)
        return {
            VOLUME: volume,
            _SIZE: size,
            _WORTH: game.curve.worth(size, volume),
            _DISTANCE: size * emd,
            _PAYS: np.asarray(game.competition.T @ game.counted(volume)),
            _AHEAD: np.asarray(game.competition @ (game.organisations.profitability * -game.curve.personal_gain * emd)),
        }

    def recommend(self, terms: Terms, types: Types) -> Advice:
        """The best reply to what the others are expected to make, and what the round is then worth by the curve.

        The expected payment is what the model earns less generation, competition loss and redistribution. An owner
        that is not a member yet knows no rivals.
        """
        count = len(types)
        said = Claimed.of(types.column)
        rows = np.flatnonzero((said.data_size > 0.0) & (said.profitability > 0.0))
        volume, worth = np.zeros(count), np.zeros(count)
        if len(rows):
            volume[rows], worth[rows] = self._reply(terms, types.take(rows), said.take(rows))
        return Advice(worth >= types.cost * types.data_size, np.ones(count), worth, volume)

    def _reply(self, terms: Terms, types: Types, said: Claimed) -> tuple[FloatColumn, FloatColumn]:
        """Volumes [K] that are best for owners of these types, and what they are then worth to them, in money."""
        place = places(terms.columns[_OWNER], types.owner) if len(types.owner) else np.full(len(types), -1)
        column = {name: np.append(terms.columns[name], 0.0)[place] for name in terms.columns if name != _OWNER}
        figures, curve = terms.figures, self.curve
        own, size = self._organisations(said, types.labels), said.data_size
        before = np.nan_to_num(figures[EFFECTIVE]) - column[_SIZE] - column[_WORTH]
        others = np.maximum(before, 0.0)
        share = size / np.maximum(figures[REAL] - column[_SIZE] + size, size)
        pressure = np.zeros(len(size)) if types.competition_pressure is None else types.competition_pressure
        reading = READINGS[self.competition_model]
        stakes = reading.stakes(said.profitability, pressure)
        reward = figures[RATE] * column[_COMPETITION]
        synthetic = self.contribution == "synthetic"
        incentives = Incentives(
            own,
            curve,
            np.maximum(stakes.weight, 0.0),
            np.maximum(stakes.weight, 0.0) * curve.emd_penalty * share + stakes.own * curve.personal_gain,
            reward if synthetic else np.zeros(len(size)),
            np.zeros(len(size)) if synthetic else reward,
        )
        volume = np.where(stakes.weight > 0.0, best_replies(incentives, others), 0.0)
        worth = curve.worth(size, volume)
        emd = own.residual_emd.at(1.0 + volume / size)
        apart = (figures[APART] - column[_DISTANCE]) * share / size + share * emd
        common = curve.from_volume(others + size + worth) - curve.emd_penalty * apart
        personal = -curve.personal_gain * emd
        if isinstance(reading, Relative):
            lost = column[_AHEAD] - pressure * personal
        else:
            nearer = curve.emd_penalty * share * (own.residual_emd.before - emd)
            lost = pressure * (curve.lost_volume(others + size + worth, worth) + nearer)
        counted = volume if synthetic else size + worth
        paid = figures[RATE] * (column[_COMPETITION] * counted - column[_PAYS])
        earned = said.profitability * np.clip(self.accuracy_limit + common + personal, 0.0, 1.0)
        return volume, np.asarray(earned - own.generation_cost(volume) - lost + paid)

    def plan(self, terms: Terms, reports: Reports) -> Allocation:
        """Everybody takes part, with the volume that the rule says and a deposit for all that it may have to pay."""
        count = len(reports)
        said = self._said(terms, reports.owner, reports.claims)
        rivals = self._rivals(terms, reports.owner)
        playing = self.players(said, self._labels(terms, reports.owner), rivals, terms.figures[RATE])
        volume, counted = np.zeros(count), np.zeros(count)
        if playing.game is not None:
            offered = np.zeros(count) if reports.synthetic_volume is None else reports.synthetic_volume
            last = terms.figures[EFFECTIVE]
            start = None if math.isnan(last) else last
            rule = VOLUME_RULES[self.rule]
            volume[playing.rows] = rule(playing.game, start, offered[playing.rows], terms.figures[LOT])
            counted[playing.rows] = playing.game.counted(volume[playing.rows])
        return Allocation(
            reports.owner,
            np.ones(count, dtype=np.bool_),
            reports.data_share,
            np.zeros(count),
            reports.claims,
            synthetic_volume=volume,
            deposit=np.asarray(np.maximum(terms.figures[RATE] * (rivals.T @ counted), 0.0)),
        )

    def settle(self, terms: Terms, allocation: Allocation, outcome: Outcome) -> Settlement:
        """Performance pay from the world, redistribution among those whose uploads came, and the volumes on record."""
        came = np.flatnonzero(arrivals(allocation, outcome))
        owner, count = allocation.owner[came], len(allocation)
        said = self._said(terms, allocation.owner, allocation.claims).take(came)
        told = _told(allocation)[came]
        rivals, rate = self._rivals(terms, owner), terms.figures[RATE]
        counted = told if self.contribution == "synthetic" else said.data_size + self.curve.worth(said.data_size, told)
        pay = said.profitability * np.maximum(outcome.measured[OWN_PERFORMANCE][came], 0.0)
        earning = pay > 0.0
        world = np.full(int(earning.sum()), WORLD, dtype=np.int64)
        further = {
            PERFORMANCE_PAY: Transfers(world, owner[earning], pay[earning]),
            REDISTRIBUTION: netted(owner, redistribution(rivals, rate, counted)),
        }
        settlement = pay_arrivals(allocation, outcome, np.zeros(count), claimed=float(told.sum()))
        effective = float((said.data_size + self.curve.worth(np.maximum(said.data_size, 1e-12), told)).sum())
        records = {VOLUME: _spread(told, came, count), EFFECTIVE: _spread(np.full(len(came), effective), came, count)}
        return replace(settlement, further=further, records=records)

    def _said(self, terms: Terms, owner: IntColumn, claims: Mapping[str, FloatColumn]) -> Claimed:
        """What owners claim; whoever is not known to the terms claims nothing."""
        known = places(terms.columns[_OWNER], owner) >= 0
        return Claimed.of(lambda name: np.where(known, claims.get(name, np.zeros(len(owner))), 0.0))

    def _rivals(self, terms: Terms, owner: IntColumn) -> CompetitionMatrix:
        """Intensities among some owners, by the terms."""
        place = places(terms.columns[_OWNER], owner)
        if terms.competition is None or (place < 0).any():
            return nobody_competes(len(owner))
        return among(terms.competition, place)

    def _labels(self, terms: Terms, owner: IntColumn) -> LabelMixes | None:
        if terms.labels is None:
            return None
        return terms.labels.take(places(terms.columns[_OWNER], owner))

    # What is true

    def performance(self, types: Types, synthetic_volume: FloatColumn) -> FloatColumn:
        """Own accuracies [N] by the curve, in [0, 1]; who adds nothing has the model of the others."""
        found = np.zeros(len(types))
        playing = self._truly(types, nobody_competes(len(types)))
        if playing.game is not None:
            outcome = play(playing.game, synthetic_volume[playing.rows])
            found = outcome.performance - self.personal_gain * Claimed.of(types.column).emd
            found[playing.rows] = outcome.own_performance
            found = np.clip(self.accuracy_limit + found, 0.0, 1.0)
        return found

    def generation_cost(self, types: Types, synthetic_volume: FloatColumn) -> FloatColumn:
        """c g + cq g^2 / 2."""
        return synthetic_volume * (types.column(GENERATION_COST) + 0.5 * self.quadratic_cost * synthetic_volume)

    def competition_loss(
        self, types: Types, synthetic_volume: FloatColumn, performance: FloatColumn, competition: CompetitionMatrix
    ) -> FloatColumn:
        """Under ``relative`` from the performances that were; what a volume adds under ``damage`` is by the curve."""
        profit = types.column(PROFITABILITY)
        if isinstance(READINGS[self.competition_model], Relative):
            return np.asarray(competition @ (profit * performance) - (competition @ profit) * performance)
        found = np.zeros(len(types))
        playing = self._truly(types, competition)
        if playing.game is not None:
            volume = synthetic_volume[playing.rows]
            found[playing.rows] = payoffs_of_deviations(playing.game, volume, volume).competition_loss
        return found

    def _truly(self, types: Types, competition: CompetitionMatrix) -> Players:
        return self.players(Claimed.of(types.column), types.labels, competition, 0.0)

    def paper_utility(
        self,
        terms: Terms,
        allocation: Allocation,
        outcome: Outcome,
        settlement: Settlement,
        types: Types,
        trained: BoolColumn,
    ) -> PaperUtility:
        """U_i of section 3.6 by the curve, on true types and volumes, with the redistribution as it was settled."""
        came = np.flatnonzero(arrivals(allocation, outcome))
        utility = np.zeros(len(allocation))
        volume = _told(allocation)[came]
        playing = self._truly(types.take(came), self._rivals(terms, allocation.owner[came]))
        if playing.game is not None:
            made = volume[playing.rows]
            utility[came[playing.rows]] = payoffs_of_deviations(playing.game, made, made).utility
        moved = settlement.further.get(REDISTRIBUTION, Transfers.none())
        for party, sign in ((moved.payee, 1.0), (moved.payer, -1.0)):
            order = np.argsort(allocation.owner)
            np.add.at(utility, order[np.searchsorted(allocation.owner, party, sorter=order)], sign * moved.amount)
        return PaperUtility(0.0, utility)


_NOBODY = Members(np.zeros(0, dtype=np.int64), {}, {}, np.zeros(0, dtype=np.int64))


def _by_owner(members: Members) -> Members:
    """The members in the order of their ids."""
    order = np.argsort(members.owner)
    return replace(
        members,
        owner=members.owner[order],
        claims={name: column[order] for name, column in members.claims.items()},
        records={name: column[order] for name, column in members.records.items()},
        competition=None if members.competition is None else among(members.competition, order),
        labels=None if members.labels is None else members.labels.take(order),
    )


def _last(members: Members, name: str) -> float:
    """A figure that the last round put on record with everybody; NaN before the first."""
    column = members.records.get(name, np.zeros(0))
    known = column[~np.isnan(column)]
    return float(known[-1]) if len(known) else math.nan


def _told(allocation: Allocation) -> FloatColumn:
    return np.zeros(len(allocation)) if allocation.synthetic_volume is None else allocation.synthetic_volume


def _spread(column: FloatColumn, came: IntColumn, count: int) -> FloatColumn:
    """The column over the whole allocation, NaN for who did not come."""
    whole = np.full(count, np.nan)
    whole[came] = column
    return whole
