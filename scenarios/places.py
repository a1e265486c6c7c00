"""Where a folder of results may go."""

from __future__ import annotations

import errno
import os
from pathlib import Path


def check_replaceable(folder: Path) -> None:
    """Raise ``FileExistsError`` if this absolute path could not become a new folder, whatever is replaced there."""
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{folder} is a file, expected a folder")
    if folder.is_mount() or folder in (Path.cwd(), *Path.cwd().parents):
        raise FileExistsError(f"{folder} cannot be replaced as a whole, give a new folder inside it")


def check_writable(folder: Path) -> None:
    """Raise ``OSError`` if nobody could make this absolute folder: told at once, not when hours have been played."""
    above = next(place for place in (folder, *folder.parents) if place.exists())
    if not above.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(above))
    if not os.access(above, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(above))


def check_empty(folder: Path) -> None:
    """Raise ``FileExistsError`` if a folder is there and holds anything."""
    if folder.exists() and any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty, give a new folder or use --force")
