"""One checkpoint on disk: a folder of JSON, npz and safetensors files, complete under its name or not there at all.

=======================  ============================================================================================
file                     what is in it
=======================  ============================================================================================
``manifest.json``        where the run stands, versions, and size and SHA-256 of every other file and of itself
``scenario.yaml``        the resolved scenario, from which everything is built again
``state.json``           the tree of ``scenarios.checkpoints.capturing``
``columns.npz``          NumPy columns, uncompressed
``tensors.safetensors``  tensors
=======================  ============================================================================================

Nothing in these files is ever executed: no pickle, and sizes are checked before memory is taken.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors import torch as safetensors
from torch import Tensor

from scenarios.checkpoints.capturing import Snapshot
from scenarios.checkpoints.kinds import BadCheckpoint
from scenarios.writing import sync_folder

MANIFEST, SCENARIO, STATE = "manifest.json", "scenario.yaml", "state.json"
COLUMNS, TENSORS = "columns.npz", "tensors.safetensors"
FORMAT = 1

LIMITS = {MANIFEST: 2**20, SCENARIO: 2**24, STATE: 2**29, COLUMNS: 2**37, TENSORS: 2**38}
"""Most bytes of each file that are read."""


@dataclass(frozen=True)
class Checkpoint:
    """What one checkpoint holds; ``facts`` are JSON data, ``scenario`` is YAML."""

    facts: dict[str, Any]
    scenario: str
    snapshot: Snapshot


def write_checkpoint(place: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint to a new folder. OSError if it cannot be written; nothing of it is left then."""
    snapshot = checkpoint.snapshot
    partial = place.with_name(f".{place.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir()
        sums = {
            SCENARIO: _write(partial / SCENARIO, checkpoint.scenario.encode()),
            STATE: _write(partial / STATE, json.dumps([snapshot.tree, snapshot.looks], separators=(",", ":")).encode()),
            COLUMNS: _write_columns(partial / COLUMNS, snapshot.columns),
            TENSORS: _write_tensors(partial / TENSORS, snapshot.tensors),
        }
        facts = {**checkpoint.facts, "format": FORMAT, "files": sums}
        facts["sha256"] = _digest(facts)
        _write(partial / MANIFEST, json.dumps(facts, indent=1, sort_keys=True).encode())
        sync_folder(partial)
        if place.exists():
            shutil.rmtree(place)
        os.rename(partial, place)
        sync_folder(place.parent)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def read_facts(place: Path) -> dict[str, Any]:
    """The manifest of a checkpoint. Raises ``BadCheckpoint`` if it is not whole, or of another format."""
    path = _file(place, MANIFEST)
    try:
        facts = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        raise BadCheckpoint(f"{MANIFEST} is not JSON") from None
    if not isinstance(facts, dict) or facts.get("sha256") != _digest(facts):
        raise BadCheckpoint(f"the checksum of {MANIFEST} is wrong")
    if facts.get("format") != FORMAT:
        raise BadCheckpoint(f"it has format {facts.get('format')}, this version reads {FORMAT}")
    return facts


def read_checkpoint(place: Path) -> Checkpoint:
    """A checkpoint, every file of it checked. Raises ``BadCheckpoint``."""
    facts = read_facts(place)
    try:
        sums = {name: facts["files"][name] for name in LIMITS if name != MANIFEST}
    except (KeyError, TypeError):
        raise BadCheckpoint(f"{MANIFEST} does not list its files") from None
    for name, told in sums.items():
        path = _file(place, name)
        if not isinstance(told, dict) or told.get("bytes") != path.stat().st_size or _sum(path) != told:
            raise BadCheckpoint(f"the checksum of {name} is wrong")
    try:
        tree, looks = json.loads((place / STATE).read_bytes())
        tensors = safetensors.load_file(place / TENSORS)
        columns = read_columns(place / COLUMNS)
        return Checkpoint(facts, (place / SCENARIO).read_text("utf-8"), Snapshot(tree, columns, tensors, looks))
    except (KeyError, TypeError, ValueError, OSError, RecursionError, SafetensorError, zipfile.BadZipFile) as problem:
        said = " ".join(str(problem).split())[:120]
        raise BadCheckpoint(f"its files cannot be read ({type(problem).__name__}: {said})") from None


def _write(path: Path, content: bytes) -> dict[str, Any]:
    with path.open("wb") as file:
        file.write(content)
    return _safe(path)


def _write_columns(path: Path, columns: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, column in columns.items():
            member = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            with archive.open(member, "w", force_zip64=True) as file:
                np.lib.format.write_array(file, column, allow_pickle=False)
    return _safe(path)


def _write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    try:
        safetensors.save_file(dict(tensors), path)
    except SafetensorError as problem:  # what the system refused comes as text
        refused = re.search(r"\(os error (\d+)\)", str(problem))
        if refused is None:
            raise
        number = int(refused[1])
        raise OSError(number, os.strerror(number), str(path)) from None
    return _safe(path)


def _safe(path: Path) -> dict[str, Any]:
    """Size and checksum of a file, once it is on the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
    return _sum(path)


def _sum(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {"bytes": os.fstat(file.fileno()).st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def read_columns(path: Path) -> dict[str, NDArray[Any]]:
    """The columns of an npz file; ValueError for compressed ones, for objects and for sizes that are not true."""
    found: dict[str, NDArray[Any]] = {}
    with zipfile.ZipFile(path) as archive:
        if sum(member.file_size for member in archive.infolist()) > path.stat().st_size:
            raise ValueError("columns share their bytes")
        for member in archive.infolist():
            if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
                raise ValueError(f"the column {member.filename} is compressed")
            with archive.open(member) as file:
                version = np.lib.format.read_magic(file)
                header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
                shape, _, kind = header[version](file)
                if kind.hasobject or file.tell() + math.prod(shape) * kind.itemsize != member.file_size:
                    raise ValueError(f"the column {member.filename} is not what it says")
            with archive.open(member) as file:
                found[member.filename.removesuffix(".npy")] = np.lib.format.read_array(file, allow_pickle=False)
    return found


def _file(place: Path, name: str) -> Path:
    """A file of a checkpoint that is not too large."""
    path = place / name
    try:
        if path.is_symlink() or not path.is_file():
            raise BadCheckpoint(f"{name} is missing")
        if path.stat().st_size > LIMITS[name]:
            raise BadCheckpoint(f"{name} is larger than {LIMITS[name]} bytes")
    except OSError as problem:
        raise BadCheckpoint(f"{name} cannot be read ({problem.strerror})") from None
    return path


def _digest(facts: Mapping[str, Any]) -> str:
    """SHA-256 of a manifest without its own."""
    plain = {name: fact for name, fact in facts.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
