"""The static markets that all studies are played on, the rules in them, and means over them with their intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from learning.columns import FloatColumn
from learning.streams import Streams
from market.privacy_auction import RULES, Bids, Rule, Sale
from market.privacy_auction.csra import csra
from market.privacy_auction.networks.populations import POPULATIONS
from scenarios.reproduce.study import NOTHING, Key, Row
from scenarios.reproduce.verdicts import Verdict, unpublished

OWNERS = 10
"""As in the paper's runs."""
STREAMS = Streams(1)
"""The luck of all markets: number m of a size and population is the same market in every study."""

DECLARED, GIVEN_AWAY = "csra_declared", "given_away"


def given_away(bids: Bids, budget: float) -> Sale:
    """Nothing is bought and the budget is handed out all the same: the highest social welfare there is."""
    return Sale(np.zeros(len(bids)), np.full(len(bids), budget / len(bids)))


FIELD: Mapping[str, Rule] = {
    **dict[str, Rule](RULES.items()), DECLARED: partial(csra, allocation="declared"), GIVEN_AWAY: given_away,
}  # fmt: skip
"""All rules that are compared: those of the package, CSRA that buys what it pays for, and the welfare trap."""


class Market(NamedTuple):
    """Owners' true bids and the buyer's budget (money)."""

    bids: Bids
    budget: float


def drawn(number: int, owners: int = OWNERS, population: str = "uniform") -> Bids:
    """True bids of market ``number`` of a population of ``POPULATIONS``; all data of one size."""
    chance = STREAMS.generator(f"studied auction/{population}", owners, number)
    valuation, cap = POPULATIONS[population](chance, (1, owners))[0].T
    return Bids.of_equals(np.ascontiguousarray(valuation), np.ascontiguousarray(cap))


def total_cost(bids: Bids) -> float:
    """What all privacy budgets cost their owners, sum v eps, in money."""
    return float(bids.valuation @ bids.privacy_budget)


def market(number: int, owners: int, factor: float) -> Market:
    """Market ``number`` of uniform types with ``factor`` times what everything costs as its budget."""
    bids = drawn(number, owners)
    return Market(bids, factor * total_cost(bids))


class Estimate(NamedTuple):
    """Mean of independent repetitions, standard deviation of one, and half of the mean's 95 % interval (Student)."""

    mean: float
    sd: float
    half_width: float

    @staticmethod
    def of_sd(mean: float, sd: float, count: int) -> Estimate:
        """From the deviation of one of ``count`` repetitions, at least two."""
        return Estimate(mean, sd, float(stdtrit(count - 1, 0.975)) * sd / math.sqrt(count))

    def says(self) -> str:
        """The interval in words."""
        return f"95 % interval {self.mean - self.half_width:.4g} to {self.mean + self.half_width:.4g}"


def estimate(values: FloatColumn | list[float]) -> Estimate:
    """Of at least two repetitions."""
    numbers = np.asarray(values, dtype=np.float64)
    return Estimate.of_sd(float(numbers.mean()), float(numbers.std(ddof=1)), len(numbers))


def row(
    key: tuple[Key, ...],
    values: FloatColumn | list[float],
    verdict: Verdict | None = None,
    published: float = NOTHING,
) -> Row:
    """The mean over repetitions with its interval beside the verdict; without one nothing was published."""
    found = estimate(values)
    word, why = (verdict.word, verdict.why) if verdict else ("not comparable", unpublished().why)
    return Row(key, found.mean, Verdict(word, f"{why}; {found.says()}"), found.sd, published)
