"""``datagora analyse``: the analyses of a run as CSV files, the most telling of them on the screen."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from rich.table import Table
from rich.text import Text

from scenarios.analysis.participation import FOLDER, participation_tables, write_tables
from scenarios.console import output
from scenarios.number_text import number
from scenarios.results import open_run

_SHOWN = {
    "half_life": "Half-life of a stay by strategy (windows)",
    "exit_effects": "What one sd multiplies the risk of leaving by (Cox)",
    "audit_rates": "Audits, measured",
    "welfare_by_party": "Who gains (money)",
    "inequality": "Gini coefficients",
    "regimes": "Regimes of the number of owners",
}


def analyse(folder: Path, out: Path | None) -> None:
    """Write the analyses of the run in ``folder`` to ``out`` (default: its ``analysis`` folder) and print some."""
    tables = participation_tables(open_run(folder))
    place = folder / FOLDER if out is None else out
    write_tables(place, tables)
    _print(tables, place)


def _print(tables: Mapping[str, pd.DataFrame], place: Path) -> None:
    console = output()
    for name, title in _SHOWN.items():
        if tables[name].empty:
            continue
        console.print(Text(title, style="bold"))
        console.print(_printed(tables[name]))
        console.print()
    console.print(f"{len(tables)} tables in {place}", soft_wrap=True)


def _printed(frame: pd.DataFrame) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in frame.columns:
        table.add_column(str(column).replace("_", " "), justify="left" if frame[column].dtype == object else "right")
    for row in frame.itertuples(index=False):
        table.add_row(*(Text(value) if isinstance(value, str) else _figure(value) for value in row))
    return table


def _figure(value: float) -> str:
    if value == float("inf"):
        return "beyond the run"
    if value != value:
        return "-"
    return number(value, 0) if float(value).is_integer() else f"{value:.3g}"
