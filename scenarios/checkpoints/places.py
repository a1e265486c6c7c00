"""Where the checkpoints of a run are: beside its tables, in the hidden folder until the run is over.

``checkpoints/origin.json`` says what the run is and how often it is kept, ``checkpoints/rows`` holds the rows of its
tables so far, and ``checkpoints/window-000012`` is the checkpoint after 12 windows.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from scenarios.checkpoints import rows
from scenarios.checkpoints.files import FORMAT, Checkpoint, read_checkpoint
from scenarios.checkpoints.kinds import BadCheckpoint
from scenarios.errors import BadInput
from scenarios.recorder import CHECKPOINTS, SCENARIO_FILE, holds_run
from scenarios.writing import write_whole

ORIGIN, ROWS = "origin.json", "rows"
_NAME = re.compile(r"window-(\d{6,})")
_LARGEST_ORIGIN = 2**20


@dataclass(frozen=True)
class Origin:
    """How a run with checkpoints was started: where it plays, and how often and how many checkpoints it keeps.

    ``every``: as on the command line; ``keep``: how many, None for all; ``force``: whether it may replace an earlier
    run; ``spread`` and ``address``: the workers and the cluster that it trains on, if any; ``resumed``: after how many
    windows it was gone on with so far.
    """

    device: str
    every: str
    keep: int | None
    force: bool = False
    spread: int | None = None
    address: str | None = None
    resumed: tuple[int, ...] = ()

    def write(self, folder: Path, scenario: str) -> None:
        """Note this, and the scenario as YAML, beside the checkpoints in a run folder."""
        place = folder / CHECKPOINTS
        place.mkdir(exist_ok=True)
        write_whole(place / SCENARIO_FILE, scenario.encode())
        facts = {"format": FORMAT, **dataclasses.asdict(self)}
        write_whole(place / ORIGIN, (json.dumps(facts, indent=1, sort_keys=True) + "\n").encode())


def read_origin(folder: Path) -> Origin:
    """What ``Origin.write`` noted. Raises ``BadCheckpoint``."""
    path = folder / CHECKPOINTS / ORIGIN
    try:
        if path.stat().st_size > _LARGEST_ORIGIN:
            raise BadCheckpoint(f"{path} is too large")
        facts = json.loads(path.read_bytes())
        if facts["format"] != FORMAT:
            raise BadCheckpoint(f"{path} has format {facts['format']}, this version reads {FORMAT}")
        keep = None if facts["keep"] is None else int(facts["keep"])
        resumed = tuple(int(window) for window in facts["resumed"])
        spread = None if facts["spread"] is None else int(facts["spread"])
        address = None if facts["address"] is None else str(facts["address"])
        return Origin(str(facts["device"]), str(facts["every"]), keep, bool(facts["force"]), spread, address, resumed)
    except BadCheckpoint:
        raise
    except OSError as problem:
        raise BadCheckpoint(f"{path} cannot be read ({problem.strerror})") from None
    except (KeyError, TypeError, ValueError, RecursionError):
        raise BadCheckpoint(f"{path} is not what this program writes") from None


def unfinished(run: Path) -> Path:
    """The hidden folder in which the run that was to become ``run`` can be gone on with. Raises ``BadInput``."""
    run = Path(os.path.abspath(run))
    if run.name.startswith(".") and (run / CHECKPOINTS / ORIGIN).is_file():
        return run  # somebody named the hidden folder itself
    found = [place for place in _partials(run) if (place / CHECKPOINTS / ORIGIN).is_file()]
    if holds_run(run):
        found = [place for place in found if _may_replace(place)]
        if not found:
            raise BadInput("RUN", "", str(run), problem="this run is complete, there is nothing to resume")
    if not found:
        raise BadInput("RUN", "", str(run), problem="no run with checkpoints was interrupted here")
    return max(found, key=lambda place: (place / CHECKPOINTS).stat().st_mtime_ns)


def _may_replace(partial: Path) -> bool:
    try:
        return read_origin(partial).force
    except BadCheckpoint:
        return False


def final_name(partial: Path) -> Path:
    """The folder that a hidden one is to become."""
    return partial.with_name(partial.name.removeprefix(".").rpartition(".partial-")[0])


def windows_kept(folder: Path) -> list[tuple[int, Path]]:
    """The checkpoints in a run folder: after how many windows each was taken, newest first."""
    place = folder / CHECKPOINTS
    names = [(_NAME.fullmatch(entry.name), entry) for entry in place.iterdir()] if place.is_dir() else []
    return sorted(((int(match[1]), entry) for match, entry in names if match), reverse=True)


def drop_after(folder: Path, reached: int) -> None:
    """Remove checkpoints after more than ``reached`` windows, which were refused; the run will write them anew."""
    for window, place in windows_kept(folder):
        if window > reached:
            shutil.rmtree(place)


def place_of(folder: Path, window: int) -> Path:
    """Where the checkpoint after so many windows belongs."""
    return folder / CHECKPOINTS / f"window-{window:06d}"


def newest(folder: Path, before_round: int | None = None) -> Checkpoint | None:
    """The newest checkpoint in a run folder that is whole, None if there is none; says which ones are refused.

    With ``before_round`` only those in which that round has not begun.
    """
    for window, place in windows_kept(folder):
        try:
            checkpoint = read_checkpoint(place)
            if before_round is not None and int(checkpoint.facts["next_round"]) > before_round:
                continue
            rows.check(folder / CHECKPOINTS / ROWS, checkpoint.facts["rows"])
        except BadCheckpoint as problem:
            print(f"the checkpoint after window {window} is refused: {problem}; trying the one before", file=sys.stderr)
            continue
        return checkpoint
    return None


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold a run folder while playing. Raises ``BadInput`` while another process does; ends with the process."""
    try:
        import fcntl
    except ImportError:  # no POSIX: nothing to ask
        yield
        return
    handle = os.open(folder / CHECKPOINTS, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise BadInput("RUN", "", str(folder), problem="another process is playing this run") from None
    finally:
        os.close(handle)


def _partials(run: Path) -> list[Path]:
    if not run.parent.is_dir():
        return []
    start = f".{run.name}.partial-"
    return [place for place in run.parent.iterdir() if place.name.startswith(start) and place.is_dir()]
