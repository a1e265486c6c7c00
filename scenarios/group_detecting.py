"""Group detectors on labelled runs: how often each finds the members of rings, and how often it blames others.

Played by ``datagora detectors`` where a scenario has rings: its market goes on to the end without any consequence, and
each owner of each run is one case. Owners of a run are judged beside each other, so a run counts as one group when it
comes to how well a rate is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from agents.strategies.rings import RINGS
from learning.columns import BoolColumn, FloatColumn, IntColumn
from market.enforcement.groups import GROUP_DETECTORS, GroupDetector, MarketRecord
from market.enforcement.rates import Rate, area, rate
from market.mechanism import CLAIMS
from scenarios.errors import BadInput

if TYPE_CHECKING:
    import pandas as pd

    from scenarios.schema import Scenario

MEMBERS, OTHERS = "members of rings", "in no ring (false alarms)"
MOST_PAIRS = 50_000_000
"""Pairs of owners times rounds of one run, each of which takes some forty bytes."""


class Case(NamedTuple):
    """One detector and one kind of owner: how often it flags them, and the area under its curve against the others."""

    detector: str
    cases: str
    flagged: Rate
    area: float


class Judged(NamedTuple):
    """Owners of all runs: number of the run, ring's name or nothing, and the score of each detector, by its name."""

    run: IntColumn
    ring: list[str]
    scores: dict[str, FloatColumn]


def has_rings(scenario: Scenario) -> bool:
    """Whether any of its strategies acts in a ring."""
    return any(choice.name in RINGS for choice in scenario.population.strategies)


def measure_groups(
    scenario: Scenario, seeds: Sequence[int], device: str, detectors: Sequence[GroupDetector] | None = None
) -> list[Case]:
    """The rates of each group detector by kind of owner; by default of all of them as they are."""
    chosen = [GROUP_DETECTORS[name]() for name in GROUP_DETECTORS] if detectors is None else list(detectors)
    judged = judge(scenario, seeds, device, chosen)
    ring = np.array([bool(name) for name in judged.ring], dtype=np.bool_)
    cases: dict[str, BoolColumn] = {MEMBERS: ring}
    names = sorted({name for name in judged.ring if name})
    cases |= {f"ring: {name}": np.array([one == name for one in judged.ring]) for name in names}
    cases[OTHERS] = ~ring
    found = []
    for detector in chosen:
        scores = judged.scores[detector.name]
        flags = detector.flagged(scores)
        # Who gave nothing to go by is never flagged, so it ranks lowest.
        ranked = np.where(np.isnan(scores), -np.inf, scores)
        for name, rows in cases.items():
            if rows.any():
                against = rows | ~ring
                worth = np.nan if name == OTHERS else area(ranked[against], rows[against])
                found.append(Case(detector.name, name, rate(flags[rows], judged.run[rows]), worth))
    return found


def judge(scenario: Scenario, seeds: Sequence[int], device: str, detectors: Sequence[GroupDetector]) -> Judged:
    """Play the scenario with each seed and have every detector look at the whole run."""
    from scenarios.recorder import MemoryRecorder
    from scenarios.simulation import Simulation

    _check_pairs(scenario.horizon, scenario.population.initial)
    runs: list[IntColumn] = []
    rings: list[str] = []
    scores: dict[str, list[FloatColumn]] = {detector.name: [] for detector in detectors}
    for seed in seeds:
        recorder = MemoryRecorder()
        simulation = Simulation(scenario=without_consequences(scenario), seed=seed, device=device, recorder=recorder)
        simulation.run()
        owners = recorder.table("owners").query("moment == 'round'")
        world = simulation.world
        acting = {
            label: label
            for label, strategy in zip(world.strategy_names, world.strategies, strict=True)
            if strategy.name.split("+")[0] in RINGS
        }
        ids = np.unique(owners["owner"].to_numpy(dtype=np.int64))
        _check_pairs(owners["round"].nunique(), len(ids))
        label = owners["strategy"].astype(str).map(acting)
        member = dict(zip(owners["owner"][label.notna()], label[label.notna()], strict=True))
        rings += [member.get(int(owner), "") for owner in ids]
        runs.append(np.full(len(ids), seed, dtype=np.int64))
        record = market_record(owners, recorder.table("edges"), ids)
        for detector in detectors:
            scores[detector.name].append(detector.score(record))
    return Judged(np.concatenate(runs), rings, {name: np.concatenate(parts) for name, parts in scores.items()})


def _check_pairs(rounds: int, owners: int) -> None:
    if rounds * owners**2 > MOST_PAIRS:
        problem = f"{owners:,} owners in {rounds:,} rounds are too many pairs for detectors of groups"
        raise BadInput("population", "", None, problem=problem)


def without_consequences(scenario: Scenario) -> Scenario:
    """The scenario without audits, so that rings go on to the end."""
    content = scenario.model_dump(mode="json", exclude={"interventions", "enforcement"})
    return type(scenario).model_validate(content)


def market_record(owners: pd.DataFrame, edges: pd.DataFrame, ids: IntColumn) -> MarketRecord:
    """What the market has seen of the owners ``ids`` (in order), by the tables of a run."""
    rounds = np.unique(owners["round"].to_numpy(dtype=np.int64))
    shape = (len(rounds), len(ids))
    there = owners[owners["took_part"].to_numpy(dtype=np.bool_)]
    row = np.searchsorted(rounds, there["round"].to_numpy(dtype=np.int64))
    place = np.searchsorted(ids, there["owner"].to_numpy(dtype=np.int64))
    claims = {}
    for name in (claim for claim in CLAIMS if f"reported_{claim}" in there):  # what is taken for known has none
        claims[name] = np.full(shape, np.nan)
        claims[name][row, place] = there[f"reported_{name}"].to_numpy(dtype=np.float64)
    user, source = (edges[end].to_numpy(dtype=np.int64) for end in ("user", "source"))
    between = np.isin(user, ids) & np.isin(source, ids)
    when = np.searchsorted(rounds, edges["round"].to_numpy(dtype=np.int64)[between])
    buyer, seller = (np.searchsorted(ids, end[between]) for end in (user, source))
    bought = np.zeros((len(rounds), len(ids), len(ids)), dtype=np.bool_)
    bought[when, buyer, seller] = True
    apart = np.nan_to_num(edges["dissimilarity"].to_numpy(dtype=np.float64)[between])
    summed, times = np.zeros((2, len(ids), len(ids)))
    for one, other in ((buyer, seller), (seller, buyer)):
        np.add.at(summed, (one, other), apart)
        np.add.at(times, (one, other), 1.0)
    distance = np.divide(summed, times, out=np.full(summed.shape, np.nan), where=times > 0)
    return MarketRecord(claims, bought, distance)
