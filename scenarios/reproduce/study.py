"""What a study of a published experiment is asked and what it gives: rows of found and published numbers."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scenarios.number_text import number
from scenarios.reproduce.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Key = str | int | float

NOTHING = math.nan
"""In place of a number that is not there."""

_SIGNIFICANT = 10  # digits in the tables: far more than any source prints, fewer than the noise of float sums


@dataclass(frozen=True)
class Options:
    """What a study is played with. ``dataset``: a registered name or a path to .npz; ``quick``: fewer draws, shorter
    and fewer runs, smaller halves of large data sets."""

    dataset: str = "digits"
    quick: bool = False
    device: str = "cpu"


@dataclass(frozen=True)
class Row:
    """One number: what it is (``key``, a value per column of the study), as found and as published.

    ``sd``: standard deviation of one draw or run. ``sd`` and ``published`` are NaN where there are none.
    """

    key: tuple[Key, ...]
    found: float
    verdict: Verdict
    sd: float = NOTHING
    published: float = NOTHING

    @property
    def gap(self) -> float:
        """Found less published, NaN where nothing was published."""
        return self.found - self.published


@dataclass(frozen=True)
class Study:
    """One experiment, played. ``name`` is that of its files, ``columns`` head the keys of the rows."""

    name: str
    title: str
    method: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    figure: Figure
    caption: str
    warnings: tuple[str, ...] = ()

    @property
    def headings(self) -> tuple[str, ...]:
        """Of all columns of the table."""
        return (*self.columns, "found", "sd", "published", "gap", "verdict", "why")

    def cells(self, row: Row, digits: int | None = None) -> list[str]:
        """A row as text: numbers as people read them, with so many ``digits``, or all that the table keeps (None)."""
        numbers = [row.found, row.sd, row.published, row.gap]
        shown = [_exact(value) if digits is None else readable(value, digits) for value in numbers]
        return [*map(str, row.key), *shown, row.verdict.word, row.verdict.why]

    def as_csv(self) -> str:
        """The table; an empty cell where there is no number."""
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(self.headings)
        table.writerows(self.cells(row) for row in self.rows)
        return text.getvalue()


def readable(value: float, significant: int = 4) -> str:
    """A number with about so many significant digits; a dash where there is none."""
    if not math.isfinite(value) or value == 0.0:
        return number(value)
    before = math.floor(math.log10(abs(value))) + 1
    return number(value, min(max(significant - before, 0), 6))


def _exact(value: float) -> str:
    return "" if math.isnan(value) else f"{value + 0.0:.{_SIGNIFICANT}g}"
