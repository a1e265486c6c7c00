"""``datagora reproduce``: the studies of one system, one after the other, into a folder and onto the terminal."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from learning.registry import UnknownName
from scenarios.errors import BadInput
from scenarios.reproduce.folder import check_place, publish
from scenarios.reproduce.study import Options, Study


def reproduce(name: str, *, dataset: str, quick: bool, out: Path | None, force: bool) -> Path | None:
    """Play all studies of a system and return the folder of tables, pictures and the page; None when interrupted.

    Nothing is written before everything is there. Raises ``BadInput`` for anything wrong with what was asked,
    ``OSError`` where the folder cannot be written.
    """
    from scenarios.reproduce import find_system

    try:
        system = find_system(name)
    except UnknownName as unknown:
        raise BadInput("SYSTEM", "", None, problem=str(unknown)) from None
    _check_dataset(dataset)
    folder = out or Path("runs") / f"reproduce-{name.replace('_', '-')}-{Path(dataset).stem}{'-quick' * quick}"
    try:
        check_place(folder, force=force)
    except FileExistsError as problem:
        raise BadInput("--out", "", None, problem=str(problem)) from None

    from scenarios.reproduce.page import PAGE, page, png

    options, studies = Options(dataset, quick), []
    try:
        for play in system.studies:
            started = time.perf_counter()
            study = play(options)
            _tell(study, time.perf_counter() - started)
            studies.append(study)
    except KeyboardInterrupt:
        print("interrupted, nothing was kept", file=sys.stderr)
        return None
    pictures = {study.name: png(study.figure) for study in studies}
    files = {f"{study.name}.csv": study.as_csv().encode() for study in studies}
    files |= {f"{study.name}.png": picture for study, picture in zip(studies, pictures.values(), strict=True)}
    files[PAGE] = page(system, options, studies, pictures).encode()
    publish(folder, files, force=force)
    print(folder / PAGE)
    return folder


def _check_dataset(name: str) -> None:
    """Raise ``BadInput`` unless the data can be loaded."""
    from learning.data import BadData, load_dataset

    try:
        load_dataset(name)
    except UnknownName as unknown:
        raise BadInput("--dataset", "", None, problem=str(unknown)) from None
    except BadData as problem:
        raise BadInput("--dataset", "", None, problem=str(problem)) from None


def _tell(study: Study, seconds: float) -> None:
    """One line per judged row on standard output and how many others there are; the time and warnings beside."""
    print(f"{study.title}: {seconds:.1f} s", file=sys.stderr)
    for warning in study.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    rows = [study.cells(row, 4) for row in study.rows if row.verdict.word != "not comparable"]
    others = len(study.rows) - len(rows)
    shown = [*study.columns, "found", "sd", "published", "gap"]
    widths = [max(len(cell) for cell in column) for column in zip(shown, *(r[:-2] for r in rows), strict=True)]
    print(f"\n{study.title}")
    for *cells, word, why in [[*shown, "verdict", ""], *rows] if rows else []:
        # Numbers to the right; what they are to the left.
        left = len(study.columns)
        padded = [c.ljust(w) if i < left else c.rjust(w) for i, (c, w) in enumerate(zip(cells, widths, strict=True))]
        print("  ".join([*padded, f"{word}: {why}" if why else word]))
    if others:
        print(f"not comparable: {others} rows, in {study.name}.csv")
