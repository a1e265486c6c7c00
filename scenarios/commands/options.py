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
