"""Versions of what a result depends on, for the run folder."""

from __future__ import annotations

import functools
import platform
from importlib.metadata import PackageNotFoundError, version

_PACKAGES = ("datagora", "mesa", "simpy", "torch", "numpy", "scipy", "networkx", "pandas", "pyarrow", "scikit-learn")


@functools.cache
def versions() -> dict[str, dict[str, str]]:
    """Python and package versions by name; packages that are not installed are left out."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return {"versions": found}
