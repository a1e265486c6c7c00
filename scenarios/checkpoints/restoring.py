"""From a snapshot back into a simulation that the scenario has just built again.

The tree is followed side by side with the fresh simulation: objects that are there already take over the attributes,
so that whatever refers to them goes on doing so; others are made without running any code of theirs. What is equal to
what was built stays the built one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scenarios.checkpoints.arrays import Arrays, Claims
from scenarios.checkpoints.capturing import Node, Snapshot
from scenarios.checkpoints.kinds import (
    AS_BUILT,
    BadCheckpoint,
    attributes,
    class_named,
    holds_state,
    is_frozen,
    name_of,
    set_attribute,
)
from scenarios.checkpoints.special import special_for


class _Nothing:
    """Where the fresh simulation has nothing."""


_NOTHING = _Nothing()
_PLAIN = (type(None), bool, int, float, str)
_CONTAINERS = (list, set, dict, OrderedDict)


def restore(snapshot: Snapshot, fresh: object) -> None:
    """Set a freshly built simulation of the same scenario to what was captured. Raises ``BadCheckpoint``."""
    walk = _Return(snapshot)
    try:
        walk.value(snapshot.tree, fresh)
        for _, finish in sorted(walk.late, key=lambda entry: entry[0]):
            finish()
    except BadCheckpoint:
        raise
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as problem:
        said = " ".join(str(problem).split())[:120]
        raise BadCheckpoint(f"it does not fit its scenario ({type(problem).__name__}: {said})") from None


class _Return:
    """One way back; ``late`` is what has to wait for all the rest."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._known: dict[int, Any] = {}
        self._claims = Claims()
        self._arrays = Arrays(snapshot, self._claims)
        self.late: list[tuple[int, Callable[[], None]]] = []

    def value(self, node: Node, fresh: Any) -> Any:
        """What a node stands for; ``fresh`` is what the fresh simulation has in its place."""
        if type(node) in _PLAIN:
            return node
        kind, *rest = node
        maker: Callable[..., Any] | None = getattr(self, f"_{kind}", None) if kind in _NODES else None
        if maker is None:
            raise BadCheckpoint(f"it has a node of the unknown kind '{str(kind)[:40]}'")
        return maker(fresh, *rest)

    # Plain things

    def _enum(self, fresh: Any, name: str, value: Any) -> Any:
        return class_named(name)(value)

    def _number(self, fresh: Any, kind: str, value: Any) -> Any:
        return np.dtype(kind).type(value)

    def _slice(self, fresh: Any, numbers: list[int | None]) -> slice:
        return slice(*numbers)

    def _range(self, fresh: Any, numbers: list[int]) -> range:
        return range(*numbers)

    def _same(self, fresh: Any, number: int) -> Any:
        return self._known[number]

    def _built(self, fresh: Any, name: str) -> Any:
        there = isinstance(fresh, AS_BUILT) or (callable(fresh) and not holds_state(fresh))
        if not there or getattr(fresh, "__qualname__", type(fresh).__qualname__) != name:
            raise BadCheckpoint(f"its scenario does not build the '{name}' that it needs")
        return fresh

    def _tuple(self, fresh: Any, nodes: list[Node]) -> Any:
        made = self._items(nodes, fresh if isinstance(fresh, tuple) else ())
        if type(fresh) is tuple and len(fresh) == len(made) and all(a is b for a, b in zip(made, fresh, strict=True)):
            return fresh
        return tuple(made)

    def _size(self, fresh: Any, nodes: list[Node]) -> Any:
        return torch.Size(self._items(nodes, ()))

    def _frozenset(self, fresh: Any, nodes: list[Node]) -> Any:
        return frozenset(self._items(nodes, ()))

    def _named(self, fresh: Any, name: str, nodes: list[Node]) -> Any:
        kind: Any = class_named(name)
        made = kind._make(self._items(nodes, fresh if isinstance(fresh, tuple) else ()))
        return fresh if type(fresh) is type(made) and all(a is b for a, b in zip(made, fresh, strict=True)) else made

    def _items(self, nodes: list[Node], fresh: Any) -> list[Any]:
        return [self.value(node, fresh[place] if place < len(fresh) else _NOTHING) for place, node in enumerate(nodes)]

    # Columns and tensors

    def _column(self, fresh: Any, key: str) -> NDArray[Any]:
        return self._arrays.column(fresh, key)

    def _tensor(self, fresh: Any, key: str, place: str, kind: str, wants: bool) -> Tensor:
        return self._arrays.tensor(fresh, key, place, kind, wants)

    # Containers

    def _list(self, fresh: Any, number: int, nodes: list[Node]) -> list[Any]:
        target: list[Any] = self._target(fresh, number, list)
        target[:] = self._items(nodes, list(target))
        return target

    def _set(self, fresh: Any, number: int, nodes: list[Node]) -> set[Any]:
        target: set[Any] = self._target(fresh, number, set)
        target.clear()
        target.update(self._items(nodes, ()))
        return target

    def _dict(self, fresh: Any, number: int, pairs: list[list[Node]]) -> dict[Any, Any]:
        return self._mapping(self._target(fresh, number, dict), pairs)

    def _ordered(self, fresh: Any, number: int, pairs: list[list[Node]]) -> dict[Any, Any]:
        return self._mapping(self._target(fresh, number, OrderedDict), pairs)

    def _mapping(self, target: dict[Any, Any], pairs: list[list[Node]]) -> dict[Any, Any]:
        before = dict(target)
        target.clear()
        for key_node, node in pairs:
            key = self.value(key_node, _NOTHING)
            target[key] = self.value(node, before.get(key, _NOTHING))
        return target

    def _numbers(self, fresh: Any, number: int, kind: str, key: str) -> list[Any]:
        target: list[Any] = self._target(fresh, number, list)
        target[:] = self._column(_NOTHING, key).tolist()
        return target

    def _ragged(self, fresh: Any, number: int, keys: str, ends: str, entries: str) -> dict[int, list[int]]:
        target: dict[int, list[int]] = self._target(fresh, number, dict)
        flat, last = self._column(_NOTHING, entries).tolist(), 0
        target.clear()
        for key, end in zip(self._column(_NOTHING, keys).tolist(), self._column(_NOTHING, ends).tolist(), strict=True):
            target[key], last = flat[last:end], end
        return target

    def _target(self, fresh: Any, number: int, kind: type) -> Any:
        """The built thing if it is there and of that very kind, or a new one; known by its number from now on."""
        if type(fresh) is kind and self._claims.take(fresh):
            target = fresh
        else:
            target = kind() if kind in _CONTAINERS else object.__new__(kind)
        self._known[number] = target
        return target

    # Objects

    def _object(self, fresh: Any, number: int, name: str, parts: list[list[Any]]) -> Any:
        kind = type(fresh) if name_of(type(fresh)) == name else class_named(name)
        if is_frozen(kind):
            return self._frozen(fresh, number, kind, parts)
        target = self._target(fresh, number, kind)
        before = attributes(target)
        for part, node in parts:
            set_attribute(target, part, self.value(node, before.pop(part, _NOTHING)))
        for part in before:
            object.__delattr__(target, part)
        return target

    def _frozen(self, fresh: Any, number: int, kind: type, parts: list[list[Any]]) -> Any:
        """The built one if nothing in it differs. Nothing of it is ever changed, as others may hold it too."""
        before = attributes(fresh) if type(fresh) is kind else {}
        made = {part: self.value(node, before.get(part, _NOTHING)) for part, node in parts}
        if type(fresh) is kind and made.keys() == before.keys() and all(_same(made[p], before[p]) for p in made):
            self._known[number] = fresh
            return fresh
        target: Any = object.__new__(kind)
        self._known[number] = target
        for part, content in made.items():
            set_attribute(target, part, content)
        return target

    def _special(self, fresh: Any, number: int, name: str, node: Node) -> Any:
        if name_of(type(fresh)) != name:
            if not name.startswith("networkx.classes.digraph:"):
                raise BadCheckpoint(f"its scenario does not build the '{name[:80]}' that it needs")
            fresh = _empty_graph()
        special = special_for(fresh)
        assert special is not None
        self._known[number] = fresh
        state = self.value(node, special.taken(fresh))
        if special.late:
            self.late.append((special.late, lambda: special.put(fresh, state)))
        else:
            special.put(fresh, state)
        return fresh


_NODES = frozenset(
    {"built", "column", "dict", "enum", "frozenset", "list", "named", "number", "numbers", "object", "ordered"}
    | {"ragged", "range", "same", "slice", "set", "size", "special", "tensor", "tuple"}
)


def _empty_graph() -> Any:
    import networkx as nx

    return nx.DiGraph()


def _same(one: Any, other: Any) -> bool:
    """Whether two are the same thing, or plain values that are written alike (so that NaN is NaN, and 1 is not 1.0)."""
    return one is other or (type(one) in _PLAIN and type(one) is type(other) and repr(one) == repr(other))
