"""The published systems: static instances, what they take as given, their experiments, their networks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scenarios import completion
from scenarios.commands.options import INTERRUPTED, Device

Mechanism = Annotated[
    str, typer.Argument(help="A published system, such as qd-rdfl.", autocompletion=completion.mechanism_names)
]
InstanceFile = Annotated[str, typer.Argument(help="A JSON file; - reads standard input.", metavar="INSTANCE")]


def solve(mechanism: Mechanism, instance: InstanceFile) -> None:
    """Print the outcome of one static instance of a published system as JSON."""
    from scenarios.solving import answer

    typer.echo(answer("solve", mechanism, instance))


def check(mechanism: Mechanism, instance: InstanceFile) -> None:
    """Print the outcome of one static instance and its measured properties as JSON."""
    from scenarios.solving import answer

    typer.echo(answer("check", mechanism, instance))


def calibrate(
    system: Annotated[str, typer.Argument(help="A published system: cocogen.")],
    dataset: Annotated[str, typer.Option(help="Data to train on: a registered name or a path to .npz.")] = "digits",
    generator: Annotated[str, typer.Option(help="What makes the synthetic data.")] = "gaussian_mixture",
    public: Annotated[
        int, typer.Option(min=0, help="Samples set apart as public, for one generator that all share; 0: own ones.")
    ] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Root of every random number.")] = 1,
    device: Annotated[Device, typer.Option(help="Where to train.")] = Device.AUTO,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer, smaller trials: seconds, not minutes.")] = False,
) -> None:
    """Measure by real training what a published system takes as given; print it as JSON."""
    from scenarios.calibrating import calibrate as measure

    found = measure(
        system, dataset=dataset, generator=generator, public=public, seed=seed, quick=quick, device=device.value
    )
    if found is None:
        raise typer.Exit(INTERRUPTED)
    typer.echo(found)


def train_auction(
    network: Annotated[
        str, typer.Argument(help="A neural auction, such as mfg_regretnet.", autocompletion=completion.network_names)
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="File for the weights.  [default: <network>.safetensors]", show_default=False),
    ] = None,
    iterations: Annotated[int | None, typer.Option(min=1, help="Steps of the optimiser.")] = None,
    owners: Annotated[
        list[int] | None, typer.Option(min=1, help="A number of owners to train on; may be repeated.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Root of every random number.")] = 1,
    device: Annotated[Device, typer.Option(help="Where to train.")] = Device.AUTO,
    force: Annotated[bool, typer.Option("--force", help="Replace the file of an earlier training.")] = False,
) -> None:
    """Train a neural auction; after a break the same command goes on where it stopped."""
    from scenarios.auctioning import train

    file = train(
        network, out=out, iterations=iterations, owners=owners or (), seed=seed, device=device.value, force=force
    )
    if file is None:
        raise typer.Exit(INTERRUPTED)


def reproduce(
    system: Annotated[
        str, typer.Argument(help="A published system, such as qd-rdfl.", autocompletion=completion.system_names)
    ],
    dataset: Annotated[str, typer.Option(help="Data to train on: a registered name or a path to .npz.")] = "digits",
    quick: Annotated[bool, typer.Option("--quick", help="Fewer draws and rounds: a minute instead of many.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for tables, pictures and the page.  [default: runs/reproduce-<system>-<dataset>]",
            show_default=False,
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace earlier results.")] = False,
) -> None:
    """Play the experiments of a published system and compare with the published numbers.

    Results are written when all of it is done: an interrupted run keeps nothing.
    """
    from scenarios.reproduce.command import reproduce as play_studies

    if play_studies(system, dataset=dataset, quick=quick, out=out, force=force) is None:
        raise typer.Exit(INTERRUPTED)
