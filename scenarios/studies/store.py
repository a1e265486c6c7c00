"""The folder of a study, which is right after a crash at any moment.

    study.yaml      the study, resolved
    manifest.json   the plan: every cell and its runs, with a checksum
    runs/<id>/      one folder per finished run, as ``datagora run`` writes them
    failed/<id>.txt what went wrong in a run that ended with an error
    runs.parquet    one row per run, written when a batch ends
    working/        runs in flight; swept when a batch starts
    unfinished/     checkpoints of runs in flight that take some; swept of runs that are done

A run is written below ``working``, flushed to the disk and then renamed into ``runs``. So a folder in ``runs`` is a
whole run, and nothing else says which runs are done: there is no second book that could disagree.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from scenarios.writing import made, remove_empty, sync_folder, write_together, write_whole

MANIFEST, STUDY_FILE, RUNS_FILE, LOCK = "manifest.json", "study.yaml", "runs.parquet", ".lock"
RUNS, FAILED, WORKING, UNFINISHED = "runs", "failed", "working", "unfinished"

OUT_OF_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO})
"""Errors of the place where results go, not of the run that met them."""


class BadStudy(ValueError):
    """A folder that cannot be used as a study; ``str()`` is one line."""


class Store:
    """The folder of one study. Nothing is created before ``begin``."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(os.path.abspath(folder))

    @property
    def exists(self) -> bool:
        """Whether a study was begun here."""
        return (self.folder / MANIFEST).exists()

    @property
    def working(self) -> Path:
        """Where runs in flight are written."""
        return self.folder / WORKING

    @property
    def unfinished(self) -> Path:
        """Where the checkpoints of runs in flight are."""
        return self.folder / UNFINISHED

    def run_folder(self, run: str) -> Path:
        """Where a finished run is."""
        return self.folder / RUNS / run

    def failure_file(self, run: str) -> Path:
        """Where the traceback of a failed run is."""
        return self.folder / FAILED / f"{run}.txt"

    # ---- what is there ---------------------------------------------------------------------------------------------

    def done(self) -> set[str]:
        """Names of the finished runs."""
        return _names(self.folder / RUNS)

    def failed(self) -> set[str]:
        """Names of the runs that ended with an error and were not finished since."""
        names = {name.removesuffix(".txt") for name in _names(self.folder / FAILED) if name.endswith(".txt")}
        return names - self.done() if names else names

    def error(self, run: str) -> str:
        """The error of a failed run in one line: the last line of its traceback."""
        text = self.failure_file(run).read_text(encoding="utf-8").strip()
        return " ".join(text.splitlines()[-1].split()) if text else "unknown error"

    def manifest(self) -> dict[str, Any]:
        """The plan as it was written. ``BadStudy`` where it cannot be read or is damaged."""
        path = self.folder / MANIFEST
        try:
            whole = json.loads(path.read_text(encoding="utf-8"))
            content, checksum = whole["content"], whole["checksum"]
        except FileNotFoundError:
            raise BadStudy(f"{self.folder}: holds no study, {MANIFEST} is missing") from None
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            raise _damaged(path) from None
        if not isinstance(content, dict) or _checksum(content) != checksum:
            raise _damaged(path)
        return content

    # ---- what is written -------------------------------------------------------------------------------------------

    @contextmanager
    def begin(self) -> Iterator[None]:
        """Own the folder: nobody else may play here at the same time. Sweeps what a killed batch left in flight.

        ``BadStudy`` where another batch is playing, ``OSError`` where the folder cannot be written.
        """
        with ExitStack() as stack:
            for place in (self.folder, self.folder / RUNS, self.folder / FAILED):
                stack.enter_context(made(place))
            lock = stack.enter_context((self.folder / LOCK).open("w"))
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise BadStudy(f"{self.folder}: another batch is playing here") from None
            self._sweep()
            self.working.mkdir(exist_ok=True)
            self.unfinished.mkdir(exist_ok=True)
            try:
                yield
            finally:
                self._sweep()
                self._sweep_unfinished()
                if not self.exists:  # there was no room for the plan
                    (self.folder / LOCK).unlink()

    def write_plan(self, study: str, content: Mapping[str, Any]) -> None:
        """Write the study (YAML) and its manifest, each as a whole, or none of them."""
        whole = {"checksum": _checksum(content), "content": content}
        manifest = json.dumps(whole, separators=(",", ":")).encode() + b"\n"
        write_together({self.folder / STUDY_FILE: study.encode(), self.folder / MANIFEST: manifest})

    def write_failure(self, run: str, traceback: str) -> None:
        """Keep what went wrong in a run."""
        self.write(f"{FAILED}/{run}.txt", traceback.encode())

    def forget_failure(self, run: str) -> None:
        """Drop what once went wrong in a run, which is to be played again."""
        self.failure_file(run).unlink(missing_ok=True)

    def write(self, name: str, content: bytes) -> None:
        """Replace a file of the study as a whole: after a crash it is the old one or the new one."""
        write_whole(self.folder / name, content)

    @contextmanager
    def set_aside(self, name: str) -> Iterator[None]:
        """A file is away while this is open; it goes then, or comes back after an error."""
        there, aside = self.folder / name, self.folder / f".{name}.aside"
        with suppress(FileNotFoundError):
            os.replace(there, aside)
        try:
            yield
        except BaseException:
            with suppress(FileNotFoundError):
                os.replace(aside, there)
            raise
        aside.unlink(missing_ok=True)

    def _sweep_unfinished(self) -> None:
        """Remove what is left of runs that are done by now: somebody else has played them from the start."""
        for leftover in list(self.unfinished.iterdir()):
            if (self.folder / RUNS / leftover.name.removeprefix(".").partition(".")[0]).exists():
                shutil.rmtree(leftover, ignore_errors=True)
        remove_empty([self.unfinished])

    def _sweep(self) -> None:
        # First out of sight: a worker that outlived its batch may still be writing there.
        if self.working.exists():
            swept = self.folder / f".swept-{uuid.uuid4().hex}"
            os.rename(self.working, swept)
        for leftover in self.folder.glob(".swept-*"):
            shutil.rmtree(leftover, ignore_errors=True)


def commit(finished: Path, target: Path) -> None:
    """Flush the folder of a finished run to the disk and give it its final name, where it appears whole.

    If the run is there already, the same one was played twice: the second is dropped.
    """
    _flush_together(finished.iterdir())
    sync_folder(finished)
    try:
        os.rename(finished, target)
    except OSError as problem:
        if problem.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        shutil.rmtree(finished)
        return
    sync_folder(target.parent)


def _flush_together(paths: Iterable[Path]) -> None:
    """Flush files at the same time: the disk writes its journal once for all of them, not once for each."""
    every = list(paths)
    with ThreadPoolExecutor(max(len(every), 1)) as pool:
        list(pool.map(_flush, every))


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _names(folder: Path) -> set[str]:
    try:
        return {name for name in os.listdir(folder) if not name.startswith(".")}
    except FileNotFoundError:
        return set()


def _checksum(content: Mapping[str, Any]) -> str:
    return hashlib.blake2b(json.dumps(content, sort_keys=True).encode(), digest_size=16).hexdigest()


def _damaged(path: Path) -> BadStudy:
    return BadStudy(f"{path}: is damaged; remove it and resume the batch, which writes it anew and keeps all runs")
