"""Rows that wait to be written: one NumPy array per column, handed over as Arrow tables of fixed row count.

Row counts are fixed, and the strings of a column are numbered in order of first appearance, so that the bytes of a
file depend on the rows alone, not on how they were dealt over calls.
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
_FIRST_ROOM = 4096
# Single values of these types need no conversion; most writes of single rows consist of them.
_PLAIN: dict[Kind, frozenset[type]] = {
    "int": frozenset({int, np.int64}),
    "float": frozenset({float, int, np.float64}),
    "bool": frozenset({bool, np.bool_}),
    "text": frozenset(),
    "label": frozenset(),
}


@dataclass(frozen=True)
class Codes:
    """Strings given as integers: entry k is ``names[codes[k]]``. Cheap for whole columns; a single code will do too."""

    codes: NDArray[np.integer[Any]] | np.integer[Any]
    names: Sequence[str]


class _Vocabulary:
    """Strings of one column in order of first appearance; turns any form of strings into codes."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._code: dict[str, int] = {}

    def code(self, name: str) -> int:
        code = self._code.get(name)
        if code is None:
            if not isinstance(name, str):
                raise TypeError(f"expected text, got {name!r}")
            code = self._code[str(name)] = len(self.names)
            self.names.append(str(name))
        return code

    def encode(self, cells: Any) -> int | NDArray[np.int32]:
        """The code of one string, or the codes of a column of them [n]."""
        if isinstance(cells, str):
            return self.code(cells)
        if isinstance(cells, Codes):
            single = isinstance(cells.codes, np.integer)
            return self._translate_one(cells) if single else self._translate(np.asarray(cells.codes), cells.names)
        if isinstance(cells, pa.DictionaryArray):
            if cells.null_count:
                raise TypeError("expected text, got a null")
            return self._translate(cells.indices.to_numpy(zero_copy_only=False), cells.dictionary.to_pylist())
        values = np.asarray(cells, dtype=object)
        return np.array([self.code(value) for value in values.flat], dtype=np.int32).reshape(values.shape)

    def forget(self, kept: int) -> None:
        """Keep the first ``kept`` strings only."""
        for name in self.names[kept:]:
            del self._code[name]
        del self.names[kept:]

    def _translate_one(self, cells: Codes) -> int:
        if not 0 <= cells.codes < len(cells.names):
            raise ValueError(_no_index(cells.names))
        return self.code(cells.names[int(cells.codes)])

    def _translate(self, codes: NDArray[Any], names: Sequence[str]) -> NDArray[np.int32]:
        if codes.dtype.kind not in "iu":
            raise TypeError(f"expected whole numbers as codes, got {codes.dtype}")
        # Read without its sign, a negative code is a huge one.
        if codes.size and int(codes.view(f"u{codes.itemsize}").max()) >= len(names):
            raise ValueError(_no_index(names))
        lookup = np.array([self._code.get(name, -1) for name in names], dtype=np.int32)
        translated = lookup[codes]
        if translated.size and int(translated.min()) < 0:
            # Only names that occur enter the vocabulary, so that a file lists no value it does not hold.
            new, first = np.unique(codes[translated < 0], return_index=True)
            for index in new[np.argsort(first)].tolist():
                lookup[index] = self.code(names[index])
            translated = lookup[codes]
        return np.asarray(translated, dtype=np.int32)


def _no_index(names: Sequence[str]) -> str:
    return f"a code is not an index into the {len(names)} names given"


class _Slot:
    """The place of one column: what it accepts, and its waiting values [ROW_GROUP]."""

    __slots__ = ("_seen", "_table", "column", "dtype", "name", "plain", "values", "vocabulary")

    def __init__(self, table: Table, column: Column) -> None:
        self._table = table.name
        self.column = column
        self.name = column.name
        self.dtype = column.numpy
        self.plain = _PLAIN[column.kind]
        self.vocabulary = _Vocabulary() if column.is_string else None
        self.values: NDArray[Any] = np.empty(0, dtype=self.dtype)
        self._seen = 0

    def checked(self, given: Any) -> Any:
        """What goes into the store: one plain value for all rows, or an array [n]."""
        try:
            if self.vocabulary is not None:
                values = self.vocabulary.encode(given)
                if isinstance(values, int):
                    return values
            else:
                values = np.asarray(given)
                fits = values.dtype is self.dtype or not values.size
                if not fits and not np.can_cast(values.dtype, self.dtype, "same_kind"):
                    raise TypeError(f"expected {self.column.kind}, got {values.dtype}")
            if values.ndim > 1:
                raise ValueError(f"expected one value per row, got shape {values.shape}")
        except (TypeError, ValueError) as problem:
            raise type(problem)(f"table '{self._table}', column '{self.name}': {problem}") from None
        return values if values.ndim else values[()]

    def arrow(self, rows: int) -> Any:
        """The first ``rows`` waiting values as an Arrow array, which looks at the same memory where it can."""
        values = self.values[:rows]
        if self.vocabulary is None:
            return pa.array(values, type=self.column.arrow)
        self._seen = self._strings(rows)
        names = self.vocabulary.names[: self._seen]
        if self.column.kind == "text":  # few rows; Arrow's own cast would import its whole compute module
            return pa.array([names[code] for code in values], type=self.column.arrow)
        return pa.DictionaryArray.from_arrays(pa.array(values), pa.array(names, type=pa.string()))

    def forget_strings(self, rows: int) -> None:
        """Drop the strings of a write that was refused, or that had no rows: none of the waiting rows has them."""
        if self.vocabulary is not None:
            self.vocabulary.forget(self._strings(rows))

    def strings(self) -> tuple[list[str], int]:
        """The vocabulary in its order, and how much of it earlier row groups have shown."""
        return ([] if self.vocabulary is None else list(self.vocabulary.names)), self._seen

    def load_strings(self, names: Sequence[str], seen: int) -> None:
        """Go on with what ``strings`` gave."""
        self._seen = int(seen)
        if self.vocabulary is not None:
            self.vocabulary = _Vocabulary()
            for name in names:
                self.vocabulary.code(name)

    def _strings(self, rows: int) -> int:
        """How many strings of the vocabulary occur up to the last of the waiting rows."""
        return max(self._seen, int(self.values[:rows].max()) + 1) if rows else self._seen


