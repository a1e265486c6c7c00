"""``datagora run --checkpoint-every`` and ``datagora resume``: runs that outlive their process."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scenarios.checkpoints.course import LeftForLater, rebuilt, to_the_end
from scenarios.checkpoints.files import Checkpoint
from scenarios.checkpoints.kinds import BadCheckpoint
from scenarios.checkpoints.places import Origin, drop_after, final_name, newest, only_one, read_origin, unfinished
from scenarios.checkpoints.recording import KeptRecorder
from scenarios.checkpoints.rows import NO_ROWS
from scenarios.checkpoints.saving import Interval, Keeper
from scenarios.errors import BadInput
from scenarios.loading import check_scenario, find_scenario, load_scenario, read_mapping, resolved_yaml
from scenarios.playing import Voice, blamed_on, build, check_cluster, opened, spread_over, usual_folder
from scenarios.recorder import CHECKPOINTS, SCENARIO_FILE
from scenarios.stopping import patient
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
    check_cluster(spread, address)
    keep = keeping.kept
    every = Interval.read(keeping.every)
    scenario = load_scenario(source, overrides=changes, seed=seed)
    folder = out or usual_folder(scenario)
    file = str(find_scenario(source))
    recorder = opened(lambda: KeptRecorder(folder, force=force))
    with patient() as asked_to_stop, LeftForLater(recorder):
        Origin(device, keeping.every, keep, force, spread, address).write(recorder.partial, resolved_yaml(scenario))
        with only_one(recorder.partial), blamed_on(scenario, file, changes):
            simulation = build(scenario, file, changes, device, recorder)
            with spread_over(simulation, spread, address, device):
                keeper = Keeper(simulation, recorder, every, keep)
                return to_the_end(simulation, recorder, keeper, asked_to_stop, voice, "playing")
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
        recorder = opened(lambda: KeptRecorder(final_name(partial), force=origin.force, partial=partial))
        with LeftForLater(recorder):
            simulation = _returned(partial, origin, recorder)
            resumed = (*origin.resumed, simulation.steps)
            replace(origin, resumed=resumed).write(partial, resolved_yaml(simulation.resolved))
            simulation.provenance["resumed_after_windows"] = list(resumed)
            keeper = Keeper(simulation, recorder, Interval.read(origin.every), origin.keep)
            elsewhere = spread_over(simulation, origin.spread, origin.address, origin.device)
            with blamed_on(simulation.scenario, str(run), ()), elsewhere:
                return to_the_end(simulation, recorder, keeper, asked_to_stop, voice, "resuming")
    return None


def _returned(partial: Path, origin: Origin, recorder: KeptRecorder) -> Simulation:
    """The simulation as its newest good checkpoint has it, or freshly built where there is none."""
    checkpoint = newest(partial)
    drop_after(partial, -1 if checkpoint is None else int(checkpoint.facts["window"]))
    if checkpoint is not None:
        scenario = check_scenario(_mapping(checkpoint), partial / CHECKPOINTS / SCENARIO_FILE)
        simulation = rebuilt(checkpoint, scenario, recorder)
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
