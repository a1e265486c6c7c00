"""Study files by name: those that come with the package, and any other by its path."""

from __future__ import annotations

import difflib
from pathlib import Path

from scenarios.errors import BadInput
from scenarios.loading import read_mapping

LIBRARY = Path(__file__).parent / "library"


def library() -> dict[str, tuple[str, str]]:
    """Title and description of every ready-made study by name, in alphabetical order."""
    entries = {}
    for path in sorted(LIBRARY.glob("*.yaml")):
        content = read_mapping(path)
        entries[path.stem] = (str(content.get("title", "")), " ".join(str(content.get("description", "")).split()))
    return entries


def find_study(source: str | Path) -> Path:
    """The file that ``source`` means: a path, or the name of a ready-made study. Raises ``BadInput``."""
    path, text = Path(source), str(source)
    if path.suffix in (".yaml", ".yml") or len(path.parts) != 1 or path.exists():
        return path
    ready_made = sorted(entry.stem for entry in LIBRARY.glob("*.yaml"))
    if text in ready_made:
        return LIBRARY / f"{text}.yaml"
    near = difflib.get_close_matches(text, ready_made, n=1, cutoff=0.6)
    hint = f"did you mean '{near[0]}'?" if near else f"ready-made ones: {', '.join(ready_made)}"
    raise BadInput("STUDY", "", text, problem=f"no such file or ready-made study, {hint}")
