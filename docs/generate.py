"""Rewrite the generated parts of the pages from the code.

    python docs/generate.py            rewrite what is out of date, print the names of the changed pages
    python docs/generate.py --check    change nothing, exit 1 if anything is out of date

A generated part stands between ``<!-- generated: NAME -->`` and ``<!-- end of NAME -->``; ``PARTS`` holds the names.
"""

from __future__ import annotations

import argparse
import ast
import functools
import inspect
import re
import sys
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import isnan
from pathlib import Path
from typing import Any

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import AfterValidator, BaseModel, BeforeValidator
from pydantic.fields import FieldInfo

from agents.participation import ExitCause
from agents.population import BLOCKS, COLUMNS
from learning.registry import Registry
from market.mechanism import Guarantee
from scenarios import registries
from scenarios.choices import Named, StrategyShare
from scenarios.engine import closing
from scenarios.engine.clock import Kind
from scenarios.engine.event_log import Event
from scenarios.loading import library
from scenarios.schema import Scenario
from scenarios.simulation import HANDLERS
from scenarios.soak.invariants import AT_EVENTS, AT_THE_END, TOLD
from scenarios.tables import TABLES

HERE = Path(__file__).parent
GIVEN_BY_THE_CALLER = frozenset(
    {"labels", "shards", "streams", "groups", "shape", "classes", "answers", "folder", "inner"}
)
"""Parameters of registered functions that are no parameters of a scenario."""


# ---- words --------------------------------------------------------------------------------------------------------


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def code(text: object) -> str:
    """``text`` as code, nothing for nothing."""
    return f"`{text}`" if str(text) else ""


def first_line(entry: Any) -> str:
    """The first line of a docstring as Markdown, without a closing full stop."""
    return (inspect.getdoc(entry) or "").splitlines()[0].rstrip(".").replace("``", "`")


def parameters_of(entry: Callable[..., Any]) -> str:
    """The parameters that a scenario may give beside the entry's name, with their defaults."""
    found = []
    for parameter in inspect.signature(entry).parameters.values():
        if parameter.name not in GIVEN_BY_THE_CALLER:
            default = "" if parameter.default is parameter.empty else f" = {parameter.default}"
            found.append(code(f"{parameter.name}{default}"))
    return ", ".join(found)


def choices(registry: Registry[Any]) -> str:
    """What a registry holds: names, descriptions, parameters where any entry has some."""
    rows = [(code(name), first_line(registry[name]), parameters_of(registry[name])) for name in registry]
    if not any(parameters for _, _, parameters in rows):
        return table(["name", "what it is"], [row[:2] for row in rows])
    return table(["name", "what it is", "parameters"], rows)


# ---- the scenario's parameters ------------------------------------------------------------------------------------


def parameters() -> str:
    """Every parameter of a scenario by its dotted path."""
    return table(["path", "type", "default", "meaning and unit"], _fields(Scenario, ""))


def _fields(model: type[BaseModel], path: str) -> Iterable[tuple[str, str, str, str]]:
    for name, field in model.model_fields.items():
        inner = field.annotation
        if inspect.isclass(inner) and issubclass(inner, BaseModel) and not issubclass(inner, Named):
            yield from _fields(inner, f"{path}{name}.")
        else:
            default = field.get_default(call_default_factory=True)
            kind = _kind(inner, field.metadata)
            yield code(path + name), kind, code(_written(default)), field.description or ""
            optional = typing.get_origin(inner) in (typing.Union, types.UnionType)
            for part in typing.get_args(inner) if optional else ():  # a part with parameters of its own
                if inspect.isclass(part) and issubclass(part, BaseModel) and not issubclass(part, Named):
                    yield from _fields(part, f"{path}{name}.")


