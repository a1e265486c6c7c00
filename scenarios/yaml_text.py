"""Reading and writing YAML that a stranger may have written: plain values only, no surprises.

PyYAML's safe loader with four differences: numbers, booleans and null follow the YAML 1.2 core schema (so ``1e-3`` is
a number, ``no`` is text and ``1:30`` is not ninety), a key given twice is refused, a key must be text, and neither the
text nor what its aliases expand to may be huge.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

MAX_BYTES = 1_000_000
MAX_VALUES = 100_000  # after the expansion of aliases


class BadYaml(ValueError):
    """Text that is not the YAML we read; ``where`` is a line (``line 3``) or empty. ``str()`` of it is one line."""

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(where, problem)
        self.where = where
        self.problem = problem

    def __str__(self) -> str:
        return ": ".join(part for part in (self.where, self.problem) if part)


_CORE_SCHEMA = (
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+.0123456789",
    ),
)
_RESOLVERS: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
for _kind, _pattern, _initials in _CORE_SCHEMA:
    for _initial in _initials:
        _entry = (f"tag:yaml.org,2002:{_kind}", re.compile(f"(?:{_pattern})$"))
        _RESOLVERS.setdefault("" if _initial == "\0" else _initial, []).append(_entry)


def _line(node: yaml.Node) -> str:
    return f"line {node.start_mark.line + 1}"


_PLAIN = (None, *(f"tag:yaml.org,2002:{kind}" for kind in ("null", "bool", "str", "seq", "map")))


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers = _RESOLVERS
    # No dates, sets or bytes: the entry under None refuses every other tag.
    yaml_constructors = {tag: yaml.SafeLoader.yaml_constructors[tag] for tag in _PLAIN}  # noqa: RUF012

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._composed = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self._composed += 1
        if self._composed > 2 * MAX_VALUES:  # keys are nodes too
            raise BadYaml("", f"more than {MAX_VALUES:,} values")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.tag != "tag:yaml.org,2002:str":
                raise BadYaml(_line(key), "a key must be text")
            if key.value in seen:
                raise BadYaml(_line(key), f"the key '{key.value[:60]}' is given twice")
            seen.add(key.value)
        return super().construct_mapping(node, deep)

    def construct_integer(self, node: yaml.ScalarNode) -> int:
        text = self.construct_scalar(node)
        base = {"0o": 8, "0x": 16}.get(text[:2], 10)
        if len(text) > 100:
            raise BadYaml(_line(node), "a whole number of more than 100 digits")
        return int(text, base)

    def construct_decimal(self, node: yaml.ScalarNode) -> float:
        text = self.construct_scalar(node).lower()
        return float(text.replace(".inf", "inf").replace(".nan", "nan"))


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_integer)
_Loader.add_constructor("tag:yaml.org,2002:float", _Loader.construct_decimal)


class _Dumper(yaml.SafeDumper):
    yaml_implicit_resolvers = _RESOLVERS

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_text(self, text: str) -> yaml.ScalarNode:
        style = "|" if "\n" in text else None
        if any(mark in text for mark in "\x85\u2028\u2029\ufeff"):
            style = '"'  # line breaks to YAML, which only this style keeps apart from spaces
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=style)

    def represent_tuple(self, items: tuple[Any, ...]) -> yaml.SequenceNode:
        return self.represent_list(list(items))

    def represent_decimal(self, number: float) -> yaml.ScalarNode:
        text = repr(number)
        if text.strip("-") in ("inf", "nan"):
            text = text.replace("inf", ".inf").replace("nan", ".nan")
        return self.represent_scalar("tag:yaml.org,2002:float", text)


_Dumper.add_representer(str, _Dumper.represent_text)
_Dumper.add_representer(tuple, _Dumper.represent_tuple)
_Dumper.add_representer(float, _Dumper.represent_decimal)


def _expanded(value: Any, known: dict[int, int]) -> int:
    """How many values ``value`` holds with its aliases written out; refuses a value that contains itself."""
    if not isinstance(value, (dict, list)):
        return 1
    if id(value) not in known:
        known[id(value)] = MAX_VALUES + 1  # until it is counted: an alias to a parent never ends
        items = value.values() if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_expanded(item, known) for item in items)
    return known[id(value)]


def read_yaml(text: str) -> Any:
    """The plain value (mappings, lists, text, numbers, true/false, null) that ``text`` says; raises ``BadYaml``."""
    if len(text.encode()) > MAX_BYTES:
        raise BadYaml("", f"more than {MAX_BYTES:,} bytes")
    if text.count(",") + text.count("\n") > 2 * MAX_VALUES:  # no value without one of them; parsing would take seconds
        raise BadYaml("", f"more than {MAX_VALUES:,} values")
    try:
        value = yaml.load(text, _Loader)
        if _expanded(value, {}) > MAX_VALUES:
            raise BadYaml("", f"more than {MAX_VALUES:,} values")
    except RecursionError:
        raise BadYaml("", "nested too deeply") from None
    except BadYaml:
        raise
    except (ValueError, KeyError) as error:  # an explicit tag on text that does not fit it, such as !!int two
        raise BadYaml("", f"not valid YAML ({error})") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise BadYaml(f"line {mark.line + 1}" if mark else "", f"not valid YAML ({error.problem})") from None
    except yaml.YAMLError as error:
        raise BadYaml("", f"not valid YAML ({' '.join(str(error).split())})") from None
    return value


def write_yaml(value: Any) -> str:
    """Text that ``read_yaml`` turns into an equal value, keys in their own order."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)


def write_line(value: Any) -> str:
    """The value as one short line, for messages; what YAML does not know is written as Python does."""
    try:
        text = yaml.dump(
            value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10**6, default_flow_style=True
        )
    except yaml.YAMLError:
        text = repr(value)
    return " ".join(text.removesuffix("...\n").split())
