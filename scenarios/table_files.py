"""Tables of runs as files: their columns must be those of a table before anything is read."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from learning.parquet_files import check_table


def check_columns(path: Path, schema: pa.Schema) -> None:
    """Raise as ``check_table`` does, and ``pa.ArrowInvalid`` for a column of ``schema`` that is of another type."""
    found = check_table(path)
    for field in schema:
        if field.name in found.names and found.field(field.name).type != field.type:
            raise pa.ArrowInvalid(f"column {field.name} is of type {str(found.field(field.name).type)[:60]}")
