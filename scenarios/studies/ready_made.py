"""Study files by name: those that come with the package, and any other by its path."""

from __future__ import annotations

from pathlib import Path

from scenarios.loading import described, find_ready_made

LIBRARY = Path(__file__).parent / "library"


def library() -> dict[str, tuple[str, str]]:
    """Title and description of every ready-made study by name, in alphabetical order."""
    return described(LIBRARY)


def find_study(source: str | Path) -> Path:
    """The file that ``source`` means: a path, or the name of a ready-made study. Raises ``BadInput``."""
    return find_ready_made(source, LIBRARY, "study")
