"""One market, played three ways with all invariants on: plainly, again, and broken off and gone on with."""

from __future__ import annotations

import hashlib
import tempfile
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from learning.data import BadData
from scenarios.buffers import TableBuffer
from scenarios.checkpoints.files import Checkpoint, read_checkpoint, write_checkpoint
from scenarios.checkpoints.saving import put_back, taken
from scenarios.errors import BadInput
from scenarios.recorder import MemoryRecorder
from scenarios.schema import Scenario
from scenarios.simulation import Simulation
from scenarios.soak.invariants import Broken, Finished, Watch, check_tables, guard_handlers
from scenarios.tables import TABLES

_IN_MEMORY = Path("/dev/shm")
"""Where there is such a folder, checkpoints go there: each is flushed, which takes a disk longer than the market."""


class KeptTables(MemoryRecorder):
    """Tables in memory whose waiting rows a checkpoint can hold."""

    @property
    def buffers(self) -> dict[str, TableBuffer]:
        """The rows that wait for their row group to be full; all of them, in a small market."""
        return self._buffers


@dataclass
class Verdict:
    """What became of a market: ``broken`` is the name of a law and ``said`` one line about it, both empty if none is.

    ``refused`` is the line with which a market that is valid could not be built, say for want of samples.
    """

    broken: str = ""
    said: str = ""
    refused: str = ""
    rounds: int = 0
    events: int = 0
    transfers: int = 0
    seen: Counter[str] = field(default_factory=Counter)


def try_market(scenario: Scenario, *, again: bool = True, broken_off_after: int | None = None) -> Verdict:
    """Play a market with every law watched over.

    ``again``: also once more, for the same bytes; ``broken_off_after``: also with a break after so many windows.
    """
    verdict = Verdict()
    try:
        found = play_watched(scenario)
        _count(verdict, found)
        check_tables(found)
        if again:
            _compare("replay", digests(found.recorder), digests(_play_on(_built(scenario)).recorder))
        if broken_off_after is not None:
            gone_on = digests(broken_off(scenario, broken_off_after))
            _compare("resume", digests(found.recorder), gone_on, f" when broken off after window {broken_off_after}")
    except Broken as broken:
        verdict.broken, verdict.said = broken.invariant, broken.said
    except (BadInput, BadData) as problem:
        verdict.refused = " ".join(str(problem).split())
    except Exception as error:
        verdict.broken, verdict.said = "no_crash", where(error)
    return verdict


def play_watched(scenario: Scenario) -> Finished:
    """The market, played to its end with the laws of every moment. Raises ``Broken``."""
    recorder = KeptTables()
    simulation = Simulation(scenario=scenario, device="cpu", recorder=recorder, probes=[Watch()])
    guard_handlers(simulation)
    return _play_on(Finished(simulation, recorder))


def broken_off(scenario: Scenario, windows: int) -> MemoryRecorder:
    """The tables of the market when it was broken off after some windows, and gone on with from a checkpoint."""
    first = _built(scenario)
    for _ in range(windows):
        first.simulation.step()
    assert isinstance(first.recorder, KeptTables)
    snapshot = taken(first.simulation, first.recorder.buffers)
    with tempfile.TemporaryDirectory(
        prefix="datagora-soak-", dir=_IN_MEMORY if _IN_MEMORY.is_dir() else None
    ) as folder:
        place = Path(folder) / "checkpoint"
        write_checkpoint(place, Checkpoint({}, "", snapshot))
        snapshot = read_checkpoint(place).snapshot
    second = _built(scenario)
    assert isinstance(second.recorder, KeptTables)
    put_back(snapshot, second.simulation, second.recorder.buffers)
    return _play_on(second).recorder


def digests(recorder: MemoryRecorder) -> dict[str, str]:
    """A hash of every table's bytes, by its name."""
    found = {}
    for name in TABLES:
        frame = recorder.table(name)
        state = hashlib.blake2b(digest_size=16)
        for column in frame.columns:
            values = frame[column]
            plain = values.to_numpy() if values.dtype.kind in "ifb" else "\n".join(map(str, values)).encode()
            state.update(plain if isinstance(plain, bytes) else plain.tobytes())
        found[name] = state.hexdigest()
    return found


def _built(scenario: Scenario) -> Finished:
    recorder = KeptTables()
    return Finished(Simulation(scenario=scenario, device="cpu", recorder=recorder), recorder)


def _play_on(market: Finished) -> Finished:
    market.simulation.run()
    return market


def _compare(law: str, one: dict[str, str], other: dict[str, str], when: str = "") -> None:
    different = [name for name in one if one[name] != other[name]]
    if different:
        raise Broken(law, f"other bytes in {', '.join(different)}{when}")


def _count(verdict: Verdict, found: Finished) -> None:
    verdict.rounds = len(found.table("rounds"))
    verdict.events = len(found.table("events"))
    verdict.transfers = len(found.table("transfers"))
    verdict.seen.update(f"event {kind}" for kind in found.table("events")["kind"].astype(str).unique())
    verdict.seen.update(f"exit {cause}" for cause in found.table("episodes")["exit_cause"].astype(str).unique())


def where(error: BaseException) -> str:
    """Kind and text of an error, and the line of ours in which it arose."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "site-packages" not in frame.filename] or frames
    place = f"{'/'.join(Path(ours[-1].filename).parts[-3:])}:{ours[-1].lineno}"
    return " ".join(f"{type(error).__name__} in {place}: {error}".split())[:300]
