"""Arguments and options that several commands share, and the exit code that several give."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from scenarios import completion

INTERRUPTED = 130


class Device(StrEnum):
    """Where the training runs."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


ScenarioFile = Annotated[
    str,
    typer.Argument(help="A scenario file, or the name of a ready-made one.", autocompletion=completion.scenario_names),
]
CheckpointEvery = Annotated[
    str | None,
    typer.Option(
        metavar="ROUNDS|TIME",
        help="Keep a checkpoint every so many rounds, or every 30s, 5min, 2h.",
        show_default=False,
    ),
]
CheckpointKeep = Annotated[
    str | None,
    typer.Option(
        metavar="NUMBER|all", help="How many of the newest checkpoints stay.  [default: 3]", show_default=False
    ),
]
Changes = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one value; may be repeated.")
]
Workers = Annotated[
    int | None, typer.Option(min=1, help="Runs at the same time.  [default: one per processor]", show_default=False)
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but the folder.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Print one line per window.")]
Force = Annotated[bool, typer.Option("--force", help="Replace the results of an earlier run.")]
