"""What came of a run or of a study: pages and analyses; watching a market live; what a scenario can name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scenarios import completion
from scenarios.catalogue import Kind, entries
from scenarios.errors import BadInput


def app(
    opening: Annotated[
        str,
        typer.Argument(
            help="A scenario file, the name of a ready-made one, or the folder of a finished run.",
            metavar="SCENARIO",
            autocompletion=completion.scenario_names,
        ),
    ] = "quickstart",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on this machine.")] = 8765,
) -> None:
    """Watch a market live in the browser, turn its levers, compare two worlds."""
    from scenarios.app.server import serve

    serve(opening, port)


def list_(
    kind: Annotated[Kind | None, typer.Argument(help="What to show; everything by default.")] = None,
) -> None:
    """Show what a scenario can name: one line about each, its parameters and their defaults."""
    from scenarios.console import print_catalogue

    for shown in [kind] if kind else list(Kind):
        print_catalogue(shown.value, entries(shown))


def report(folder: Annotated[Path, typer.Argument(help="The folder of a run or of a study.")]) -> None:
    """Turn the results of a run or of a study into an HTML page with plots."""
    from scenarios.results import BadRun
    from scenarios.studies.store import MANIFEST

    try:
        if (folder / MANIFEST).exists():
            from scenarios.studies.report import write_report
        else:
            from scenarios.report import write_report
        page = write_report(folder)
    except BadRun as problem:
        raise BadInput("", "", None, problem=str(problem)) from None
    for plot in sorted((folder / "plots").glob("*.png")):
        typer.echo(plot)
    typer.echo(page)


def analyse(
    folder: Annotated[Path, typer.Argument(help="The folder of a run.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder for the tables.  [default: analysis/ in the run's]", show_default=False)
    ] = None,
) -> None:
    """Analyse who stayed, who left and why: survival, exit causes, churn, cohorts, audits, inequality, regimes."""
    from scenarios.analysis.command import analyse as write_analysis
    from scenarios.results import BadRun

    try:
        write_analysis(folder, out)
    except BadRun as problem:
        raise BadInput("", "", None, problem=str(problem)) from None
