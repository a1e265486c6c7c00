"""From a study to the list of its runs, each with a name that says what is played: same content, same name.

The name of a run is a digest of its resolved scenario and seed, not of its place in the study. So a study that is made
larger keeps the runs that it has, and results never depend on who played them, where, or in what order.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from learning.streams import Streams
from scenarios.errors import BadInput
from scenarios.loading import check_scenario, find_scenario, read_scenario
from scenarios.schema import Scenario
from scenarios.studies.designs import Points
from scenarios.studies.gathering import factor_types
from scenarios.studies.loading import factors_of
from scenarios.studies.measuring import check_measures
from scenarios.studies.schema import Replications, Study
from scenarios.yaml_text import write_line

RUN_FORMAT = 1
"""Part of every run's name; to be raised when the same scenario gives other tables."""

MOST_RUNS = 10_000_000
_SAYS_NOTHING = ("name", "title", "description", "seed")
"""Fields of a scenario that do not change what happens, and the seed, which is digested apart."""


@dataclass(frozen=True)
class Cell:
    """One combination: a scenario, a point of the design, and the scenario that both make, as compressed JSON."""

    scenario: str
    point: int
    digest: str
    content: bytes

    def resolved(self) -> dict[str, Any]:
        """The combination's scenario, resolved, with the seed of its file."""
        content: dict[str, Any] = json.loads(zlib.decompress(self.content))
        return content


@dataclass(frozen=True)
class PlannedRun:
    """One run: its name, its cell, the number of the replication and the seed."""

    id: str
    cell: Cell
    replication: int
    seed: int


@dataclass(frozen=True)
class Plan:
    """All cells of a study, in the order of scenarios and points; ``file`` is where the study was read."""

    study: Study
    file: Path
    points: Points
    cells: tuple[Cell, ...]

    def runs(self, replications: Sequence[int]) -> Iterator[PlannedRun]:
        """The runs in order: cell by cell, so many ``replications`` of each [cells]."""
        for number, (cell, count) in enumerate(zip(self.cells, replications, strict=True)):
            for replication in range(count):
                seed = seed_of(self.study, replication, number)
                yield PlannedRun(run_id(cell.digest, seed), cell, replication, seed)

    def first_replications(self) -> list[int]:
        """How often each cell is played before anything is known [cells]."""
        wanted = self.study.replications
        return [wanted.least if isinstance(wanted, Replications) else wanted] * len(self.cells)


def seed_of(study: Study, replication: int, cell: int) -> int:
    """The seed of a replication: the same in all cells, or the cell's own (by its number) where these are independent.

    Drawn from a stream of the study's seed, so that more replications never change the first ones.
    """
    counter = 0 if study.pairing == "paired" else cell + 1
    return int(Streams(study.seed).generator("study/replication", replication, counter).integers(2**63))


def run_id(digest: str, seed: int) -> str:
    """Name of the run of a scenario (its digest) with a seed: 20 hexadecimal digits."""
    return hashlib.blake2b(f"{RUN_FORMAT}/{digest}/{seed}".encode(), digest_size=10).hexdigest()


def make_plan(study: Study, file: Path, told: Callable[[int, int], None] = lambda done, total: None) -> Plan:
    """Check every combination of a study and give its plan. ``told`` hears how many of how many cells are checked.

    Raises ``BadInput`` for a field that no scenario has, for values that a scenario refuses, for an empty design and
    for names that clash.
    """
    points = chosen_points(study, file)
    _check_clashes(study, file, points)
    check_measures(study, file, factor_types(points.values))
    first = study.replications.most if isinstance(study.replications, Replications) else study.replications
    total = len(study.scenarios) * len(points.values)
    if total * first > MOST_RUNS:
        raise BadInput(str(file), "design", None, problem=f"{total * first:,} runs, more than {MOST_RUNS:,}")
    cells: list[Cell] = []
    for label, source in study.scenarios.items():
        path = _find(source, file, label)
        content = read_scenario(path)
        for number, point in enumerate(points.values):
            told(len(cells), total)
            scenario = _checked(study, file, label, content, path, point)
            cells.append(_cell(label, number, scenario))
    _check_distinct(cells, file, points)
    _check_baseline(study, file, points)
    return Plan(study, file, points, tuple(cells))


