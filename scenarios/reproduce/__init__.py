"""Published experiments played again, beside the numbers that were published.

Each system is a package of this one, imported when its name is asked for: ``qd-rdfl`` lives in ``qd_rdfl`` and
registers itself there. A system is a list of studies; a study gives one table and one picture.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass

from learning.registry import Registry, UnknownName
from scenarios.reproduce.study import Options, Study


@dataclass(frozen=True)
class System:
    """One published system: its name for readers, where it was published, and its studies in reading order."""

    title: str
    source: str
    studies: tuple[Callable[[Options], Study], ...]


SYSTEMS: Registry[System] = Registry("system")
"""Filled as packages of this one are imported; ``find_system`` imports the one that is asked for."""


def system_names() -> list[str]:
    """Names that ``find_system`` knows, in alphabetical order; imports none of them."""
    return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__) if module.ispkg)


def find_system(name: str) -> System:
    """The system of that name, underscores and dashes alike. Raises ``UnknownName``."""
    wanted = name.replace("_", "-")
    if wanted not in system_names():
        raise UnknownName(SYSTEMS.kind, name, system_names())
    importlib.import_module(f"{__name__}.{wanted.replace('-', '_')}")
    return SYSTEMS[wanted]
