"""Play one market, go on with one that was stopped, and play another future of one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scenarios.commands.options import (
    INTERRUPTED,
    Changes,
    CheckpointEvery,
    CheckpointKeep,
    Device,
    Force,
    Quiet,
    ScenarioFile,
    Verbose,
)
from scenarios.errors import BadInput

if TYPE_CHECKING:
    from scenarios.checkpoints.playing import Keeping
    from scenarios.playing import Voice


def run(
    scenario: ScenarioFile,
    seed: Annotated[int | None, typer.Option(help="Root of every random number; replaces the scenario's.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the results.  [default: runs/<scenario>-seed<seed>]", show_default=False),
    ] = None,
    device: Annotated[Device, typer.Option(help="Where to train.")] = Device.AUTO,
    spread: Annotated[
        int | None, typer.Option(min=1, help="Train each cohort on so many workers of a Ray cluster.")
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="A running Ray cluster, with --spread.  [default: start one here]")
    ] = None,
    change: Changes = None,
    force: Force = False,
    checkpoint_every: CheckpointEvery = None,
    checkpoint_keep: CheckpointKeep = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Play one scenario and keep its tables in a folder."""
    from functools import partial

    from scenarios.playing import play

    how: Callable[..., Path | None] = play
    keeping = _keeping(checkpoint_every, checkpoint_keep)
    if keeping is not None:
        from scenarios.checkpoints.playing import play_kept

        how = partial(play_kept, keeping=keeping)
    folder = how(
        scenario,
        changes=change or (),
        seed=seed,
        out=out,
        device=device.value,
        spread=spread,
        address=address,
        force=force,
        voice=_voice(quiet, verbose),
    )
    if folder is None:
        raise typer.Exit(INTERRUPTED)


def _voice(quiet: bool, verbose: bool) -> Voice:
    return "quiet" if quiet else "verbose" if verbose else "normal"


RunFolder = Annotated[Path, typer.Argument(help="The folder that the run has, or was to have.", metavar="RUN")]


def resume(
    run: RunFolder,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Go on with a run that had checkpoints and was stopped or killed; the tables come out as without the break."""
    from scenarios.checkpoints.playing import resume as go_on

    if go_on(run, voice=_voice(quiet, verbose)) is None:
        raise typer.Exit(INTERRUPTED)


def branch(
    run: RunFolder,
    at: Annotated[int, typer.Option(min=0, help="The first round that is played with other levers.")],
    change: Annotated[list[str], typer.Option("--set", metavar="KEY=VALUE", help="Set one lever; may be repeated.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder for the results.  [default: <run>-branch<round>]", show_default=False)
    ] = None,
    force: Force = False,
    checkpoint_every: CheckpointEvery = None,
    checkpoint_keep: CheckpointKeep = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Play another future of a run: the same past, then other levers."""
    from scenarios.checkpoints.branching import branch as play_branch

    keeping = _keeping(checkpoint_every, checkpoint_keep)
    folder = play_branch(run, at, change, out=out, force=force, keeping=keeping, voice=_voice(quiet, verbose))
    if folder is None:
        raise typer.Exit(INTERRUPTED)


def _keeping(every: str | None, keep: str | None) -> Keeping | None:
    """What the options about checkpoints ask for, None for nothing. Raises ``BadInput``."""
    from scenarios.checkpoints.playing import KEPT, Keeping

    if every is None and keep is not None:
        raise BadInput("--checkpoint-keep", "", keep, problem="there are no checkpoints without --checkpoint-every")
    return None if every is None else Keeping(every, str(KEPT) if keep is None else keep)