def chosen_points(study: Study, file: Path) -> Points:
    """The points of a study's design. Raises ``BadInput`` where the factors do not suit it, or are none."""
    factors = factors_of(study, file)
    try:
        return study.chosen_design.points(factors, Streams(study.seed))
    except ValueError as problem:
        raise BadInput(str(file), "design", study.design.name, problem=str(problem)) from None


def _find(source: str, file: Path, label: str) -> Path:
    """A scenario named in a study: a file beside the study first, then a path or a ready-made name."""
    beside = file.parent / source
    if beside.suffix in (".yaml", ".yml") and beside.exists():
        return beside
    try:
        path = find_scenario(source)
    except BadInput as problem:
        raise BadInput(str(file), f"scenarios.{label}", problem.value, problem=problem.problem) from None
    if not path.exists():
        raise BadInput(str(file), f"scenarios.{label}", source, problem="no such file")
    return path


def _checked(
    study: Study, file: Path, label: str, content: dict[str, Any], path: Path, point: dict[str, Any]
) -> Scenario:
    changes = {**study.set, **point}
    overrides = [f"{field}={write_line(_anchored(value, file.parent))}" for field, value in changes.items()]
    try:
        return check_scenario(content, path, overrides=overrides)
    except BadInput as problem:
        if problem.source != "--set":
            raise
        group = "set" if _is_within(problem.field, study.set) else "design" if not study.factors else "factors"
        raise BadInput(
            str(file), f"{group}.{problem.field}", problem.value, problem.expected and f"{problem.expected} ({label})",
            problem.problem and f"{problem.problem} ({label})",
        ) from None  # fmt: skip


def _anchored(value: Any, folder: Path) -> Any:
    """A data file beside the study by its whole path, so that workers find it wherever they run."""
    is_file = isinstance(value, str) and value.endswith(".npz") and (folder / value).exists()
    return str((folder / value).resolve()) if is_file else value


def _is_within(field: str, fields: dict[str, Any]) -> bool:
    return any(field == known or field.startswith(f"{known}.") or known.startswith(f"{field}.") for known in fields)


def _cell(label: str, point: int, scenario: Scenario) -> Cell:
    content = scenario.model_dump(mode="json")
    says = {key: value for key, value in content.items() if key not in _SAYS_NOTHING}
    digest = hashlib.blake2b(json.dumps(says, sort_keys=True).encode(), digest_size=16).hexdigest()
    return Cell(label, point, digest, zlib.compress(json.dumps(content).encode()))


def _check_clashes(study: Study, file: Path, points: Points) -> None:
    """Refuse fields that are set twice or that the study sets by itself."""
    varied = list(points.values[0]) if points.values else []
    for field in (*study.set, *varied):
        if field == "seed":
            raise BadInput(str(file), field, None, problem="runs get their seeds from replications, leave this out")
        if field in ("name", "title", "description"):
            raise BadInput(str(file), field, None, problem="a scenario's own words cannot be set or varied")
        if field in COLUMNS_OF_A_STUDY:
            raise BadInput(str(file), field, None, problem="this name is taken by a column of the table of runs")
    everything = [*study.set, *varied]
    for number, field in enumerate(everything):
        for other in everything[number + 1 :]:
            if field == other or other.startswith(f"{field}.") or field.startswith(f"{other}."):
                raise BadInput(str(file), other, None, problem=f"clashes with {field}, which is set or varied too")


COLUMNS_OF_A_STUDY = ("run", "scenario", "point", "replication", "status", "error")


def _check_distinct(cells: Sequence[Cell], file: Path, points: Points) -> None:
    """Refuse two combinations that are one and the same; drawn points may meet, where factors have levels."""
    if points.places is not None:
        return
    seen: dict[str, Cell] = {}
    for cell in cells:
        other = seen.setdefault(cell.digest, cell)
        if other is not cell:
            raise BadInput(
                str(file), "design", None,
                problem=f"{cell.scenario}, point {cell.point}, plays the same as {other.scenario}, point {other.point}",
            )  # fmt: skip


def _check_baseline(study: Study, file: Path, points: Points) -> None:
    known = {"scenario": list(study.scenarios)}
    for point in points.values:
        for field, value in point.items():
            known.setdefault(field, []).append(value)
    for field, value in study.baseline.items():
        if field not in known:
            near = ", ".join(known)
            raise BadInput(str(file), f"baseline.{field}", value, problem=f"nothing that varies, known: {near}")
        if value not in known[field]:
            raise BadInput(str(file), f"baseline.{field}", value, problem="no scenario or level of this study")