def _kind(annotation: Any, metadata: Sequence[Any]) -> str:
    """The type in words, with its bounds."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        nested = [part for extra in inner[1:] for part in (extra.metadata if isinstance(extra, FieldInfo) else [extra])]
        return _kind(inner[0], [*nested, *metadata])
    if origin in (typing.Union, types.UnionType):
        kinds = [_kind(part, metadata) for part in inner if part is not type(None)]
        return ", ".join([*kinds, "or `null`"]) if type(None) in inner else " or ".join(kinds)
    if origin is typing.Literal:
        return " or ".join(code(choice) for choice in inner)
    if origin is tuple:
        least = next((f", at least {limit.min_length}" for limit in metadata if isinstance(limit, MinLen)), "")
        if inspect.isclass(inner[0]) and issubclass(inner[0], BaseModel) and not issubclass(inner[0], Named):
            return f"list, each a mapping with {' and '.join(code(name) for name in inner[0].model_fields)}{least}"
        return f"list, each a {_kind(inner[0], ())}{least}"
    if inspect.isclass(annotation) and issubclass(annotation, Named):
        registry = _registry(metadata)
        if registry is None:  # beside a bare name, and checked with it
            return "name with parameters"
        return f"{registry.kind}{', `share` > 0' if issubclass(annotation, StrategyShare) else ''}"
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):  # its fields have lines of their own
        return "parameters"
    words = {int: "whole number", float: "number", bool: "true or false", str: "text"}
    return words[annotation] + _bounds(metadata)


def _registry(metadata: Sequence[Any]) -> Registry[Any] | None:
    """The registry that a name is checked against, if its type says so."""
    checks = [part.func for part in metadata if isinstance(part, (AfterValidator, BeforeValidator))]
    check: Any = next((func for func in checks if isinstance(func, functools.partial)), None)
    return None if check is None else check.args[0]()


def _bounds(metadata: Sequence[Any]) -> str:
    names = {Ge: "ge", Gt: "gt", Le: "le", Lt: "lt"}
    limits = {type(limit): getattr(limit, names[type(limit)]) for limit in metadata if type(limit) in names}
    if limits.get(Ge) == 0 and limits.get(Le) == 1:
        return " from 0 to 1"
    signs = {Ge: "≥", Gt: ">", Le: "≤", Lt: "<"}
    return "".join(f" {signs[bound]} {_short(limit)}" for bound, limit in limits.items())


def _short(number: float) -> str:
    """A number, huge whole powers of two as such."""
    if isinstance(number, float):
        return f"{number:g}"
    huge = number > 10**6 and number & (number - 1) == 0
    return f"2^{number.bit_length() - 1}" if huge else str(number)


def _written(value: Any) -> str:
    """A default as a scenario file would have it."""
    if isinstance(value, Named):
        if value.name == "constant":
            return str(value.params["value"])
        key = "kind" if value.name in registries.distributions() else "name"
        given = "".join(f", {name}: {item}" for name, item in value.params.items())
        return f"{{{key}: {value.name}{given}}}" if given else value.name
    if isinstance(value, tuple):
        return f"[{', '.join(_written(item) for item in value)}]"
    return "null" if value is None else _plain(value)


# ---- what can be named --------------------------------------------------------------------------------------------


def strategies() -> str:
    """The registered strategies with what they declare, family by family."""
    registry = registries.strategies()
    families = list(dict.fromkeys(["honest", *(entry.family for entry in registry.values())]))
    rows = []
    for name in sorted(registry, key=lambda name: families.index(registry[name].family)):
        entry = registry[name]
        lies = ", ".join(code(claim) for claim in sorted(entry.lies_about)) or "nothing"
        trains = "yes" if entry.trains else "at times" if entry.conditional else "no"
        rows.append(
            (code(name), entry.family, first_line(entry), lies, trains, parameters_of(entry), entry.reference),
        )
    header = ["name", "family", "what it does", "lies about", "trains", "parameters", "reference"]
    return table(header, rows)


def adaptation_rules() -> str:
    """All adaptation rules, with what they know beside the own rows of their owners."""
    rows = []
    for name, rule in registries.adaptation_rules().items():
        knows = ", ".join(sorted(rule.knows)) or ("" if name == "none" else "its own rounds only")
        rows.append((code(name), first_line(rule), knows, parameters_of(rule), rule.reference))
    return table(["name", "what it is", "what it looks at beside its own payoffs", "parameters", "reference"], rows)


def mechanisms() -> str:
    """The registered mechanisms with what they declare."""
    registry = registries.mechanisms()
    rows = []
    for name in sorted(registry):  # they register as they are imported, in whatever order that is
        entry = registry[name]
        rows.append(
            (
                code(name),
                first_line(entry),
                ", ".join(code(claim) for claim in entry.needs) or "nothing",
                ", ".join(code(measure) for measure in entry.measures) or "nothing",
                "; ".join(_promise(guarantee) for guarantee in entry.guarantees) or "nothing",
                parameters_of(entry),
                entry.reference,
            )
        )
    return table(["name", "rule", "needs reported", "needs measured", "guarantees", "parameters", "reference"], rows)


def _promise(guarantee: Guarantee) -> str:
    words = guarantee.property.replace("_", " ")
    lie = f" for `{guarantee.lie}`" if guarantee.lie else ""
    when = f" ({guarantee.when.replace('_', ' ')})" if guarantee.when else ""
    return words + lie + when


def scenarios() -> str:
    """The ready-made scenarios."""
    rows = [(code(name), title, description) for name, (title, description) in library().items()]
    return table(["name", "title", "what it shows"], rows)


# ---- state, time and results --------------------------------------------------------------------------------------


def population() -> str:
    """The columns of the population table."""
    kinds = {"i": "whole number", "f": "number", "?": "true or false"}
    rows = [
        (code(name), kinds[column.dtype[0]], _plain(column.default), column.meaning) for name, column in COLUMNS.items()
    ]
    rows += [
        (code(name), f"{kinds[block.dtype[0]]} for each strategy", _plain(block.default), block.meaning)
        for name, block in BLOCKS.items()
    ]
    return table(["column", "type", "of a fresh row", "meaning"], rows)


def _plain(value: Any) -> str:
    """A value as YAML has it; whole numbers without a point."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return "NaN" if isnan(value) else f"{float(value):g}"
    return str(value)


