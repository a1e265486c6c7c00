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
from typing import ClassVar

import numpy as np

from learning.columns import BoolColumn, FloatColumn, IntColumn
from market.cocogen.beliefs import INTENSITY, believed, figures_of, revealed, search_of, searched, welfare_seen
from market.cocogen.claimed import LEAST, Claimed
from market.cocogen.competition import CompetitionMatrix, among, nobody_competes
from market.cocogen.game import Game
from market.cocogen.market_rules import MarketRules
from market.cocogen.netting import netted
from market.cocogen.payoffs import payoffs_of_deviations, play, redistribution
from market.cocogen.published import (
    AHEAD,
    APART,
    COMPETITION,
    DISTANCE,
    EFFECTIVE,
    LOT,
    NOBODY,
    OWNER,
    PAYS,
    PROFIT,
    RATE,
    REAL,
    SIZE,
    VOLUME,
    WORTH,
    by_owner,
    labels_of,
    rivals_of,
    said_in,
)
from market.cocogen.rate_search import proposed
from market.cocogen.reply import earnings, redistributed, reply
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
    Outcome,
    PaperUtility,
    Reports,
    Settlement,
    Terms,
    Transfers,
    Types,
)
from market.parties import WORLD
from market.quoting import Offers, Quote
from market.settling import arrivals, everybody_is_taken, pay_arrivals

PERFORMANCE_PAY, REDISTRIBUTION = "performance pay", "redistribution"
OFFERED = "offered volume"
"""The column that keeps what owners offer from the plan to the settlement, samples."""


