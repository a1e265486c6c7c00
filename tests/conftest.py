"""What every test starts from: one thread, no clock on properties, the same examples each time."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before anything imports torch

settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=500)
settings.load_profile("repeatable")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that share what a fixture of their module has made run in one process: else each would make it anew."""
    for item in items:
        shared = (fixture for made in item._fixtureinfo.name2fixturedefs.values() for fixture in made)
        if any(fixture.scope == "module" for fixture in shared) and item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
