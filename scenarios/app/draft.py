"""What a user has set up on the page, not played yet: a scenario to start from and the values changed on it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from scenarios.app.controls import mechanism_parameters, mix_of, value_at
from scenarios.errors import BadInput
from scenarios.interventions import MECHANISM
from scenarios.loading import load_scenario
from scenarios.schema import Scenario
from scenarios.yaml_text import write_line


@dataclass(frozen=True)
class Draft:
    """A scenario by name or path with changed values by dotted path; ``rival``: changes of the second world, if any.

    The second world has all changes of the first, and its own on top; the seed is the same, so that both have the
    same people and the same luck.
    """

    source: str = "quickstart"
    changes: Mapping[str, Any] = field(default_factory=dict)
    rival: Mapping[str, Any] | None = None

    def scenarios(self) -> tuple[Scenario, ...]:
        """One scenario per world. Raises ``BadInput``."""
        worlds = [self.changes] if self.rival is None else [self.changes, {**self.changes, **self.rival}]
        return tuple(load_scenario(self.source, overrides=_overrides(changes)) for changes in worlds)

    @cached_property
    def base(self) -> Scenario:
        """The scenario as it is written. Raises ``BadInput``."""
        return load_scenario(self.source)

    @property
    def readable(self) -> bool:
        """Whether there is a scenario to change."""
        try:
            return bool(self.base)
        except BadInput:
            return False

    def with_change(self, path: str, value: Any) -> Draft:
        """A value set for both worlds; what equals the scenario as written is no change."""
        written = self.base.market.mechanism.model_dump(mode="json") if _is_named(value) else self._written(path)
        same = value == written
        rest = {key: other for key, other in self.changes.items() if key != path}
        return dataclasses.replace(self, changes=rest if same else {**rest, path: value})

    def with_rival(self, path: str, value: Any) -> Draft:
        """A value set for the second world only; what the first world has as well is no change."""
        here = self.changes.get(path, self._written(path))
        rest = {key: other for key, other in (self.rival or {}).items() if key != path}
        return dataclasses.replace(self, rival=rest if value == here else {**rest, path: value})

    def value(self, path: str, rival: bool = False) -> Any:
        """The value at a path as it is set now."""
        if rival and self.rival and path in self.rival:
            return self.rival[path]
        value = self.changes[path] if path in self.changes else self._written(path)
        return value["name"] if isinstance(value, Mapping) else value

    def mechanism(self) -> dict[str, Any]:
        """The mechanism as it is set now, with all its parameters."""
        chosen = self.changes.get(MECHANISM)
        if chosen is None or chosen == self.base.market.mechanism.name:
            return self.base.market.mechanism.model_dump(mode="json")
        return mechanism_parameters(chosen)

    def _written(self, path: str) -> Any:
        """The value that the scenario has as it is written."""
        return list(mix_of(self.base)) if path == MIX else value_at(self.base, path)


MIX = "population.strategies"
"""The path of the mix of strategies."""


def _overrides(changes: Mapping[str, Any]) -> list[str]:
    return [f"{path}={write_line(value)}" for path, value in changes.items()]


def _is_named(value: Any) -> bool:
    """Whether it is something with parameters, given with them."""
    return isinstance(value, Mapping) and "name" in value
