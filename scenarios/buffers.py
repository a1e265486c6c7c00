"""Rows that wait to be written: one growing NumPy array per column, handed over as Arrow tables of fixed row count.

Row counts are fixed so that the bytes of a file depend on the rows alone, not on how they were dealt over calls.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.pandas_compat  # pa.array would import it on first use, in the middle of a run
from numpy.typing import NDArray

from scenarios.tables import Column, Kind, Table

ROW_GROUP = 65_536
_FIRST_CAPACITY = 256
# Single values of these types need no conversion; most writes of single rows consist of them.
_PLAIN: dict[Kind, frozenset[type]] = {
    "int": frozenset({int}),
    "float": frozenset({float, int, np.float64}),
    "bool": frozenset({bool}),
    "text": frozenset({str}),
    "label": frozenset({str}),
}


@dataclass(frozen=True)
class Codes:
    """A string column given as integers: entry k is ``names[codes[k]]``. Cheap for whole columns."""

    codes: NDArray[np.integer[Any]]
    names: Sequence[str]


class _Vocabulary:
    """Strings of one column in order of first appearance; turns any form of strings into codes."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._code: dict[str, int] = {}
        self._lookups: dict[tuple[str, ...], NDArray[np.int32]] = {}

    def code(self, name: str) -> int:
        code = self._code.get(name)
        if code is None:
            if not isinstance(name, str):
                raise TypeError(f"expected text, got {name!r}")
            code = self._code[str(name)] = len(self.names)
            self.names.append(str(name))
        return code

    def encode(self, cells: Any) -> NDArray[np.int32]:
        """Codes of one string (no axis) or of a column of them [n]."""
        if isinstance(cells, str):
            return np.asarray(self.code(cells), dtype=np.int32)
        if isinstance(cells, pa.DictionaryArray):
            if cells.null_count:
                raise TypeError("expected text, got a null")
            cells = Codes(cells.indices.to_numpy(zero_copy_only=False), cells.dictionary.to_pylist())
        if isinstance(cells, Codes):
            return self._translate(np.asarray(cells.codes), tuple(cells.names))
        values = np.asarray(cells, dtype=object)
        return np.array([self.code(value) for value in values.flat], dtype=np.int32).reshape(values.shape)

    def _translate(self, codes: NDArray[Any], names: tuple[str, ...]) -> NDArray[np.int32]:
        if codes.size and not 0 <= int(codes.min()) <= int(codes.max()) < len(names):
            raise ValueError(f"a code is not an index into the {len(names)} names given")
        lookup = self._lookups.setdefault(names, np.full(len(names), -1, dtype=np.int32))
        translated = lookup[codes]
        if translated.size and int(translated.min()) < 0:
            # Only names that occur enter the vocabulary, so that a file lists no value it does not hold.
            for index in np.unique(codes[translated < 0]):
                lookup[index] = self.code(names[index])
        return np.asarray(lookup[codes], dtype=np.int32)


class TableBuffer:
    """The waiting rows of one table."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.rows = 0
        self._capacity = _FIRST_CAPACITY
        self._names = frozenset(table.names)
        self._vocabulary = {column.name: _Vocabulary() for column in table.columns if column.is_string}
        self._store = self._allocate()

    def _allocate(self) -> dict[str, NDArray[Any]]:
        return {column.name: np.empty(self._capacity, dtype=column.numpy) for column in self.table.columns}

    def append(self, columns: Mapping[str, object]) -> Iterator[Any]:
        """Copy the rows in; yields an Arrow table whenever ``ROW_GROUP`` rows are complete (iterate to the end).

        A column is one value for all rows, an array or sequence [n], ``Codes`` or an Arrow dictionary array.
        Nothing is kept of a write that does not fit the declaration (KeyError, TypeError, ValueError).
        """
        if columns.keys() != self._names:
            raise KeyError(self._mismatch(set(columns)))
        cells = {column.name: self._cells(column, columns[column.name]) for column in self.table.columns}
        count = self._count(cells)
        done = 0
        while done < count:
            step = min(count - done, ROW_GROUP - self.rows)
            end = self.rows + step
            self._reserve(end)
            for name, values in cells.items():
                column = isinstance(values, np.ndarray)
                self._store[name][self.rows : end] = values[done : done + step] if column else values
            self.rows = end
            done += step
            if self.rows == ROW_GROUP:
                yield self.take()

    def take(self) -> Any:
        """All waiting rows as one Arrow table; the buffer is empty afterwards."""
        arrays = [self._arrow(column, self._store[column.name][: self.rows]) for column in self.table.columns]
        # Arrow looks at the memory without a copy, so the arrays go with it and new ones take their place.
        self._store = self._allocate()
        self.rows = 0
        return pa.Table.from_arrays(arrays, schema=self.table.schema)

    def _arrow(self, column: Column, values: NDArray[Any]) -> Any:
        if not column.is_string:
            return pa.array(values, type=column.arrow)
        names = self._vocabulary[column.name].names
        if column.kind == "text":  # few rows; Arrow's own cast would import its whole compute module
            return pa.array([names[code] for code in values], type=column.arrow)
        return pa.DictionaryArray.from_arrays(pa.array(values), pa.array(names, type=pa.string()))

    def _cells(self, column: Column, given: Any) -> Any:
        """What goes into the store: one plain value for all rows, or an array [n]."""
        if type(given) in _PLAIN[column.kind]:
            return given if not column.is_string else self._vocabulary[column.name].code(given)
        try:
            if column.is_string:
                values: NDArray[Any] = self._vocabulary[column.name].encode(given)
            else:
                values = np.asarray(given)
                if values.size and not np.can_cast(values.dtype, column.numpy, "same_kind"):
                    raise TypeError(f"expected {column.kind}, got {values.dtype}")
            if values.ndim > 1:
                raise ValueError(f"expected one value per row, got shape {values.shape}")
        except (TypeError, ValueError) as problem:
            raise type(problem)(f"table '{self.table.name}', column '{column.name}': {problem}") from None
        return values if values.ndim else values[()]

    def _count(self, cells: Mapping[str, Any]) -> int:
        counts = {len(values) for values in cells.values() if isinstance(values, np.ndarray)} or {1}
        if len(counts) > 1:
            lengths = {name: len(values) for name, values in cells.items() if isinstance(values, np.ndarray)}
            raise ValueError(f"table '{self.table.name}': columns differ in length: {lengths}")
        return counts.pop()

    def _reserve(self, rows: int) -> None:
        if rows <= self._capacity:
            return
        self._capacity = min(ROW_GROUP, max(rows, 2 * self._capacity))
        bigger = self._allocate()
        for name, values in bigger.items():
            values[: self.rows] = self._store[name][: self.rows]
        self._store = bigger

    def _mismatch(self, given: set[str]) -> str:
        missing, extra = sorted(self._names - given), sorted(given - self._names)
        parts = [f"missing {', '.join(missing)}"] if missing else []
        parts += [f"unknown {', '.join(extra)}"] if extra else []
        return f"table '{self.table.name}': {'; '.join(parts)}"
