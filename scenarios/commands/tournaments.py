"""Strategies against each other, lies one by one, and every choice of a few owners."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from scenarios import completion
from scenarios.commands.options import Changes, Workers


class Process(StrEnum):
    """How strategies spread in a tournament."""

    FERMI = "fermi"
    MORAN = "moran"


BaseScenario = Annotated[
    str | None, typer.Option(help="The market to play in.  [default: a small one per mechanism]", show_default=False)
]
Deviators = Annotated[
    int | None, typer.Option(min=1, help="Owners of each market that deviate, one at a time.  [default: 3]")
]
Seeds = Annotated[int | None, typer.Option(min=2, help="Markets drawn.  [default: 10]", show_default=False)]
Training = Annotated[bool, typer.Option("--training/--no-training", help="Whether models are really trained.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on: play only what is missing.")]
QuietPath = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but the result's path.")]


def tournament(
    mechanism: Annotated[
        list[str] | None,
        typer.Option(
            help="A mechanism; may be repeated.  [default: four]", autocompletion=completion.played_mechanisms
        ),
    ] = None,
    strategy: Annotated[
        list[str] | None,
        typer.Option(help="A strategy, as name:parameter=value,...; may be repeated.  [default: six]"),
    ] = None,
    scenario: BaseScenario = None,
    owners: Annotated[int, typer.Option(min=3, max=1000, help="Owners of each market.")] = 10,
    seeds: Seeds = None,
    deviators: Deviators = None,
    process: Annotated[Process, typer.Option(help="How strategies spread.")] = Process.FERMI,
    selection: Annotated[float, typer.Option(min=0.0, help="How strongly payoffs decide what spreads.")] = 1.0,
    training: Training = True,
    change: Changes = None,
    seed: Annotated[int, typer.Option(min=0, help="Root of every random number.")] = 1,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer strategies, seeds and worlds: a minute.")] = False,
    workers: Workers = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the results.  [default: runs/tournament]", show_default=False)
    ] = None,
    resume: Resume = False,
    quiet: QuietPath = False,
) -> None:
    """Play strategies against each other under mechanisms: regret, invasion, stability, fixation."""
    from scenarios.tournament.command import size_of
    from scenarios.tournament.command import tournament as play_tournament

    code = play_tournament(
        mechanism or (), strategy or (), scenario=scenario, size=size_of(owners, seeds, deviators, quick), quick=quick,
        training=training, changes=change or (), process=process.value, selection=selection, seed=seed,
        workers=workers, out=out, resume=resume, voice="quiet" if quiet else "normal",
    )  # fmt: skip
    if code:
        raise typer.Exit(code)


def fingerprint(
    mechanism: Annotated[str, typer.Argument(help="A mechanism.", autocompletion=completion.played_mechanisms)],
    scenario: BaseScenario = None,
    factor: Annotated[
        list[float] | None,
        typer.Option(help="A multiple of the truth that is claimed; may be repeated.  [default: 1/4 to 4]"),
    ] = None,
    owners: Annotated[int | None, typer.Option(min=2, max=1000, help="Owners.  [default: as the market says]")] = None,
    seeds: Seeds = None,
    deviators: Deviators = None,
    training: Training = True,
    change: Changes = None,
    seed: Annotated[int, typer.Option(min=0, help="Root of every random number.")] = 1,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer factors and seeds: half a minute.")] = False,
    workers: Workers = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the results.  [default: runs/fingerprint-<mechanism>]", show_default=False),
    ] = None,
    resume: Resume = False,
    quiet: QuietPath = False,
) -> None:
    """Draw which lies pay under a mechanism, and by how much: one picture and its table."""
    from scenarios.tournament.fingerprint import fingerprint as draw

    code = draw(
        mechanism, scenario=scenario, factors=factor or (), owners=owners, seeds=seeds, persons=deviators, quick=quick,
        training=training, changes=change or (), seed=seed, workers=workers, out=out, resume=resume,
        voice="quiet" if quiet else "normal",
    )  # fmt: skip
    if code:
        raise typer.Exit(code)


def anarchy(
    mechanism: Annotated[str, typer.Argument(help="A mechanism.", autocompletion=completion.played_mechanisms)],
    strategy: Annotated[
        list[str] | None,
        typer.Option(help="A choice of the players; may be repeated.  [default: honest and free_rider_noise]"),
    ] = None,
    scenario: BaseScenario = None,
    players: Annotated[int, typer.Option(min=2, max=10, help="Owners that choose.")] = 3,
    owners: Annotated[
        int | None, typer.Option(min=2, max=1000, help="Owners of the market.  [default: the players]")
    ] = None,
    seeds: Annotated[int, typer.Option(min=2, help="Markets drawn.")] = 10,
    training: Training = True,
    change: Changes = None,
    seed: Annotated[int, typer.Option(min=0, help="Root of every random number.")] = 1,
    workers: Workers = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the results.  [default: runs/anarchy-<mechanism>]", show_default=False),
    ] = None,
    resume: Resume = False,
    quiet: QuietPath = False,
) -> None:
    """Play every choice of a few owners: equilibria, and what selfish play costs the market."""
    from scenarios.tournament.anarchy import play_profiles

    code = play_profiles(
        mechanism, strategy or (), scenario=scenario, players=players, owners=owners, seeds=seeds, training=training,
        changes=change or (), seed=seed, workers=workers, out=out, resume=resume,
        voice="quiet" if quiet else "normal",
    )  # fmt: skip
    if code:
        raise typer.Exit(code)
