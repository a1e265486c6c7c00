"""From a simulation to a snapshot: a tree of plain values that JSON can hold, and the columns and tensors in it.

The walk goes through attributes, lists, mappings and sets, whatever their names. A node of the tree is a plain value
(None, a truth value, a number, a text) or a list that starts with what it is:

=================================  ==================================================================
node                               what it stands for
=================================  ==================================================================
``[object, id, class, items]``     an object; items are pairs of attribute and node
``[special, id, class, node]``     an object of ``scenarios.checkpoints.special``
``[list, id, nodes]``              a list; likewise ``set`` and ``dict`` (pairs), ``ordered`` (OrderedDict)
``[numbers, id, kind, key]``       a list of whole numbers or of floats, as a column
``[ragged, id, keys, ends, all]``  a mapping of whole numbers to lists of such, as three columns
``[tuple, nodes]``                 a tuple; likewise ``frozenset`` and ``named`` (with its class)
``[column, key]``                  a NumPy array
``[tensor, key, place, ...]``      a tensor, where it was and whether it is a parameter and has a gradient
``[number, kind, value]``          a NumPy scalar
``[slice, numbers]``               a slice; likewise ``range``
``[enum, class, value]``           a member of an enumeration
``[built, name]``                  what the scenario builds again
``[same, id]``                     what has been met before: one object stays one
=================================  ==================================================================
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scenarios.checkpoints.kinds import AS_BUILT, Unkeepable, attributes, holds_state, name_of
from scenarios.checkpoints.sharing import Look, shared_columns, shared_tensors
from scenarios.checkpoints.special import special_for

Node = Any
Beyond = Callable[[object], Mapping[str, Any] | None]

_MANY = 32
"""From so many entries on, numbers in lists and mappings become columns."""
_PLAIN = (type(None), bool, int, float, str)


@dataclass
class Snapshot:
    """``tree``: see the module; ``columns`` and ``tensors`` by key; ``looks``: how some look at a block of others."""

    tree: Node
    columns: dict[str, NDArray[Any]]
    tensors: dict[str, Tensor]
    looks: dict[str, Look]


def capture(root: object, beyond: Beyond = lambda value: None) -> Snapshot:
    """Everything that ``root`` holds. Columns are not copied: write them out before anything goes on.

    ``beyond`` can give what is inside of something that is otherwise left to be built again, by name, for those who
    want to compare it; None where there is nothing to see. Raises ``Unkeepable``.
    """
    walk = _Walk(beyond)
    tree = walk.node(root, "simulation")
    columns, column_looks = shared_columns(walk.columns)
    tensors, tensor_looks = shared_tensors(walk.tensors)
    return Snapshot(tree, columns, tensors, column_looks | tensor_looks)


class _Walk:
    """One walk; ``columns`` and ``tensors`` are what it has met."""

    def __init__(self, beyond: Beyond) -> None:
        self.columns: dict[str, NDArray[Any]] = {}
        self.tensors: dict[str, Tensor] = {}
        self._beyond = beyond
        self._met: dict[int, int] = {}
        self._keys: dict[int, str] = {}
        self._alive: list[object] = []  # an id is one object's only as long as that lives

    def node(self, value: Any, path: str) -> Node:
        """The node of a value that was found at ``path``."""
        if type(value) in _PLAIN:
            return value
        if isinstance(value, Enum):
            return ["enum", name_of(type(value)), value.value]
        if isinstance(value, np.generic):
            return ["number", value.dtype.str, value.item()]
        if isinstance(value, np.ndarray):
            return ["column", self._column(value, path)]
        if isinstance(value, Tensor):
            return self._tensor(value, path)
        if isinstance(value, (slice, range)):
            return [type(value).__name__, [value.start, value.stop, value.step]]
        if id(value) in self._met:
            return ["same", self._met[id(value)]]
        if isinstance(value, (tuple, frozenset)):
            return self._fixed(value, path)
        special = special_for(value)
        if special is not None:
            number = self._meet(value)
            return ["special", number, name_of(type(value)), self.node(special.taken(value), path)]
        if isinstance(value, AS_BUILT) or (callable(value) and not holds_state(value)):
            return self._built(value, path)
        if isinstance(value, (list, set, dict)):
            return self._container(value, path)
        if holds_state(value):
            number = self._meet(value)
            parts = [[name, self.node(part, f"{path}.{name}")] for name, part in attributes(value).items()]
            return ["object", number, name_of(type(value)), parts]
        raise Unkeepable(f"{path} is a {name_of(type(value))}, which no checkpoint can keep")

    def _meet(self, value: object) -> int:
        self._alive.append(value)
        return self._met.setdefault(id(value), len(self._met))

    def _built(self, value: Any, path: str) -> Node:
        name = getattr(value, "__qualname__", type(value).__qualname__)
        inside = self._beyond(value)
        if inside is None:
            return ["built", name]
        self._meet(value)
        return ["built", name, [[part, self.node(inner, f"{path}.{part}")] for part, inner in inside.items()]]

    def _column(self, value: NDArray[Any], path: str) -> str:
        if value.dtype.hasobject:
            raise Unkeepable(f"{path} is a column of objects, which no checkpoint can keep")
        key = self._keys.get(id(value))
        if key is None:
            self._alive.append(value)
            key = self._keys[id(value)] = f"c{len(self.columns)}"
            self.columns[key] = value
        return key

    def _tensor(self, value: Tensor, path: str) -> Node:
        if value.layout is not torch.strided or value.is_meta:
            raise Unkeepable(f"{path} is a tensor without plain numbers, which no checkpoint can keep")
        key = self._keys.get(id(value))
        if key is None:
            self._alive.append(value)
            key = self._keys[id(value)] = f"t{len(self.tensors)}"
            self.tensors[key] = value
        kind = "parameter" if isinstance(value, torch.nn.Parameter) else "plain"
        return ["tensor", key, value.device.type, kind, value.requires_grad]

    def _fixed(self, value: tuple[Any, ...] | frozenset[Any], path: str) -> Node:
        items = [self.node(item, f"{path}[{place}]") for place, item in enumerate(_in_order(value))]
        if type(value) in (tuple, frozenset):
            return [type(value).__name__, items]
        if isinstance(value, torch.Size):
            return ["size", items]
        if hasattr(value, "_fields"):
            return ["named", name_of(type(value)), items]
        raise Unkeepable(f"{path} is a {name_of(type(value))}, which no checkpoint can keep")

    def _container(self, value: Any, path: str) -> Node:
        kind = type(value)
        if kind not in (list, set, dict, OrderedDict):
            raise Unkeepable(f"{path} is a {name_of(kind)}, which no checkpoint can keep")
        number = self._meet(value)
        if kind is list:
            column = _numbers(value)
            if column is not None:
                return ["numbers", number, column.dtype.str, self._column(column, path)]
        if kind is dict and len(value) >= _MANY:
            ragged = self._ragged(value)
            if ragged is not None:
                return ["ragged", number, *(self._column(column, path) for column in ragged)]
        if kind in (dict, OrderedDict):
            pairs = [[self.node(key, path), self.node(item, f"{path}[{key!r}]")] for key, item in value.items()]
            return ["dict" if kind is dict else "ordered", number, pairs]
        items = [self.node(item, f"{path}[{place}]") for place, item in enumerate(_in_order(value))]
        return [kind.__name__, number, items]

    def _ragged(self, value: dict[Any, Any]) -> list[NDArray[Any]] | None:
        """Keys, ends and entries of a mapping of whole numbers to lists of such that nobody else holds."""
        rows = list(value.values())
        if any(type(row) is not list for row in rows) or len({id(row) for row in rows} - self._met.keys()) < len(rows):
            return None
        keys, flat = _column_of(int, list(value)), _column_of(int, [entry for row in rows for entry in row])
        if keys is None or flat is None:
            return None
        for row in rows:
            self._meet(row)  # met again, it will be refused on return: no node has its number
        return [keys, np.cumsum([len(row) for row in rows]), flat]


def _in_order(items: Collection[Any]) -> Collection[Any]:
    """The items in their order; of a set, which has none that could be kept, in ascending order."""
    if isinstance(items, (set, frozenset)):
        return sorted(items, key=lambda item: (str(type(item)), item if isinstance(item, (int, str)) else repr(item)))
    return items


def _numbers(value: list[Any]) -> NDArray[Any] | None:
    """A long list of whole numbers, or of floats, as a column."""
    if len(value) < _MANY or type(value[0]) not in (int, float):
        return None
    return _column_of(type(value[0]), value)


def _column_of(kind: type, values: list[Any]) -> NDArray[Any] | None:
    """The values as a column, if all are of that very kind and fit."""
    if set(map(type, values)) - {kind}:
        return None
    try:
        return np.array(values, dtype=np.int64 if kind is int else np.float64)
    except OverflowError:
        return None
