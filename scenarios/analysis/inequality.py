"""How unequally payoffs, wallets or personal accuracies are spread: Lorenz curves and Gini coefficients."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from market.graph_metrics import gini

LORENZ = ("group", "owners", "total")


def lorenz(values: ArrayLike, group: str = "all") -> pd.DataFrame:
    """Share of the total that the poorest share of owners holds (Lorenz 1905); columns ``LORENZ``.

    From (0, 0) to (1, 1). NaN are left out. Losses (values below 0) let the curve dip below 0. ValueError where the
    total is not positive: there is nothing to share.
    """
    ordered = np.sort(_present(values))
    if len(ordered) == 0 or ordered.sum() <= 0:
        raise ValueError("a Lorenz curve needs a positive total")
    return pd.DataFrame({
        "group": group,
        "owners": np.linspace(0.0, 1.0, len(ordered) + 1),
        "total": np.append(0.0, np.cumsum(ordered) / ordered.sum()),
    })  # fmt: skip


def payoff_inequality(owners: pd.DataFrame) -> pd.DataFrame:
    """Gini coefficients over owners: what, gini, owners; of utility summed over the run, wallet and own accuracy.

    Utility is summed over the recorded rounds; wallets and accuracies are those at the end. NaN where the total is not
    positive.
    """
    rounds, final = owners[owners["moment"] == "round"], owners[owners["moment"] == "final"]
    columns = {
        "utility": rounds.groupby("owner")["utility"].sum(),
        "wallet": final.set_index("owner")["wallet"],
        "accuracy": final.set_index("owner")["accuracy"].dropna(),
    }
    rows = [(name, _gini_or_nan(values), len(values)) for name, values in columns.items()]
    return pd.DataFrame(rows, columns=["what", "gini", "owners"])


def _gini_or_nan(values: pd.Series[float]) -> float:
    present = _present(values)
    return gini(present) if len(present) and present.sum() > 0 else float("nan")


def _present(values: ArrayLike) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    column = np.asarray(values, dtype=np.float64)
    return column[~np.isnan(column)]
