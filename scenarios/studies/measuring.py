"""Measures of a study that are totals over a table: SQL that gives one number per run, tried before a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from scenarios.errors import BadInput
from scenarios.studies.gathering import STUDY_COLUMNS, schema_of_runs
from scenarios.studies.schema import Measure, Study
from scenarios.tables import TABLES

_NUMBERS = ("BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "FLOAT", "DOUBLE", "DECIMAL")


def query(measure: Measure, source: str) -> str:
    """The SQL that gives ``run`` and the measure, one row per run, from a table of that name."""
    return f"SELECT run, {measure.value} FROM {source} GROUP BY run"


def empty_table(name: str) -> Any:
    """A table of no run, with the column ``run``."""
    return pa.schema([pa.field("run", pa.string()), *TABLES[name].schema]).empty_table()


def check_measures(study: Study, file: Path, factors: Mapping[str, Any]) -> None:
    """Try the study's SQL on empty tables. ``factors``: the Arrow type of each field that varies.

    ``BadInput`` (one line) for SQL that cannot be read or gives no single number per run, for a table whose rows are
    not kept, and for a name that is taken.
    """
    taken = {name for name, _, _ in STUDY_COLUMNS} | set(factors) | {f"{name} sd" for name in study.measure_names}
    for measure in study.measures:
        if not isinstance(measure, Measure):
            continue
        place = f"measures.{measure.name}"
        if measure.name in taken:
            raise BadInput(str(file), place, None, problem="this name is taken by a column of the tables of a study")
        if measure.table not in ("runs", *study.keep):
            raise BadInput(str(file), place, measure.table, problem="rows of this table are not kept, see keep")
        problem = _problem(measure, factors)
        if problem:
            raise BadInput(str(file), place, measure.value, problem=problem)


def _problem(measure: Measure, factors: Mapping[str, Any]) -> str:
    """What is wrong with the SQL of a measure, in one line; nothing if it is right."""
    table = schema_of_runs(factors).empty_table() if measure.table == "runs" else empty_table(measure.table)
    with duckdb.connect() as connection:
        connection.register(measure.table, table)
        try:
            types: Sequence[Any] = connection.sql(query(measure, measure.table)).types[1:]
        except duckdb.Error as problem:
            return str(problem).strip().splitlines()[0]
    if len(types) != 1 or not str(types[0]).removeprefix("U").startswith(_NUMBERS):
        return f"expected one number per run, but this is {', '.join(map(str, types))}"
    return ""
