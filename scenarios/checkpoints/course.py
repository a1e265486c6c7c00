"""What runs with checkpoints have in common, whether played, gone on with or branched: from a checkpoint to the end."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from scenarios.checkpoints.files import Checkpoint
from scenarios.checkpoints.kinds import BadCheckpoint
from scenarios.checkpoints.origins import fingerprint
from scenarios.checkpoints.places import final_name
from scenarios.checkpoints.recording import KeptRecorder
from scenarios.checkpoints.saving import Keeper, put_back
from scenarios.errors import BadInput
from scenarios.playing import Voice, announce, build, tell_end, told
from scenarios.recorder import SCENARIO_FILE
from scenarios.schema import Scenario
from scenarios.simulation import Simulation, Sink
from scenarios.versions import versions


def rebuilt(checkpoint: Checkpoint, scenario: Scenario, recorder: KeptRecorder, sink: Sink | None = None) -> Simulation:
    """A simulation of ``scenario`` in the state of the checkpoint, which writes to ``recorder``.

    It does so through ``sink``, where one is given. Raises ``BadCheckpoint`` and ``BadInput``.
    """
    _check_versions(dict(checkpoint.facts.get("versions") or {}))
    device = str(checkpoint.facts["device"])
    simulation = build(scenario, SCENARIO_FILE, (), "cpu" if device == "none" else device, sink or recorder)
    if fingerprint(simulation) != checkpoint.facts["built_from"]:
        raise BadCheckpoint("the data or the initial model are not what they were when this run began")
    put_back(checkpoint.snapshot, simulation, recorder.buffers)
    return simulation


def _check_versions(written: dict[str, str]) -> None:
    """Refuse the state of another Datagora, warn of other libraries. Raises ``BadCheckpoint``."""
    here = versions()["versions"]
    if written.get("datagora") != here["datagora"]:
        raise BadCheckpoint(
            f"it is of Datagora {written.get('datagora')}, this is {here['datagora']}: go on with the version it is of"
        )
    other = sorted(name for name in here.keys() | written.keys() if written.get(name) != here.get(name))
    if other:
        print(f"warning: written with other versions of {', '.join(other)}; the last bits may differ", file=sys.stderr)


class LeftForLater:
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


def to_the_end(
    simulation: Simulation,
    recorder: KeptRecorder,
    keeper: Keeper | None,
    asked_to_stop: Callable[[], bool],
    voice: Voice,
    doing: str,
) -> Path:
    """Play what is left, with checkpoints if there is a keeper. Raises ``KeyboardInterrupt`` when asked to stop."""
    scenario = simulation.scenario
    announce(doing, simulation, voice)
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
