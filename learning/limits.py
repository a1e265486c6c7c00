"""How much of a stranger's file is taken in: sizes are checked before memory is.

A small file can ask for any amount of memory: by compression, by a header that lies, by a run-length. So what a file
declares is read first, and refused where it is beyond these bounds. All sizes are in bytes.
"""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import IO

import numpy as np

TABLE_BYTES = 2**30
"""Most of a table of text (CSV, JSON): traces of arrivals, instructions."""
TABLE_ROWS = 10_000_000
"""Most rows of such a table, whatever its format."""
ARRAY_BYTES = 2**34
"""Most of all arrays of a data file together, unpacked."""
SMALL, SWELLING = 2**28, 100
"""An archive may unpack to as much as ``SMALL``; beyond that to ``SWELLING`` times its own size."""


class TooLarge(ValueError):
    """A file that is, or says that it holds, more than is read; ``str()`` of it is one line."""


def check_size(path: Path, most: int = TABLE_BYTES) -> None:
    """Raise ``TooLarge`` for a file of more than ``most`` bytes, and ``OSError`` where there is none."""
    if path.stat().st_size > most:
        raise TooLarge(f"it has more than {_amount(most)}")


def check_rows(rows: int, most: int = TABLE_ROWS) -> None:
    """Raise ``TooLarge`` for a table of more than ``most`` rows."""
    if rows > most:
        raise TooLarge(f"it has {rows:,} rows, more than {most:,}")


def check_arrays(file: IO[bytes], wanted: tuple[str, ...]) -> None:
    """Raise ``TooLarge`` or ``ValueError`` unless the ``wanted`` arrays of an open .npz file are what they say.

    Nothing is unpacked but their headers. Objects are refused here already: reading them would execute code.
    """
    whole = 0
    packed = file.seek(0, os.SEEK_END)
    file.seek(0)
    with zipfile.ZipFile(file) as archive:
        for name in wanted:
            try:
                member = archive.getinfo(f"{name}.npy")
            except KeyError:
                continue
            whole += member.file_size
            with archive.open(member) as stream:
                _check_header(name, stream, member.file_size)
    if whole > ARRAY_BYTES:
        raise TooLarge(f"its arrays have more than {_amount(ARRAY_BYTES)}")
    if whole > max(SMALL, SWELLING * packed):
        raise TooLarge(f"it swells from {packed:,} to {whole:,} bytes; store such arrays uncompressed (numpy.savez)")
    file.seek(0)


def _check_header(name: str, stream: IO[bytes], size: int) -> None:
    version = np.lib.format.read_magic(stream)
    headers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in headers:
        raise ValueError(f"array {name} has an unknown format")
    shape, _, kind = headers[version](stream)
    if kind.hasobject:
        raise ValueError(f"array {name} holds objects, expected numbers")
    count = 1
    for length in shape:  # Python's whole numbers, which do not overflow
        count *= int(length)
    if min(shape, default=0) < 0 or stream.tell() + count * kind.itemsize != size:
        raise ValueError(f"array {name} is not of the size that its header says")


def _amount(count: int) -> str:
    return f"{count:,} bytes"
