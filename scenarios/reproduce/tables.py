"""The rows of a study as one tidy table, which is what pictures are made from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from scenarios.reproduce.study import Row


def tidy(columns: Sequence[str], rows: Iterable[Row]) -> pd.DataFrame:
    """One line per row: its key in ``columns``, then ``found``, ``sd``, ``published`` and the word of the verdict."""
    lines = [(*row.key, row.found, row.sd, row.published, row.verdict.word) for row in rows]
    return pd.DataFrame(lines, columns=[*columns, "found", "sd", "published", "verdict"])
