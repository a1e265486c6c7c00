"""Parquet files that a stranger may have written: nothing is expanded before it is known to fit.

A few bytes of such a file can become any amount of memory: by compression, by run-lengths (a billion rows of one
number), by a dictionary (a long text, said a million times) and by differences (each text a little longer than the
one before). What its pages say of themselves is bounded first; what the end of the file says of them may be a lie.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from learning.limits import TooLarge
from learning.parquet_pages import pages_of
from learning.spare_memory import memory_at_hand

_COPIES = 2
"""Columns are in memory once as they were read and once as a data frame."""
_CODE = 8
"""Bytes a row that a text is read as: its place in the list of texts, or where it ends."""
_BY_DIFFERENCES = 7
"""The encoding DELTA_BYTE_ARRAY: no bound on what its pages become, and nobody's default."""


def check_table(source: Path | BinaryIO, columns: Collection[str] | None = None) -> Any:
    """The Arrow schema of a file whose ``columns`` (None: all) are plain and fit into memory, but for their text.

    Raises ``TooLarge``, and ``pa.ArrowException`` or ``OSError`` where it is no such file. Nothing is unpacked.
    """
    with ExitStack() as stack:
        raw = stack.enter_context(source.open("rb")) if isinstance(source, Path) else source
        file = stack.enter_context(pq.ParquetFile(source))
        schema, room = file.schema_arrow, memory_at_hand() // _COPIES
        asked = [field for field in schema if columns is None or field.name in columns]
        for field in asked:
            if not _is_plain(field.type):
                raise pa.ArrowInvalid(f"column {field.name} is of type {str(field.type)[:60]}, which is not read")
        widths = {field.name: _width(field.type) for field in asked}
        if len(widths) < len(asked):
            raise pa.ArrowInvalid("it has two columns of one name")
        pages = pages_of(file.metadata, raw, widths, room)
        if _BY_DIFFERENCES in pages.encodings:
            raise pa.ArrowInvalid("it has text that is encoded by differences (DELTA_BYTE_ARRAY)")
        needed = pages.unpacked + sum(rows * widths[name] for name, rows in pages.rows.items())
        if needed > room:
            raise TooLarge(
                f"it says that it has {file.metadata.num_rows:,} rows and {needed:,} bytes, "
                "for which memory does not suffice"
            )
    if not isinstance(source, Path):
        source.seek(0)
    return schema


def read_table(source: Path | BinaryIO, columns: Collection[str] | None = None) -> pa.Table:
    """A file of plain columns, or those ``columns`` of it that there are.

    Raises ``TooLarge`` where they would not fit into the memory at hand, ``pa.ArrowException`` or ``OSError`` where it
    is no such file. A few bytes may repeat a long text for ever, so text is read as codes first.
    """
    schema = check_table(source, columns)
    fields = [field for field in schema if columns is None or field.name in columns]
    texts = [field.name for field in fields if _is_text(field.type)]
    with pq.ParquetFile(source, read_dictionary=texts) as file:
        content = file.read([field.name for field in fields])
    needed = sum(_written_out(chunk) for name in texts for chunk in content[name].chunks)
    if needed > memory_at_hand() // _COPIES:
        raise TooLarge(f"its text is {needed:,} bytes long, for which memory does not suffice")
    for name in texts:
        place = content.schema.get_field_index(name)
        content = content.set_column(place, schema.field(name), content[name].cast(schema.field(name).type))
    return content


def _is_plain(kind: Any) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    tests = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_null, _is_text)
    return any(test(kind) for test in tests)


def _is_text(kind: Any) -> bool:
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    return any(test(kind) for test in tests)


def _width(kind: Any) -> int:
    """Bytes that a value of a plain type takes, for a text those of its code."""
    by_code = pa.types.is_dictionary(kind) or _is_text(kind)
    return _CODE if by_code or pa.types.is_null(kind) else max(1, kind.bit_width // 8)


def _written_out(codes: pa.DictionaryArray) -> int:
    """Bytes of a column of text without its codes."""
    lengths = pc.binary_length(codes.dictionary).cast(pa.int64())
    return int(pc.sum(lengths.take(codes.indices)).as_py() or 0)
