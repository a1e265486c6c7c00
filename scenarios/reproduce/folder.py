"""A folder of results that appears complete or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from scenarios.places import check_empty, check_replaceable, check_writable
from scenarios.writing import made, named


def check_place(folder: Path, *, force: bool) -> None:
    """Raise ``FileExistsError`` if something is there already, and ``force`` was not asked.

    ``OSError`` if the folder cannot be made.
    """
    folder = Path(os.path.abspath(folder))
    check_replaceable(folder)
    check_writable(folder)
    if not force:
        check_empty(folder)


def publish(folder: Path, files: Mapping[str, bytes], *, force: bool) -> None:
    """Write the files, by name, into a hidden folder beside the final one, which then takes its name.

    Files of other names that were there stay. Raises ``FileExistsError`` as ``check_place``, ``OSError`` where
    nothing can be written; nothing is left behind then.
    """
    folder = Path(os.path.abspath(folder))
    check_place(folder, force=force)
    with (
        made(folder.parent),
        tempfile.TemporaryDirectory(prefix=f".{folder.name}.partial-", dir=folder.parent) as place,
    ):
        partial, older = Path(place) / "new", Path(place) / "old"
        partial.mkdir()
        for name, content in files.items():
            with named(folder / name):
                (partial / name).write_bytes(content)
        if folder.exists():
            for entry in folder.iterdir():
                if entry.name not in files:
                    _copy(entry, partial / entry.name)
            os.rename(folder, older)
        try:
            os.rename(partial, folder)
        except OSError:
            if older.exists():
                os.rename(older, folder)
            raise


def _copy(entry: Path, target: Path) -> None:
    if entry.is_dir() and not entry.is_symlink():
        shutil.copytree(entry, target, symlinks=True)
    else:
        shutil.copy2(entry, target, follow_symlinks=False)
