"""The command ``datagora``. Every command imports what it needs when it runs, so that help and completion are quick."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scenarios import completion
from scenarios.catalogue import Kind, entries
from scenarios.errors import BadInput

if TYPE_CHECKING:
    from scenarios.playing import Voice as RunVoice

INTERRUPTED, BAD_INPUT = 130, 2

app = typer.Typer(
    name="datagora",
    help="Play markets for federated learning: strategic data owners, real training.",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Device(StrEnum):
    """Where the training runs."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"datagora {version('datagora')}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _start(
    context: typer.Context,
    _: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


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
CheckpointKeep = Annotated[str, typer.Option(metavar="NUMBER|all", help="How many of the newest checkpoints stay.")]


@app.command()
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
    change: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one value; may be repeated.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the results of an earlier run.")] = False,
    checkpoint_every: CheckpointEvery = None,
    checkpoint_keep: CheckpointKeep = "3",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but the folder.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Print one line per window.")] = False,
) -> None:
    """Play one scenario and keep its tables in a folder."""
    from functools import partial

    from scenarios.playing import play

    how: Callable[..., Path | None] = play
    if checkpoint_every is not None:
        from scenarios.checkpoints.playing import Keeping, play_kept

        how = partial(play_kept, keeping=Keeping(checkpoint_every, checkpoint_keep))
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


def _voice(quiet: bool, verbose: bool) -> RunVoice:
    return "quiet" if quiet else "verbose" if verbose else "normal"


RunFolder = Annotated[Path, typer.Argument(help="The folder that the run has, or was to have.", metavar="RUN")]


@app.command()
def resume(
    run: RunFolder,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but the folder.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Print one line per window.")] = False,
) -> None:
    """Go on with a run that had checkpoints and was stopped or killed; the tables come out as without the break."""
    from scenarios.checkpoints.playing import resume as go_on

    if go_on(run, voice=_voice(quiet, verbose)) is None:
        raise typer.Exit(INTERRUPTED)


@app.command()
def branch(
    run: RunFolder,
    at: Annotated[int, typer.Option(min=0, help="The first round that is played with other levers.")],
    change: Annotated[list[str], typer.Option("--set", metavar="KEY=VALUE", help="Set one lever; may be repeated.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder for the results.  [default: <run>-branch<round>]", show_default=False)
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the results of an earlier run.")] = False,
    checkpoint_every: CheckpointEvery = None,
    checkpoint_keep: CheckpointKeep = "3",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but the folder.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Print one line per window.")] = False,
) -> None:
    """Play another future of a run: the same past, then other levers."""
    from scenarios.checkpoints.branching import branch as play_branch
    from scenarios.checkpoints.playing import Keeping

    keeping = None if checkpoint_every is None else Keeping(checkpoint_every, checkpoint_keep)
    folder = play_branch(run, at, change, out=out, force=force, keeping=keeping, voice=_voice(quiet, verbose))
    if folder is None:
        raise typer.Exit(INTERRUPTED)


class Engine(StrEnum):
    """Who plays the runs of a study."""

    LOCAL = "local"
    RAY = "ray"


@app.command()
def batch(
    study: Annotated[
        str,
        typer.Argument(help="A study file, or the name of a ready-made one.", autocompletion=completion.study_names),
    ],
    workers: Annotated[
        int | None, typer.Option(min=1, help="Runs at the same time.  [default: one per processor]", show_default=False)
    ] = None,
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
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but the folder.")] = False,
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


class Process(StrEnum):
    """How strategies spread in a tournament."""

    FERMI = "fermi"
    MORAN = "moran"


BaseScenario = Annotated[
    str | None, typer.Option(help="The market to play in.  [default: a small one per mechanism]", show_default=False)
]
Changes = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one value; may be repeated.")
]
Deviators = Annotated[
    int | None, typer.Option(min=1, help="Owners of each market that deviate, one at a time.  [default: 3]")
]
Seeds = Annotated[int | None, typer.Option(min=2, help="Markets drawn.  [default: 10]", show_default=False)]
Workers = Annotated[
    int | None, typer.Option(min=1, help="Runs at the same time.  [default: one per processor]", show_default=False)
]
Training = Annotated[bool, typer.Option("--training/--no-training", help="Whether models are really trained.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on: play only what is missing.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but the result's path.")]


@app.command()
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
    quiet: Quiet = False,
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


@app.command()
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
    quiet: Quiet = False,
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


@app.command()
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
    quiet: Quiet = False,
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


Mechanism = Annotated[
    str, typer.Argument(help="A published system, such as qd-rdfl.", autocompletion=completion.mechanism_names)
]
InstanceFile = Annotated[str, typer.Argument(help="A JSON file; - reads standard input.", metavar="INSTANCE")]


@app.command()
def solve(mechanism: Mechanism, instance: InstanceFile) -> None:
    """Print the outcome of one static instance of a published system as JSON."""
    from scenarios.solving import answer

    typer.echo(answer("solve", mechanism, instance))


@app.command()
def check(mechanism: Mechanism, instance: InstanceFile) -> None:
    """Print the outcome of one static instance and its measured properties as JSON."""
    from scenarios.solving import answer

    typer.echo(answer("check", mechanism, instance))


@app.command()
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


@app.command()
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
    change: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one value; may be repeated.")
    ] = None,
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


auction = typer.Typer(help="Neural auctions of privacy budget.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(auction, name="auction")


@auction.command("train")
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


@app.command()
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


@app.command()
def soak(
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
    """Play random markets of every kind with all invariants on; exit code 1 if one is broken."""
    from scenarios.soak.command import soak as play_markets

    code = play_markets(minutes, seed=seed, workers=workers, out=out, files=files, first=first, most=most, quiet=quiet)
    if code:
        raise typer.Exit(code)


@app.command("app")
def browse(
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


@app.command("list")
def list_(
    kind: Annotated[Kind | None, typer.Argument(help="What to show; everything by default.")] = None,
) -> None:
    """Show what a scenario can name: one line about each, its parameters and their defaults."""
    from scenarios.console import print_catalogue

    for shown in [kind] if kind else list(Kind):
        print_catalogue(shown.value, entries(shown))


@app.command()
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


@app.command()
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


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code: 0, 2 after one line about a bad input, 130 when interrupted."""
    try:
        code = app(arguments, prog_name="datagora", standalone_mode=False)
    except typer.TyperException as usage:
        line = usage.format_message().replace("Value error, ", "")  # pydantic's words, not ours
    except BadInput as problem:
        line = str(problem)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has left, as `head` does
        return 1
    except OSError as problem:
        line = f"{problem.filename}: {problem.strerror}" if problem.filename else str(problem)
    except (MemoryError, RuntimeError) as problem:
        line = _out_of_memory(problem)
    else:
        return code if isinstance(code, int) else 0
    sys.stderr.write(f"{' '.join(line.split())}\n")
    return BAD_INPUT


def _out_of_memory(problem: MemoryError | RuntimeError) -> str:
    """The line about an error that says that memory ran out; any other error is raised again."""
    from learning.memory import is_out_of_memory

    if not is_out_of_memory(problem):
        raise problem
    said = str(problem).partition("\n")[0]
    return said if said.startswith("out of memory") else f"out of memory: {said}".rstrip(": ")


if __name__ == "__main__":
    sys.exit(main())
