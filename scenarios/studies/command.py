"""``datagora batch``: a study from the words typed to its folder, with news on the way and a table at the end."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from scenarios.errors import BadInput
from scenarios.places import check_empty, check_replaceable
from scenarios.stopping import interruptible
from scenarios.studies.batch import Batch, Engine
from scenarios.studies.loading import load_study
from scenarios.studies.planning import Plan, make_plan
from scenarios.studies.progress import JsonLines, Lines, Silent, Standing, Teller, bar
from scenarios.studies.schema import Study
from scenarios.studies.store import RUNS, BadStudy, Store
from scenarios.versions import versions

EngineName = Literal["local", "ray"]
Voice = Literal["quiet", "normal", "json"]
SOME_FAILED, INTERRUPTED = 1, 130


def batch(
    source: str,
    *,
    workers: int | None = None,
    engine: EngineName = "local",
    address: str | None = None,
    out: Path | None = None,
    resume: bool = False,
    retry: bool = False,
    checkpoint_every: str | None = None,
    voice: Voice = "normal",
) -> int:
    """Play a study into a folder (default ``runs/<study>``); the exit code: 0, 1 if runs failed, 130 when interrupted.

    ``resume`` goes on with a study that was begun there, ``retry`` plays its failed runs again. Each run takes
    checkpoints every so often, from which ``resume`` goes on. Raises ``BadInput`` for anything wrong with what was
    asked, ``OSError`` where the folder cannot be written.
    """
    study, file = load_study(source)
    return play_study(
        study, file, Store(out or Path("runs") / study.name), workers=workers, engine=engine, address=address,
        resume=resume, retry=retry, checkpoint_every=checkpoint_every, voice=voice,
    )  # fmt: skip


def play_study(
    study: Study,
    file: Path,
    store: Store,
    *,
    workers: int | None = None,
    engine: EngineName = "local",
    address: str | None = None,
    resume: bool = False,
    retry: bool = False,
    checkpoint_every: str | None = None,
    voice: Voice = "normal",
    told_end: Callable[[Standing, Store, Voice], None] | None = None,
) -> int:
    """As ``batch``, for a study at hand; ``file`` is what messages name. ``told_end`` prints the end another way."""
    _check_place(store, resume=resume)
    if address is not None and engine != "ray":
        raise BadInput("--address", "", address, problem="only the engine ray has an address")
    _check_checkpoints(checkpoint_every, engine)
    plan = make_plan(study, file, _told_checking(voice))
    try:
        standing = _play(plan, store, workers, engine, address, retry, checkpoint_every, voice)
    except BadStudy as problem:
        raise BadInput("", "", None, problem=str(problem)) from None
    if standing is None:
        print("interrupted: finished runs are kept, go on with --resume", file=sys.stderr)
        return INTERRUPTED
    (told_end or _report_end)(standing, store, voice)
    return SOME_FAILED if standing.failed else 0


def _check_checkpoints(every: str | None, engine: EngineName) -> None:
    """Refuse what is no interval, and checkpoints that could not be found again."""
    if every is None:
        return
    from scenarios.checkpoints.saving import EVERY, Interval

    Interval.read(every)
    if engine == "ray":
        raise BadInput(EVERY, "", every, problem="only the engine local can: machines share no disk")


def _play(
    plan: Plan, store: Store, workers: int | None, engine: EngineName, address: str | None, retry: bool,
    checkpoint_every: str | None, voice: Voice,
) -> Standing | None:  # fmt: skip
    """The batch; None when interrupted."""
    with interruptible(), ExitStack() as stack:
        try:
            ready = stack.enter_context(_prepared(plan, store, workers, engine, address))
            stack.enter_context(store.begin())
            if retry:
                for run in store.failed():
                    store.forget_failure(run)
            playing = stack.enter_context(ready)
            news = stack.enter_context(ExitStack())
            batch = Batch(plan, store, checkpoint_every)
            return batch.play(playing, lambda total: news.enter_context(_teller(voice, total)))
        except KeyboardInterrupt:
            return None


@contextmanager
def _prepared(
    plan: Plan, store: Store, workers: int | None, engine: EngineName, address: str | None
) -> Iterator[AbstractContextManager[Engine]]:
    """The engine, not started; what it needs is known to be there before anything is written."""
    wanted = plan.study.resources
    if engine == "ray":
        from scenarios.studies.ray_engine import RayEngine, check_room, connected

        with connected(address):
            check_room(wanted)
            yield RayEngine(store, wanted, most=workers)
        return
    from scenarios.studies.local import LocalEngine, make_seats

    count = workers or max(int(processors() / wanted.cpus), 1)
    yield LocalEngine(make_seats(count, store.working, store.folder / RUNS, wanted.gpus, visible_gpus(wanted.gpus)))


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def visible_gpus(share: float) -> list[str]:
    """Names of the GPUs as CUDA counts them; asks only if runs want a share of one."""
    if not share:
        return []
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return [name for name in chosen.split(",") if name.strip()]
    import torch

    return [str(number) for number in range(torch.cuda.device_count())]


@contextmanager
def _teller(voice: Voice, total: int) -> Iterator[Teller]:
    if voice == "json":
        yield JsonLines()
    elif voice == "quiet":
        yield Silent()
    elif sys.stderr.isatty():
        with bar(total) as shown:
            yield shown
    else:
        yield Lines()


def _check_place(store: Store, *, resume: bool) -> None:
    """Refuse a folder that holds something else, or a study that nobody asked to go on with."""
    try:
        check_replaceable(store.folder)
        if resume and (store.exists or (store.folder / RUNS).is_dir()):
            if store.exists:
                _compare_versions(store)
            return
        if store.exists:
            raise FileExistsError(f"{store.folder} already holds a study, use --resume to go on with it")
        check_empty(store.folder)
    except FileExistsError as problem:
        raise BadInput("--out", "", None, problem=str(problem).replace("--force", "--resume")) from None


def _compare_versions(store: Store) -> None:
    try:
        before = store.manifest().get("versions", {})
    except BadStudy as problem:
        raise BadInput("", "", None, problem=str(problem)) from None
    now = versions()["versions"]
    other = [f"{name} {before[name]} (now {now.get(name)})" for name in before if now.get(name) != before[name]]
    if other:
        print(f"warning: the study was begun with {', '.join(other)}", file=sys.stderr)


def _told_checking(voice: Voice) -> Callable[[int, int], None]:
    if voice != "normal" or not sys.stderr.isatty():
        return lambda done, total: None

    def tell(done: int, total: int) -> None:
        if done % 100 == 0 and total > 1000:
            print(f"\rchecking {done}/{total}", end="\r", file=sys.stderr)

    return tell


def _report_end(standing: Standing, store: Store, voice: Voice) -> None:
    if voice == "json":
        print(json.dumps({"event": "end", **asdict(standing), "folder": str(store.folder)}))
        return
    if voice == "normal":
        from scenarios.studies.end_table import print_end

        print_end(store.folder, standing)
    print(store.folder)
