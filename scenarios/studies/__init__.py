"""Studies: many runs of scenarios under a design, played to the end whatever happens, and read with honest statistics.

``open_study`` reads a folder of results; ``datagora batch`` makes one.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scenarios.studies.results import StudyResults

__all__ = ["open_study"]


def open_study(folder: str | Path) -> StudyResults:
    """The study in a folder, finished or not; ``BadRun`` (one line) if there is none. See ``StudyResults``."""
    from scenarios.studies.results import StudyResults  # worker processes import this package for other things

    return StudyResults(Path(folder))
