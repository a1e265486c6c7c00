"""Named things that a scenario can ask for: one small table per kind, with descriptions and near-name suggestions."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from typing import Generic, TypeVar

Entry = TypeVar("Entry")


def _origin(entry: object) -> tuple[str, str]:
    """Where a class or function was written."""
    return getattr(entry, "__module__", ""), getattr(entry, "__qualname__", repr(entry))


class UnknownName(KeyError):
    """A name that no registry entry has. ``str()`` of it is one readable line."""

    def __init__(self, kind: str, name: str, known: list[str]) -> None:
        super().__init__(kind, name, known)
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
        hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(known)}"
        self.line = f"unknown {kind} '{name}', {hint}"

    def __str__(self) -> str:
        return self.line


class Registry(Mapping[str, Entry], Generic[Entry]):
    """Read-only for users, filled at import by the ``register`` decorator; iterates in order of registration."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, Entry] = {}

    def register(self, name: str) -> Callable[[Entry], Entry]:
        """Decorator that files an entry under ``name``.

        A name can be taken only once, except by a new version of the same thing (a notebook cell that runs again).
        """

        def keep(entry: Entry) -> Entry:
            if name in self._entries and _origin(self._entries[name]) != _origin(entry):
                raise ValueError(f"{self.kind} '{name}' is registered twice")
            self._entries[name] = entry
            return entry

        return keep

    def __getitem__(self, name: str) -> Entry:
        try:
            return self._entries[name]
        except KeyError:
            raise UnknownName(self.kind, name, list(self._entries)) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def description(self, name: str) -> str:
        """First line of the entry's docstring."""
        lines = (self[name].__doc__ or "").strip().splitlines()
        return lines[0] if lines else ""
