"""How near a finite market is to its mean field: mean bids, payments, and the rate 1 / sqrt(N) of Theorem 3."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.figure import Figure

from learning.columns import FloatColumn
from market.privacy_auction import Bids
from market.privacy_auction.networks.columns import report_of
from market.privacy_auction.networks.game import AuctionNetwork, context_terms
from market.privacy_auction.networks.shipped import shipped
from scenarios.palette import BLACK, BLUE, VERMILION
from scenarios.plots.canvas import styled
from scenarios.reproduce.privacy_auction.markets import FIELD, STREAMS, estimate, row
from scenarios.reproduce.study import Options, Row, Study
from scenarios.reproduce.verdicts import Verdict

OWN_VALUATION, OWN_CAP = 0.4, 2.0
"""The owner whose payment is followed while all the others are drawn."""
FACTOR = 0.6
MEAN_VALUATION, MEAN_CAP = 0.5, 2.55
CAPS = (0.1, 5.0)
NODES = 64
"""Places of the quadrature on each of the two axes of the types."""
REPETITIONS = 5
NETWORK = "mfg_regretnet"
BID, PAYMENT = "mean bid off its expectation", "payment off its mean-field limit (money)"
TOLERANCE = {BID: 0.05, PAYMENT: 0.1}
"""Slopes within so much of -1/2 agree with the rate."""


@dataclass(frozen=True)
class Scale:
    """Sizes of markets; each mean error is over so many markets."""

    sizes: tuple[int, ...]
    markets: int


QUICK = Scale((10, 100, 1_000, 10_000), 60)
FULL = Scale((10, 100, 1_000, 10_000, 100_000), 150)


def limit_payment(network: AuctionNetwork) -> float:
    """The payment p(b; E b) in money when infinitely many others have types from the distribution.

    Means over the types, and the total of all payments per owner, by Gauss-Legendre quadrature.
    """
    place, weight = np.polynomial.legendre.leggauss(NODES)
    valuation, cap = np.meshgrid((place + 1) / 2, CAPS[0] + (CAPS[1] - CAPS[0]) * (place + 1) / 2, indexing="ij")
    mass = torch.from_numpy(np.outer(weight, weight).ravel() / 4)
    others = report_of(Bids.of_equals(valuation.ravel(), cap.ravel()))
    own = report_of(Bids.of_equals(np.array([OWN_VALUATION]), np.array([OWN_CAP])))
    owners = 10**12  # so many that nobody counts
    budget = torch.tensor(FACTOR * MEAN_VALUATION * MEAN_CAP * owners, dtype=torch.float64)
    sums = owners * (context_terms(others) * mass[:, None]).sum(dim=0)
    with torch.no_grad():
        coupling = network.coupling(network.own(others, sums, owners, budget))
        total = owners * (coupling * mass[:, None]).sum(dim=0)
        return float(network.sold(network.own(own, sums, owners, budget), total, own, budget).payment[0])


def errors(owners: int, markets: int, repetition: int, limit: float) -> tuple[float, float]:
    """Mean distances of the mean bid from its expectation, and of the followed owner's payment from its limit."""
    bids_off, payments_off = [], []
    for number in range(markets):
        chance = STREAMS.generator("mean-field market", owners, repetition * markets + number)
        valuation, cap = chance.uniform(0.0, 1.0, owners), chance.uniform(*CAPS, owners)
        bids_off.append(abs(float(valuation.mean()) - MEAN_VALUATION))
        valuation[0], cap[0] = OWN_VALUATION, OWN_CAP
        bids = Bids.of_equals(valuation, cap)
        sale = FIELD[NETWORK](bids, FACTOR * MEAN_VALUATION * MEAN_CAP * owners)
        payments_off.append(abs(float(sale.payment[0]) - limit))
    return float(np.mean(bids_off)), float(np.mean(payments_off))


def mean_field(options: Options, scale: Scale | None = None) -> Study:
    """Errors of the mean-field approximation by the number of owners, and their rates."""
    scale = scale or (QUICK if options.quick else FULL)
    limit = limit_payment(shipped(NETWORK))
    found = np.array(
        [[errors(n, scale.markets, turn, limit) for turn in range(REPETITIONS)] for n in scale.sizes]
    )  # [sizes, repetitions, 2]
    rows: list[Row] = []
    for column, quantity in enumerate((BID, PAYMENT)):
        rows += [row((str(n), quantity), found[place, :, column]) for place, n in enumerate(scale.sizes)]
        rows.append(_slope(quantity, scale.sizes, found[..., column]))
    return Study(
        name="mean_field",
        title="A finite market and its mean field",
        method=(
            f"One owner with v = {OWN_VALUATION:g} and epsilon = {OWN_CAP:g}, all others drawn from v ~ U[0, 1] and "
            f"epsilon ~ U[0.1, 5], with a budget per owner of {FACTOR:g} times the expected cost; {REPETITIONS} "
            f"repetitions of {scale.markets} markets of each size. Off by: the mean over the markets of the distance. "
            f"The limit of the payment ({limit:.4f}) is computed by quadrature over the types, not by a large market."
        ),
        columns=("owners", "quantity"),
        rows=tuple(rows),
        figure=_figure(scale.sizes, found),
        caption="Mean distances with 95 % intervals; dotted: the rate 1 / sqrt(N).",
    )


def _slope(quantity: str, sizes: Sequence[int], found: FloatColumn) -> Row:
    """Of log error over log owners, one per repetition."""
    slopes = [float(np.polyfit(np.log(sizes), np.log(one), 1)[0]) for one in found.T]
    near = abs(float(np.mean(slopes)) + 0.5) <= TOLERANCE[quantity]
    why = f"the rate is N^-1/2, give or take {TOLERANCE[quantity]:g}"
    return row(("all", f"slope: {quantity}"), slopes, Verdict("reproduced" if near else "differs", why), -0.5)


@styled
def _figure(sizes: Sequence[int], found: FloatColumn) -> Figure:
    figure = Figure(figsize=(6.6, 4.3), layout="constrained")
    ax = figure.add_subplot()
    for column, (label, hue) in enumerate(((BID, BLUE), (PAYMENT, VERMILION))):
        means = [estimate(values) for values in found[..., column]]
        mean, width = (np.array([getattr(one, part) for one in means]) for part in ("mean", "half_width"))
        ax.errorbar(sizes, mean, yerr=width, color=hue, marker="o", markersize=3, label=label)
        ax.plot(sizes, mean[0] * (np.array(sizes) / sizes[0]) ** -0.5, color=BLACK, linewidth=0.8, linestyle=":")
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_title("The mean field is reached at 1 / sqrt(N)")
    ax.set_xlabel("owners")
    ax.legend()
    return figure
