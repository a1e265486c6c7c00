"""From worlds to payoffs: their study is played into a folder and read; tables are written beside the runs."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic

import pandas as pd

from scenarios.results import BadRun
from scenarios.studies import open_study
from scenarios.studies.command import INTERRUPTED, Voice, play_study
from scenarios.studies.progress import Standing
from scenarios.studies.schema import Study
from scenarios.studies.store import Store
from scenarios.tournament.payoffs import AnyWorld, Payoffs, gather
from scenarios.tournament.worlds import Market
from scenarios.writing import made

TABLES = "tables"


@dataclass(frozen=True)
class Playing:
    """How a study is played: into which folder, by how many workers, what is told."""

    store: Store
    workers: int | None = None
    resume: bool = False
    voice: Voice = "normal"


@dataclass(frozen=True)
class Played(Generic[AnyWorld]):
    """The exit code as of a batch, and the payoffs, None where the study was interrupted or runs of it failed."""

    code: int
    payoffs: Payoffs[AnyWorld] | None


def play_worlds(study: Study, markets: Sequence[Market], worlds: Sequence[AnyWorld], how: Playing) -> Played[AnyWorld]:
    """Play the study that ``make_study`` made of these worlds in these markets, and gather what everybody earned."""
    code = play_study(
        study, Path(study.name), how.store, workers=how.workers, resume=how.resume, voice=how.voice,
        told_end=_say_nothing,
    )  # fmt: skip
    if code == INTERRUPTED:
        return Played(code, None)
    try:
        return Played(code, gather(open_study(how.store.folder), markets, worlds))
    except BadRun as problem:
        print(problem, file=sys.stderr)
        return Played(code or 1, None)


def write_tables(store: Store, tables: Mapping[str, pd.DataFrame]) -> None:
    """Write each table as CSV below ``tables``; the same runs give the same bytes."""
    with made(store.folder / TABLES):
        for name, table in tables.items():
            text = table.to_csv(index=False, float_format="%.10g", lineterminator="\n")
            store.write(f"{TABLES}/{name}.csv", text.encode())


def _say_nothing(standing: Standing, store: Store, voice: Voice) -> None:
    """The end of the batch is not the end of the command: that prints tables of its own."""
