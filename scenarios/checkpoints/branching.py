"""``datagora branch``: another future from the same past.

A branch is the run of a changed scenario: one more intervention, or another horizon. A checkpoint only saves the time
to play the past again, so whether there is one changes no byte of the result.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from scenarios.checkpoints.course import LeftForLater, rebuilt, to_the_end
from scenarios.checkpoints.kinds import BadCheckpoint
from scenarios.checkpoints.places import Origin, newest, only_one, read_origin, unfinished, windows_kept
from scenarios.checkpoints.playing import Keeping
from scenarios.checkpoints.recording import KeptRecorder
from scenarios.checkpoints.saving import Interval, Keeper
from scenarios.engine.arriving import reschedule_arrivals
from scenarios.engine.clock import to_ticks
from scenarios.engine.outages import prolong_faults
from scenarios.errors import BadInput
from scenarios.interventions import DIVIDED, changed, check_interventions, several_names
from scenarios.loading import check_scenario, read_changes, read_mapping, resolved_yaml
from scenarios.playing import Voice, blamed_on, build, opened
from scenarios.problems import first_problem
from scenarios.recorder import CHECKPOINTS, SCENARIO_FILE, holds_run
from scenarios.schema import Intervention, Scenario
from scenarios.stopping import interruptible, patient

if TYPE_CHECKING:
    from scenarios.results import Run
    from scenarios.simulation import Simulation

HORIZON = "horizon"


def branch(
    run: Path,
    at: int,
    changes: Sequence[str],
    *,
    out: Path | None = None,
    force: bool = False,
    keeping: Keeping | None = None,
    voice: Voice = "normal",
) -> Path | None:
    """Play another future of a run: the same until round ``at`` opens, then with other levers, or for another time.

    The result is what playing the run's scenario with such an intervention gives, and its scenario says so. Starts
    from the newest checkpoint in which that round has not begun, or from the start where there is none.
    """
    settings = read_changes(changes)
    if not settings:
        raise BadInput("--set", "", None, problem="a branch needs something that changes, such as market.budget=20")
    source = run if holds_run(run) else unfinished(run)
    planned = _planned(_scenario_of(source), at, settings, source)
    folder = out or run.with_name(f"{run.name}-branch{at}")
    every = None if keeping is None else (Interval.read(keeping.every), keeping.kept)
    recorder = opened(lambda: KeptRecorder(folder, force=force))
    # Without checkpoints there is nothing to wait for.
    stopping = interruptible if keeping is None else patient
    with (
        stopping() as asked_to_stop,
        LeftForLater(recorder),
        only_one(recorder.partial),
        blamed_on(planned, "--set", changes),
    ):
        checkpoint = newest(source, before_round=at)
        if checkpoint is None:
            print(f"no checkpoint before round {at}: played again from the start", file=sys.stderr)
            simulation = build(planned, str(source), changes, _device_of(source), recorder)
        else:
            simulation = rebuilt(checkpoint, planned, recorder)
            recorder.take_over(source, checkpoint.facts["rows"])
            if HORIZON in settings:
                _prolong(simulation)
        simulation.provenance["branch_of"] = {"run": run.name, "at_round": at}
        keeper = None
        if keeping is not None and every is not None:
            Origin(simulation.wanted_device, keeping.every, every[1], force).write(
                recorder.partial, resolved_yaml(planned)
            )
            keeper = Keeper(simulation, recorder, *every)
        return to_the_end(simulation, recorder, keeper, asked_to_stop, voice, f"branching at round {at}")
    return None


def _planned(scenario: Scenario, at: int, settings: Mapping[str, Any], source: Path) -> Scenario:
    """The scenario with the settings as an intervention when round ``at`` opens. Raises ``BadInput``."""
    planned = _with_horizon(scenario, settings)
    windows = _openings(source, scenario)
    last = len(windows) - 1 + (planned.horizon > scenario.horizon)
    if not 0 <= at <= last:
        raise BadInput("--at", "", at, f"a round from 0 to {last}")
    if at < len(windows) and windows[at] >= planned.horizon:
        expected = f"more than {windows[at]}, the windows before round {at}"
        raise BadInput("--set", HORIZON, planned.horizon, expected)
    turned = {path: value for path, value in settings.items() if path != HORIZON}
    if not turned:
        return planned
    due = sum(one.round <= at for one in scenario.interventions)
    mine = Intervention(round=at, set=turned)
    planned = planned.model_copy(
        update={"interventions": (*scenario.interventions[:due], mine, *scenario.interventions[due:])}
    )
    wrong = check_interventions(planned)
    if wrong is not None:
        mine_is_wrong = wrong.field[:2] == ("interventions", due)
        field = ".".join(map(str, wrong.field[3:] if mine_is_wrong else wrong.field))
        raise BadInput("--set", field, wrong.value, wrong.expected, wrong.problem)
    return planned


def _with_horizon(scenario: Scenario, settings: Mapping[str, Any]) -> Scenario:
    if HORIZON not in settings:
        return scenario
    if several_names(scenario):
        raise BadInput("--set", HORIZON, settings[HORIZON], problem=DIVIDED)
    try:
        return changed(scenario, {HORIZON: settings[HORIZON]})
    except ValidationError as error:
        wrong = first_problem(error, {}, Scenario)
        raise BadInput("--set", HORIZON, settings[HORIZON], wrong.expected, wrong.problem) from None


def _openings(source: Path, scenario: Scenario) -> list[int]:
    """The windows in which the rounds opened, by round; of an unfinished run the earliest in which they can."""
    if not holds_run(source):
        return list(range(scenario.horizon))  # a window opens one round at most
    ticks = _results(source).rounds["opened_tick"]
    return [int(tick) // to_ticks(scenario.window) for tick in ticks]


def _results(source: Path) -> Run:
    from scenarios.results import BadRun, open_run

    try:
        return open_run(source)
    except BadRun as problem:
        raise BadInput("RUN", "", str(source), problem=str(problem)) from None


def _prolong(simulation: Simulation) -> None:
    """What was filed for the old horizon is filed for that of the scenario."""
    world, end = simulation.world, simulation.scenario.horizon * simulation.world.window_ticks
    if world.clock.now >= end:
        raise BadInput("--set", HORIZON, simulation.scenario.horizon, f"more than {simulation.steps}")
    reschedule_arrivals(world)
    prolong_faults(world, end)
    simulation.running = True


def _scenario_of(source: Path) -> Scenario:
    """The resolved scenario of a run, finished or not."""
    kept = windows_kept(source)
    places = (source, *(place for _, place in kept), source / CHECKPOINTS)
    for path in (place / SCENARIO_FILE for place in places):
        if path.is_file():
            return check_scenario(read_mapping(path), path)
    raise BadInput("RUN", "", str(source), problem="holds no scenario")


def _device_of(source: Path) -> str:
    """The kind of device that a finished run was played on; bits are the same on that only."""
    try:
        device = str(_results(source).info.get("device", "auto")) if holds_run(source) else read_origin(source).device
    except BadCheckpoint as problem:
        raise BadInput("RUN", "", str(source), problem=str(problem)) from None
    return "cpu" if device == "none" else device
