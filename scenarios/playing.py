"""One run from the command line: from the words typed to the folder, with news on the way."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from scenarios import console
from scenarios.console import Moment
from scenarios.errors import BadInput
from scenarios.loading import find_scenario, load_scenario
from scenarios.stopping import interruptible

if TYPE_CHECKING:
    from scenarios.recorder import Recorder
    from scenarios.schema import Scenario
    from scenarios.simulation import Simulation, Sink

Voice = Literal["quiet", "normal", "verbose"]
R = TypeVar("R", bound="Recorder")


def play(
    source: str,
    *,
    changes: Sequence[str] = (),
    seed: int | None = None,
    out: Path | None = None,
    device: str = "auto",
    spread: int | None = None,
    address: str | None = None,
    force: bool = False,
    voice: Voice = "normal",
) -> Path | None:
    """Play a scenario into a folder (default ``runs/<scenario>-seed<seed>``) and return it.

    With ``spread`` its cohorts are trained by so many workers of a Ray cluster (``scenarios.spreading``).

    Returns None when interrupted. Nothing is left behind then, nor after an error. Raises ``BadInput`` for anything
    wrong with what was asked, ``OSError`` where the folder cannot be written.
    """
    check_cluster(spread, address)
    scenario = load_scenario(source, overrides=changes, seed=seed)

    from scenarios.recorder import Recorder  # after the scenario: a mistake in it is told before the slow imports

    folder = out or usual_folder(scenario)
    with interruptible() as asked_to_stop:
        recorder = opened(lambda: Recorder(folder, force=force))
        try:
            simulation = build(scenario, str(find_scenario(source)), changes, device, recorder)
            announce("playing", simulation, voice)
            accuracy = float("nan")
            with (
                spread_over(simulation, spread, address, device),
                blamed_on(scenario, str(find_scenario(source)), changes),
            ):
                for moment in told(voice)(simulation.play(), scenario.horizon):
                    accuracy = moment.accuracy
                    if asked_to_stop():
                        raise KeyboardInterrupt
            simulation.finish()
            if voice == "verbose" and simulation.world.federation is not None:
                print(simulation.world.federation.report, file=sys.stderr)
        except KeyboardInterrupt:
            recorder.abort()
            print("interrupted, nothing was kept", file=sys.stderr)
            return None
        except BaseException:
            recorder.abort()
            raise
    tell_end(scenario, accuracy, folder, voice)
    return folder


def check_cluster(spread: int | None, address: str | None) -> None:
    """Raise ``BadInput`` for a cluster that nothing would be trained on."""
    if address is not None and spread is None:
        raise BadInput("--address", "", address, problem="a run needs no cluster without --spread")


def opened(make: Callable[[], R]) -> R:
    """A recorder, made. Raises ``BadInput`` where its folder cannot be had."""
    try:
        return make()
    except FileExistsError as problem:
        raise BadInput("--out", "", None, problem=str(problem)) from None
    except NotADirectoryError as problem:
        raise BadInput("--out", "", None, problem=f"{problem.filename}: {problem.strerror}") from None


def announce(doing: str, simulation: Simulation, voice: Voice) -> None:
    """Say on standard error what is going to be played."""
    if voice != "quiet":
        scenario, threads = simulation.scenario, simulation.scenario.learning.threads
        where = f", from window {simulation.steps}" if simulation.steps else ""
        print(
            f"{doing} {scenario.name}, seed {scenario.seed}, {scenario.horizon} windows{where}, "
            f"on {simulation.device} with {threads} thread{'s' * (threads > 1)}",
            file=sys.stderr,
        )


def usual_folder(scenario: Scenario) -> Path:
    """Where a run goes unless it is told."""
    return Path("runs") / f"{scenario.name}-seed{scenario.seed}"


def tell_end(scenario: Scenario, accuracy: float, folder: Path, voice: Voice) -> None:
    """What a run that is complete came to, strategy by strategy, and its folder."""
    from scenarios.summary import strategy_summary

    if voice != "quiet":
        console.print_summary(
            f"{scenario.title or scenario.name}: accuracy {console.percent(accuracy)}", strategy_summary(folder)
        )
    print(folder)


def build(scenario: Scenario, file: str, changes: Sequence[str], device: str, recorder: Sink) -> Simulation:
    """The simulation, built."""
    from learning.device import resolve_device
    from scenarios.simulation import Simulation

    try:
        resolve_device(device)
    except ValueError as problem:
        raise BadInput("--device", "", device, problem=str(problem)) from None
    with blamed_on(scenario, file, changes):
        return Simulation(scenario=scenario, device=device, recorder=recorder)


@contextmanager
def blamed_on(scenario: Scenario, file: str, changes: Sequence[str]) -> Iterator[None]:
    """What a run finds wrong with its scenario is said about the file or the option that caused it."""
    from learning.data import BadData
    from scenarios.choices import name_and_parameters

    try:
        yield
        return
    except BadData as problem:
        name, parameters = name_and_parameters(scenario.data.dataset)
        # Of several files the problem says which.
        said = str(problem) if parameters and problem.source != name else problem.problem
        wrong = BadInput("", "data.dataset", name, problem=said)
    except BadInput as problem:
        wrong = problem
    by_option = any(change.partition("=")[0].strip().startswith(wrong.field) for change in changes)
    raise BadInput("--set" if by_option else file, wrong.field, wrong.value, wrong.expected, wrong.problem)


def spread_over(
    simulation: Simulation, workers: int | None, address: str | None, device: str
) -> AbstractContextManager[None]:
    """Train the simulation's cohorts on workers of a Ray cluster while this is open; None: as ever."""
    if workers is None:
        return nullcontext()
    from scenarios.spreading import spread

    return spread(simulation, workers, address, device)


def told(voice: Voice) -> Callable[[Iterable[Moment], int], Iterator[Moment]]:
    """How the moments are told on their way through."""
    if voice == "verbose":
        return console.with_lines
    if voice == "normal" and sys.stderr.isatty():
        return console.with_bar
    return lambda moments, windows: iter(moments)
