"""Named float columns in a file: the safetensors format, read and written with NumPy alone.

Eight bytes with the length of a JSON header, the header (type, shape and place of each tensor, and text metadata under
``__metadata__``), then the numbers in little-endian order.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Tensor32 = NDArray[np.float32]

_METADATA = "__metadata__"
_MOST_HEADER, _MOST_BYTES = 1 << 20, 1 << 28


class BadTensorFile(ValueError):
    """A file that does not hold float32 tensors as it should; ``str()`` is one line."""


class Tensors(NamedTuple):
    """Tensors by name and what the file says about itself."""

    values: dict[str, Tensor32]
    metadata: dict[str, str]


def write_tensors(path: Path, values: Mapping[str, Tensor32], metadata: Mapping[str, str]) -> None:
    """Write or replace a file in one move. OSError, with its name, where there is no room; nothing is left then."""
    header: dict[str, object] = {_METADATA: dict(metadata)}
    blocks, place = [], 0
    for name in sorted(values):
        block = np.ascontiguousarray(values[name], dtype="<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(values[name].shape), "data_offsets": [place, place + len(block)]}
        blocks.append(block)
        place += len(block)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    partial = path.with_name(f"{path.name}.partial")
    try:
        partial.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(blocks))
        partial.replace(path)
    except OSError as problem:
        problem.filename = str(path)  # a full disk does not say by itself what did not fit
        partial.unlink(missing_ok=True)
        raise


def read_tensors(path: Path) -> Tensors:
    """The tensors of a file. Raises ``BadTensorFile``, and ``OSError`` where it cannot be read."""
    if path.stat().st_size > _MOST_BYTES:
        raise BadTensorFile(f"larger than {_MOST_BYTES} bytes")
    raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    if len(raw) < 8 or length > min(_MOST_HEADER, len(raw) - 8):
        raise BadTensorFile("not a safetensors file: no header")
    data = raw[8 + length :]
    try:
        header = json.loads(raw[8 : 8 + length])
        metadata = {str(key): str(text) for key, text in header.pop(_METADATA, {}).items()}
        values = {name: _tensor(entry, data) for name, entry in header.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as fault:
        raise BadTensorFile(f"not a safetensors file of float32 tensors: {fault}") from None
    return Tensors(values, metadata)


def _tensor(entry: Mapping[str, object], data: bytes) -> Tensor32:
    shape = [int(size) for size in entry["shape"]]  # type: ignore[attr-defined]
    begin, end = (int(place) for place in entry["data_offsets"])  # type: ignore[attr-defined]
    if entry["dtype"] != "F32" or end - begin != 4 * prod(shape) or not 0 <= begin <= end <= len(data):
        raise ValueError("a tensor of another type or size")
    return np.frombuffer(data[begin:end], dtype="<f4").reshape(shape).astype(np.float32)
