"""``datagora soak``: random markets, or spoiled files, in processes of their own until the time is over."""

from __future__ import annotations

import multiprocessing
import signal
import sys
import time
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from scenarios.errors import BadInput
from scenarios.places import check_writable
from scenarios.soak.report import Failure, Outcome, Tally
from scenarios.soak.trial import Verdict
from scenarios.soak.work import PATIENCE, STARTED, work
from scenarios.stopping import interruptible
from scenarios.writing import made, write_together

FAILED = 1
STANDSTILL = 3600.0
"""Seconds by the clock after which a market is given up, although it has not used up its processor time."""
FOLDER = Path("runs") / "soak-failures"
_PROCESSES = multiprocessing.get_context("spawn")


@dataclass
class _Worker:
    process: Any
    channel: Connection
    number: int
    since: float
    gone: bool = False


def soak(
    minutes: float,
    *,
    seed: int = 1,
    workers: int = 1,
    out: Path | None = None,
    files: bool = False,
    first: int = 0,
    most: int | None = None,
    quiet: bool = False,
) -> int:
    """Try numbers from ``first`` on for some minutes (``most`` of them at most) and print a summary.

    Returns 0, or 1 if a law was broken: then ``out`` has a file for each that shows it. Ctrl-C ends it early, with the
    summary so far. Raises ``BadInput``, and ``OSError`` where ``out`` cannot be written: at once, or after the summary.
    """
    if not 0 < minutes < 1e6:
        raise BadInput("--minutes", "", minutes, "a number of minutes above 0")
    folder, what, tally = out or FOLDER, "files" if files else "markets", Tally()
    if folder.exists() and not folder.is_dir():
        raise BadInput("--out", "", str(folder), "a folder")
    check_writable(folder.absolute())
    note = partial(_note, tally, folder, seed, files, quiet)
    crew: list[_Worker] = []
    with interruptible():
        try:
            crew += (_hired(seed, first + place, workers, files) for place in range(workers))
            end = time.monotonic() + 60 * minutes
            while (left := end - time.monotonic()) > 0 and (most is None or tally.tried < most):
                for place, worker in enumerate(crew):
                    if lost := _lost(worker):
                        crew[place] = _hired(seed, worker.number + workers, workers, files)
                        note(lost)
                heard = wait([worker.channel for worker in crew], timeout=min(1.0, left))
                for worker in crew:
                    if worker.channel in heard and (outcome := _heard(worker)):
                        note(outcome)
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
        except OSError:
            print(tally.text(what))
            raise
        finally:
            for worker in crew:
                worker.process.kill()
                worker.process.join()
                worker.channel.close()
    print(tally.text(what))
    return FAILED if tally.failures else 0


def _hired(seed: int, first: int, step: int, files: bool) -> _Worker:
    ours, theirs = _PROCESSES.Pipe(duplex=False)
    process = _PROCESSES.Process(target=work, args=(theirs, seed, first, step, files), daemon=True)
    process.start()
    theirs.close()
    return _Worker(process, ours, first, time.monotonic())


def _heard(worker: _Worker) -> Outcome | None:
    """What a worker has finished; None if it has only begun, or is gone."""
    try:
        kind, content = worker.channel.recv()
    except (EOFError, OSError):
        worker.gone = True
        return None
    if kind == STARTED:
        worker.number, worker.since = content, time.monotonic()
        return None
    outcome: Outcome = content
    return outcome


def _lost(worker: _Worker) -> Outcome | None:
    """What is to be said of a worker that has died or hangs; it is ended then."""
    if worker.gone or (not worker.process.is_alive() and not worker.channel.poll()):
        worker.process.join()
        worker.channel.close()
        code = worker.process.exitcode
        if code == -signal.SIGPROF:
            return Outcome(worker.number, Verdict("no_hang", f"not over after {PATIENCE:g} seconds of processor time"))
        return Outcome(worker.number, Verdict("no_crash", f"its process ended with {code}"))
    if time.monotonic() - worker.since > STANDSTILL:
        worker.process.kill()
        worker.process.join()
        worker.channel.close()
        return Outcome(worker.number, Verdict("no_hang", f"not over after {STANDSTILL:g} seconds"))
    return None


def _note(tally: Tally, folder: Path, seed: int, files: bool, quiet: bool, outcome: Outcome) -> None:
    tally.add(outcome)
    verdict = outcome.verdict
    if verdict.broken:
        name = f"{'file' if files else 'soak'}-{seed}-{outcome.number}"
        tally.failures.append(Failure(name, verdict.broken, verdict.said))
        file = _kept(folder, name, outcome, files, seed)
        tally.failures[-1] = replace(tally.failures[-1], file=str(file))
        if not quiet:
            print(f"{file}: {verdict.broken}: {verdict.said}", file=sys.stderr, flush=True)


def _kept(folder: Path, name: str, outcome: Outcome, files: bool, seed: int) -> Path:
    """Write what shows a failure, and one line beside it that says how; both or, where there is no room, none."""
    verdict = outcome.verdict
    text = folder / f"{name}.txt"
    shown = _shown(outcome, files, seed)
    file = text if shown is None else folder / f"{name}{shown[0]}"
    contents = {text: f"{verdict.broken}: {verdict.said}\n".encode()} | ({} if shown is None else {file: shown[1]})
    with made(folder):
        write_together(contents)
    return file


def _shown(outcome: Outcome, files: bool, seed: int) -> tuple[str, bytes] | None:
    """The suffix and the bytes of the file that shows a failure; None if it was drawing the market that failed."""
    if files:
        from scenarios.soak.files import spoiled_file

        spoiled = outcome.content or spoiled_file(seed, outcome.number)
        return spoiled.suffix, spoiled.raw
    from scenarios.yaml_text import write_yaml

    content = outcome.content or _drawn_again(seed, outcome.number)
    return None if content is None else (".yaml", write_yaml(content).encode())


def _drawn_again(seed: int, number: int) -> Any:
    """The market of a process that has died or hung; None if it was drawing it that failed."""
    from scenarios.soak.markets import random_market

    try:
        return random_market(seed, number).content
    except Exception:
        return None
