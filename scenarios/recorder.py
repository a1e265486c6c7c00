"""Where the tables of a run go: a folder of Parquet files, or memory.

A run folder appears complete or not at all: everything is written into a hidden folder beside it, which takes the
final name when the run is closed. The same rows give the same bytes, however they were dealt over ``write`` calls.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from scenarios.buffers import ROW_GROUP, Codes, TableBuffer
from scenarios.places import check_empty, check_replaceable, check_writable
from scenarios.tables import TABLES
from scenarios.writing import missing_folders, named, remove_empty

__all__ = ["INFO_FILE", "OWN_FILES", "ROW_GROUP", "SCENARIO_FILE", "Codes", "MemoryRecorder", "Recorder", "TableSink"]

SCENARIO_FILE, INFO_FILE = "scenario.yaml", "run.json"
CHECKPOINTS = "checkpoints"
OWN_FILES = frozenset(
    {SCENARIO_FILE, INFO_FILE, CHECKPOINTS, "report.html", "plots", *(t.file_name for t in TABLES.values())}
)
"""What belongs to a run in its folder; anything else there is the user's and survives a forced new run."""


class TableSink(ABC):
    """What the simulation writes to."""

    def __init__(self) -> None:
        self._buffers = {name: TableBuffer(table) for name, table in TABLES.items()}
        self._seconds = 0.0

    @property
    def wall_seconds(self) -> float:
        """Wall-clock seconds spent in this recorder so far, from opening to closing it."""
        return self._seconds

    def write(self, table: str, columns: Mapping[str, object]) -> None:
        """Append rows to a table. Every declared column must be given: one value for all rows, or one per row.

        Labels may come as strings, as ``Codes`` or as an Arrow dictionary array. Arrays are copied. KeyError for an
        unknown table and for missing or unknown columns, ValueError for columns of different length, TypeError for
        values of the wrong type.
        """
        start = time.perf_counter()
        try:
            buffer = self._buffers[table]
        except KeyError:
            raise KeyError(f"unknown table '{table}', known: {', '.join(self._buffers)}") from None
        for rows in buffer.append(columns):
            self._keep(table, rows)
        self._seconds += time.perf_counter() - start

    @abstractmethod
    def close(self, resolved_scenario: str, info: Mapping[str, Any]) -> Path | None:
        """End the run; the folder that holds it, if there is one."""

    @abstractmethod
    def abort(self) -> None:
        """Give the run up and leave nothing behind. Does nothing after ``close``."""

    @abstractmethod
    def _keep(self, table: str, rows: Any) -> None: ...


class MemoryRecorder(TableSink):
    """Keeps the tables in memory, for interactive use."""

    def __init__(self) -> None:
        super().__init__()
        self._rows: dict[str, list[Any]] = {name: [] for name in TABLES}

    def table(self, name: str) -> pd.DataFrame:
        """All rows written to a table so far."""
        self._keep(name, self._buffers[name].take())
        frame: pd.DataFrame = pa.concat_tables(self._rows[name]).unify_dictionaries().to_pandas()
        return frame

    def close(self, resolved_scenario: str = "", info: Mapping[str, Any] | None = None) -> None:
        """Nothing to do: the tables stay readable."""

    def abort(self) -> None:
        """Nothing to do: the tables stay readable."""

    def _keep(self, table: str, rows: Any) -> None:
        self._rows[table].append(rows)


