"""Files that are complete under their name or not there at all."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Write or replace a file as a whole, safe on the disk.

    After a kill it is the old one or the new one; OSError, with its name, where it cannot be written, and nothing is
    left behind then.
    """
    write_together({path: content})


def write_together(files: Mapping[Path, bytes]) -> None:
    """Write or replace some files of one folder, each as ``write_whole`` does; none where one of them has no room."""
    partials = {path: path.with_name(f".{path.name}.partial") for path in files}
    try:
        for path, content in files.items():
            with named(path), partials[path].open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        for path, partial in partials.items():
            with named(path):
                os.replace(partial, path)
    except BaseException:
        for partial in partials.values():
            partial.unlink(missing_ok=True)
        raise
    for folder in {path.parent for path in files}:
        sync_folder(folder)


@contextmanager
def named(path: Path) -> Iterator[None]:
    """An ``OSError`` from here says that it is about ``path``, and the system's word for what is wrong.

    A full disk does not say by itself what did not fit.
    """
    try:
        yield
    except OSError as problem:
        if problem.errno is None:
            raise
        raise OSError(problem.errno, os.strerror(problem.errno), str(path)) from None


@contextmanager
def made(folder: Path) -> Iterator[Path]:
    """A folder, made with those above it where they are missing; after an error the new ones go, if they are empty."""
    new = missing_folders(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
    except BaseException:
        remove_empty(new)
        raise


def missing_folders(folder: Path) -> list[Path]:
    """Of a folder and those above it the ones that are not there, outermost first."""
    return [place for place in (folder, *folder.parents) if not place.exists()][::-1]


def remove_empty(folders: list[Path]) -> None:
    """Remove folders, innermost (last) first, up to one that is not empty."""
    for place in reversed(folders):
        try:
            place.rmdir()
        except FileNotFoundError:
            continue  # making it has failed
        except OSError:
            return  # somebody else uses it by now


def sync_folder(folder: Path) -> None:
    """Make sure that the names in a folder survive a loss of power, where the system lets one ask for it."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
