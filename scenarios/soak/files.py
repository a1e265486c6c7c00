"""Spoiled files: whatever is done to a scenario, a study, an instance or a trace, it is taken or refused in a line."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from scenarios.errors import BadInput
from scenarios.soak.dice import Dice
from scenarios.soak.spoiling import as_json, as_yaml, broken, spoiled
from scenarios.soak.trial import Verdict, where

GOOD = 0
BAD_INPUT = 2
LAW = "one_line"
_MOST_CELLS = 500  # of a study, each of which is checked as a scenario
INSTANCES: dict[str, dict[str, Any]] = {
    "qd-rdfl": {
        "quality": [0.9, 1.0, 0.4],
        "revenue_sensitivity": 5.0,
        "reward_total": 2.0,
        "computing_centers": {"compute_cost_factor": [0.2, 0.4, 0.6], "unit_compute_cost": 1, "solver": "equilibrium"},
    },
    "ipfl": {
        "gain_scale": [400000, 500000, 300000, 0],
        "data_size": [4000, 6000, 3000, 5000],
        "sharing_cost": [0.8, 1.2, None, 0],
        "model_distance": [[0.0, 0.1, 0.2, 1.0], [0.1, 0.0, 0.3, 0.9], [0.2, 0.3, 0.0, 0.3], [1.0, 0.9, 0.3, 0.0]],
        "dissimilarity_penalty": 2,
        "payment_rule": "ipfl",
    },
    "cocogen": {
        "data_size": [3000, 1500, 800],
        "emd": [0.6, 1.1, 1.5],
        "profitability": [2000, 1500, 1200],
        "unit_cost": [0.03, 0.024, 0.036],
        "quadratic_cost": 0,
        "synthetic_volume_cap": 4000,
        "redistribution_rate": 0.05,
        "synthetic_quality": 0.8,
        "volume_scale": 0.847,
        "volume_exponent": 0.209,
        "emd_penalty": 0.063,
        "personal_gain": 0.05,
        "competition_model": "relative",
        "competition_intensity": [[0.0, 0.03, 0.01], [0.03, 0.0, 0.02], [0.01, 0.02, 0.0]],
    },
    "privacy-auction": {
        "rule": "pac",
        "valuation": [0.1, 0.2, 0.3, 0.4],
        "privacy_budget": [2, 0.4, 1.5, 3],
        "data_size": None,
        "budget": 1,
    },
}
"""One good instance of each published system, to be spoiled."""

TRACE = "arrive,leave\n0,50\n10.5,\n30,200\n"


@dataclass(frozen=True)
class SpoiledFile:
    """A file's bytes, what it was before, and its name's ending. ``task``: what is asked of it, for instances."""

    kind: str
    suffix: str
    raw: bytes
    task: str = ""


def spoiled_file(seed: int, number: int) -> SpoiledFile:
    """The file with this number of the fuzzing with this seed; always the same."""
    dice = Dice(seed, number)
    kind = dice.one_of(["scenario", "scenario", "study", "trace", *INSTANCES])
    if kind in INSTANCES:
        content: Any = dict(INSTANCES[kind])
        if kind == "privacy-auction":
            content["rule"] = dice.one_of(["pac", "mfg_pricing", "first_best", "mfg_regretnet", "regretnet"])
        raw = broken(dice, as_json(spoiled(dice, content)))
        return SpoiledFile(kind, ".json", raw, dice.one_of(["solve", "check"]))
    if kind == "trace":
        rows = [row.split(",") for row in TRACE.splitlines()]
        text = "\n".join(",".join(map(str, row)) for row in _rows(spoiled(dice, rows)))
        return SpoiledFile(kind, ".csv", broken(dice, text.encode("utf-8", "surrogatepass")))
    ready_made = _scenarios() if kind == "scenario" else _studies()
    return SpoiledFile(kind, ".yaml", broken(dice, as_yaml(spoiled(dice, dice.one_of(ready_made)))))


def _rows(content: Any) -> list[list[Any]]:
    return [row if isinstance(row, list) else [row] for row in content] if isinstance(content, list) else [[content]]


@cache
def _scenarios() -> list[dict[str, Any]]:
    """The ready-made scenarios as they are written, but for a few owners, samples and rounds."""
    from scenarios.loading import LIBRARY, read_mapping

    return [_small(read_mapping(path)) for path in sorted(LIBRARY.glob("*.yaml")) if "finance" not in path.stem]


def _small(content: dict[str, Any]) -> dict[str, Any]:
    data = {**content.get("data", {}), "train_limit": 120, "test_limit": 20}
    if data.get("dataset") not in (None, "digits"):
        data["dataset"] = "digits"
    data.pop("shards", None)
    population = {**content.get("population", {}), "initial": 4}
    learning = {**content.get("learning", {}), "model": "softmax"}
    return {**content, "horizon": 1, "data": data, "population": population, "learning": learning}


@cache
def _studies() -> list[dict[str, Any]]:
    from scenarios.loading import read_mapping
    from scenarios.studies.ready_made import LIBRARY

    return [read_mapping(path) for path in sorted(LIBRARY.glob("*.yaml"))]


def try_file(file: SpoiledFile) -> Verdict:
    """Read a file as the commands do. It is broken law to do anything but succeed, or refuse it in one line."""
    with tempfile.TemporaryDirectory(prefix="datagora-soak-") as folder:
        place = Path(folder) / f"spoiled{file.suffix}"
        place.write_bytes(file.raw)
        said, answered = io.StringIO(), io.StringIO()
        try:
            with warnings.catch_warnings(), contextlib.redirect_stderr(said), contextlib.redirect_stdout(answered):
                warnings.simplefilter("always")
                code = _READERS.get(file.kind, _instance)(file, place)
        except BaseException as error:  # whatever it is, a user would see it
            return Verdict("no_crash" if isinstance(error, Exception) else LAW, f"{file.kind}: {where(error)}")
        left = sorted(entry.name for entry in Path(folder).iterdir() if entry != place)
    lines = said.getvalue().splitlines()
    if code not in (GOOD, BAD_INPUT):
        return Verdict(LAW, f"{file.kind}: exit code {code}")
    if len(lines) != (code == BAD_INPUT):
        return Verdict(LAW, f"{file.kind}: exit code {code} and {len(lines)} lines: {' / '.join(lines)[:200]}")
    if code == BAD_INPUT and left:
        return Verdict(LAW, f"{file.kind}: refused, yet it wrote {', '.join(left)}")
    verdict = Verdict()
    verdict.seen[f"event {file.kind} {'refused' if code else 'taken'}"] += 1
    return verdict


def _scenario(file: SpoiledFile, place: Path) -> int:
    """Checked; and played, if it still is a small market."""
    from scenarios.cli import main
    from scenarios.loading import load_scenario

    code = _refused(lambda: load_scenario(place))
    if code == GOOD and is_small(load_scenario(place)):
        return main(["run", str(place), "--out", str(place.parent / "out"), "--device", "cpu", "-q"])
    return code


def is_small(scenario: Any) -> bool:
    """Whether a scenario is played in a few seconds."""
    population, data, learning = scenario.population, scenario.data, scenario.learning
    coming = population.arrival_rate * scenario.horizon + sum(len(one.params) * 100 for one in population.arrivals)
    return bool(
        max(population.initial, scenario.horizon, scenario.centers.count, learning.epochs) <= 12
        and (data.shards or 0) <= 100
        and coming <= 20
        and population.departure_rate <= 10
        and (data.train_limit or 10**9) <= 300
        and data.dataset == "digits"
        and learning.model == "softmax"
        and not any(one.name == "sybil" for one in population.strategies)
        and learning.threads == 1
        and learning.generation is None
        and os.sep not in str(learning.model)
    )


def _study(file: SpoiledFile, place: Path) -> int:
    from scenarios.studies.loading import load_study
    from scenarios.studies.planning import chosen_points, make_plan

    def planned() -> None:
        study, path = load_study(place)
        if len(study.scenarios) * len(chosen_points(study, path).values) <= _MOST_CELLS:
            make_plan(study, path)

    return _refused(planned)


def _trace(file: SpoiledFile, place: Path) -> int:
    from scenarios.cli import main

    changes = [f"population.arrivals=[{{name: trace, file: {place}, leave: leave}}]", "horizon=1"]
    changes += ["population.initial=2", "data.train_limit=300", "data.test_limit=20"]
    options = [part for change in changes for part in ("--set", change)]
    return main(["run", "quickstart", *options, "--out", str(place.parent / "out"), "--device", "cpu", "-q"])


def _instance(file: SpoiledFile, place: Path) -> int:
    from scenarios.cli import main

    return main([file.task, file.kind, str(place)])


def _refused(read: Callable[[], Any]) -> int:
    """Exit code of reading something in this process; its line is printed as the command does."""
    import sys

    try:
        read()
    except BadInput as problem:
        sys.stderr.write(f"{problem}\n")
        return BAD_INPUT
    return GOOD


_READERS: dict[str, Callable[[SpoiledFile, Path], int]] = {"scenario": _scenario, "study": _study, "trace": _trace}
