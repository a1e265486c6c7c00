"""The first thing that is wrong with a scenario's content, said in the words of the file that the user wrote."""

from __future__ import annotations

import difflib
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

Path = tuple[str | int, ...]


class Problem(NamedTuple):
    """Where it is, what stands there (None: nothing), and either what is expected or what is wrong."""

    field: Path
    value: Any
    expected: str = ""
    problem: str = ""


_WANTED = {
    "missing": "a value",
    "float": "a number",
    "int": "a whole number",
    "bool": "true or false",
    "string": "text",
    "tuple": "a list",
    "list": "a list",
    "dict": "a mapping of keys to values",
    "model": "a mapping of keys to values",
    "finite": "a finite number",
}
"""What is expected, by the first word of pydantic's name for an error; bounds and choices are worded below."""


def first_problem(error: ValidationError, content: Mapping[str, Any], model: type[BaseModel]) -> Problem:
    """The problem to mend first: an unknown key before anything else, for it often explains the others."""
    details = error.errors(include_url=False)
    first = next((detail for detail in details if detail["type"] == "extra_forbidden"), details[0])
    context = first.get("ctx", {})
    steps = str(context["field"]).split(".") if first["type"] == "named" and context["field"] else ()
    below = tuple(int(step) if step.isdecimal() else step for step in steps)
    field = as_written((*first["loc"], *below), content)
    if first["type"] == "named":  # the schema's own error, about a name or a parameter
        text = str(context["expected"])
        if text.startswith("Input should be "):
            wanted = text.removeprefix("Input should be ").replace("an instance of Sequence", "a list")
            return Problem(field, context["value"], expected=wanted)
        return Problem(field, context["value"], problem=text)
    value = None if first["type"] == "missing" else "null" if first["input"] is None else first["input"]
    if first["type"] == "extra_forbidden":
        return Problem(field, value, problem=_unknown_key(first["loc"], model))
    return Problem(field, value, expected=_expected(first, model))


def as_written(path: Path, content: Any) -> Path:
    """The path in the user's own words: ``name`` may be written ``kind``, and a bare name stands for a mapping."""
    written: list[str | int] = []
    for key in path:
        if isinstance(content, Mapping):
            key = "kind" if key == "name" and "name" not in content and "kind" in content else key
            content = content.get(str(key), {})
        elif isinstance(content, Sequence) and not isinstance(content, str) and isinstance(key, int):
            content = content[key] if key < len(content) else {}
        else:
            break
        written.append(key)
    return tuple(written)


def _unknown_key(path: Path, model: type[BaseModel]) -> str:
    known = [name for place in _models_at(path[:-1], model) for name in place.model_fields]
    near = difflib.get_close_matches(str(path[-1]), known, n=1, cutoff=0.6)
    return f"unknown key, did you mean '{near[0]}'?" if near else f"unknown key, known: {', '.join(known)}"


def _expected(detail: ErrorDetails, model: type[BaseModel]) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind.startswith(("greater_than", "less_than")):
        return _bounds(detail, model)
    if kind == "literal_error":
        near = difflib.get_close_matches(str(detail["input"]), str(context["expected"]).split("'")[1::2], n=1)
        return f"{context['expected']}{f', did you mean {near[0]!r}?' if near else ''}"
    if kind == "too_short":
        return f"at least {context['min_length']} in the list"
    if kind == "string_pattern_mismatch":
        return f"text that matches {context['pattern']}"
    word = "string" if kind.startswith("string_type") else kind.split("_")[0]
    if word in _WANTED:
        return _WANTED[word]
    return detail["msg"].removeprefix("Input should be ").removeprefix("Value error, ")


def _bounds(detail: ErrorDetails, model: type[BaseModel]) -> str:
    """Both bounds of the field, though pydantic names only the one that was broken."""
    limits: dict[str, Any] = dict(detail.get("ctx", {}))
    whole = isinstance(detail["input"], int)
    for place in _models_at(detail["loc"][:-1], model):
        field = place.model_fields.get(str(detail["loc"][-1]))
        if field is not None:
            whole = int in _leaves(field.annotation)
            for limit in field.metadata:
                for bound in ("ge", "gt", "le", "lt"):
                    if getattr(limit, bound, None) is not None:
                        limits[bound] = getattr(limit, bound)
    if not whole and limits.get("ge") == 0 and limits.get("le") == 1:
        return "a probability between 0 and 1"
    words = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    parts = [f"{words[bound]} {limits[bound]}" for bound in words if bound in limits]
    return f"{'a whole number' if whole else 'a number'} {' and '.join(parts)}"


def _models_at(path: Path, model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """The parts of the schema that may stand at ``path`` below ``model``."""
    if not path:
        yield model
        return
    field = model.model_fields.get(str(path[0]))
    if field is None:
        return
    rest = path[1:]
    while rest and isinstance(rest[0], int):  # a place in a list
        rest = rest[1:]
    for leaf in _leaves(field.annotation):
        if isinstance(leaf, type) and issubclass(leaf, BaseModel):
            yield from _models_at(rest, leaf)


def _leaves(annotation: Any) -> list[Any]:
    """The plain types inside unions, lists and annotations."""
    inner = typing.get_args(annotation)
    if typing.get_origin(annotation) is typing.Annotated:
        inner = inner[:1]
    return [leaf for part in inner for leaf in _leaves(part)] if inner else [annotation]
