"""What holds state, and what a checkpoint leaves out because the scenario builds the same again.

Nothing is listed attribute by attribute, so that a new column, a new field or a new mechanism's memory is kept without
a word here. What cannot be kept is refused by name when the checkpoint is taken, never left out in silence.
"""

from __future__ import annotations

import dataclasses
import importlib
import sys
from collections.abc import Iterator
from enum import Enum
from functools import cache
from pathlib import PurePath
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel

from learning.data import Dataset
from learning.models import FlatModel
from learning.registry import Registry
from learning.shards import Shards
from learning.workshop import Workshop
from scenarios.owner_views import OwnerViews

FLOORS = frozenset({"agents", "learning", "market", "scenarios"})
_MODULES_OF_TORCH = "torch.nn.modules."

AS_BUILT = (
    BaseModel,
    Dataset,
    FlatModel,
    MappingProxyType,
    OwnerViews,
    PurePath,
    Registry,
    Shards,
    np.dtype,
    torch.device,
    torch.dtype,
    type,
)
"""Data, architectures and settings: functions of the scenario. Views of owners hold nothing of their own."""

AS_BUILT_ATTRIBUTES: dict[type, frozenset[str]] = {Workshop: frozenset({"x_test", "y_test", "_poisoner", "train"})}
"""Big columns that are the data set's own, and what attackers make of them, which is made again when they need it; who
trains, here or on a cluster: a matter of the command."""


class Unkeepable(TypeError):
    """Something in a simulation of which nobody has said how to keep it; ``str()`` says where it is."""


class BadCheckpoint(ValueError):
    """Files that are no checkpoint of this run; ``str()`` is one line."""


def attributes(value: object) -> dict[str, Any]:
    """All attributes of an object by name, in alphabetical order, wherever they are stored."""
    found = dict(getattr(value, "__dict__", {}))
    kind: type = type(value)
    for name in _slots(kind):
        if hasattr(value, name):
            found[name] = getattr(value, name)
    kept = AS_BUILT_ATTRIBUTES.get(kind, frozenset())
    return {name: found[name] for name in sorted(found) if name not in kept}


def set_attribute(value: object, name: str, content: Any) -> None:
    """Set an attribute as such: no property, and no rule of the class, comes between."""
    kind: type = type(value)
    if name in _slots(kind):
        object.__setattr__(value, name, content)
    else:
        value.__dict__[name] = content


def holds_state(value: object) -> bool:
    """Whether something is an object of attributes that may be walked."""
    kind = type(value)
    return _may_be_made(kind) or dataclasses.is_dataclass(kind) or isinstance(value, torch.nn.Module)


def is_frozen(kind: type) -> bool:
    """Whether objects of this class are dataclasses that never change."""
    return dataclasses.is_dataclass(kind) and bool(kind.__dataclass_params__.frozen)  # type: ignore[attr-defined]


def name_of(kind: type) -> str:
    """``module:Class``."""
    return f"{kind.__module__}:{kind.__qualname__}"


def class_named(name: str) -> type:
    """The class of that name, of this program or of torch's layers. Raises ``BadCheckpoint`` for any other.

    A file that nobody vouches for can thus name no class with an effect of its own, and no code is run to make one.
    """
    module, _, path = name.partition(":")
    found: Any = None
    if _is_ours(module) or module.startswith(_MODULES_OF_TORCH):
        try:
            found = sys.modules.get(module) or importlib.import_module(module)
            for step in path.split("."):
                found = getattr(found, step)
        except (ImportError, AttributeError):
            found = None
    if not isinstance(found, type) or name_of(found) != name or not (_may_be_made(found) or issubclass(found, Enum)):
        raise BadCheckpoint(f"it names '{name[:80]}', which is no kind of state")
    return found


def _may_be_made(kind: type) -> bool:
    if issubclass(kind, BaseException):
        return False
    return _is_ours(kind.__module__) or (
        kind.__module__.startswith(_MODULES_OF_TORCH) and issubclass(kind, torch.nn.Module)
    )


def _is_ours(module: str) -> bool:
    parts = module.split(".")
    return parts[0] in FLOORS and not any(part.startswith("__") for part in parts)


@cache
def _slots(kind: type) -> tuple[str, ...]:
    return tuple(_slot_names(kind))


def _slot_names(kind: type) -> Iterator[str]:
    for base in kind.__mro__:
        names = base.__dict__.get("__slots__", ())
        yield from (name for name in ([names] if isinstance(names, str) else names) if not name.startswith("__"))
