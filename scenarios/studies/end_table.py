"""The table at the end of a batch: what the measures of each combination came to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from rich.table import Table
from rich.text import Text

from scenarios.console import output
from scenarios.number_text import number
from scenarios.studies import open_study
from scenarios.studies.progress import Standing
from scenarios.studies.results import StudyResults

MOST_ROWS = 40


def print_end(folder: Path, standing: Standing) -> None:
    """Print means and standard deviations of the measures, by combination where these are few, and failed runs."""
    study = open_study(folder)
    console = output()
    console.print(Text(f"{study.study.title or study.study.name}: {_ended(standing)}", style="bold"))
    means = cell_means(study)
    if len(means):
        table = Table(box=None, pad_edge=False, header_style="bold")
        keys, names = means.attrs["keys"], study.study.measure_names
        for key in keys:
            table.add_column(key, no_wrap=True)
        for heading in ("runs", *names):
            table.add_column(heading, justify="right")
        for row in means.to_dict("records"):
            cells = [f"{_short(row[name])} ± {_short(row[f'{name} sd'])}" for name in names]
            table.add_row(*(Text(label(row[key])) for key in keys), str(row["runs"]), *cells)
        console.print()
        console.print(table)
    failed = study.runs[study.runs["status"] == "failed"]
    for error, count in failed["error"].value_counts().head(5).items():
        console.print(Text(f"{count} failed: {error}"), soft_wrap=True)  # a path is read off whole
    console.print()


def cell_means(study: StudyResults) -> pd.DataFrame:
    """Runs, means and standard deviations (``NAME sd``) of the measures, by what varies if that gives few rows, by
    scenario where it does not or where points were drawn. A run without a measure is left out of its mean.

    ``attrs["keys"]``: the columns that say which rows these are.
    """
    frame, keys = study.measures, study.fields or ["scenario"]
    if frame.empty:
        return pd.DataFrame()
    if study.places is not None or len(frame[keys].drop_duplicates()) > MOST_ROWS:
        keys = ["scenario"]
    rows = []
    for values, group in frame.groupby(keys, sort=False):
        row = {**dict(zip(keys, values if isinstance(values, tuple) else (values,), strict=True)), "runs": len(group)}
        for name in study.study.measure_names:
            numbers = group[name].dropna().to_numpy(dtype=np.float64)
            row[name] = float(np.mean(numbers)) if len(numbers) else float("nan")
            row[f"{name} sd"] = float(np.std(numbers, ddof=1)) if len(numbers) > 1 else float("nan")
        rows.append(row)
    means = pd.DataFrame(rows)
    means.attrs["keys"] = keys
    return means


def _ended(standing: Standing) -> str:
    failed = f", {standing.failed} failed" if standing.failed else ""
    return f"{standing.done} of {standing.runs} runs done{failed}, {standing.seconds:.0f} s"


def _short(value: float) -> str:
    return number(value, 3 if abs(value) < 10 else 1)


def label(value: object) -> str:
    """A level of a field as text."""
    return f"{value:g}" if isinstance(value, float) else str(value)
