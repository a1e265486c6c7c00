"""Runs of a study on a Ray cluster: one task each, with the CPUs and the share of a GPU that the study asks for.

Machines of a cluster need not share a disk: a run is played into a temporary folder where Ray puts it, its files come
back through Ray, and the parent commits them. Ray plays a task again whose machine has died; a run that has lost
``MOST_DEATHS`` workers is an error. Every machine needs Datagora, the data sets and files that the scenarios name.
"""

from __future__ import annotations

import tempfile
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from learning.trust import ALLOW_CODE, code_allowed
from scenarios.errors import BadInput
from scenarios.studies.local import MOST_DEATHS, RECYCLE
from scenarios.studies.playing import THREAD_VARIABLES, Outcome, Task, play_into
from scenarios.studies.schema import Resources
from scenarios.studies.store import OUT_OF_ROOM, Store, commit

AHEAD = 2
"""Tasks handed to Ray for each one that fits into the cluster, so that no machine waits for us."""

_BEAT_SECONDS = 5.0  # without an outcome, until the batch hears that it goes on


def play_remotely(task: Task) -> dict[str, bytes] | str:
    """Play a run on whatever machine this is: its files by name, or the traceback of what went wrong."""
    with tempfile.TemporaryDirectory(prefix="datagora-") as place:
        folder = Path(place) / "run"
        try:
            play_into(folder, task)
        except Exception:
            return traceback.format_exc()
        return {file.name: file.read_bytes() for file in folder.iterdir()}


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """A connection to the cluster at ``address``, or to one that is started here; one that is there already stays.

    ``BadInput`` where Ray is not installed or no cluster answers.
    """
    try:
        import ray
    except ImportError:
        raise BadInput("--engine", "", "ray", problem="Ray is missing: pip install 'datagora[ray]'") from None
    if ray.is_initialized():
        yield
        return
    try:
        ray.init(address=address, log_to_driver=False, include_dashboard=False, configure_logging=False)
    except (ConnectionError, ValueError, RuntimeError) as problem:
        said = str(problem).strip().splitlines()[0]
        raise BadInput("--address", "", address, problem=f"no cluster answers ({said})") from None
    try:
        yield
    finally:
        ray.shutdown()


def check_room(wanted: Resources) -> None:
    """Refuse runs that no machine of the cluster could ever take: Ray would wait for one for ever. ``BadInput``."""
    import ray

    for node in ray.nodes():
        there = node["Resources"]
        if node["Alive"] and there.get("CPU", 0.0) >= wanted.cpus and there.get("GPU", 0.0) >= wanted.gpus:
            return
    raise BadInput(
        "resources", "", None, problem=f"no machine of the cluster has {wanted.cpus:g} CPUs and {wanted.gpus:g} GPUs"
    )


class RayEngine:
    """Plays tasks on the cluster at ``address``, or on one that is started here for the time of the study.

    ``most`` runs at the same time at most. ``BadInput`` where Ray is not installed or no cluster answers.
    """

    def __init__(self, store: Store, resources: Resources, *, address: str | None = None, most: int | None = None):
        self._store = store
        self._resources = resources
        self._address = address
        self._most = most
        self._flying: dict[Any, Task] = {}
        self._stack = ExitStack()

    def __enter__(self) -> RayEngine:
        self._stack.enter_context(connected(self._address))
        return self

    def __exit__(self, *_: object) -> None:
        import ray

        for flying in self._flying:
            ray.cancel(flying, force=True)
        self._flying.clear()
        self._stack.close()

    @property
    def in_flight(self) -> int:
        """Runs handed to the cluster and not back."""
        return len(self._flying)

    def play(self, tasks: Iterator[Task]) -> Iterator[Outcome | None]:
        """Play all tasks; outcomes come as runs end, None now and then while none does."""
        import ray

        told = (*THREAD_VARIABLES, ALLOW_CODE) if code_allowed() else THREAD_VARIABLES  # machines have their own
        remote = ray.remote(
            num_cpus=self._resources.cpus,
            num_gpus=self._resources.gpus,
            max_retries=MOST_DEATHS - 1,
            max_calls=RECYCLE,
            runtime_env={"env_vars": dict.fromkeys(told, "1")},
        )(play_remotely)
        more = True
        while True:
            while more and len(self._flying) < self._room():
                task = next(tasks, None)
                more = task is not None
                if task is not None:
                    self._flying[remote.remote(task)] = task
            if not self._flying:
                return
            ready, _ = ray.wait(list(self._flying), num_returns=1, timeout=_BEAT_SECONDS)
            if not ready:
                yield None
            for flying in ready:
                yield self._landed(flying, self._flying.pop(flying))

    def _room(self) -> int:
        """How many tasks to hand out at a time; asked again and again, as clusters grow and shrink."""
        import ray

        there: dict[str, float] = ray.cluster_resources()
        fitting = there.get("CPU", 0.0) / self._resources.cpus
        if self._resources.gpus:
            fitting = min(fitting, there.get("GPU", 0.0) / self._resources.gpus)
        if self._most is not None:
            return min(self._most, max(int(fitting), 1))
        return max(int(AHEAD * fitting), 1)

    def _landed(self, flying: Any, task: Task) -> Outcome:
        """What has come back, committed to the store."""
        import ray

        try:
            found: dict[str, bytes] | str = ray.get(flying)
        except ray.exceptions.RayError as problem:
            line = " ".join(str(problem).split())[:300]
            return Outcome(task.run, "failed", f"Ray lost this run {MOST_DEATHS} times: {line}\n")
        if isinstance(found, str):
            return Outcome(task.run, "failed", found)
        folder = self._store.working / task.run
        try:
            folder.mkdir()
            for name, content in found.items():
                (folder / name).write_bytes(content)
            commit(folder, self._store.run_folder(task.run))
        except OSError as problem:
            if problem.errno in OUT_OF_ROOM:
                return Outcome(task.run, "no room", f"{folder}: {problem.strerror}")
            raise
        return Outcome(task.run, "done")
