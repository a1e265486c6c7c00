"""Choosing back-end and chunk by a short measurement, once per machine, kept in a small file.

The choice changes the last bits of a run, so it belongs into the run's record, and a resumed run reuses it instead of
measuring again. ``learning.training.choose`` is the choice that needs no measurement.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from learning.backends import EXACT, can_train
from learning.batches import LocalTraining
from learning.device import describe
from learning.local_terms import LocalTerms
from learning.memory import OutOfMemory
from learning.models import FlatModel
from learning.shards import Shards
from learning.streams import Streams
from learning.training import Choice, TrainingReport, choose, owners_that_fit, train_cohort

CHUNKS = {"cpu": (1, 2, 5, 10, 25, 50, 100), "cuda": (32, 128, 512, 2048)}
ONE_BY_ONE = ("loop", "loop_bf16")
"""Back-ends whose speed does not depend on the chunk."""
LARGEST = 2**26
"""Bytes of weights that are tried together on a CPU; its caches are smaller."""
STEPS = 5
"""SGD steps of each owner in a measurement."""
PATIENCE = 2.0
"""Seconds after which a candidate is not measured again; a slow one has shown enough at its first go."""
REPEATS = 3


def cache_file() -> Path:
    """Where choices are kept: ``calibration.json`` in ``$DATAGORA_CACHE``, else in ``~/.cache/datagora``."""
    named = os.environ.get("DATAGORA_CACHE")
    return (Path(named) if named else Path.home() / ".cache" / "datagora") / "calibration.json"


def calibrate(
    model: FlatModel,
    shards: Shards,
    plan: LocalTraining,
    device: torch.device,
    *,
    backends: Sequence[str] = EXACT,
    dtype: torch.dtype = torch.float32,
) -> Choice:
    """The fastest back-end and chunk size for a model on this machine: from the file, or measured now and filed.

    Candidates are those of ``backends`` that can train the model; add ``loop_bf16`` to allow other numerics, or
    ``compiled`` for long runs. First every back-end is tried with the static chunk size, then the fastest with
    others, on the largest of ``shards``. A candidate that lacks memory is left out.
    Raises ``UnknownName`` for a back-end that there is not, ``ValueError`` if none can train the model.
    """
    able = [name for name in backends if can_train(name, model)]
    if not able:
        raise ValueError(f"none of the back-ends {', '.join(backends)} can train the model '{model.name}'")
    machine = f"torch {torch.__version__}, {describe(device)}, {torch.get_num_threads()} threads"
    work = f"{model.name} {model.shape} {model.classes} {model.size}, batch {plan.batch_size}, {dtype}, {sorted(able)}"
    kept = _load()
    found = kept.get(machine, {}).get(work)
    if found is not None and found.backend in able:
        return found
    choice = _measured(model, shards, plan, device, able, dtype)
    kept.setdefault(machine, {})[work] = choice
    _store(kept)
    return choice


def _measured(
    model: FlatModel, shards: Shards, plan: LocalTraining, device: torch.device, able: list[str], dtype: torch.dtype
) -> Choice:
    usual = choose(model, device).chunk
    fitting = owners_that_fit(model, plan, dtype, device)
    if device.type == "cpu":
        fitting = max(1, LARGEST // (model.size * dtype.itemsize))
    base = model.initial(Streams(0)).to(device=device, dtype=dtype)

    def speed(choice: Choice) -> float:
        return _clients_per_second(choice, model, base, shards, plan)

    speeds = {choice: speed(choice) for choice in (Choice(name, usual) for name in able)}
    best = max(speeds, key=speeds.__getitem__)
    if best.backend not in ONE_BY_ONE:
        others = [chunk for chunk in CHUNKS[device.type] if chunk != usual and (fitting is None or chunk <= fitting)]
        speeds |= {choice: speed(choice) for choice in (Choice(best.backend, chunk) for chunk in others)}
    return max(speeds, key=speeds.__getitem__)


def _clients_per_second(
    choice: Choice, model: FlatModel, base: torch.Tensor, shards: Shards, plan: LocalTraining
) -> float:
    """Owners that a candidate trains per second, at best, each for the same few steps; 0 if it lacks memory."""
    # One owner after another shows its speed without a full chunk.
    owners = np.arange(min(choice.chunk, 10) if choice.backend in ONE_BY_ONE else choice.chunk)
    rows = np.argsort(-shards.sizes, kind="stable")[owners % len(shards)]
    terms = LocalTerms(steps=np.full(len(owners), STEPS))
    best, spent = 0.0, 0.0
    for go in range(REPEATS + 1):
        report = TrainingReport()
        try:
            train_cohort(
                model, base, shards, rows, shards.sizes[rows], owners, 0, plan, Streams(0), choice.backend,
                chunk=choice.chunk, terms=terms, report=report,
            )  # fmt: skip
        except OutOfMemory:
            return 0.0
        if report.halvings:
            return 0.0
        spent += report.seconds
        if go > 0 or spent > PATIENCE:  # the first go warms up
            best = max(best, report.clients_per_second)
        if spent > PATIENCE:
            break
    return best


Kept = dict[str, dict[str, Choice]]


def _load() -> Kept:
    """The filed choices by machine and work; nothing if there is no file, or none that can be understood."""
    try:
        read = json.loads(cache_file().read_text(encoding="utf-8"))
        return {
            machine: {work: Choice(str(backend), int(chunk)) for work, (backend, chunk) in choices.items()}
            for machine, choices in read.items()
        }
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _store(kept: Kept) -> None:
    """Write the file in one go, so that other processes never read half of it; a folder without access is no error."""
    path = cache_file()
    text = {machine: {work: [c.backend, c.chunk] for work, c in choices.items()} for machine, choices in kept.items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, suffix=".json", delete=False, encoding="utf-8") as file:
            json.dump(text, file, indent=1)
        os.replace(file.name, path)
    except OSError:
        return
