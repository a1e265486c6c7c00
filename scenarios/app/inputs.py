"""Inputs of the page for values of a scenario, each with its meaning below it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import solara

from scenarios.app.controls import Control, factors

Put = Callable[[Any], None]
"""What takes a value that was given."""


def parameter_inputs(mechanism: Mapping[str, Any], put: Put) -> None:
    """Inputs for the numeric parameters of a mechanism, in a column: what stands below keeps its place in the page."""

    def putter(name: str) -> Put:
        return lambda value: None if value in (None, mechanism[name]) else put({**mechanism, name: value})

    with solara.Column(gap="2px"):
        for name, value in factors(mechanism).items():
            edit = solara.InputInt if isinstance(value, int) else solara.InputFloat
            edit(f"{name.replace('_', ' ')} ({mechanism['name']})", value=value, on_value=putter(name))


def value_input(control: Control, value: Any, put: Put) -> None:
    """The input for one value, with its meaning below."""

    def known(given: Any) -> None:
        if given is not None and given != value:
            put(given)

    if control.kind == "share":
        label = f"{control.label}: {float(value):.4g}"
        solara.SliderFloat(label, value=float(value), min=0, max=1, step=0.01, thumb_label=False, on_value=known)
    elif control.kind == "choice":
        choices = [*control.choices, *([value] if value not in control.choices else [])]
        solara.Select(control.label, values=choices, value=value, on_value=known)
    elif control.kind == "switch":
        solara.Switch(label=control.label, value=bool(value), on_value=known)
    elif control.kind == "whole":
        solara.InputInt(control.label, value=int(value), on_value=known)
    else:
        solara.InputFloat(control.label, value=float(value), on_value=known)
    solara.Text(control.help, classes=["dg-help"])
