"""Arrivals, and departures, from a file."""

from __future__ import annotations

import csv
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np

from agents.arrivals.base import ARRIVALS, Arrivals, Draws, Visits
from learning.columns import FloatColumn
from learning.limits import TooLarge, check_rows, check_size


@ARRIVALS.register("trace")
@dataclass(frozen=True, kw_only=True)
class Trace(Arrivals):
    """Arrivals in a ``file`` (.csv with a header, or .parquet): seconds in column ``arrive``, a person a row.

    ``leave``: a column of the seconds at which each leaves again, empty where it may stay (null: all may).
    """

    name: ClassVar[str] = "trace"
    file: str
    arrive: str = "arrive"
    leave: str | None = None
    _rows: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_rows", len(self._read()[0]))

    def visits(self, end: float, window: float, draws: Draws) -> Visits:
        arrive, leave = (column / window for column in self._read())
        order = np.argsort(arrive, kind="stable")
        order = order[arrive[order] < end]
        return Visits(arrive[order], leave[order])

    def drawn(self, end: float) -> float:
        return float(self._rows)

    def _read(self) -> tuple[FloatColumn, FloatColumn]:
        """Both columns in seconds, checked. Raises a one-line ``ValueError`` that names the file."""
        path = Path(self.file)
        readers = {".csv": _from_csv, ".parquet": _from_parquet}
        if path.suffix not in readers:
            raise ValueError(f"file is {self.file!r}, expected a name that ends in .csv or .parquet")
        try:
            columns = readers[path.suffix](path, [name for name in (self.arrive, self.leave) if name is not None])
        except OSError as problem:
            raise ValueError(f"file {self.file!r} cannot be read ({problem.strerror or problem})") from None
        except (UnicodeDecodeError, csv.Error):
            raise ValueError(f"file {self.file!r} is no CSV text in UTF-8") from None
        except TooLarge as problem:
            raise ValueError(f"file {self.file!r} cannot be read ({problem})") from None
        for name in (self.arrive, self.leave):
            if name is not None and name not in columns:
                known = ", ".join(columns) if columns else "none"
                raise ValueError(f"file {self.file!r} has no column {name!r}, known: {known}")
        arrive = self._numbers(columns[self.arrive], self.arrive, may_miss=False)
        leave = np.full(len(arrive), np.nan)
        if self.leave is not None:
            leave = self._numbers(columns[self.leave], self.leave, may_miss=True)
            if (leave < arrive).any():
                raise ValueError(
                    f"file {self.file!r}, row {int(np.argmax(leave < arrive)) + 1}: leaves before it arrives"
                )
        return arrive, leave

    def _numbers(self, values: list[object], name: str, *, may_miss: bool) -> FloatColumn:
        found = np.full(len(values), np.nan)
        for row, value in enumerate(values):
            if value in ("", None) and may_miss:
                continue
            try:
                found[row] = float(value)  # type: ignore[arg-type]
            except (TypeError, ValueError):
                found[row] = -1.0
            if not (0.0 <= found[row] <= 1e12):
                problem = f"file {self.file!r}, row {row + 1}: {name} is {value!r}, expected seconds from 0 on"
                raise ValueError(problem)
        return found


def _from_csv(path: Path, wanted: Collection[str]) -> dict[str, list[object]]:
    """The columns of a file, and of those ``wanted`` what they hold."""
    check_size(path)
    with path.open(newline="", encoding="utf-8-sig") as file:  # spreadsheets begin such files with a mark
        rows = csv.DictReader(file, skipinitialspace=True)
        columns: dict[str, list[object]] = {name: [] for name in rows.fieldnames or ()}
        kept = [(name, column) for name, column in columns.items() if name in wanted]
        for count, row in enumerate(rows):
            check_rows(count + 1)
            for name, column in kept:
                column.append(row[name])
    return columns


def _from_parquet(path: Path, wanted: Collection[str]) -> dict[str, list[object]]:
    """The same for a file whose ``wanted`` columns hold numbers."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    from learning.parquet_files import read_table

    try:
        with parquet.ParquetFile(path) as file:
            check_rows(file.metadata.num_rows)
            schema = file.schema_arrow
        for field in schema:
            numbers = (pa.types.is_integer, pa.types.is_floating, pa.types.is_null)
            if field.name in wanted and not any(test(field.type) for test in numbers):
                raise OSError(f"column {field.name} is of type {str(field.type)[:60]}, expected numbers")
        columns: dict[str, list[object]] = {name: [] for name in schema.names}
        columns |= read_table(path, wanted).to_pydict()
    except pa.ArrowException as problem:
        raise OSError(f"no Parquet file: {str(problem).splitlines()[0]}") from None
    return columns
