"""Random parameters for whatever a registry has, by the signature of the entry.

A parameter gets what its type and its default suggest, and what the entry itself refuses is drawn again: so an entry
that is new in a registry is played without a word here. Only lists, names and a few numbers that decide how long a
market takes have a rule of their own.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from typing import Any, Literal

from learning.registry import Registry
from scenarios.soak.dice import Dice, rounded

Rule = Callable[[Dice], Any]

_TRIES = 12
_FILLED_IN = frozenset({"labels", "shards", "streams", "groups", "folder", "shape", "classes", "answers", "inner"})

RULES: Mapping[str, Rule] = {
    "claim": lambda dice: dice.one_of(
        ["data_size", "quality", "cost", "gain_scale", "sharing_cost", "valuation", "privacy_budget", "emd"]
    ),
    "plays": lambda dice: dice.one_of(["honest", "misreport_size", "free_rider_noise", "free_rider_global"]),
    "measurement": lambda dice: dice.one_of(["held_out_gain", "loss_drop", "contribution", "measured_quality"]),
    "rule": lambda dice: dice.one_of(["equilibrium", "best_reply", "vcfl", "wco", "radg", "uniform", "optimum"]),
    "identities": lambda dice: dice.whole(2, 4),
    "shards_of": lambda dice: None,
    "min_samples": lambda dice: dice.one_of([1, 2, 3]),
    "events": lambda dice: dice.whole(1, 3),
    "permutations": lambda dice: dice.whole(2, 20),
    "coalitions": lambda dice: dice.whole(4, 60),
    "sweeps": lambda dice: dice.whole(2, 10),
    "cohorts.times": lambda dice: [0.0, dice.number(1.0, 100.0)],
    "cohorts.sizes": lambda dice: [dice.whole(0, 2), dice.whole(1, 3)],
    "varying_rate.times": lambda dice: [0.0, dice.number(30.0, 200.0)],
    "varying_rate.rates": lambda dice: [dice.number(0.0, 2.0), dice.number(0.0, 2.0)],
    "seasonal.period": lambda dice: dice.number(10.0, 300.0),
    "rate": lambda dice: dice.one_of([0.0, 0.1, 0.3, 0.7, 1.0]),
    "followers": lambda dice: dice.number(0.0, 0.9),
    "start": lambda dice: dice.one_of([0.0, 5.0, 12.0, 33.0, 58.0, 100.0]),
    "duration": lambda dice: dice.one_of([2.0, 9.0, 40.0, 90.0]),
    "every": lambda dice: dice.one_of([None, 95.0, 130.0]),
    "retries": lambda dice: dice.whole(0, 3),
    "repair": lambda dice: dice.one_of([0.0, 20.0, 120.0]),
    "sd": lambda dice: dice.one_of([0.0, 1.0, 6.0]),
    "region": lambda dice: dice.whole(0, 1),
    "center": lambda dice: dice.one_of([None, 0, 1]),
    "table.rows": lambda dice: None,
    "markets.markets": lambda dice: dice.whole(1, 3),
    "mean_intensity": lambda dice: dice.number(0.0, 0.4),
    "components": lambda dice: dice.whole(1, 3),
    "rank": lambda dice: dice.whole(2, 8),
    "steps": lambda dice: dice.whole(2, 20),
    "synthetic_volume_cap": lambda dice: dice.one_of([0.0, 5.0, 60.0]),
    "rate_looks": lambda dice: dice.whole(2, 4),
    "per_sample": lambda dice: dice.wide(0.001, 0.1),
    "per_round": lambda dice: dice.number(0.0, 0.5),
    "amount": lambda dice: dice.number(0.0, 3.0),
    "harm": lambda dice: dice.number(0.0, 2.0),
    "budget": lambda dice: dice.number(0.1, 3.0),
    "patience": lambda dice: dice.whole(1, 4),
    "return_delay": lambda dice: dice.one_of([0.0, 0.0, 5.0, 50.0]),
    "whitewash": lambda dice: dice.one_of([0.0, 0.5, 1.0]),
    "boost": lambda dice: dice.one_of([1.0, 3.0, 10.0]),
    "byzantine": lambda dice: dice.whole(0, 2),
}
"""Rules by the parameter's name, or by that of the entry and the parameter."""


def entry_of(dice: Dice, registry: Registry[Any], name: str, always: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """``{name: ..., parameter: ...}`` with parameters that the entry takes, half of the optional ones as by default.

    ``always`` are parameters that are given. Raises ``ValueError`` where no parameters were found that the entry takes.
    """
    entry, given = registry[name], dict(always or {})
    for attempt in range(_TRIES):
        # The last tries leave whatever has a default as it is.
        params = drawn_parameters(dice, name, entry, attempt < _TRIES - 3) | given
        if _takes(entry, params):
            return {"name": name, **params}
    raise ValueError(f"no parameters found for {registry.kind} '{name}'")


def drawn_parameters(dice: Dice, name: str, entry: Callable[..., Any], optional: bool) -> dict[str, Any]:
    """One draw of the parameters of an entry, not checked."""
    plain = inspect.isclass(entry) and not is_dataclass(entry)
    hints = typing.get_type_hints(entry.__init__ if plain else entry)
    found = {}
    for parameter in inspect.signature(entry).parameters.values():
        if parameter.name in _FILLED_IN or parameter.kind is parameter.VAR_KEYWORD:
            continue
        needed = parameter.default is parameter.empty
        if needed or (optional and dice.chance(0.5)):
            found[parameter.name] = _value(dice, name, parameter, hints.get(parameter.name))
    return found


def _value(dice: Dice, name: str, parameter: inspect.Parameter, hint: Any) -> Any:
    options = _literals(hint)
    if options:
        return dice.one_of(options)
    rule = RULES.get(f"{name}.{parameter.name}", RULES.get(parameter.name))
    if rule is not None:
        return rule(dice)
    default = None if parameter.default is parameter.empty else parameter.default
    if hint is bool or isinstance(default, bool):
        return dice.chance(0.5)
    if hint is int or isinstance(default, int):
        usual = 2 if default is None else default
        return dice.one_of([usual, max(0, usual - 1), usual + 1, dice.whole(0, 2 * usual + 1)])
    if isinstance(default, float):
        return dice.one_of([0.0, 1.0, dice.number(0.0, 1.0), rounded(default * dice.wide(0.2, 5.0))])
    return dice.number(0.0, 1.0) if hint is float else default


def _literals(hint: Any) -> list[Any]:
    return list(typing.get_args(hint)) if typing.get_origin(hint) is Literal else []


def _takes(entry: Callable[..., Any], params: Mapping[str, Any]) -> bool:
    """Whether an entry takes these parameters; of a function that is found out when the scenario is checked."""
    if not inspect.isclass(entry):
        return True
    try:
        entry(**params)
    except (ValueError, TypeError):
        return False
    return True
