"""One static instance of a published system: from a JSON file to its outcome or its measured properties as JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, BinaryIO, Literal

from learning.registry import UnknownName
from scenarios.errors import BadInput

Task = Literal["solve", "check"]

STANDARD_INPUT = "standard input"
MAX_BYTES = 256 * 1024 * 1024
MAX_LISTS, MAX_VALUES = 1_000_000, 30_000_000
_PIECE = 2**20


def answer(task: Task, mechanism: str, source: str) -> str:
    """The JSON object that ``datagora solve`` or ``datagora check`` prints, on one line.

    ``mechanism`` is a name from ``scenarios.instances``, ``source`` a file or ``-`` for standard input. Raises
    ``BadInput`` for whatever is wrong with any of it.
    """
    from pydantic import ValidationError

    from scenarios.instances import instance_kind
    from scenarios.instances.fields import BadInstance
    from scenarios.problems import first_problem

    try:
        kind = instance_kind(mechanism)
    except UnknownName as unknown:
        raise BadInput("MECHANISM", "", None, problem=str(unknown)) from None
    name = STANDARD_INPUT if source == "-" else source
    content = parse_instance(_read(source, name), name)
    try:
        instance = kind.schema.model_validate(content)
        result = (kind.solve if task == "solve" else kind.check)(instance)
    except ValidationError as error:
        problem = first_problem(error, content, kind.schema)
        field = ".".join(map(str, problem.field))
        raise BadInput(name, field, problem.value, problem.expected, problem.problem) from None
    except BadInstance as fault:
        raise BadInput(name, fault.field, fault.value, problem=fault.problem) from None
    try:
        return json.dumps(result, allow_nan=False)
    except ValueError:
        raise BadInput(name, "", None, problem="its numbers are too large or too far apart to compute with") from None


def parse_instance(text: str, name: str) -> dict[str, Any]:
    """The object in a JSON text. Raises ``BadInput``, also for a repeated key, NaN and Infinity."""
    try:
        # NaN and Infinity become text, which no number field takes: the schema then names the field.
        content = json.loads(text, object_pairs_hook=_object, parse_constant=str)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise BadInput(name, where, None, problem=f"not JSON: {error.msg}") from None
    except _RepeatedKey as repeated:
        raise BadInput(name, str(repeated), None, problem="stands there twice") from None
    except RecursionError:
        raise BadInput(name, "", None, problem="not JSON: nested too deeply") from None
    except ValueError:  # the only one left: a whole number of thousands of digits
        raise BadInput(name, "", None, problem="not JSON: a number with too many digits") from None
    if not isinstance(content, dict):
        raise BadInput(name, "", content, "an object of keys and values")
    return content


class _RepeatedKey(Exception):
    """A key that one object has twice; Python's JSON would keep the last."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _RepeatedKey(key)
        found[key] = value
    return found


def _read(source: str, name: str) -> str:
    """The text of a file or of standard input."""
    try:
        if source == "-":
            raw = _first_bytes(sys.stdin.buffer)
        else:
            with Path(source).open("rb") as file:
                raw = _first_bytes(file)
    except FileNotFoundError:
        raise BadInput(name, "", None, problem="no such file") from None
    except OSError as error:
        raise BadInput(name, "", None, problem=f"cannot be read ({error.strerror})") from None
    if len(raw) > MAX_BYTES:
        raise BadInput(name, "", None, problem=f"too large, at most {MAX_BYTES // 2**20} MiB")
    # Before anything is built: an empty list takes three bytes here and sixty in memory.
    if raw.count(b"[") + raw.count(b"{") > MAX_LISTS or raw.count(b",") > MAX_VALUES:
        raise BadInput(name, "", None, problem=f"more than {MAX_LISTS:,} lists or {MAX_VALUES:,} values")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise BadInput(name, "", None, "text in UTF-8") from None


def _first_bytes(file: BinaryIO) -> bytes:
    """All of a file, or a little more than may be read; one call for that much would take the memory at once."""
    pieces, count = [], 0
    while count <= MAX_BYTES and (piece := file.read(_PIECE)):
        pieces.append(piece)
        count += len(piece)
    return b"".join(pieces)
