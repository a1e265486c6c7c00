"""What the pages of a Parquet file say of themselves: how much each unpacks to, and how it is encoded.

The end of a Parquet file sums up its pages, but whoever unpacks them goes by the header of each page, so those are
read here. They are structs of Thrift's compact protocol, of which three fields are needed
(https://github.com/apache/parquet-format, ``PageHeader``; https://github.com/apache/thrift, compact protocol).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import pyarrow as pa

MOST_PAGES = 1_000_000
"""Pages of a file that are looked at, a long header for several; such a file is refused if it has more."""
_HEADER = 2**12
"""Bytes that are looked at for a header first; it may hold long texts, so there may be more."""
_LONGEST_HEADER = 2**24
_DEEPEST = 16

_UNPACKED, _PACKED = 2, 3
_DATA, _DATA_2 = 5, 8
_ENCODING = {_DATA: 2, _DATA_2: 4}
"""Numbers of fields: of a page's header, and within the headers of data pages that of the encoding of values."""


@dataclass
class Pages:
    """Of the columns that were asked for: ``unpacked`` bytes of all pages, ``encodings`` seen, ``rows`` by column."""

    unpacked: int = 0
    encodings: set[int] = field(default_factory=set)
    rows: dict[str, int] = field(default_factory=dict)


def pages_of(metadata: Any, file: BinaryIO, columns: Collection[str], most: int) -> Pages:
    """What the pages of these ``columns`` come to; the search ends when it is above ``most`` bytes.

    ``metadata`` is that of a ``pyarrow.parquet.ParquetFile``, ``file`` the same file as bytes. Rows are as many as any
    count of them says. Raises ``pa.ArrowInvalid`` for pages that are none, or too many.
    """
    found, left = Pages(), MOST_PAGES
    for place in range(metadata.num_row_groups):
        group = metadata.row_group(place)
        for number in range(group.num_columns):
            chunk = group.column(number)
            name = chunk.path_in_schema
            if name not in columns:
                continue
            found.rows[name] = found.rows.get(name, 0) + max(group.num_rows, chunk.num_values, 0)
            left = _walk(chunk, file, found, left, most)
    return found


def _walk(chunk: Any, file: BinaryIO, found: Pages, left: int, most: int) -> int:
    """Add the pages of one column chunk; how many more may follow."""
    place = chunk.data_page_offset
    if chunk.has_dictionary_page and 0 < chunk.dictionary_page_offset < place:
        place = chunk.dictionary_page_offset
    end = place + chunk.total_compressed_size
    while place < end and found.unpacked <= most:
        header = _header(file, place, end)
        left -= 1 + header.length // _HEADER  # chunks may share their bytes: reading long headers often takes hours
        if left < 0:
            raise pa.ArrowInvalid(f"it has more than {MOST_PAGES:,} pages")
        found.unpacked += header.unpacked
        if header.encoding is not None:
            found.encodings.add(header.encoding)
        place += header.length + header.packed
    return left


@dataclass(frozen=True)
class _Header:
    length: int
    unpacked: int
    packed: int
    encoding: int | None


def _header(file: BinaryIO, place: int, end: int) -> _Header:
    """The header of the page at ``place``."""
    size = _HEADER
    while size <= _LONGEST_HEADER:
        file.seek(place)
        reader = _Compact(file.read(min(size, end - place)))
        try:
            numbers = reader.struct(())
        except IndexError:
            size *= 4  # it is longer than what was read
            continue
        unpacked, packed = numbers.get((_UNPACKED,), -1), numbers.get((_PACKED,), -1)
        if unpacked < 0 or packed < 0:
            break
        encodings = [numbers[kind, which] for kind, which in _ENCODING.items() if (kind, which) in numbers]
        return _Header(reader.place, unpacked, packed, encodings[0] if encodings else None)
    raise pa.ArrowInvalid("its pages are damaged")


class _Compact:
    """Reads a struct of whole numbers, and passes over what else is in it. IndexError where the bytes end."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self.place = 0

    def struct(self, path: tuple[int, ...]) -> dict[tuple[int, ...], int]:
        """The whole numbers in a struct, by the numbers of the fields that lead there."""
        found: dict[tuple[int, ...], int] = {}
        if len(path) > _DEEPEST:
            raise pa.ArrowInvalid("its pages are damaged")
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._whole()
            self._value(head & 15, (*path, number), found)
        return found

    def _value(self, kind: int, path: tuple[int, ...], found: dict[tuple[int, ...], int]) -> None:
        if kind in (4, 5, 6):  # whole numbers of 16, 32 and 64 bits
            found[path] = self._whole()
        elif kind == 12:
            found |= self.struct(path)
        elif kind == 8:  # text
            self._skip(self._varint())
        elif kind == 7:  # a float of 64 bits
            self._skip(8)
        elif kind == 3:
            self._skip(1)
        elif kind not in (1, 2):  # true and false take no room; a page's header has no lists or maps
            raise pa.ArrowInvalid("its pages are damaged")

    def _byte(self) -> int:
        self.place += 1
        return self._raw[self.place - 1]

    def _skip(self, count: int) -> None:
        self.place += count
        if self.place > len(self._raw):
            raise IndexError

    def _varint(self) -> int:
        total = 0
        for shift in range(0, 70, 7):
            byte = self._byte()
            total |= (byte & 127) << shift
            if byte < 128:
                return total
        raise pa.ArrowInvalid("its pages are damaged")

    def _whole(self) -> int:
        zigzag = self._varint()
        return (zigzag >> 1) ^ -(zigzag & 1)
