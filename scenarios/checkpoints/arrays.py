"""Columns and tensors on their way back: each once, in the memory that they shared; the built one where it is equal."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scenarios.checkpoints.capturing import Snapshot
from scenarios.checkpoints.sharing import look_at_column, look_at_tensor


class Claims:
    """Which things of the fresh simulation have been taken over: none may stand for two that were apart."""

    def __init__(self) -> None:
        self._taken: set[int] = set()

    def take(self, fresh: object) -> bool:
        """Whether it was still free; it is not any more."""
        free = id(fresh) not in self._taken
        self._taken.add(id(fresh))
        return free


class Arrays:
    """Those of one snapshot, by key. ``fresh`` is always what the fresh simulation has in the same place."""

    def __init__(self, snapshot: Snapshot, claims: Claims) -> None:
        self._snapshot = snapshot
        self._claims = claims
        self._made: dict[str, Any] = {}
        self._blocks: dict[str, Any] = {}

    def column(self, fresh: Any, key: str) -> NDArray[Any]:
        """The column of that key, one object however often it is asked for."""
        if key not in self._made:
            self._made[key] = self._found_column(key, fresh)
        found: NDArray[Any] = self._made[key]
        return found

    def _found_column(self, key: str, fresh: Any) -> NDArray[Any]:
        look = self._snapshot.looks.get(key)
        if look is not None:
            return look_at_column(self._snapshot.columns[look[0]], look)
        column = self._snapshot.columns[key]
        if isinstance(fresh, np.ndarray) and _same_column(fresh, column) and self._claims.take(fresh):
            return fresh
        return column

    def tensor(self, fresh: Any, key: str, place: str, kind: str, wants: bool) -> Tensor:
        """The tensor of that key on the device ``place``; a ``kind`` of parameter, that ``wants`` a gradient or not."""
        if key not in self._made:
            self._made[key] = self._found_tensor(key, fresh, place, kind, wants)
        found: Tensor = self._made[key]
        return found

    def _found_tensor(self, key: str, fresh: Any, place: str, kind: str, wants: bool) -> Tensor:
        look = self._snapshot.looks.get(key)
        if look is not None:
            if look[0] not in self._blocks:
                self._blocks[look[0]] = self._snapshot.tensors[look[0]].clone().to(place)
            tensor = look_at_tensor(self._blocks[look[0]], look)
        else:
            stored = self._snapshot.tensors[key]
            if isinstance(fresh, Tensor) and _same_tensor(fresh, stored, place) and self._claims.take(fresh):
                return fresh
            tensor = stored.clone().to(place)  # a copy, so that its memory starts where torch wants it
        return torch.nn.Parameter(tensor, wants) if kind == "parameter" else tensor.requires_grad_(wants)


def _same_column(fresh: NDArray[Any], column: NDArray[Any]) -> bool:
    return (
        fresh.dtype == column.dtype
        and fresh.shape == column.shape
        and fresh.strides == column.strides
        and fresh.tobytes() == column.tobytes()
    )


def _same_tensor(fresh: Tensor, stored: Tensor, place: str) -> bool:
    if fresh.dtype != stored.dtype or fresh.shape != stored.shape or fresh.device.type != place:
        return False
    here = fresh.detach().cpu().contiguous()
    return here.reshape(-1).view(torch.uint8).equal(stored.reshape(-1).view(torch.uint8))
