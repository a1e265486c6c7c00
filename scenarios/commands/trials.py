"""Measure how often detectors are right, and whether the laws of the market hold."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scenarios import completion
from scenarios.commands.options import Changes, Device, ScenarioFile
from scenarios.errors import BadInput


def detectors(
    scenario: ScenarioFile = "detector_trial",
    seeds: Annotated[int, typer.Option(min=1, max=1000, help="Runs, from the scenario's seed on.")] = 1,
    false_alarms: Annotated[
        float | None,
        typer.Option(
            min=0.0001,
            max=0.5,
            help="Set detectors to this share of false alarms, by the first half of the runs.  [default: as they are]",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="CSV file for the table.  [default: print only]", show_default=False)
    ] = None,
    device: Annotated[Device, typer.Option(help="Where to train.")] = Device.AUTO,
    change: Changes = None,
) -> None:
    """Measure how often each detector of enforcement is right, on runs in which the truth is on record."""
    from scenarios.detecting import detect, show
    from scenarios.loading import load_scenario
    from scenarios.places import check_writable

    if out is not None and (out.is_dir() or not out.absolute().parent.is_dir()):
        raise BadInput("--out", "", str(out), "a file in a folder that exists")
    if out is not None:
        check_writable(out.absolute().parent)
    trial = detect(load_scenario(scenario, overrides=change or ()), seeds, device.value, false_alarms)
    show(trial, false_alarms)
    if out is not None:
        from scenarios.writing import write_whole

        write_whole(out, trial.table.to_csv(index=False).encode())


def soak(
    context: typer.Context,
    scenario: Annotated[
        str | None,
        typer.Argument(
            help="Try this scenario file, or ready-made one, instead of random markets.",
            metavar="SCENARIO",
            autocompletion=completion.scenario_names,
            show_default=False,
        ),
    ] = None,
    minutes: Annotated[float, typer.Option(help="How long to go on.")] = 10.0,
    seed: Annotated[int, typer.Option(min=0, help="Root of every random number.")] = 1,
    workers: Annotated[int, typer.Option(min=1, max=256, help="Markets at the same time.")] = 1,
    files: Annotated[bool, typer.Option("--files", help="Read spoiled files instead of playing markets.")] = False,
    first: Annotated[int, typer.Option(min=0, help="Number of the first market or file.")] = 0,
    most: Annotated[int | None, typer.Option(min=1, help="End after so many.", show_default=False)] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for what fails.  [default: runs/soak-failures]", show_default=False)
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the summary only.")] = False,
) -> None:
    """Play random markets of every kind, or one scenario, with all invariants on; exit code 1 if one is broken."""
    from scenarios.soak.command import soak as play_markets
    from scenarios.soak.command import soak_one

    if scenario is not None:
        _refuse_options(context, scenario)
        code = soak_one(scenario)
    else:
        code = play_markets(
            minutes, seed=seed, workers=workers, out=out, files=files, first=first, most=most, quiet=quiet
        )
    if code:
        raise typer.Exit(code)


def _refuse_options(context: typer.Context, scenario: str) -> None:
    """Raise ``BadInput`` for an option about random markets, which one scenario file would not heed."""
    for name in context.params:
        source = context.get_parameter_source(name)
        if name != "scenario" and source is not None and source.name == "COMMANDLINE":
            problem = "this is about random markets, a scenario file is played as it is"
            raise BadInput(f"--{name}", "", scenario, problem=problem)
