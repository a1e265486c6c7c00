"""What the buyer's side gains: welfare as published leaves it out, and is highest where nothing is bought.

Neither MFG-RegretNet (arXiv 2603.28329) nor its rivals print a value of epsilon to the server. It is declared here: any
increasing concave function tells a rule that buys from one that gives the budget away.
"""

from __future__ import annotations

from math import log2

from market.privacy_auction.bids import Bids, Sale, SaleOutcome


def server_value(truth: Bids, sale: Sale | SaleOutcome, worth: float | None = None) -> float:
    """W log2(1 + E / E_max) in money: 0 where nothing is bought, W where everything is, each epsilon worth less.

    E is the epsilon bought, E_max the sum of all privacy budgets. ``worth`` is W, at least 0; without it what
    everything costs its owners, sum v eps, so that buying all of it is worth just that.
    """
    whole = float(truth.valuation @ truth.privacy_budget) if worth is None else worth
    return whole * log2(1.0 + float(sale.epsilon.sum() / truth.privacy_budget.sum()))


def total_surplus(truth: Bids, sale: Sale | SaleOutcome, worth: float | None = None) -> float:
    """What a sale is worth to server and owners together: ``server_value`` less sum v eps sold, in money.

    Payments only pass from one to the other. Without ``worth`` it is 0 both where nothing and where everything is
    bought, and above 0 where the cheap part is.
    """
    return server_value(truth, sale, worth) - float(truth.valuation @ sale.epsilon)
