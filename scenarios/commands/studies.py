"""Play many markets under a design."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from scenarios import completion
from scenarios.commands.options import Quiet, Workers


class Engine(StrEnum):
    """Who plays the runs of a study."""

    LOCAL = "local"
    RAY = "ray"


def batch(
    study: Annotated[
        str,
        typer.Argument(help="A study file, or the name of a ready-made one.", autocompletion=completion.study_names),
    ],
    workers: Workers = None,
    engine: Annotated[Engine, typer.Option(help="Processes of this machine, or a Ray cluster.")] = Engine.LOCAL,
    address: Annotated[
        str | None, typer.Option(help="A running Ray cluster, such as auto.  [default: start one here]")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the results.  [default: runs/<study>]", show_default=False)
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a study: play only what is missing.")] = False,
    retry: Annotated[bool, typer.Option("--retry", help="With --resume: play failed runs again.")] = False,
    checkpoint_every: Annotated[
        str | None,
        typer.Option(
            metavar="ROUNDS|TIME",
            help="Keep each run every so many rounds, or every 30s, 5min, 2h; --resume goes on from there.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Tell progress and the end as JSON lines.")] = False,
    quiet: Quiet = False,
) -> None:
    """Play a study: many runs under a design, each kept in a folder of its own."""
    from scenarios.studies.command import Voice
    from scenarios.studies.command import batch as play_study

    voice: Voice = "json" if as_json else "quiet" if quiet else "normal"
    code = play_study(
        study, workers=workers, engine=engine.value, address=address, out=out, resume=resume, retry=retry,
        checkpoint_every=checkpoint_every, voice=voice,
    )  # fmt: skip
    if code:
        raise typer.Exit(code)