class TableBuffer:
    """The waiting rows of one table."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.rows = 0
        self._names = frozenset(table.names)
        self._slots = tuple(_Slot(table, column) for column in table.columns)
        self._room = 0

    def append(self, columns: Mapping[str, object]) -> Iterator[Any]:
        """Copy the rows in; yields an Arrow table whenever ``ROW_GROUP`` rows are complete (iterate to the end).

        A column is one value for all rows, an array or sequence [n], ``Codes`` or an Arrow dictionary array.
        Nothing is kept of a write that does not fit the declaration (KeyError, TypeError, ValueError).
        """
        if columns.keys() != self._names:
            raise KeyError(self._mismatch(set(columns)))
        try:
            cells = [
                cell if type(cell := columns[slot.name]) in slot.plain else slot.checked(cell) for slot in self._slots
            ]
            lengths = {len(values) for values in cells if type(values) is np.ndarray}
            if len(lengths) > 1:
                raise ValueError(self._uneven(cells))
        except (TypeError, ValueError):
            self._forget_strings()
            raise
        if not lengths:
            yield from self._put_row(cells)
        elif 0 in lengths:
            self._forget_strings()
        else:
            yield from self._put_columns(cells, lengths.pop())

    def take(self) -> Any:
        """All waiting rows as one Arrow table; the buffer is empty afterwards."""
        arrays = [slot.arrow(self.rows) for slot in self._slots]
        # Arrow looks at the memory without a copy, so the arrays go with it and new ones take their place.
        self.rows = self._room = 0
        return pa.Table.from_arrays(arrays, schema=self.table.schema)

    def state(self) -> dict[str, Any]:
        """Everything needed to continue: waiting values and the strings so far, by column."""
        kept = {slot.name: slot for slot in self._slots}
        return {
            "rows": self.rows,
            "values": {name: slot.values[: self.rows].copy() for name, slot in kept.items()},
            "strings": {name: slot.strings() for name, slot in kept.items()},
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue from ``state()``. Raises ``ValueError`` for columns of other length or for too many rows."""
        rows = int(state["rows"])
        if not 0 <= rows < ROW_GROUP:
            raise ValueError(f"table '{self.table.name}': {rows} rows wait, expected fewer than {ROW_GROUP}")
        self.rows = self._room = 0
        self._make_room(rows)
        for slot in self._slots:
            slot.values[:rows] = np.broadcast_to(state["values"][slot.name], (rows,))
            slot.load_strings(*state["strings"][slot.name])
        self.rows = rows

    def _put_row(self, cells: Sequence[Any]) -> Iterator[Any]:
        row = self.rows
        self._make_room(row + 1)
        for slot, value in zip(self._slots, cells, strict=True):
            slot.values[row] = value
        self.rows = row + 1
        if self.rows == ROW_GROUP:
            yield self.take()

    def _put_columns(self, cells: Sequence[Any], count: int) -> Iterator[Any]:
        done = 0
        while done < count:
            step = min(count - done, ROW_GROUP - self.rows)
            end = self.rows + step
            self._make_room(end)
            to, part = slice(self.rows, end), slice(done, done + step)
            for slot, values in zip(self._slots, cells, strict=True):
                whole = step == count or type(values) is not np.ndarray
                slot.values[to] = values if whole else values[part]
            self.rows = end
            done += step
            if self.rows == ROW_GROUP:
                yield self.take()

    def _make_room(self, rows: int) -> None:
        """Have room for so many rows: little at first, then for a row group."""
        if rows <= self._room:
            return
        self._room = _FIRST_ROOM if rows <= _FIRST_ROOM else ROW_GROUP
        # One block for all columns, which NumPy lets the system back with large pages where it can: fetching memory
        # is most of what copying the rows in costs.
        block, start = np.empty(self._room * sum(slot.dtype.itemsize for slot in self._slots), dtype=np.uint8), 0
        for slot in self._slots:
            end = start + self._room * slot.dtype.itemsize
            values = block[start:end].view(slot.dtype)
            values[: self.rows] = slot.values[: self.rows]
            slot.values, start = values, end

    def _forget_strings(self) -> None:
        for slot in self._slots:
            slot.forget_strings(self.rows)

    def _uneven(self, cells: Sequence[Any]) -> str:
        given = zip(self._slots, cells, strict=True)
        lengths = {slot.name: len(values) for slot, values in given if type(values) is np.ndarray}
        return f"table '{self.table.name}': columns differ in length: {lengths}"

    def _mismatch(self, given: set[str]) -> str:
        missing, extra = sorted(self._names - given), sorted(given - self._names)
        parts = [f"missing {', '.join(missing)}"] if missing else []
        parts += [f"unknown {', '.join(extra)}"] if extra else []
        return f"table '{self.table.name}': {'; '.join(parts)}"
