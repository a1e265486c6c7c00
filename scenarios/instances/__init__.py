"""Static instances of the published systems: what ``datagora solve`` and ``datagora check`` read and compute.

Each system is one module of this package, imported when its name is asked for: ``qd-rdfl`` lives in ``qd_rdfl.py``
and registers itself there.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from learning.registry import Registry, UnknownName

if TYPE_CHECKING:
    from scenarios.instances.fields import Instance

Parsed = TypeVar("Parsed", bound="Instance")

_HELPERS = {"fields"}


@dataclass(frozen=True)
class InstanceKind(Generic[Parsed]):
    """How one system's instances are checked, solved and measured.

    ``schema``: what an instance file may hold; ``solve``: the outcome and ``check``: the measured properties, both
    as JSON objects at full precision. What is wrong with an instance is found by the schema, or raised by either
    function as ``scenarios.instances.fields.BadInstance``.
    """

    schema: type[Parsed]
    solve: Callable[[Parsed], dict[str, object]]
    check: Callable[[Parsed], dict[str, object]]


INSTANCES: Registry[InstanceKind[Any]] = Registry("mechanism")
"""Filled as modules of this package are imported; ``instance_kind`` imports the one that is asked for."""


def instance_names() -> list[str]:
    """Names that ``instance_kind`` knows, in alphabetical order; imports none of them."""
    return sorted(
        module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__) if module.name not in _HELPERS
    )


def instance_kind(name: str) -> InstanceKind[Any]:
    """The kind of that name, underscores and dashes alike. Raises ``UnknownName``."""
    wanted = name.replace("_", "-")
    if wanted not in instance_names():
        raise UnknownName(INSTANCES.kind, name, instance_names())
    importlib.import_module(f"{__name__}.{wanted.replace('-', '_')}")
    return INSTANCES[wanted]
