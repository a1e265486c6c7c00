"""Reading Parquet files that a stranger may have written: nothing is expanded before it is known to fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from learning.limits import TooLarge, check_table, memory_of_machine


def read_table(source: Path | BinaryIO) -> pa.Table:
    """A file of plain columns, whole.

    Raises ``TooLarge`` where it would not fit into the memory of this machine, ``pa.ArrowException`` or ``OSError``
    where it is no such file. A few bytes may repeat a long text for ever, so text is read as codes first.
    """
    with pq.ParquetFile(source) as file:
        check_table(file)
        schema = file.schema_arrow
    if any(pa.types.is_nested(field.type) for field in schema):
        raise pa.ArrowInvalid("it has columns of lists")
    texts = [field.name for field in schema if not pa.types.is_dictionary(field.type) and _is_text(field.type)]
    with pq.ParquetFile(source, read_dictionary=texts) as file:
        content = file.read()
    needed = sum(_written_out(chunk) for name in texts for chunk in content[name].chunks)
    if needed > memory_of_machine():
        raise TooLarge(f"its text is {needed:,} bytes long, for which memory does not suffice")
    for name in texts:
        place = content.schema.get_field_index(name)
        content = content.set_column(place, schema.field(name), content[name].cast(schema.field(name).type))
    return content


def check_columns(path: Path, schema: pa.Schema) -> None:
    """Raise as ``read_table`` does, and ``pa.ArrowInvalid`` for a column of ``schema`` that is of another type."""
    with pq.ParquetFile(path) as file:
        check_table(file)
        found = file.schema_arrow
    for field in schema:
        if field.name in found.names and found.field(field.name).type != field.type:
            raise pa.ArrowInvalid(f"column {field.name} is of type {found.field(field.name).type}")


def _is_text(kind: Any) -> bool:
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    return any(test(kind) for test in tests)


def _written_out(codes: pa.DictionaryArray) -> int:
    """Bytes of a column of text without its codes."""
    lengths = pc.binary_length(codes.dictionary).cast(pa.int64())
    return int(pc.sum(lengths.take(codes.indices)).as_py() or 0)
