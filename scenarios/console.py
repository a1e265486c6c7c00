"""What the command line shows: a bar while it plays, tables at the end. Figures go to standard output, news beside."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    import pandas as pd


class Moment(Protocol):
    """What the simulation tells after each window."""

    @property
    def window(self) -> int: ...
    @property
    def windows(self) -> int: ...
    @property
    def round(self) -> int: ...
    @property
    def accuracy(self) -> float: ...
    @property
    def active(self) -> int: ...


def percent(share: float) -> str:
    """``0.9312`` as ``93.1 %``; a dash where there is no number."""
    return "-" if math.isnan(share) else f"{100 * share:.1f} %"


def with_bar(moments: Iterable[Moment], windows: int) -> Iterator[Moment]:
    """Pass the moments on and draw a bar meanwhile: windows done, time left, round, accuracy, owners."""
    columns = (
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TextColumn("{task.description}"),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("starting", total=windows)
        for moment in moments:
            news = f"round {moment.round}, accuracy {percent(moment.accuracy)}, {moment.active} owners"
            progress.update(bar, completed=moment.window, description=news)
            yield moment


def with_lines(moments: Iterable[Moment], windows: int) -> Iterator[Moment]:
    """Pass the moments on and print one line about each."""
    for moment in moments:
        print(
            f"window {moment.window}/{windows}: round {moment.round}, accuracy {percent(moment.accuracy)}, "
            f"{moment.active} owners",
            file=sys.stderr,
        )
        yield moment


def print_summary(title: str, summary: pd.DataFrame) -> None:
    """The strategies of a run and what became of them (``summary.strategy_summary``)."""
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="bold")
    table.add_column("strategy", no_wrap=True)
    for heading in ("owners", "mean utility", "paid", "flagged", "left", "expelled", "bankrupt", "still there"):
        table.add_column(heading, justify="right")
    for strategy, row in summary.iterrows():
        cells = [f"{row[name]:.2f}" if name in ("utility", "paid") else f"{row[name]:.0f}" for name in _SHOWN]
        table.add_row(Text(str(strategy)), *cells)
    _console().print(table)


_SHOWN = ("owners", "utility", "paid", "flagged", "left", "expelled", "bankrupt", "still_there")


def print_catalogue(kind: str, entries: Iterable[tuple[str, str]]) -> None:
    """Names of one kind with their descriptions."""
    table = Table(title=kind, title_justify="left", title_style="bold", box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True, style="cyan")
    table.add_column(overflow="fold")
    for name, description in entries:
        table.add_row(Text(name), Text(description))
    console = _console()
    console.print(table)
    console.print()


def _console() -> Console:
    """Standard output; wide enough for every table when it goes to a file or a pipe."""
    return Console() if sys.stdout.isatty() else Console(width=120)
