"""Random markets: scenarios that use any part of the schema, small enough to be played in a second or two.

Parts are drawn one by one, each by what it depends on (a market for personal models has no global one). What still does
not go together is told by the schema itself, and the part that it names is left out; so every rule of the schema is
obeyed without being written down a second time here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from learning.data import BadData
from scenarios.errors import BadInput
from scenarios.loading import check_scenario
from scenarios.schema import Scenario
from scenarios.simulation import Simulation
from scenarios.soak.dice import Dice
from scenarios.soak.parts import draw_content

_MOST_REPAIRS = 25
_MOST_DRAWS = 20
HERE = Path("soak")
"""What stands for the file in messages about a market that is in no file."""


class Market(NamedTuple):
    """A scenario, what a file that gives it says, and how many parts were left out as they did not go together."""

    scenario: Scenario
    content: dict[str, Any]
    left_out: int


def random_market(seed: int, number: int) -> Market:
    """The market with this number of the soak with this seed; always the same."""
    dice, left_out = Dice(seed, number), 0
    for _ in range(_MOST_DRAWS):
        content = draw_content(dice, f"soak-{seed}-{number}")
        for _ in range(_MOST_REPAIRS):
            try:
                scenario = check_scenario(content, HERE)
                # Some rules are only found out when the parts of a run are built.
                Simulation(scenario=scenario, device="cpu")
                return Market(scenario, content, left_out)
            except (BadInput, BadData) as problem:
                left_out += 1
                if not left_out_of(content, problem.field if isinstance(problem, BadInput) else "data.partition"):
                    break
    raise RuntimeError(f"no valid market was drawn for seed {seed}, number {number}")


def random_scenario(seed: int, number: int = 0) -> Scenario:
    """The scenario of ``random_market``."""
    return random_market(seed, number).scenario


def left_out_of(content: dict[str, Any], field: str) -> bool:
    """Take what stands at ``field`` out of the content, or the deepest thing above it; False if nothing is there."""
    place: Any = content
    trail: list[tuple[Any, Any]] = []
    for step in field.split("."):
        key: Any = int(step) if isinstance(place, list) and step.isdecimal() else step
        if not (key in place if isinstance(place, dict) else isinstance(place, list) and isinstance(key, int)):
            break
        if isinstance(place, list) and key >= len(place):
            break
        trail.append((place, key))
        place = place[key]
    while trail:
        above, key = trail.pop()
        if key not in ("name", "kind"):  # else the whole of what is named goes
            del above[key]
            return True
    return False
