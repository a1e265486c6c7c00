"""``datagora run --checkpoint-every``, ``datagora resume`` and ``datagora branch``: runs that outlive their process."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scenarios.checkpoints.files import Checkpoint
from scenarios.checkpoints.kinds import BadCheckpoint
from scenarios.checkpoints.origins import fingerprint
from scenarios.checkpoints.places import Origin, final_name, newest, only_one, read_origin, unfinished, windows_kept
from scenarios.checkpoints.recording import KeptRecorder
from scenarios.checkpoints.rows import NO_ROWS
from scenarios.checkpoints.saving import Interval, Keeper, patient, put_back
from scenarios.errors import BadInput
from scenarios.interventions import check_interventions
from scenarios.loading import check_scenario, find_scenario, load_scenario, read_mapping, resolved_yaml
from scenarios.playing import Voice, blamed_on, build, spread_over, tell_end, told, usual_folder
from scenarios.recorder import CHECKPOINTS, SCENARIO_FILE, holds_run
from scenarios.schema import Intervention, Scenario
from scenarios.versions import versions
from scenarios.yaml_text import BadYaml, read_yaml

if TYPE_CHECKING:
    from scenarios.simulation import Simulation

KEPT = 3
"""Checkpoints that stay by default: if the newest is damaged, there is one before it."""


@dataclass(frozen=True)
class Keeping:
    """What the options of the command line say: ``every`` as in ``Interval.read``, ``keep`` a number or ``all``."""

    every: str
    keep: str = str(KEPT)

    @property
    def kept(self) -> int | None:
        """How many checkpoints stay, None for all. Raises ``BadInput``."""
        if self.keep == "all":
            return None
        if not self.keep.isdecimal() or int(self.keep) < 1:
            raise BadInput("--checkpoint-keep", "", self.keep, "a number of at least 1, or all")
        return int(self.keep)


def play_kept(
    source: str,
    keeping: Keeping,
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
    """Play a scenario as ``scenarios.playing.play`` does, with checkpoints on the way.

    Returns None when a request to stop was met; the run can be resumed then, as after an error or a kill.
    """
    keep = keeping.kept
    every = Interval.read(keeping.every)
    scenario = load_scenario(source, overrides=changes, seed=seed)
    folder = out or usual_folder(scenario)
    file = str(find_scenario(source))
    recorder = _open(folder, force=force)
    with patient() as asked_to_stop, _LeftForLater(recorder):
        Origin(device, keeping.every, keep, force).write(recorder.partial, resolved_yaml(scenario))
        with only_one(recorder.partial), blamed_on(scenario, file, changes):
            simulation = build(scenario, file, changes, device, recorder)
            with nullcontext() if spread is None else spread_over(simulation, spread, address, device):
                keeper = Keeper(simulation, recorder, every, keep)
                return _to_the_end(simulation, recorder, keeper, asked_to_stop, voice, "playing")
    return None


def resume(run: Path, *, voice: Voice = "normal") -> Path | None:
    """Go on with a run that was stopped or killed, from its newest checkpoint that is whole, or from its start.

    Event log and tables come out as they would have without the break. Returns None when stopped again. Raises
    ``BadInput`` where there is nothing to go on with.
    """
    partial = unfinished(run)
    try:
        origin = read_origin(partial)
    except BadCheckpoint as problem:
        raise BadInput("RUN", "", str(run), problem=str(problem)) from None
    with patient() as asked_to_stop, only_one(partial):
        recorder = _open(final_name(partial), force=origin.force, partial=partial)
        with _LeftForLater(recorder):
            simulation = _returned(partial, origin, recorder)
            resumed = (*origin.resumed, simulation.steps)
            replace(origin, resumed=resumed).write(partial, resolved_yaml(simulation.resolved))
            simulation.provenance["resumed_after_windows"] = list(resumed)
            keeper = Keeper(simulation, recorder, Interval.read(origin.every), origin.keep)
            with blamed_on(simulation.scenario, str(run), ()):
                return _to_the_end(simulation, recorder, keeper, asked_to_stop, voice, "resuming")
    return None


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
    """Play another future of a run: the same until round ``at`` opens, then with other levers.

    The result is what playing the run's scenario with such an intervention gives, and its scenario says so. Starts
    from the newest checkpoint in which that round has not begun, or from the start where there is none.
    """
    settings = read_settings(changes)
    source = run if holds_run(run) else unfinished(run)
    planned = _with_branch(_scenario_of(source), at, settings, source)
    folder = out or run.with_name(f"{run.name}-branch{at}")
    every = None if keeping is None else (Interval.read(keeping.every), keeping.kept)
    recorder = _open(folder, force=force)
    with patient() as asked_to_stop, _LeftForLater(recorder), blamed_on(planned, "--set", changes):
        checkpoint = newest(source, before_round=at)
        if checkpoint is None:
            print(f"no checkpoint before round {at}: played again from the start", file=sys.stderr)
            simulation = build(planned, str(source), changes, _device_of(source), recorder)
        else:
            simulation = _rebuilt(checkpoint, planned, recorder)
            recorder.take_over(source, checkpoint.facts["rows"])
        simulation.provenance["branch_of"] = {"run": run.name, "at_round": at}
        keeper = None
        if keeping is not None and every is not None:
            Origin(simulation.wanted_device, keeping.every, every[1], force).write(
                recorder.partial, resolved_yaml(planned)
            )
            keeper = Keeper(simulation, recorder, *every)
        return _to_the_end(simulation, recorder, keeper, asked_to_stop, voice, f"branching at round {at}")
    return None


def read_settings(changes: Sequence[str]) -> dict[str, Any]:
    """Values by dotted path, of ``path=value`` texts with YAML values. Raises ``BadInput``."""
    settings = {}
    for text in changes:
        path, equals, written = text.partition("=")
        if not equals or not path.strip():
            raise BadInput("--set", "", text, "path.to.key=value")
        try:
            settings[path.strip()] = read_yaml(written)
        except BadYaml as problem:
            raise BadInput("--set", path, written, problem=problem.problem) from None
    if not settings:
        raise BadInput("--set", "", None, problem="a branch needs something that changes, such as market.budget=20")
    return settings


def _with_branch(scenario: Scenario, at: int, settings: Mapping[str, Any], source: Path) -> Scenario:
    """The scenario with the settings as an intervention when round ``at`` opens. Raises ``BadInput``."""
    last = _last_round(source, scenario)
    if not 0 <= at <= last:
        raise BadInput("--at", "", at, f"a round from 0 to {last}")
    due = sum(one.round <= at for one in scenario.interventions)
    mine = Intervention(round=at, set=dict(settings))
    planned = scenario.model_copy(
        update={"interventions": (*scenario.interventions[:due], mine, *scenario.interventions[due:])}
    )
    wrong = check_interventions(planned)
    if wrong is not None:
        mine_is_wrong = wrong.field[:2] == ("interventions", due)
        field = ".".join(map(str, wrong.field[3:] if mine_is_wrong else wrong.field))
        raise BadInput("--set", field, wrong.value, wrong.expected, wrong.problem)
    return planned


def _last_round(source: Path, scenario: Scenario) -> int:
    if not holds_run(source):
        return scenario.horizon - 1  # a window opens one round at most
    from scenarios.results import BadRun, open_run

    try:
        return int(open_run(source).rounds["round"].max())
    except BadRun as problem:
        raise BadInput("RUN", "", str(source), problem=str(problem)) from None


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
    from scenarios.results import BadRun, open_run

    try:
        device = str(open_run(source).info.get("device", "auto")) if holds_run(source) else read_origin(source).device
    except (BadRun, BadCheckpoint) as problem:
        raise BadInput("RUN", "", str(source), problem=str(problem)) from None
    return "cpu" if device == "none" else device


def _returned(partial: Path, origin: Origin, recorder: KeptRecorder) -> Simulation:
    """The simulation as its newest good checkpoint has it, or freshly built where there is none."""
    checkpoint = newest(partial)
    reached = -1 if checkpoint is None else int(checkpoint.facts["window"])
    for window, place in windows_kept(partial):
        if window > reached:
            shutil.rmtree(place)  # refused; the run will write it anew
    if checkpoint is not None:
        scenario = check_scenario(_mapping(checkpoint), partial / CHECKPOINTS / SCENARIO_FILE)
        simulation = _rebuilt(checkpoint, scenario, recorder)
        recorder.go_back(checkpoint.facts["rows"])
        return simulation
    print("no checkpoint: played again from the start", file=sys.stderr)
    path = partial / CHECKPOINTS / SCENARIO_FILE
    recorder.go_back(NO_ROWS)
    return build(check_scenario(read_mapping(path), path), str(path), (), origin.device, recorder)


def _mapping(checkpoint: Checkpoint) -> dict[str, Any]:
    try:
        content = read_yaml(checkpoint.scenario)
    except BadYaml as problem:
        raise BadInput(SCENARIO_FILE, problem.where, None, problem=problem.problem) from None
    if not isinstance(content, dict):
        raise BadInput(SCENARIO_FILE, "", content, "a mapping of keys to values")
    return content


def _rebuilt(checkpoint: Checkpoint, scenario: Scenario, recorder: KeptRecorder) -> Simulation:
    """A simulation of ``scenario`` in the state of the checkpoint. Raises ``BadCheckpoint`` and ``BadInput``."""
    written, here = checkpoint.facts.get("versions"), versions()["versions"]
    if written != here:
        other = sorted(name for name in here.keys() | dict(written or {}).keys()
                       if dict(written or {}).get(name) != here.get(name))  # fmt: skip
        print(f"warning: written with other versions of {', '.join(other)}; the last bits may differ", file=sys.stderr)
    device = str(checkpoint.facts["device"])
    simulation = build(scenario, SCENARIO_FILE, (), "cpu" if device == "none" else device, recorder)
    if fingerprint(simulation) != checkpoint.facts["built_from"]:
        raise BadCheckpoint("the data or the initial model are not what they were when this run began")
    put_back(checkpoint.snapshot, simulation, recorder.buffers)
    return simulation


def _open(folder: Path, *, force: bool, partial: Path | None = None) -> KeptRecorder:
    try:
        return KeptRecorder(folder, force=force, partial=partial)
    except FileExistsError as problem:
        raise BadInput("--out", "", None, problem=str(problem)) from None


class _LeftForLater:
    """Whatever ends a run before its end: say how it goes on, if it can. A request to stop ends quietly."""

    def __init__(self, recorder: KeptRecorder) -> None:
        self._recorder = recorder

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: object) -> bool:
        if problem is None:
            return False
        self._recorder.abort()
        partial = self._recorder.partial
        if partial.exists():
            print(f"stopped; go on with: datagora resume {final_name(partial)}", file=sys.stderr)
        elif isinstance(problem, KeyboardInterrupt):
            print("interrupted, nothing was kept", file=sys.stderr)
        if isinstance(problem, BadCheckpoint):
            raise BadInput("RUN", "", str(partial), problem=str(problem)) from None
        return isinstance(problem, KeyboardInterrupt)


def _to_the_end(
    simulation: Simulation,
    recorder: KeptRecorder,
    keeper: Keeper | None,
    asked_to_stop: Callable[[], bool],
    voice: Voice,
    doing: str,
) -> Path:
    """Play what is left, with checkpoints if there is a keeper. Raises ``KeyboardInterrupt`` when asked to stop."""
    scenario = simulation.scenario
    if voice != "quiet":
        where = f", from window {simulation.steps}" if simulation.steps else ""
        print(
            f"{doing} {scenario.name}, seed {scenario.seed}, {scenario.horizon} windows{where}, on {simulation.device}",
            file=sys.stderr,
        )
    accuracy = simulation.world.accuracy
    for moment in told(voice)(simulation.play(), scenario.horizon):
        accuracy = moment.accuracy
        if asked_to_stop() and simulation.running:
            if keeper is not None:
                keeper.take()
            raise KeyboardInterrupt
        if keeper is not None:
            keeper.after_window()
    simulation.finish()
    folder = final_name(recorder.partial)
    tell_end(scenario, accuracy, folder, voice)
    return folder
