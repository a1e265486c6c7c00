"""What the command line shows: a bar while it plays, tables at the end. Figures go to standard output, news beside."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from scenarios.number_text import percent as percent

if TYPE_CHECKING:
    from scenarios.summary import Breakdown


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


def print_summary(title: str, tables: Sequence[Breakdown]) -> None:
    """The title, then the strategies of a run and what became of them (``summary.strategy_summary``)."""
    console = output()
    console.print(Text(title, style="bold"))
    for breakdown in tables:
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column(breakdown.heading, no_wrap=True)
        for measure in breakdown.measures:
            table.add_column(measure.heading, justify="right", vertical="bottom")
        for strategy, cells in breakdown.rows():
            table.add_row(Text(strategy), *cells)
        console.print()
        console.print(table)
    console.print()


def print_catalogue(kind: str, entries: Sequence[tuple[str, str, str]]) -> None:
    """Names of one kind with their descriptions, and their parameters if any of them has some."""
    table = Table(title=kind, title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="dim")
    table.add_column("name", no_wrap=True, style="cyan")
    table.add_column("what it is", overflow="fold", ratio=3)
    with_parameters = any(parameters for _, _, parameters in entries)
    if with_parameters:
        table.add_column("parameters and defaults", overflow="fold", ratio=2)
    for name, description, parameters in entries:
        table.add_row(Text(name), Text(description), *([Text(parameters)] if with_parameters else []))
    console = output()
    console.print(table)
    console.print()


def output() -> Console:
    """Standard output; wide enough for every table when it goes to a file or a pipe."""
    return Console() if sys.stdout.isatty() else Console(width=120)
