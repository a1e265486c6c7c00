"""The rows of a run's tables so far, beside its checkpoints: one growing file per table.

A Parquet file cannot be gone on with once its process is dead, for its index stands at its end. So the full row groups
of a run with checkpoints go to these logs first, as Arrow streams, and become Parquet when the run is over. A
checkpoint remembers how far each log reached; whatever lies behind is cut off on return.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.ipc

from scenarios.checkpoints.kinds import BadCheckpoint
from scenarios.tables import TABLES

_PIECE = 2**20
_LENGTH = 8  # bytes before each stream that say how long it is
LARGEST = 2**30
"""Most bytes of one row group."""

Marks = dict[str, dict[str, Any]]
"""By table: how many bytes of its log count, and their SHA-256."""

NO_ROWS: Marks = {name: {"bytes": 0, "sha256": hashlib.sha256().hexdigest()} for name in TABLES}
"""The marks of empty logs."""


class RowLogs:
    """The logs in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._open: dict[str, IO[bytes]] = {}
        self._sums = {name: hashlib.sha256() for name in TABLES}
        self._bytes = dict.fromkeys(TABLES, 0)

    def append(self, table: str, rows: Any) -> None:
        """Add a full row group, an Arrow table."""
        if table not in self._open:
            self._open[table] = self._path(table).open("ab")
        content = _packed(rows)
        self._open[table].write(content)
        self._sums[table].update(content)
        self._bytes[table] += len(content)

    def marks(self) -> Marks:
        """How far the logs reach, once all of that is safe on the disk."""
        for file in self._open.values():
            file.flush()
            os.fsync(file.fileno())
        return {name: {"bytes": self._bytes[name], "sha256": self._sums[name].hexdigest()} for name in TABLES}

    def cut(self, marks: Marks) -> None:
        """Go on from marks, dropping what lies behind them. ``check`` has found them good."""
        self.close()
        for name in TABLES:
            path, count = self._path(name), int(marks[name]["bytes"])
            self._sums[name] = hashlib.sha256()
            self._bytes[name] = count
            if count == 0:
                path.unlink(missing_ok=True)
                continue
            for piece in _pieces(path, count):
                self._sums[name].update(piece)
            os.truncate(path, count)

    def read(self, table: str) -> Iterator[Any]:
        """The row groups of a table so far, in order. Raises ``BadCheckpoint`` if they are not what was written."""
        if table in self._open:
            self._open[table].flush()
        if self._bytes[table]:
            with self._path(table).open("rb") as file:
                yield from _unpacked(file, table, self._bytes[table])

    def close(self) -> None:
        """Close the files; appending opens them again."""
        for file in self._open.values():
            file.close()
        self._open.clear()

    def _path(self, table: str) -> Path:
        return self._folder / f"{table}.arrows"


def check(folder: Path, marks: Marks) -> None:
    """Raise ``BadCheckpoint`` unless the logs in a folder are, up to the marks, what they were."""
    for name in TABLES:
        path = folder / f"{name}.arrows"
        try:
            count, wanted = int(marks[name]["bytes"]), marks[name]["sha256"]
            found, length = hashlib.sha256(), 0
            for piece in _pieces(path, count) if count else ():
                found.update(piece)
                length += len(piece)
        except (KeyError, TypeError, ValueError):
            raise BadCheckpoint(f"its manifest says nothing of the rows of {name}") from None
        except OSError as problem:
            raise BadCheckpoint(f"the rows of {name} cannot be read ({problem.strerror})") from None
        if length != count or found.hexdigest() != wanted:
            raise BadCheckpoint(f"the checksum of the rows of {name} is wrong")


def _packed(rows: Any) -> bytes:
    """An Arrow table as one stream, with its length before it."""
    stream = io.BytesIO()
    with pa.ipc.new_stream(stream, rows.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
        writer.write_table(rows)
    content = stream.getvalue()
    return len(content).to_bytes(_LENGTH, "little") + content


def _unpacked(file: IO[bytes], table: str, count: int) -> Iterator[Any]:
    """The Arrow tables in the next ``count`` bytes of a file, which must be rows of ``table``."""
    while count > 0:
        length = int.from_bytes(file.read(_LENGTH), "little")
        count -= _LENGTH + length
        if length > LARGEST or count < 0:
            raise BadCheckpoint(f"the rows of {table} are cut off")
        try:
            rows = pa.ipc.open_stream(file.read(length)).read_all()
            rows.validate(full=True)
        except (pa.ArrowException, OSError) as problem:
            raise BadCheckpoint(f"the rows of {table} cannot be read ({' '.join(str(problem).split())[:80]})") from None
        if not rows.schema.equals(TABLES[table].schema):
            raise BadCheckpoint(f"the rows of {table} have other columns than this version writes")
        yield rows


def _pieces(path: Path, count: int) -> Iterator[bytes]:
    """The first ``count`` bytes of a file, piece by piece; fewer if it is shorter."""
    with path.open("rb") as file:
        while count > 0 and (piece := file.read(min(_PIECE, count))):
            count -= len(piece)
            yield piece
