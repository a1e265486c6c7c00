"""The table of all runs of a study: one row per run, in the order of the plan, whoever played it and when."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from learning.limits import TooLarge
from learning.parquet_files import read_table
from scenarios.studies.factors import is_number
from scenarios.studies.store import BadStudy, Store
from scenarios.tables import RUNS
from scenarios.yaml_text import write_line

_CHUNK = 1024  # runs held in memory at a time
STUDY_COLUMNS: tuple[tuple[str, Any, str], ...] = (
    ("run", pa.string(), "name of the run in this study, also of its folder"),
    ("scenario", pa.string(), "label of the scenario"),
    ("point", pa.int64(), "number of the design's point"),
    ("replication", pa.int64(), "number of the replication"),
    ("seed", pa.int64(), "root of the run's random numbers"),
    ("status", pa.string(), "done, failed or missing"),
    ("error", pa.string(), "what went wrong in a failed run"),
)
MEASURED = tuple(column for column in RUNS.columns if column.name not in ("run_id", "scenario", "title", "seed"))
"""Columns of a run's own ``runs`` table that go into the study's; null where a run is not done."""


@dataclass(frozen=True)
class Listing:
    """What the manifest of a study lists: its points, its cells, and its runs in order."""

    points: list[dict[str, Any]]
    places: list[list[float]] | None
    cells: list[tuple[str, int]]
    replications: list[int]
    runs: list[tuple[str, int]]

    @classmethod
    def of(cls, manifest: dict[str, Any]) -> Listing:
        """From a manifest that ``Store.manifest`` has checked."""
        return cls(
            manifest["points"],
            manifest["places"],
            [(label, point) for label, point in manifest["cells"]],
            manifest["replications"],
            [(run, seed) for run, seed in manifest["runs"]],
        )

    @property
    def fields(self) -> list[str]:
        """What varies between points."""
        return list(self.points[0]) if self.points else []

    def rows(self) -> Iterator[tuple[str, str, int, int, int]]:
        """Of each run: its name, its scenario, its point, its replication and its seed."""
        runs = iter(self.runs)
        for (label, point), count in zip(self.cells, self.replications, strict=True):
            for replication in range(count):
                run, seed = next(runs)
                yield run, label, point, replication, seed


def factor_column(values: Sequence[Any]) -> tuple[Any, list[Any]]:
    """The Arrow type of a factor with these values, and the values as they are written: numbers, or text as in YAML."""
    if all(isinstance(value, bool) for value in values):
        return pa.bool_(), list(values)
    if all(is_number(value) for value in values):
        whole = all(isinstance(value, int) for value in values)
        return (pa.int64(), list(values)) if whole else (pa.float64(), [float(value) for value in values])
    return pa.string(), [value if isinstance(value, str) else write_line(value) for value in values]


def factor_types(points: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The Arrow type of each field that varies between points."""
    fields = list(points[0]) if points else []
    return {field: factor_column([point[field] for point in points])[0] for field in fields}


def schema_of_runs(factors: Mapping[str, Any]) -> Any:
    """The Arrow schema of the table of runs, for factors of these types."""
    return pa.schema(
        [pa.field(name, kind, metadata={"meaning": meaning}) for name, kind, meaning in STUDY_COLUMNS]
        + [pa.field(name, kind, metadata={"meaning": "factor of the study"}) for name, kind in factors.items()]
        + [pa.field(c.name, c.arrow, metadata={"meaning": c.meaning}) for c in MEASURED]
    )


def gathered(store: Store, listing: Listing) -> Iterator[Any]:
    """The table of runs, in Arrow batches of the same schema."""
    fields = {name: factor_column([point[name] for point in listing.points]) for name in listing.fields}
    schema = schema_of_runs({name: kind for name, (kind, _) in fields.items()})
    done, failed = store.done(), store.failed()
    rows = listing.rows()
    while chunk := list(itertools.islice(rows, _CHUNK)):
        columns: dict[str, list[Any]] = {name: [] for name in schema.names}
        for run, label, point, replication, seed in chunk:
            status = "done" if run in done else "failed" if run in failed else "missing"
            error = store.error(run) if status == "failed" else None
            measured = measured_in(store, run) if status == "done" else {}
            row = (run, label, point, replication, seed, status, error)
            for (name, _, _), value in zip(STUDY_COLUMNS, row, strict=True):
                columns[name].append(value)
            for name, (_, values) in fields.items():
                columns[name].append(values[point])
            for column in MEASURED:
                columns[column.name].append(measured.get(column.name))
        yield pa.RecordBatch.from_arrays(
            [pa.array(columns[field.name], type=field.type) for field in schema], schema=schema
        )


def table_of_runs(store: Store, listing: Listing) -> bytes:
    """The table of runs as a Parquet file."""
    file, writer = io.BytesIO(), None
    for batch in gathered(store, listing):
        writer = writer or pq.ParquetWriter(file, batch.schema, version="2.6", compression="lz4")
        writer.write_batch(batch)
    assert writer is not None  # a plan has at least one run
    writer.close()
    return file.getvalue()


def measured_in(store: Store, run: str) -> dict[str, Any]:
    """The row of a finished run in its own ``runs`` table. ``BadStudy`` (one line) where it cannot be read."""
    path = store.run_folder(run) / RUNS.file_name
    try:
        rows: list[dict[str, Any]] = read_table(path).slice(0, 1).to_pylist()
        return rows[0]
    except (OSError, pa.ArrowException, TooLarge, IndexError):
        raise BadStudy(f"{path}: is damaged; remove {path.parent} and resume the batch, which plays it again") from None