class Recorder(TableSink):
    """Streams the tables of a run into ``folder``.

    FileExistsError if the folder holds anything, unless ``force``: then an older run there is replaced when the new
    one closes (files that are not part of a run stay). OSError if the place cannot be written.
    """

    def __init__(self, folder: Path, *, force: bool = False) -> None:
        start = time.perf_counter()
        super().__init__()
        self._folder = Path(os.path.abspath(folder))
        self._force = force
        self._check_place()
        self._made = missing_folders(self._folder.parent)
        try:
            self._folder.parent.mkdir(parents=True, exist_ok=True)
            self._partial = self._make_partial()
        except OSError:
            remove_empty(self._made)
            raise
        self._writers: dict[str, Any] = {}
        self._open = True
        self._seconds = time.perf_counter() - start

    def write(self, table: str, columns: Mapping[str, object]) -> None:
        """Append rows, see ``TableSink.write``; RuntimeError after ``close`` or ``abort``."""
        if not self._open:
            raise RuntimeError(f"the run in {self._folder} is closed already")
        super().write(table, columns)

    def close(self, resolved_scenario: str, info: Mapping[str, Any]) -> Path:
        """Finish the files, write ``scenario.yaml`` and ``run.json``, and give the folder its name.

        ``resolved_scenario`` is YAML; ``info`` (versions, seed, command, ...) must be JSON data.
        """
        start = time.perf_counter()
        with named(self._folder):
            for name, buffer in self._buffers.items():
                if buffer.rows:
                    self._keep(name, buffer.take())
                self._writer(name).close()
            self._writers.clear()
            (self._partial / SCENARIO_FILE).write_text(resolved_scenario, encoding="utf-8")
            (self._partial / INFO_FILE).write_text(json.dumps(info, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        self._take_name()
        self._open = False
        self._seconds += time.perf_counter() - start
        return self._folder

    def abort(self) -> None:
        """Remove everything written so far, and the parent folders made for it. Does nothing after ``close``."""
        if not self._open:
            return
        self._open = False
        self._drop_writers()
        shutil.rmtree(self._partial, ignore_errors=True)
        remove_empty(self._made)

    def _drop_writers(self) -> None:
        """Close the files as they are; a full disk has no room for their ends, but nobody will read them."""
        for writer in self._writers.values():
            with suppress(OSError):
                writer.close()

    def _make_partial(self) -> Path:
        """The hidden folder that everything goes to."""
        return _make_partial(self._folder)

    def _check_place(self) -> None:
        check_replaceable(self._folder)
        check_writable(self._folder.parent)
        if self._force:
            return
        if holds_run(self._folder):
            raise FileExistsError(f"{self._folder} already holds a run, use --force to replace it")
        check_empty(self._folder)

    def _writer(self, name: str) -> Any:
        if name not in self._writers:
            table = TABLES[name]
            # The cheapest settings measured that keep the folder small: numbers of rounds, owners and ticks differ
            # little from row to row, and a dictionary of numbers costs more than all the rest.
            self._writers[name] = pq.ParquetWriter(
                self._partial / table.file_name,
                table.schema,
                version="2.6",
                compression="lz4",
                use_dictionary=[column.name for column in table.columns if column.is_string],
                column_encoding={
                    column.name: "DELTA_BINARY_PACKED" for column in table.columns if column.kind == "int"
                },
                write_statistics=False,
                write_batch_size=ROW_GROUP,
            )
        return self._writers[name]

    def _keep(self, table: str, rows: Any) -> None:
        with named(self._folder):
            self._writer(table).write_table(rows, row_group_size=ROW_GROUP)

    def _take_name(self) -> None:
        self._check_place()  # somebody may have come first
        if not self._folder.exists():
            os.rename(self._partial, self._folder)
            return
        older = self._partial.with_name(f"{self._partial.name}.older")
        os.rename(self._folder, older)
        try:
            os.rename(self._partial, self._folder)
        except OSError:
            os.rename(older, self._folder)
            raise
        for entry in older.iterdir():
            if entry.name not in OWN_FILES:
                os.rename(entry, self._folder / entry.name)
        shutil.rmtree(older)


def holds_run(folder: Path) -> bool:
    """Whether the folder holds a run, finished or half removed."""
    return any((folder / name).exists() for name in ("runs.parquet", INFO_FILE))


def _make_partial(folder: Path) -> Path:
    """A fresh hidden folder beside the final one, on the same file system so that it can be renamed."""
    for attempt in itertools.count():
        partial = folder.with_name(f".{folder.name}.partial-{os.getpid()}" + (f"-{attempt}" if attempt else ""))
        try:
            partial.mkdir()
        except FileExistsError:
            continue  # left by a killed run whose process had the same id
        return partial
    raise AssertionError("unreachable")
