"""Worlds: populations in which some persons play one strategy and the rest another, and the study that plays them.

A world is a pair of strategies and the persons that play the second. As runs of one replication have the same seed,
they have the same persons with the same luck, so that two worlds differ in what strategies change and in nothing else.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from scenarios.errors import BadInput
from scenarios.loading import find_scenario, read_changes, read_scenario
from scenarios.studies.schema import Study
from scenarios.tournament.entrants import Entrant

ARENAS = Path(__file__).parent / "arenas"
_STRATEGIES, _ASSIGNMENT, _MECHANISM = "population.strategies", "population.assignment", "market.mechanism"
_NOBODY = 1e-9
"""Share of the second strategy among those who arrive later: these play what most play at first."""


class Playable(Hashable, Protocol):
    """A population that can be played."""

    def point(self) -> dict[str, Any]:
        """What a scenario says of it."""


@dataclass(frozen=True)
class World:
    """Who plays what: ``mutants`` are the persons (numbers) that play ``mutant``, all others play ``resident``."""

    resident: Entrant
    mutant: Entrant
    mutants: tuple[int, ...] = ()

    def point(self) -> dict[str, Any]:
        """What a scenario says of it."""
        assignment = [0] * (max(self.mutants) + 1 if self.mutants else 0)
        for person in self.mutants:
            assignment[person] = 1
        played = [{**self.resident.spec, "share": 1.0}]
        if self.mutants:
            played.append({**self.mutant.spec, "share": _NOBODY})
        return {_STRATEGIES: played, _ASSIGNMENT: assignment}


@dataclass(frozen=True)
class Profile:
    """Who plays what in a game: person p plays ``strategies[choices[p]]``, all beyond them play the first strategy."""

    strategies: tuple[Entrant, ...]
    choices: tuple[int, ...]

    def point(self) -> dict[str, Any]:
        """What a scenario says of it."""
        shares = [1.0, *[_NOBODY] * (len(self.strategies) - 1)]
        played = [{**one.spec, "share": share} for one, share in zip(self.strategies, shares, strict=True)]
        return {_STRATEGIES: played, _ASSIGNMENT: list(self.choices)}


def all_profiles(strategies: Sequence[Entrant], players: int) -> list[Profile]:
    """Every way in which so many players can choose among the strategies, the last player's choice changing fastest."""
    chosen = itertools.product(range(len(strategies)), repeat=players)
    return [Profile(tuple(strategies), choices) for choices in chosen]


def pure(entrant: Entrant) -> World:
    """The world in which everybody plays this."""
    return World(entrant, entrant)


def deviations(resident: Entrant, mutants: Sequence[Entrant], persons: int) -> Iterator[World]:
    """One world for each mutant strategy and each of the first ``persons``, who alone plays it."""
    for mutant, person in itertools.product(mutants, range(persons)):
        yield World(resident, mutant, (person,))


def everybody_meets(played: Sequence[Entrant], owners: int, persons: int, mixtures: Sequence[int]) -> list[World]:
    """All worlds of a tournament: pure ones, single deviations, and ``mixtures`` of two with so many mutants.

    The population in which all but one play the second strategy is that of a deviation from it, so of the counts from 2
    to ``owners`` - 2 only those in ``mixtures`` are played.
    """
    worlds = [pure(one) for one in played]
    for one in played:
        worlds += deviations(one, [other for other in played if other is not one], persons)
    for one, other in itertools.combinations(played, 2):
        worlds += [World(one, other, tuple(range(count))) for count in mixtures if 2 <= count <= owners - 2]
    return worlds


def arenas() -> dict[str, Path]:
    """The ready-made small market of each mechanism, by the mechanism's name."""
    return {path.stem: path for path in sorted(ARENAS.glob("*.yaml"))}


@dataclass(frozen=True)
class Market:
    """A market in which worlds are played: the mechanism that it is known by, its file, its mechanism if replaced."""

    mechanism: str
    file: Path
    replaced: bool = False


def find_markets(mechanisms: Sequence[str], scenario: str | None) -> list[Market]:
    """The ready-made markets of these mechanisms, or the scenario's under each of them (its own if none is named).

    Raises ``BadInput`` for a mechanism that is not known, given twice, or has no ready-made market.
    """
    from scenarios.registries import mechanisms as registered

    known = registered()
    for place, name in enumerate(mechanisms):
        if name not in known:
            raise BadInput("mechanism", "", name, problem=f"unknown mechanism, known: {', '.join(known)}")
        if name in mechanisms[:place]:
            raise BadInput("mechanism", "", name, problem="this mechanism is given twice")
    if scenario is not None:
        file = find_scenario(scenario)
        own = _own_mechanism(file)
        return [Market(name, file, replaced=name != own) for name in mechanisms or [own]]
    ready = arenas()
    for name in mechanisms:
        if name not in ready:
            raise BadInput("mechanism", "", name, problem="has no ready-made market, name one with --scenario")
    return [Market(name, ready[name]) for name in mechanisms]


def make_study(
    name: str,
    title: str,
    markets: Sequence[Market],
    worlds: Sequence[Playable],
    *,
    owners: int | None,
    seeds: int,
    seed: int,
    changes: Mapping[str, Any],
) -> Study:
    """The study of these worlds in these markets; ``owners`` of them from the start (None: as the markets say)."""
    replaced = any(market.replaced for market in markets)
    points = [
        {**world.point(), **({_MECHANISM: market.mechanism} if replaced else {})}
        for market in (markets if replaced else markets[:1])
        for world in worlds
    ]
    content = {
        "name": name,
        "title": title,
        "scenarios": (
            {"scenario": str(markets[0].file)}
            if replaced
            else {market.mechanism: str(market.file) for market in markets}
        ),
        "set": {**({} if owners is None else {"population.initial": owners}), **changes},
        "design": {"name": "list", "points": points},
        "replications": seeds,
        "seed": seed,
        "measures": ["welfare", "owner_utility"],
        "keep": ["episodes"],
    }
    return Study.model_validate(content)


def read_fields(changes: Sequence[str], training: bool) -> dict[str, Any]:
    """What a command changes in every market: ``path.to.key=value`` texts, and whether models are trained at all."""
    return read_changes(changes) | ({} if training else {"learning.enabled": False})


def _own_mechanism(file: Path) -> str:
    from scenarios.loading import check_scenario

    return check_scenario(read_scenario(file), file).market.mechanism.name