def pending() -> str:
    """What can be pending, in the order at equal ticks."""
    rows = []
    for kind in Kind:
        words = re.sub(rf"^{kind.name}: ", "", first_line(HANDLERS[kind]))
        rows.append((str(kind.value), code(kind.name), words[0].lower() + words[1:]))
    return table(["order", "kind", "what happens"], rows)


def phases() -> str:
    """The phases of a settlement, read from the one function that calls them."""
    body = ast.parse(inspect.getsource(closing.close_round))
    names = [node.func.id for node in ast.walk(body) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    called = [getattr(closing, name) for name in names if hasattr(closing, name) and not name.startswith("_")]
    return table(["phase", "what happens"], [(code(phase.__name__), first_line(phase)) for phase in called])


def events() -> str:
    """The kinds of logged events; the meaning of ``value`` stands in the comment beside each."""
    comments = dict(re.findall(r"^    (\w+) = \d+  # (.+)$", inspect.getsource(Event), re.MULTILINE))
    sources = [path.read_text(encoding="utf-8") for path in Path(inspect.getfile(Event)).parent.glob("*.py")]
    logged = {name for source in sources for name in re.findall(r"\bEvent\.([A-Z]+)\b", source)}
    rows = [(code(kind.name.lower()), comments[kind.name]) for kind in Event if kind.name in logged]
    return table(["kind", "`value`"], rows)


def exit_causes() -> str:
    """What ends stays; the meaning stands in the comment beside each."""
    comments = dict(re.findall(r"^    (\w+) = \d+  # (.+)$", inspect.getsource(ExitCause), re.MULTILINE))
    return table(["cause", "the stay ends because"], [(code(c.name.lower()), comments[c.name]) for c in ExitCause])


def results() -> str:
    """All result tables."""
    return "\n".join(declared.markdown() for declared in TABLES.values())


def laws(told: Mapping[str, str]) -> str:
    """What the soak watches over: names and what they say."""
    return table(("law", "what it says"), ((code(name), said.replace("``", "`")) for name, said in told.items()))


PARTS: dict[str, Callable[[], str]] = {
    "parameters": parameters,
    "strategies": strategies,
    "strategy transformers": lambda: choices(registries.strategy_transformers()),
    "mechanisms": mechanisms,
    "participation rules": lambda: choices(registries.participation_rules()),
    "patience kinds": lambda: choices(registries.patience_kinds()),
    "arrival processes": lambda: choices(registries.arrival_processes()),
    "exit causes": exit_causes,
    "audit policies": lambda: choices(registries.audit_policies()),
    "detectors": lambda: choices(registries.detectors()),
    "group detectors": lambda: choices(registries.group_detectors()),
    "slashing schedules": lambda: choices(registries.slashing_schedules()),
    "admissions": lambda: choices(registries.admissions()),
    "deposit schedules": lambda: choices(registries.deposit_schedules()),
    "bans": lambda: choices(registries.bans()),
    "appeals": lambda: choices(registries.appeals()),
    "regulations": lambda: choices(registries.regulations()),
    "adaptation rules": adaptation_rules,
    "distributions": lambda: choices(registries.distributions()),
    "partitions": lambda: choices(registries.partitions()),
    "data sets": lambda: choices(registries.datasets()),
    "models": lambda: choices(registries.models()),
    "algorithms": lambda: choices(registries.algorithms()),
    "contribution methods": lambda: choices(registries.contribution_methods()),
    "staleness functions": lambda: choices(registries.staleness_functions()),
    "asynchronous merging": lambda: choices(registries.merging_rules()),
    "personalization methods": lambda: choices(registries.personalization_methods()),
    "aggregation rules": lambda: choices(registries.robust_rules()),
    "server optimizers": lambda: choices(registries.server_optimizers()),
    "scenarios": scenarios,
    "faults": lambda: choices(registries.faults()),
    "laws of every moment": lambda: laws({name: AT_EVENTS.description(name) for name in AT_EVENTS}),
    "laws of a finished market": lambda: laws({name: AT_THE_END.description(name) for name in AT_THE_END}),
    "laws of playing": lambda: laws(TOLD),
    "population columns": population,
    "pending events": pending,
    "phases": phases,
    "logged events": events,
    "result tables": results,
    "rivalries": lambda: choices(registries.rivalries()),
}


# ---- pages --------------------------------------------------------------------------------------------------------


def renewed(text: str) -> str:
    """A page with its generated parts as the code has them now. Raises ``KeyError`` for a part of unknown name."""

    def part(match: re.Match[str]) -> str:
        name = match["name"]
        return f"<!-- generated: {name} -->\n\n{PARTS[name]()}\n<!-- end of {name} -->"

    return re.sub(r"<!-- generated: (?P<name>[^>]+?) -->.*?<!-- end of (?P=name) -->", part, text, flags=re.DOTALL)


def main(arguments: Sequence[str] | None = None) -> int:
    """Renew the pages of a folder; the exit code."""
    parser = argparse.ArgumentParser(description="Rewrite the generated parts of the pages from the code.")
    parser.add_argument("folder", nargs="?", type=Path, default=HERE, help="where the pages are (default: here)")
    parser.add_argument("--check", action="store_true", help="change nothing, exit 1 if a page is out of date")
    options = parser.parse_args(arguments)
    changed = []
    for page in sorted(options.folder.glob("*.md")):
        before = page.read_text(encoding="utf-8")
        after = renewed(before)
        if after != before:
            changed.append(page.name)
            if not options.check:
                page.write_text(after, encoding="utf-8")
    if changed:
        print(f"{'out of date' if options.check else 'rewritten'}: {', '.join(changed)}")
    return int(options.check and bool(changed))


if __name__ == "__main__":
    sys.exit(main())