@MECHANISMS.register("cocogen")
@dataclass(frozen=True)
class CoCoGen(MarketRules):
    """CoCoGen+: rivals train together and generate data; redistribution pays for contribution and competition.

    ``volume_scale`` a, ``volume_exponent`` b, ``emd_penalty`` zeta, ``personal_gain`` h, ``synthetic_quality`` kappa,
    ``quality_decay`` delta: the curve (``datagora calibrate cocogen`` measures them); ``accuracy_limit``: what
    unlimited data of the global mix would reach. ``quadratic_cost`` (money per squared sample) and
    ``synthetic_volume_cap`` (samples) hold for all. ``competition_model``, ``contribution``, ``redistribution_rate``:
    as in ``datagora solve cocogen``. ``synthetic_target``: labels by the ``global`` law, or ``fill`` what is missing.
    ``rule``: who decides about volumes: ``equilibrium`` of the reports, each owner's own ``best_reply``, the
    ``optimum`` of a planner, or a baseline: ``vcfl``, ``wco``, ``radg``, ``uniform``. ``pays_for``: accuracy
    ``measured`` on each owner's own label mix, or by the ``curve``.

    ``rate_search``: with ``golden_section`` the rate is sought from 0 to ``highest_rate`` by the welfare of the rounds,
    ``rate_looks`` (an even number) at each of two rates, until the interval is ``rate_precision`` wide, beginning with
    the round ``rate_from`` (while a model still learns fast, rounds tell little about rates). ``competition``: with
    ``learned`` nobody tells the server who competes; it believes in ``believed_intensity`` for every pair, and then in
    what the volumes that an owner offers give away, the pressure of all its rivals together.

    Reports are taken for true, so no incentive compatibility is declared; nor is individual rationality, for whether
    taking part beats staying alone depends on the instance. Without data or profitability an owner trains and
    generates nothing; so does one that under ``damage`` would strengthen rivals more than itself. The data and the
    rivalry of such owners count for the others.
    """

    name: ClassVar[str] = "cocogen"
    needs: ClassVar[tuple[str, ...]] = (DATA_SIZE, EMD, GENERATION_COST, PROFITABILITY)
    measures: ClassVar[tuple[str, ...]] = (OWN_PERFORMANCE,)
    watches_members: ClassVar[bool] = True
    guarantees: ClassVar[tuple[Guarantee, ...]] = (Guarantee("budget_feasibility"),)
    recorded: ClassVar[Mapping[str, str]] = {"redistribution_rate": RATE, "revealed_intensity": INTENSITY}
    reference: ClassVar[str] = "Nguyen, Van Huynh, Pham 2026, CoCoGen+, arXiv 2604.14886 (reconstruction)"

    def announce(self, board: Board) -> Terms:
        """The rate, and what the claims of the members make the server expect of everybody."""
        members = by_owner(board.members or NOBODY)
        said = Claimed.of(lambda name: members.claims.get(name, np.zeros(len(members))))
        search = search_of(self, board)
        rate = self.redistribution_rate if search is None else proposed(search, self.rate_precision)
        competition = believed(self, members)
        game = self.players(said, members.labels, competition, rate)
        columns = {name: np.zeros(len(members)) for name in (VOLUME, SIZE, WORTH, DISTANCE, PAYS, AHEAD)}
        columns[COMPETITION] = competition @ np.ones(len(members))
        columns[PROFIT] = said.profitability
        last = board.remembered.get(EFFECTIVE, math.nan)
        figures = {RATE: rate, LOT: board.lot, EFFECTIVE: last, REAL: 0.0, APART: 0.0, **figures_of(search)}
        if game is not None:
            expected = self._expected(game, None if math.isnan(last) else last, board.lot, members.owner)
            columns |= expected
            figures |= {
                REAL: game.real_volume,
                EFFECTIVE: float((expected[SIZE] + expected[WORTH]).sum()),
                APART: float(expected[DISTANCE].sum()),
            }
        known = {OWNER: members.owner, **columns}
        return Terms(board.round, board.budget, figures, known, competition=competition, labels=members.labels)

    def _expected(self, game: Game, start: float | None, lot: float, owner: IntColumn) -> dict[str, FloatColumn]:
        """What the players of a game are expected to make, and what that does to each, [N].

        Who chooses its own volume is expected to be at the equilibrium, the others make what the rule says.
        """
        rule = "equilibrium" if self.rule == "best_reply" else self.rule
        volume = VOLUME_RULES[rule](game, start, np.zeros(len(game)), lot, owner)
        size = game.organisations.data_size
        emd = game.organisations.residual_emd.at(1.0 + volume / size)
        return {
            VOLUME: volume,
            SIZE: size,
            WORTH: game.curve.worth(size, volume),
            DISTANCE: size * emd,
            PAYS: np.asarray(game.competition.T @ game.counted(volume)),
            AHEAD: np.asarray(game.competition @ (game.organisations.profitability * -game.curve.personal_gain * emd)),
        }

    def recommend(self, terms: Terms, types: Types) -> Advice:
        """The best reply to what the others are expected to make, and what the round is then worth by the curve.

        The expected payment is what the model earns less generation, competition loss and redistribution. An owner
        that is not a member yet knows no rivals.
        """
        count = len(types)
        said = Claimed.of(types.column)
        rows = np.flatnonzero(said.data_size > 0.0)
        volume, worth = np.zeros(count), np.zeros(count)
        if len(rows):
            volume[rows], worth[rows] = reply(self, terms, types.take(rows), said.take(rows))
        return Advice(worth >= types.cost * types.data_size, np.ones(count), worth, synthetic_volume=volume)

    def quote(self, terms: Terms, offers: Offers) -> Quote:
        """What the model truly earns, less what is really generated, and the redistribution for what was claimed.

        Volumes are those that owners offer where they choose themselves, else the best reply for their claims. Who
        forges its upload generates nothing, and hopes that the others make up for the data that it does not bring.
        """
        payment, said = np.zeros(len(offers)), Claimed.of(offers.said.column)
        rows = np.flatnonzero((said.data_size > 0.0) & (offers.types.data_size > 0.0))
        if len(rows):
            types, claimed = offers.types.take(rows), said.take(rows)
            if self.rule == "best_reply":
                told = np.clip(offers.synthetic_volume[rows], 0.0, self.synthetic_volume_cap)
            else:
                told, _ = reply(self, terms, offers.said.take(rows), claimed)
            held = Claimed.of(types.column)
            held = held._replace(data_size=np.maximum(held.data_size * offers.data_share[rows], LEAST))
            made = np.where(offers.work_share[rows] > 0.0, told * offers.volume_share[rows], 0.0)
            earned = earnings(self, terms, types, held, made)
            payment[rows] = earned + redistributed(self, terms, types, claimed, told)
        return everybody_is_taken(payment)

    def plan(self, terms: Terms, reports: Reports) -> Allocation:
        """Everybody takes part, with the volume that the rule says and a deposit for all that it may have to pay."""
        count = len(reports)
        said = said_in(terms, reports.owner, reports.claims)
        rivals = rivals_of(terms, reports.owner)
        game = self.players(said, labels_of(terms, reports.owner), rivals, terms.figures[RATE])
        volume, counted = np.zeros(count), np.zeros(count)
        offered = np.zeros(count) if reports.synthetic_volume is None else reports.synthetic_volume
        if game is not None:
            last = terms.figures[EFFECTIVE]
            start = None if math.isnan(last) else last
            volume = VOLUME_RULES[self.rule](game, start, offered, terms.figures[LOT], reports.owner)
            counted = game.counted(volume)
        return Allocation(
            reports.owner,
            np.ones(count, dtype=np.bool_),
            reports.data_share,
            np.zeros(count),
            {**reports.claims, OFFERED: offered},
            synthetic_volume=volume,
            deposit=np.asarray(np.maximum(terms.figures[RATE] * (rivals.T @ counted), 0.0)),
        )

    def settle(self, terms: Terms, allocation: Allocation, outcome: Outcome) -> Settlement:
        """Performance pay from the world, redistribution among those whose uploads came, and what is learnt of them."""
        came = np.flatnonzero(arrivals(allocation, outcome))
        owner, count = allocation.owner[came], len(allocation)
        said = said_in(terms, allocation.owner, allocation.claims).take(came)
        told = _told(allocation)[came]
        rivals, rate = rivals_of(terms, owner), terms.figures[RATE]
        counted = told if self.contribution == "synthetic" else said.data_size + self.curve.worth(said.data_size, told)
        performance = np.maximum(outcome.measured[OWN_PERFORMANCE][came], 0.0)
        # The world pays for what a model is really worth to its owner, whatever was claimed.
        earns = said.profitability if outcome.profitability is None else outcome.profitability[came]
        pay = earns * performance
        earning = pay > 0.0
        world = np.full(int(earning.sum()), WORLD, dtype=np.int64)
        further = {
            PERFORMANCE_PAY: Transfers(world, owner[earning], pay[earning]),
            REDISTRIBUTION: netted(owner, redistribution(rivals, rate, counted)),
        }
        settlement = pay_arrivals(allocation, outcome, np.zeros(count), claimed=float(told.sum()))

        def welfare() -> float:
            return welfare_seen(self, said, told, performance, rivals, labels_of(terms, owner))

        remembered = searched(self, terms, welfare)
        if len(came):
            remembered[EFFECTIVE] = float(
                (said.data_size + self.curve.worth(np.maximum(said.data_size, LEAST), told)).sum()
            )
        records = {}
        if self.competition == "learned":
            found = revealed(self, terms, owner, said, allocation.claims[OFFERED][came])
            records[INTENSITY] = _spread(found, came, count)
        return replace(settlement, further=further, records=records, remembered=remembered)

    # What is true

    def performance(self, types: Types, synthetic_volume: FloatColumn) -> FloatColumn:
        """Own accuracies [N] by the curve, in [0, 1]; who adds nothing has the model of the others."""
        game = self._truly(types, nobody_competes(len(types)))
        if game is None:
            return np.zeros(len(types))
        return np.clip(self.accuracy_limit + play(game, synthetic_volume).own_performance, 0.0, 1.0)

    def generation_cost(self, types: Types, synthetic_volume: FloatColumn) -> FloatColumn:
        """c g + cq g^2 / 2."""
        return synthetic_volume * (types.column(GENERATION_COST) + 0.5 * self.quadratic_cost * synthetic_volume)

    def competition_loss(
        self, types: Types, synthetic_volume: FloatColumn, performance: FloatColumn, competition: CompetitionMatrix
    ) -> FloatColumn:
        """See ``MarketRules.lost``."""
        return self.lost(Claimed.of(types.column), types.labels, synthetic_volume, performance, competition)

    def _truly(self, types: Types, competition: CompetitionMatrix) -> Game | None:
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
        """U_i by the curve, on true types and volumes, with the redistribution as it was settled.

        Earnings are counted from 0 up, as they are paid, so p times ``accuracy_limit`` is added to the source's.
        """
        came = np.flatnonzero(arrivals(allocation, outcome))
        utility = np.zeros(len(allocation))
        volume = _told(allocation)[came]
        nobody = nobody_competes(len(came))
        game = self._truly(types.take(came), nobody if types.competition is None else among(types.competition, came))
        if game is not None:
            from_zero = game.organisations.profitability * self.accuracy_limit
            utility[came] = payoffs_of_deviations(game, volume, volume).utility + from_zero
        moved = settlement.further.get(REDISTRIBUTION, Transfers.none())
        for party, sign in ((moved.payee, 1.0), (moved.payer, -1.0)):
            order = np.argsort(allocation.owner)
            np.add.at(utility, order[np.searchsorted(allocation.owner, party, sorter=order)], sign * moved.amount)
        return PaperUtility(0.0, utility)


def _told(allocation: Allocation) -> FloatColumn:
    return np.zeros(len(allocation)) if allocation.synthetic_volume is None else allocation.synthetic_volume


def _spread(column: FloatColumn, came: IntColumn, count: int) -> FloatColumn:
    """The column over the whole allocation, NaN for who did not come."""
    whole = np.full(count, np.nan)
    whole[came] = column
    return whole
