"""A recorder whose run can be gone on with after its process was killed."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scenarios.buffers import TableBuffer
from scenarios.checkpoints.places import ORIGIN, ROWS, windows_kept
from scenarios.checkpoints.rows import Marks, RowLogs
from scenarios.recorder import CHECKPOINTS, Recorder


class KeptRecorder(Recorder):
    """Writes full row groups to logs, and makes Parquet files of them when the run is over.

    ``partial``: the hidden folder of the run to go on with, None for a new one; otherwise as ``Recorder``.
    """

    def __init__(self, folder: Path, *, force: bool = False, partial: Path | None = None) -> None:
        self._given = partial
        self._logs: RowLogs | None = None
        super().__init__(folder, force=force)
        self._logs = RowLogs(self.partial / CHECKPOINTS / ROWS)

    @property
    def partial(self) -> Path:
        """The hidden folder that everything goes to until the run is over."""
        return self._partial

    @property
    def buffers(self) -> dict[str, TableBuffer]:
        """The rows that wait for their row group to be full, by table; part of a checkpoint."""
        return self._buffers

    def marks(self) -> Marks:
        """How far the logs reach, once that is safe on the disk."""
        assert self._logs is not None
        return self._logs.marks()

    def go_back(self, marks: Marks) -> None:
        """Drop the row groups behind these marks."""
        assert self._logs is not None
        self._logs.cut(marks)

    def take_over(self, other: Path, marks: Marks) -> None:
        """Begin with the row groups of another run up to these marks; ``other`` is its folder."""
        assert self._logs is not None
        self._logs.close()
        for log in (other / CHECKPOINTS / ROWS).glob("*.arrows"):
            shutil.copyfile(log, self.partial / CHECKPOINTS / ROWS / log.name)
        self._logs.cut(marks)

    def close(self, resolved_scenario: str, info: Mapping[str, Any]) -> Path:
        """As ``Recorder.close``; checkpoints stay in the folder ``checkpoints``."""
        assert self._logs is not None
        logs, self._logs = self._logs, None  # from here on rows go to the Parquet files
        for name in self._buffers:
            for rows in logs.read(name):
                super()._keep(name, rows)
        logs.close()
        if not (self._partial / CHECKPOINTS / ORIGIN).exists():
            shutil.rmtree(self._partial / CHECKPOINTS)  # nobody asked for checkpoints: the logs were a means
        return super().close(resolved_scenario, info)

    def abort(self) -> None:
        """Stop here. Everything is left for a later return, if there can be one; else as ``Recorder.abort``."""
        if not self._open:
            return
        if self._logs is not None:
            self._logs.close()
        if self._given is None and not windows_kept(self._partial):
            super().abort()
            return
        self._open = False
        self._drop_writers()

    def _make_partial(self) -> Path:
        return super()._make_partial() if self._given is None else self._given

    def _keep(self, table: str, rows: Any) -> None:
        if self._logs is None:
            super()._keep(table, rows)
        else:
            self._logs.append(table, rows)
