"""Scenario discovery: where in the space of the factors something happens, as boxes that a decision tree finds.

As CART does in Lempert, Bryant and Bankes, "Comparing algorithms for scenario discovery", RAND 2008: each leaf of a
small tree is a box, described by its bounds, its density and its coverage.
"""

from __future__ import annotations

from typing import Any

import duckdb
import numpy as np
import pandas as pd
from sklearn.tree import DecisionTreeClassifier

from scenarios.results import BadRun
from scenarios.studies.results import StudyResults


def discover(study: StudyResults, condition: str, *, depth: int = 3, smallest: int = 5) -> pd.DataFrame:
    """Boxes in which a ``condition`` on the measures (SQL, such as ``final_accuracy < 0.5``) holds more often.

    Columns: ``box`` (in words), ``runs`` in it, ``density`` (share of them where the condition holds) and ``coverage``
    (share of all such runs that are in the box), densest first. Only boxes denser than all runs together; empty if
    there is none. ``BadRun`` for a condition that cannot be read.
    """
    frame = study.measures
    connection = duckdb.connect()
    connection.register("measures", frame)
    try:
        held = connection.execute(f"SELECT ({condition}) FROM measures").fetchall()
    except duckdb.Error as problem:
        raise BadRun(f"condition {condition!r}: {str(problem).strip().splitlines()[0]}") from None
    holds = np.array([bool(row[0]) for row in held])
    return boxes(frame[study.fields], holds, depth=depth, smallest=smallest)


def boxes(factors: pd.DataFrame, holds: Any, *, depth: int = 3, smallest: int = 5) -> pd.DataFrame:
    """The same for factors [runs, fields] and truth values [runs]."""
    columns = ["box", "runs", "density", "coverage"]
    if holds.all() or not holds.any() or factors.empty:
        return pd.DataFrame(columns=columns)
    coded = pd.get_dummies(factors.convert_dtypes(), dtype=float, prefix_sep=" = ").astype(float)
    # The tree draws lots between equally good cuts, so the order of columns must not matter to whoever reads the table.
    tree = DecisionTreeClassifier(max_depth=depth, min_samples_leaf=smallest, random_state=0)
    leaves = tree.fit(coded.to_numpy(), holds).apply(coded.to_numpy())
    words = _leaves_in_words(tree.tree_, list(coded.columns), set(factors.columns))
    rows = []
    for leaf in np.unique(leaves):
        inside = leaves == leaf
        density = float(holds[inside].mean())
        if density > holds.mean():
            coverage = float(holds[inside].sum() / holds.sum())
            rows.append((words[int(leaf)], int(inside.sum()), density, coverage))
    found = pd.DataFrame(rows, columns=columns)
    return found.sort_values(["density", "coverage"], ascending=False, kind="stable").reset_index(drop=True)


def _leaves_in_words(tree: Any, columns: list[str], numeric: set[str]) -> dict[int, str]:
    """What leads to each leaf, as bounds of each column."""
    found: dict[int, str] = {}
    open_nodes: list[tuple[int, dict[str, tuple[float, float]]]] = [(0, {})]
    while open_nodes:
        node, bounds = open_nodes.pop()
        left, right = int(tree.children_left[node]), int(tree.children_right[node])
        if left == right:
            found[node] = " and ".join(_in_words(name, *bounds[name], name in numeric) for name in sorted(bounds))
            continue
        name, cut = columns[int(tree.feature[node])], float(tree.threshold[node])
        low, high = bounds.get(name, (-np.inf, np.inf))
        open_nodes.append((left, bounds | {name: (low, min(high, cut))}))
        open_nodes.append((right, bounds | {name: (max(low, cut), high)}))
    return found


def _in_words(name: str, low: float, high: float, numeric: bool) -> str:
    if not numeric:  # a level of its own column: 0 or 1
        return name if low > 0 else name.replace(" = ", " is not ", 1)
    if np.isinf(low):
        return f"{name} <= {high:.4g}"
    return f"{name} > {low:.4g}" if np.isinf(high) else f"{low:.4g} < {name} <= {high:.4g}"
