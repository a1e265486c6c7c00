"""Make what fails small: leave out one part after another as long as the same law is broken."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from typing import Any

Content = dict[str, Any]
Place = tuple[str | int, ...]

_KEPT = frozenset({"name", "seed", "kind"})
_DEEP = 3


def shrunk(content: Content, still_fails: Callable[[Content], bool], seconds: float = 60.0) -> Content:
    """The content with as few parts as was found within so many seconds; the whole of it may come back."""
    end = time.monotonic() + seconds
    small, changed = content, True
    while changed:
        changed = False
        for place in list(places(small)):
            if time.monotonic() > end:
                return small
            smaller = without(small, place)
            if smaller is not None and still_fails(smaller):
                small, changed = smaller, True
    return small


def places(content: Any, above: Place = ()) -> Iterator[Place]:
    """Where parts stand: first whole branches, then what is in them, to a depth of three."""
    inner = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    entries = [(key, part) for key, part in inner if key not in _KEPT]
    # From the end of a list, so that the places of the others stay as they are.
    yield from ((*above, key) for key, _ in reversed(entries))
    if len(above) < _DEEP:
        for key, part in entries:
            yield from places(part, (*above, key))


def without(content: Content, place: Place) -> Content | None:
    """A copy without what stands at a place; None if nothing does any more."""
    found = copy.deepcopy(content)
    part: Any = found
    try:
        for step in place[:-1]:
            part = part[step]
        del part[place[-1]]
    except (KeyError, IndexError, TypeError):
        return None
    return found
