"""Where a folder of results may go."""

from __future__ import annotations

from pathlib import Path


def check_replaceable(folder: Path) -> None:
    """Raise ``FileExistsError`` if this absolute path could not become a new folder, whatever is replaced there."""
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{folder} is a file, expected a folder")
    if folder.is_mount() or folder in (Path.cwd(), *Path.cwd().parents):
        raise FileExistsError(f"{folder} cannot be replaced as a whole, give a new folder inside it")


def check_empty(folder: Path) -> None:
    """Raise ``FileExistsError`` if a folder is there and holds anything."""
    if folder.exists() and any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty, give a new folder or use --force")
