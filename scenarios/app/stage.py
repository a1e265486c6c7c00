"""The stage: one world, or two in step, as a Mesa model that Mesa's own controls play, pause, step and reset."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mesa

from agents.strategies import strategy_labels
from learning.data import BadData
from scenarios.app.controls import mechanism_parameters
from scenarios.app.draft import Draft
from scenarios.app.layout import Layout
from scenarios.app.reel import Reel, Tape, reel_of
from scenarios.errors import BadInput
from scenarios.interventions import MECHANISM
from scenarios.results import open_run
from scenarios.schema import Scenario
from scenarios.simulation import Simulation


@dataclass
class Show:
    """One world on the stage: its name, scenario, frames; ``simulation`` and ``tape`` only of one that is played."""

    name: str
    scenario: Mapping[str, Any]
    reel: Reel
    simulation: Simulation | None = None
    tape: Tape | None = None
    layout: Layout = field(default_factory=Layout)

    @property
    def strategies(self) -> tuple[str, ...]:
        """Strategies in the order of the scenario."""
        shares = self.scenario["population"]["strategies"]
        return tuple(dict.fromkeys(strategy_labels([(share["name"], share) for share in shares])))

    @property
    def marks(self) -> tuple[int, ...]:
        """Rounds at whose opening a lever was turned."""
        return tuple(one["round"] for one in self.scenario.get("interventions") or ())

    @property
    def levers(self) -> tuple[str, ...]:
        """What was turned at each intervention, in words."""
        turned = (one["set"] for one in self.scenario.get("interventions") or ())
        return tuple(", ".join(_in_words(path, value) for path, value in settings.items()) for settings in turned)

    def mechanism_at(self, number: int) -> dict[str, Any]:
        """The mechanism of a round, its name and the parameters given."""
        chosen = self.scenario["market"]["mechanism"]
        for one in self.scenario.get("interventions") or ():
            if one["round"] <= number:
                chosen = one["set"].get(MECHANISM, chosen)
        return dict(chosen) if isinstance(chosen, Mapping) else {"name": str(chosen)}


class Stage(mesa.Model):
    """The worlds of a draft (or of what a function gives as one), or a finished run in ``folder``.

    ``problem`` is one line when the scenario is bad, data are missing or a step failed; there is nothing to play then.
    All worlds advance one window per step. A lock keeps levers and steps apart: they come from different threads.
    """

    def __init__(self, draft: Draft | Callable[[], Draft] | None = None, folder: str = "") -> None:
        super().__init__(seed=0)  # never drawn from
        self.draft, self.folder = (draft() if callable(draft) else draft or Draft()), folder
        self.problem = ""
        self.shows: tuple[Show, ...] = ()
        self._lock = threading.Lock()
        try:
            self.shows = (_finished(Path(folder)),) if folder else self._build()
        except (BadInput, BadData, ValueError, OSError) as problem:
            self.problem = " ".join(str(problem).split())
        self.running: bool = not (self.problem or folder)

    def _build(self) -> tuple[Show, ...]:
        scenarios = self.draft.scenarios()
        names = ("A", "B") if len(scenarios) > 1 else ("",)
        return tuple(_playing(name, scenario) for name, scenario in zip(names, scenarios, strict=True))

    def step(self) -> None:
        """Play one window of every world; at the horizon, write down the end."""
        with self._lock:
            if not self.running:
                return
            try:
                for show in self.shows:
                    assert show.simulation is not None
                    show.simulation.step()
                    if not show.simulation.running:
                        show.simulation.finish()
                self.running = any(s.simulation is not None and s.simulation.running for s in self.shows)
            except (BadInput, BadData, ValueError) as problem:
                self.problem, self.running = " ".join(str(problem).split()), False

    def turn(self, settings: Mapping[str, Any], worlds: str = "AB") -> list[int]:
        """Turn levers when the next round opens, in the worlds named (a single world is always meant).

        Returns the rounds. Raises ``BadInput`` for a bad value, and turns nothing then.
        """
        with self._lock:
            meant = [(show, show.simulation) for show in self.shows if not show.name or show.name in worlds]
            playing = [(show, simulation) for show, simulation in meant if simulation and simulation.running]
            for _, simulation in playing:
                simulation.with_intervention(settings)  # refused by one world, turned in none
            rounds = [simulation.intervene(settings) for _, simulation in playing]
            for show, simulation in playing:
                show.scenario = simulation.scenario.model_dump(mode="json")
            return rounds

    def close(self) -> None:
        """Stop the clock; the simulations go with whoever holds this."""
        with self._lock:
            self.running = False

    def in_force(self, path: str) -> Any:
        """The value of a lever now: as last turned in any world, or as the first world's scenario says."""
        if not self.shows:
            return self.draft.value(path)
        turned = [
            one["set"][path] for show in self.shows for one in show.scenario["interventions"] if path in one["set"]
        ]
        value: Any = self.shows[0].scenario
        for part in path.split("."):
            value = value[part]
        value = turned[-1] if turned else value
        return value["name"] if isinstance(value, dict) else value

    def mechanism(self) -> dict[str, Any]:
        """The mechanism in force, with the lever as last turned, and all its parameters."""
        if not self.shows:
            return self.draft.mechanism()
        show = max(self.shows, key=lambda show: max(show.marks, default=-1))
        return mechanism_parameters(show.mechanism_at(max(show.marks, default=0)))

    @property
    def length(self) -> int:
        """Closed rounds that all worlds have."""
        return min((len(show.reel.frames) for show in self.shows), default=0)

    @property
    def windows(self) -> tuple[int, int]:
        """Windows played, and the horizon."""
        played = max((s.simulation.steps for s in self.shows if s.simulation is not None), default=0)
        return played, max((int(s.scenario["horizon"]) for s in self.shows), default=0)


def _playing(name: str, scenario: Scenario) -> Show:
    tape = Tape()
    simulation = Simulation(scenario=scenario, recorder=tape)
    return Show(name, scenario.model_dump(mode="json"), tape.reel, simulation, tape)


def _finished(folder: Path) -> Show:
    run = open_run(folder.expanduser())
    return Show("", run.scenario, reel_of(run))


def _in_words(path: str, value: Any) -> str:
    named = value.get("name", value) if isinstance(value, Mapping) else value
    return f"{path.split('.')[-1].replace('_', ' ')} {named}"
