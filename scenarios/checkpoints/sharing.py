"""Columns and tensors that look at the same memory: a change of one must be a change of the other after a return too.

Only overlapping ones are told of. Rows of one block that do not overlap are as good apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Look = list[Any]
"""How something looks at a block: ``[key of the block, offset, shape, strides]``; bytes for columns, else elements."""


def root_of(column: NDArray[Any]) -> NDArray[Any]:
    """The array that owns the memory of a column."""
    while isinstance(column.base, np.ndarray):
        column = column.base
    return column


def shared_columns(columns: Mapping[str, NDArray[Any]]) -> tuple[dict[str, NDArray[Any]], dict[str, Look]]:
    """What to store of these columns: arrays by key, and how the others look at them."""
    groups: dict[int, list[str]] = {}
    for key, column in columns.items():
        groups.setdefault(id(root_of(column)), []).append(key)
    stored: dict[str, NDArray[Any]] = {}
    looks: dict[str, Look] = {}
    for keys in groups.values():
        if len(keys) == 1 or not _overlap([np.lib.array_utils.byte_bounds(columns[key]) for key in keys]):
            stored |= {key: columns[key] for key in keys}
            continue
        root = root_of(columns[keys[0]])
        name = f"{keys[0]}.block"
        stored[name] = root
        start = root.__array_interface__["data"][0]
        for key in keys:
            column = columns[key]
            offset = column.__array_interface__["data"][0] - start
            looks[key] = [name, offset, list(column.shape), list(column.strides), column.dtype.str]
    return stored, looks


def look_at_column(block: NDArray[Any], look: Look) -> NDArray[Any]:
    """The column that a look gives. Raises ``ValueError`` for one that would leave the block."""
    _, offset, shape, strides, kind = look
    if np.dtype(kind).hasobject:
        raise ValueError("a column of objects")
    flat = (block if block.flags.c_contiguous else block.T).reshape(-1).view(np.uint8)
    return np.ndarray(shape, dtype=np.dtype(kind), buffer=flat, offset=offset, strides=strides)


def shared_tensors(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Look]]:
    """The same of tensors: what is stored is contiguous, on the CPU and a copy of its own."""
    groups: dict[tuple[int, torch.dtype], list[str]] = {}
    for key, tensor in tensors.items():
        groups.setdefault((tensor.untyped_storage().data_ptr(), tensor.dtype), []).append(key)
    stored: dict[str, Tensor] = {}
    looks: dict[str, Look] = {}
    for keys in groups.values():
        if len(keys) == 1 or not _overlap([_bounds(tensors[key]) for key in keys]):
            stored |= {key: tensors[key].detach().cpu().contiguous().clone() for key in keys}
            continue
        first = tensors[keys[0]].detach()
        name = f"{keys[0]}.block"
        length = first.untyped_storage().nbytes() // first.element_size()
        stored[name] = first.as_strided((length,), (1,), 0).cpu().clone()
        for key in keys:
            tensor = tensors[key]
            looks[key] = [name, tensor.storage_offset(), list(tensor.shape), list(tensor.stride())]
    return stored, looks


def look_at_tensor(block: Tensor, look: Look) -> Tensor:
    """The tensor that a look gives. Raises ``RuntimeError`` for one that would leave the block."""
    _, offset, shape, strides = look
    return block.as_strided(shape, strides, offset)


def _bounds(tensor: Tensor) -> tuple[int, int]:
    """First and last place in the storage, in elements."""
    if tensor.numel() == 0:
        return 0, 0
    first = int(tensor.storage_offset())
    last = sum((size - 1) * step for size, step in zip(tensor.shape, tensor.stride(), strict=True))
    return first, first + int(last) + 1


def _overlap(bounds: Iterable[tuple[int, int]]) -> bool:
    end = -1
    for first, last in sorted(bound for bound in bounds if bound[1] > bound[0]):
        if first < end:
            return True
        end = max(end, last)
    return False
