"""What is played: strategies as they are typed, with a label each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from scenarios.choices import Strategy
from scenarios.errors import BadInput
from scenarios.problems import first_problem
from scenarios.schema import Spec
from scenarios.yaml_text import BadYaml, read_yaml

OPTION = "--strategy"


class _Typed(Spec):
    strategy: Strategy


@dataclass(frozen=True)
class Entrant:
    """A strategy of a tournament: its label, and its name with its parameters as a scenario has them."""

    label: str
    spec: Mapping[str, Any] = field(hash=False)


def entrant(text: str) -> Entrant:
    """The strategy typed as ``name``, ``name:parameter=value,...`` or as in a scenario, ``{name: ..., ...}``.

    The text is its label. Raises ``BadInput`` for a strategy or parameters that are not known.
    """
    name, colon, listed = text.strip().partition(":")
    written = text if text.lstrip().startswith("{") or not colon else f"{{name: {name}, {_as_yaml(listed, text)}}}"
    try:
        content = read_yaml(written)
    except BadYaml as problem:
        raise BadInput(OPTION, "", text, problem=problem.problem) from None
    try:
        spec = _Typed.model_validate({"strategy": content}).strategy.model_dump(mode="json")
    except ValidationError as error:
        found = first_problem(error, {"strategy": content}, _Typed)
        where = ".".join(map(str, found.field[1:]))
        raise BadInput(OPTION, where, found.value, found.expected, found.problem) from None
    del spec["share"]
    return Entrant(" ".join(text.split()), spec)


def entrants(texts: Sequence[str]) -> list[Entrant]:
    """These strategies; ``BadInput`` where two of them are the same."""
    found: list[Entrant] = []
    for text in texts:
        new = entrant(text)
        if any(new.spec == old.spec or new.label == old.label for old in found):
            raise BadInput(OPTION, "", text, problem="this strategy is given twice")
        found.append(new)
    return found


def _as_yaml(listed: str, text: str) -> str:
    pairs = [pair.partition("=") for pair in listed.split(",")]
    if not all(equals and key.strip() and value.strip() for key, equals, value in pairs):
        raise BadInput(OPTION, "", text, "name:parameter=value,...")
    return ", ".join(f"{key.strip()}: {value.strip()}" for key, _, value in pairs)
