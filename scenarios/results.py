"""Reading a run folder: the tables as data frames, the resolved scenario and the run's facts, each when asked for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from learning.limits import TooLarge, check_size
from learning.parquet_files import read_table
from scenarios.recorder import INFO_FILE, SCENARIO_FILE
from scenarios.table_files import check_columns
from scenarios.tables import TABLES
from scenarios.yaml_text import MAX_BYTES, BadYaml, read_yaml

_MOST_TEXT = MAX_BYTES
"""Most bytes of a run's scenario and facts."""


class BadRun(ValueError):
    """A folder that cannot be read as a run; ``str()`` is one line."""


class Run:
    """One finished run. Tables are read on first use and kept; labels come as pandas categories."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def runs(self) -> pd.DataFrame:
        """One row: the run's key figures."""
        return self._read("runs")

    @cached_property
    def rounds(self) -> pd.DataFrame:
        """One row per closed round."""
        return self._read("rounds")

    @cached_property
    def owners(self) -> pd.DataFrame:
        """One row per recorded owner and round."""
        return self._read("owners")

    @cached_property
    def transfers(self) -> pd.DataFrame:
        """One row per posting of the ledger."""
        return self._read("transfers")

    @cached_property
    def episodes(self) -> pd.DataFrame:
        """One row per stay of an owner."""
        return self._read("episodes")

    @cached_property
    def edges(self) -> pd.DataFrame:
        """One row per use of a model in a round."""
        return self._read("edges")

    @cached_property
    def network(self) -> pd.DataFrame:
        """One row per look at the graph of personal models."""
        return self._read("network")

    @cached_property
    def events(self) -> pd.DataFrame:
        """One row per event handled."""
        return self._read("events")

    @cached_property
    def images(self) -> pd.DataFrame:
        """One row per image that was kept."""
        return self._read("images")

    @cached_property
    def scenario_text(self) -> str:
        """The resolved scenario as it was written."""
        return self._text(SCENARIO_FILE)

    @cached_property
    def scenario(self) -> dict[str, Any]:
        """The resolved scenario."""
        try:
            content = read_yaml(self.scenario_text)
        except BadYaml as problem:
            raise BadRun(f"{self.folder / SCENARIO_FILE}: {_one_line(problem)}") from None
        return self._mapping(SCENARIO_FILE, content)

    @cached_property
    def info(self) -> dict[str, Any]:
        """Versions, seed, command: how the run came about."""
        try:
            content = json.loads(self._text(INFO_FILE))
        except (ValueError, RecursionError) as problem:
            raise BadRun(f"{self.folder / INFO_FILE}: not JSON: {_one_line(problem)}") from None
        return self._mapping(INFO_FILE, content)

    def _read(self, name: str) -> pd.DataFrame:
        table = TABLES[name]
        path = self.folder / table.file_name
        try:
            check_columns(path, table.schema)
            content = read_table(path)
        except (OSError, pa.ArrowException, TooLarge) as problem:
            raise BadRun(f"{path}: cannot be read as a table: {_one_line(problem)}") from None
        missing = [column for column in table.names if column not in content.column_names]
        if missing:
            raise BadRun(f"{path}: misses the column(s) {', '.join(missing)}; written by another version?")
        frame: pd.DataFrame = content.unify_dictionaries().to_pandas()
        return frame

    def columns(self, name: str, columns: Sequence[str], filters: Any) -> pd.DataFrame:
        """Some columns of a table, only the rows that pass the ``filters`` of ``pyarrow.parquet.read_table``."""
        table = TABLES[name]
        path = self.folder / table.file_name
        try:
            check_columns(path, table.schema)
            frame: pd.DataFrame = pq.read_table(path, columns=list(columns), filters=filters).to_pandas()
        except (OSError, pa.ArrowException, TooLarge) as problem:
            raise BadRun(f"{path}: cannot be read as a table: {_one_line(problem)}") from None
        return frame

    def _text(self, name: str) -> str:
        try:
            check_size(self.folder / name, _MOST_TEXT)
            return (self.folder / name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError, TooLarge) as problem:
            raise BadRun(f"{self.folder / name}: cannot be read: {_one_line(problem)}") from None

    def _mapping(self, name: str, content: object) -> dict[str, Any]:
        if not isinstance(content, dict):
            raise BadRun(f"{self.folder / name}: expected a mapping at the top")
        return content


def open_run(folder: Path) -> Run:
    """The run in a folder; BadRun (one line) if there is none."""
    folder = Path(folder)
    if not folder.is_dir():
        raise BadRun(f"{folder}: no such folder")
    needed = (SCENARIO_FILE, INFO_FILE, *(table.file_name for table in TABLES.values()))
    missing = [name for name in needed if not (folder / name).is_file()]
    if missing:
        raise BadRun(f"{folder}: holds no complete run, {missing[0]} is missing")
    return Run(folder)


def _one_line(problem: Exception) -> str:
    return " ".join(str(problem).split())[:200]
