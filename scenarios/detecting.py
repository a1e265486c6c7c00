"""``datagora detectors``: how often each detector is right, measured on runs in which the truth is on record.

A scenario is played as it is, but for its enforcement: everybody is audited in every round by all detectors, and no
verdict has a consequence, so that those who break the rules go on doing so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from learning.columns import BoolColumn, FloatColumn
from market.enforcement.detectors import Detector
from market.enforcement.evidence import SIGNALS, Evidence
from market.enforcement.rates import Rate, area, rate
from scenarios.errors import BadInput

if TYPE_CHECKING:
    import pandas as pd

    from scenarios.schema import Scenario

EVERYTHING, CLEAN, LIE = "all violations", "clean rounds (false alarms)", "lies, but trained"


@dataclass(frozen=True)
class Measured:
    """One detector and one kind of case: how often it flags them; ``area`` under its ROC curve against clean rounds."""

    detector: str
    cases: str
    flagged: Rate
    area: float


def labelled(scenario: Scenario) -> Scenario:
    """The scenario with all detectors on everybody and without consequences.

    Detectors that the scenario has keep their parameters; the others have their defaults. Raises ``BadInput`` where
    nothing is trained that could be looked at.
    """
    from pydantic import ValidationError

    from scenarios.problems import first_problem
    from scenarios.registries import detectors

    chosen = {choice.name: choice.model_dump(mode="json") for choice in scenario.enforcement.detectors}
    every = [chosen.get(name, {"name": name}) for name in detectors()]
    content = scenario.model_dump(mode="json", exclude={"interventions"})
    content["enforcement"] = {
        "audit_rate": 1.0,
        "slash_share": 0.0,
        "reputation_loss": 0.0,
        "reputation_gain": 0.0,
        "detectors": every,
        "tolerance": scenario.enforcement.tolerance,
        "initial_reputation": scenario.enforcement.initial_reputation,
    }
    try:
        return type(scenario).model_validate(content)
    except ValidationError as error:
        found = first_problem(error, content, type(scenario))
        raise BadInput(
            scenario.name, ".".join(map(str, found.field)), found.value, found.expected, found.problem
        ) from None


def record(scenario: Scenario, seeds: Sequence[int], device: str = "auto") -> pd.DataFrame:
    """The audits of labelled runs with these seeds, one after the other; column ``seed`` tells them apart."""
    import pandas as pd

    from scenarios.recorder import MemoryRecorder
    from scenarios.simulation import Simulation

    tables = []
    for seed in seeds:
        recorder = MemoryRecorder()
        Simulation(scenario=labelled(scenario), seed=seed, device=device, recorder=recorder).run()
        tables.append(recorder.table("audits").assign(seed=seed))
    return pd.concat(tables, ignore_index=True)


def measure(audits: pd.DataFrame, detectors: Sequence[Detector]) -> list[Measured]:
    """The rates of each detector by kind of case, from the signals and the truth in a table of audits.

    Every round must be there with all of its audited owners: some detectors compare them with each other.
    """
    upload, violation = audits["upload"].astype(str).to_numpy(), audits["violation"].to_numpy(dtype=np.bool_)
    trained = upload == "trained"
    cases: dict[str, BoolColumn] = {EVERYTHING: violation}
    cases |= {f"upload: {kind}": upload == kind for kind in sorted(set(upload[~trained]))}
    cases |= {LIE: violation & trained, CLEAN: ~violation}
    found = []
    for detector in detectors:
        scores = score(audits, detector)
        for name, rows in cases.items():
            if rows.any():
                against = rows | ~violation
                worth = np.nan if name == CLEAN else area(scores[against], rows[against])
                found.append(Measured(detector.name, name, rate(detector.flagged(scores[rows])), worth))
    return found


def score(audits: pd.DataFrame, detector: Detector) -> FloatColumn:
    """The detector's score of each audit, computed round by round from the recorded signals."""
    scores = np.full(len(audits), np.nan)
    by = ["seed", "round"] if "seed" in audits else ["round"]
    for rows in audits.groupby(by, sort=False).indices.values():
        some = audits.iloc[rows]
        measured = {name: some[name].to_numpy(dtype=np.float64) for name in SIGNALS}
        claimed = some["claimed"].to_numpy(dtype=np.float64)
        scores[rows] = detector.score(Evidence(np.ones(len(some)), claimed, measured))
    return scores


def as_table(found: Sequence[Measured]) -> pd.DataFrame:
    """The same as a table, a row for each detector and kind of case."""
    import pandas as pd

    rows: list[dict[str, Any]] = [
        {
            "detector": one.detector,
            "cases": one.cases,
            "count": one.flagged.count,
            "flagged": one.flagged.hits,
            "rate": one.flagged.share,
            "low": one.flagged.low,
            "high": one.flagged.high,
            "area": one.area,
        }
        for one in found
    ]
    return pd.DataFrame(rows)


def detect(scenario: Scenario, seeds: int, device: str) -> pd.DataFrame:
    """What ``datagora detectors`` shows, of so many runs from the scenario's seed on."""
    from scenarios.enforcement_checks import policy_of

    audits = record(scenario, range(scenario.seed, scenario.seed + seeds), device)
    return as_table(measure(audits, policy_of(labelled(scenario).enforcement).detectors))


def show(table: pd.DataFrame) -> None:
    """Print the table: a line for each detector and kind of case."""
    print(f"{'detector':<17} {'cases':<28} {'count':>6} {'flagged':>8} {'rate':>6}  95 % interval  area")
    for row in table.to_dict("records"):
        interval = f"{row['low']:.3f} to {row['high']:.3f}"
        shown = "-" if np.isnan(row["area"]) else f"{row['area']:.3f}"
        line = f"{row['detector']:<17} {row['cases']:<28} {row['count']:>6} {row['flagged']:>8} {row['rate']:>6.3f}"
        print(f"{line}  {interval}  {shown:>5}")
