"""Short names of the levels of a factor, for pictures: what tells them apart, not all that was set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from scenarios.yaml_text import BadYaml, read_yaml

LONGEST = 36
"""Characters of a short name at most."""


def short_names(levels: Iterable[object]) -> dict[Any, str]:
    """A name for each level, no two the same: numbers as they are, mappings by what differs between them.

    Of mappings it is the value of the first key that tells all of them apart, of a mapping in it its ``name``, such as
    *qd_rdfl* for ``{mechanism: {name: qd_rdfl, ...}, budget: 9.6}``; where no key does, all that is not common to them.
    """
    known = list(dict.fromkeys(levels))
    texts = [f"{level:g}" if isinstance(level, float) else str(level) for level in known]
    read = [_as_mapping(text) for text in texts]
    names = texts
    if any(read):
        mappings = [{"name": text} if found is None else found for found, text in zip(read, texts, strict=True)]
        names = _by_one_key(mappings) or _by_what_differs(mappings)
    shortened = [name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…" for name in names]
    numbered = [f"{place}: {name}" for place, name in enumerate(shortened, 1)]
    return dict(zip(known, shortened if len(set(shortened)) == len(known) else numbered, strict=True))


def _as_mapping(text: str) -> Mapping[str, Any] | None:
    if not text.startswith("{"):
        return None
    try:
        found = read_yaml(text)
    except BadYaml:
        return None
    return found if isinstance(found, dict) else None


def _by_one_key(mappings: list[Mapping[str, Any]]) -> list[str] | None:
    for key in mappings[0]:
        if all(key in mapping for mapping in mappings):
            names = [_name(mapping[key]) for mapping in mappings]
            if len(set(names)) == len(names):
                return names
    return None


def _by_what_differs(mappings: list[Mapping[str, Any]]) -> list[str]:
    common = {
        key for key in mappings[0] if all(mapping.get(key, None) == mappings[0][key] for mapping in mappings)
    }  # fmt: skip
    told = [", ".join(f"{key} {_name(value)}" for key, value in mapping.items() if key not in common)
            for mapping in mappings]  # fmt: skip
    return [text or "nothing else" for text in told]


def _name(value: object) -> str:
    return str(value["name"]) if isinstance(value, dict) and "name" in value else str(value)
