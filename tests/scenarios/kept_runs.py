"""Small runs with checkpoints for tests: library scenarios cut down, state compared to the last bit, real processes."""

from __future__ import annotations

import multiprocessing
import os
import resource
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path, PurePath
from types import MappingProxyType
from typing import Any
from unittest import mock

import numpy as np
import torch
from pydantic import BaseModel

from learning.data import Dataset
from learning.models import FlatModel
from learning.registry import Registry
from learning.shards import Shards
from learning.workshop import Workshop
from scenarios.buffers import TableBuffer
from scenarios.checkpoints import kinds
from scenarios.checkpoints.capturing import Snapshot, capture
from scenarios.checkpoints.files import Checkpoint, read_checkpoint, write_checkpoint
from scenarios.checkpoints.saving import put_back
from scenarios.loading import load_scenario
from scenarios.owner_views import OwnerViews
from scenarios.recorder import MemoryRecorder
from scenarios.schema import Scenario
from scenarios.simulation import Simulation

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(
    ["kept_runs", "scenarios.checkpoints.playing", "scenarios.summary", "sklearn.datasets", "learning.federation"]
)


CLOCKS = ("/report/3/6/seconds",)
"""What the wall clock writes into a simulation; it is in no table."""

NEVER_CHANGE = (OwnerViews, PurePath, Registry, np.dtype, torch.device, torch.dtype, type)
"""What has nothing inside that a run changes. A list of its own: whoever adds to that of checkpoints is found out."""
MADE_AGAIN = {Workshop: frozenset({"_poisoner"})}
"""What need not come back, for it is made anew from the data by the first attacker that asks."""


def cut_down(name: str, horizon: int = 3) -> Scenario:
    """A ready-made scenario with few owners, few samples and few windows; digits for data that are downloaded."""
    whole = load_scenario(name).model_dump(mode="json")
    dataset, data = whole["data"]["dataset"], whole["data"]
    language = isinstance(dataset, str) and dataset.endswith("_offline")
    owners = min(8, whole["population"]["initial"])
    changes = [f"horizon={2 if language else horizon}", f"population.initial={owners}"]
    if dataset in ("mnist", "cifar10"):
        changes += ["data.dataset=digits", "learning.model=mlp"]
    changes += [f"data.train_limit={min(120 if language else 300, data['train_limit'] or 300)}"]
    changes += [f"data.test_limit={20 if language else 60}"]
    if data["shards"]:
        changes.append(f"data.shards={min(12, data['shards'])}")
    if data["partition"]["name"] == "shards":
        changes.append("data.partition={name: iid}")
    return load_scenario(name, overrides=changes)


def built(scenario: Scenario) -> Simulation:
    """The scenario, freshly built on the CPU, with its tables in memory."""
    return Simulation(scenario=scenario, device="cpu", recorder=MemoryRecorder())


def through_the_disk(snapshot: Snapshot, folder: Path) -> Snapshot:
    """The snapshot as it comes back from a checkpoint's files."""
    write_checkpoint(folder, Checkpoint({}, "", snapshot))
    return read_checkpoint(folder).snapshot


def inside(value: object) -> Mapping[str, Any] | None:
    """What is in things that a checkpoint leaves to be built again: all of it, as far as it can be seen.

    Fails on a kind of thing that checkpoints leave out and that nobody has looked into here.
    """
    if isinstance(value, BaseModel):
        return {"values": value.model_dump(mode="json")}
    if isinstance(value, MappingProxyType):
        return {"items": dict(value)}
    if isinstance(value, (Dataset, Shards)):
        return {"parts": {name: part for name, part in vars(value).items() if not callable(part)}}
    if isinstance(value, FlatModel):
        return {name: part for name, part in sorted(vars(value).items()) if name not in ("_module", "_frozen_there")}
    if isinstance(value, partial):
        return {"arguments": list(value.args), "named": dict(value.keywords), "function": value.func}
    assert isinstance(value, NEVER_CHANGE) or callable(value), f"{type(value).__name__} is left out, whatever is in it"
    cells = getattr(value, "__closure__", None) or ()
    return {f"cell {place}": cell.cell_contents for place, cell in enumerate(cells)} if cells else None


def tables(simulation: Simulation) -> dict[str, TableBuffer]:
    """The rows that a small run has written; all of them still wait for their row group to be full."""
    return simulation.recorder._buffers


def everything(simulation: Simulation) -> Snapshot:
    """All that can be reached from a simulation and its tables, with what a checkpoint leaves out."""
    return all_of({"simulation": simulation, "tables": tables(simulation)})


def all_of(value: object) -> Snapshot:
    """All that can be reached from something, whatever checkpoints leave out of it."""
    with mock.patch.object(kinds, "AS_BUILT_ATTRIBUTES", MADE_AGAIN):
        return capture(value, beyond=inside)


def returned(scenario: Scenario, snapshot: Snapshot, folder: Path) -> Simulation:
    """A freshly built simulation, set to a snapshot that has been on the disk."""
    simulation = built(scenario)
    put_back(through_the_disk(snapshot, folder), simulation, tables(simulation))
    return simulation


def differences(one: Snapshot, other: Snapshot) -> list[str]:
    """Where two snapshots differ; empty if they are the same to the last bit."""
    found = _tree_differences(one.tree, other.tree, "")
    found += [name for name in one.columns if one.columns[name].tobytes() != other.columns[name].tobytes()]
    bits = ({name: tensor.view(torch.uint8) for name, tensor in side.tensors.items()} for side in (one, other))
    before, after = bits
    found += [name for name in before if not before[name].equal(after[name])]
    return found + (["shared memory"] if one.looks != other.looks else [])


def _tree_differences(one: Any, other: Any, path: str) -> list[str]:
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        found: list[str] = []
        for place, (left, right) in enumerate(zip(one, other, strict=True)):
            step = str(one[0]) if place == 1 and isinstance(one[0], str) else str(place)
            found += _tree_differences(left, right, f"{path}/{step}")
        return found
    same = (type(one) is type(other) and repr(one) == repr(other)) or path.endswith(CLOCKS)
    return [] if same else [f"{path}: {str(one)[:60]} != {str(other)[:60]}"]


def command(arguments: list[str], said: Path | None = None, largest_file: int | None = None) -> Any:
    """``datagora`` with these arguments in a process of its own, started; what it says goes to the file ``said``."""
    process = PROCESSES.Process(target=_main, args=(arguments, said, largest_file))
    process.start()
    return process


def _main(arguments: list[str], said: Path | None, largest_file: int | None) -> None:
    from scenarios.cli import main

    torch.set_num_threads(1)
    with open(said or os.devnull, "w") as out:
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
    if largest_file is not None:  # writing beyond it fails, as it does on a full disk
        sys.dont_write_bytecode = True  # Python would leave files of half a module for the tests that come later
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    code = main(arguments)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
