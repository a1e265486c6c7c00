"""Reading a study: the table of its runs at hand, the tables of all runs as lazy DuckDB relations."""

from __future__ import annotations

import io
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa

from learning.columns import FloatColumn
from learning.limits import TooLarge
from learning.parquet_files import read_table
from scenarios.results import BadRun, Run, open_run
from scenarios.studies.gathering import Listing, factor_column, table_of_runs
from scenarios.studies.measuring import empty_table, query
from scenarios.studies.schema import Measure, Study
from scenarios.studies.store import RUNS_FILE, STUDY_FILE, BadStudy, Store
from scenarios.tables import TABLES
from scenarios.yaml_text import BadYaml, read_yaml


class StudyResults:
    """One study, finished or not. ``BadRun`` (one line) where the folder holds none or is damaged."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(folder)
        self.folder = self.store.folder
        if not self.folder.is_dir():
            raise BadRun(f"{self.folder}: no such folder")
        try:
            self.listing = Listing.of(self.store.manifest())
            self.study = Study.model_validate(read_yaml((self.folder / STUDY_FILE).read_text(encoding="utf-8")))
        except BadStudy as problem:
            raise BadRun(str(problem)) from None
        except (OSError, BadYaml, ValueError, KeyError) as problem:
            raise BadRun(f"{self.folder / STUDY_FILE}: cannot be read: {' '.join(str(problem).split())}") from None
        self._connection = duckdb.connect()
        self._views: set[str] = set()

    @property
    def fields(self) -> list[str]:
        """What varies: ``scenario`` if there are several, then the fields of the design, in its order."""
        return ["scenario"] * (len(self.study.scenarios) > 1) + self.listing.fields

    @property
    def places(self) -> FloatColumn | None:
        """Places of drawn points in the unit cube [points, factors]; None for a grid or list."""
        return None if self.listing.places is None else np.array(self.listing.places)

    def baseline(self, field: str) -> Any:
        """What differences in a field that varies are taken to, as it stands in the tables: the study's baseline, or
        the first scenario or level of the design."""
        chosen = self.study.baseline
        if field == "scenario":
            return chosen.get(field, next(iter(self.study.scenarios)))
        values = [point[field] for point in self.listing.points]
        _, written = factor_column(values)
        return written[values.index(chosen[field]) if field in chosen else 0]

    @cached_property
    def runs(self) -> pd.DataFrame:
        """One row per planned run: what varies, ``status``, ``error``, and its key figures where it is done."""
        path = self.folder / RUNS_FILE
        try:
            file = path if path.exists() else io.BytesIO(table_of_runs(self.store, self.listing))
            frame: pd.DataFrame = read_table(file).to_pandas()
        except BadStudy as problem:
            raise BadRun(str(problem)) from None
        except (OSError, pa.ArrowException, TooLarge) as problem:
            raise BadRun(f"{path}: cannot be read as a table: {' '.join(str(problem).split())}") from None
        return frame

    @cached_property
    def measures(self) -> pd.DataFrame:
        """One row per finished run: run, what varies, point, replication, and the study's measures."""
        runs = self.runs[self.runs["status"] == "done"]
        named = [measure for measure in self.study.measures if isinstance(measure, str)]
        kept = list(dict.fromkeys(["run", "scenario", *self.listing.fields, "point", "replication", *named]))
        frame = runs[kept].reset_index(drop=True)
        for measure in self.study.measures:
            if isinstance(measure, Measure):
                frame[measure.name] = frame["run"].map(self._measured(measure)).astype("float64")
        for name in named:
            frame[name] = frame[name].astype("float64")
        return frame

    def run(self, name: str) -> Run:
        """One finished run; ``BadRun`` if it is not there."""
        return open_run(self.store.run_folder(name))

    def table(self, name: str) -> duckdb.DuckDBPyRelation:
        """A table of all finished runs, with the column ``run``, read when it is used; KeyError for an unknown one.

        Rows come in the order of the plan. ``.df()`` makes it a pandas frame, ``.filter("round = 3")`` narrows it.
        """
        return self._connection.sql(f"SELECT * FROM {self._view(name)}")

    def sql(self, query: str) -> duckdb.DuckDBPyRelation:
        """Any SQL over the tables: ``runs`` is the study's own, ``rounds``, ``owners`` ... are those of its runs."""
        self._connection.register("runs", self.runs)
        for name in TABLES:
            if name != "runs":
                self._view(name)
        return self._connection.sql(query)

    def _view(self, name: str) -> str:
        """The view of a table, made when first asked for."""
        if name == "runs":
            self._connection.register("runs", self.runs)
            return name
        table = TABLES[name]
        if name in self._views:
            return name
        self._views.add(name)
        done = self.store.done()
        ids = dict.fromkeys(run for run, _ in self.listing.runs if run in done)
        files = [str(self.store.run_folder(run) / table.file_name) for run in ids]
        if not files:
            self._connection.register(name, empty_table(name))
            return name
        relation = self._connection.read_parquet(files, filename=True)
        columns = ", ".join(f'"{column}"' for column in table.names)
        relation.project(f"parse_filename(parse_dirpath(filename)) AS run, {columns}").create_view(name)
        return name

    def _measured(self, measure: Measure) -> dict[str, Any]:
        """A number per run, by SQL over one of its tables."""
        source = self._view(measure.table)
        try:
            rows = self._connection.execute(query(measure, source)).fetchall()
        except duckdb.Error as problem:
            line = str(problem).strip().splitlines()[0]
            raise BadRun(f"measure {measure.name}: {line}") from None
        return dict(rows)
