"""``datagora detectors``: how often each detector is right, measured on runs in which the truth is on record.

A scenario is played as it is, but for its enforcement: everybody is audited in every round by all detectors, and no
verdict has a consequence, so that those who break the rules go on doing so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from learning.columns import BoolColumn, FloatColumn, IntColumn
from market.enforcement.calibration import calibrated
from market.enforcement.detectors import Detector
from market.enforcement.evidence import SIGNALS, Evidence
from market.enforcement.rates import Rate, area, rate
from scenarios.errors import BadInput

if TYPE_CHECKING:
    import pandas as pd

    from scenarios.group_detecting import Case
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


def measure(audits: pd.DataFrame, detectors: Sequence[Detector | Panel]) -> list[Measured]:
    """The rates of each detector by kind of case, from the signals and the truth in a table of audits.

    Every round must be there with all of its audited owners: some detectors compare them with each other. The rounds
    of one owner count as one group when it comes to how well a rate is known.
    """
    upload, violation = audits["upload"].astype(str).to_numpy(), audits["violation"].to_numpy(dtype=np.bool_)
    whose = _owners(audits)
    trained = upload == "trained"
    cases: dict[str, BoolColumn] = {EVERYTHING: violation}
    cases |= {f"upload: {kind}": upload == kind for kind in sorted(set(upload[~trained]))}
    cases |= {LIE: violation & trained, CLEAN: ~violation}
    found = []
    for detector in detectors:
        scores = score(audits, detector)
        flags = detector.flagged(scores)
        for name, rows in cases.items():
            if rows.any():
                against = rows | ~violation
                worth = np.nan if name == CLEAN else area(scores[against], rows[against])
                found.append(Measured(detector.name, name, rate(flags[rows], whose[rows]), worth))
    return found


def _owners(audits: pd.DataFrame) -> IntColumn:
    """A number for each audit, the same for all of one owner of one run."""
    groups = audits.groupby(["seed", "owner"] if "seed" in audits else ["owner"], sort=False)
    return groups.ngroup().to_numpy().astype(np.int64)


@dataclass(frozen=True)
class Panel:
    """The detectors of a scenario, which find guilty whom ``votes`` of them flag; the score is their number."""

    detectors: tuple[Detector, ...]
    votes: int

    @property
    def name(self) -> str:
        """What the table calls it."""
        return f"audit: {self.votes} of {len(self.detectors)}"

    def score(self, evidence: Evidence) -> FloatColumn:
        """How many of them flag each owner."""
        return np.asarray(np.sum([detector.flags(evidence) for detector in self.detectors], axis=0), dtype=np.float64)

    def flagged(self, score: FloatColumn) -> BoolColumn:
        """Whom an audit finds guilty."""
        return np.asarray(score >= self.votes)


def score(audits: pd.DataFrame, detector: Detector | Panel) -> FloatColumn:
    """The detector's score of each audit, computed round by round from the recorded signals."""
    scores = np.full(len(audits), np.nan)
    by = ["seed", "round"] if "seed" in audits else ["round"]
    for rows in audits.groupby(by, sort=False).indices.values():
        some = audits.iloc[rows]
        measured = {name: some[name].to_numpy(dtype=np.float64) for name in SIGNALS}
        claimed = some["claimed"].to_numpy(dtype=np.float64)
        scores[rows] = detector.score(Evidence(np.ones(len(some)), claimed, measured))
    return scores


def as_table(found: Sequence[Measured | Case]) -> pd.DataFrame:
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


@dataclass(frozen=True)
class Trial:
    """What ``datagora detectors`` shows: rates, and the detectors that they belong to.

    ``chosen`` are the scenario's own, as an audit would use them; ``left`` says which could not be calibrated, and why.
    ``calibrated_on``: how many clean rounds, and of how many owners, the others were set by.
    """

    table: pd.DataFrame
    chosen: tuple[Detector, ...]
    left: dict[str, str] = field(default_factory=dict)
    calibrated_on: tuple[int, int] = (0, 0)


def detect(scenario: Scenario, seeds: int, device: str, false_alarms: float | None = None) -> Trial:
    """Measure all detectors, and the scenario's own audit, on so many runs from the scenario's seed on.

    Where it has rings, also detectors of groups, as they are; where nothing is trained, only these.

    With ``false_alarms`` detectors are set to that share first, by the clean rounds of the first half of the runs; the
    rates are those of the other half. Raises ``BadInput`` where nothing arrives that could be looked at, and for less
    than two runs to calibrate and measure with.
    """
    from scenarios.enforcement_checks import policy_of
    from scenarios.group_detecting import has_rings, measure_groups

    if false_alarms is not None and seeds < 2:
        raise BadInput("--seeds", "", seeds, "2 or more with --false-alarms: one half calibrates, the other measures")
    runs = range(scenario.seed, scenario.seed + seeds)
    groups = measure_groups(scenario, runs, device) if has_rings(scenario) else []
    if groups and not scenario.learning.enabled:
        return Trial(as_table(groups), ())
    detectors, left, clean = policy_of(labelled(scenario).enforcement).detectors, dict[str, str](), (0, 0)
    if false_alarms is not None:
        audits = _audits(scenario, runs[: seeds // 2], device)
        detectors, left = calibrate(audits, detectors, false_alarms)
        innocent = audits[~audits["violation"].to_numpy(dtype=np.bool_)]
        clean = len(innocent), len(np.unique(_owners(innocent)))
        runs = runs[seeds // 2 :]
    own = {choice.name for choice in scenario.enforcement.detectors}
    chosen = tuple(detector for detector in detectors if detector.name in own)
    panel = [Panel(chosen, scenario.enforcement.votes)] if chosen else []
    rates = measure(_audits(scenario, runs, device), [*detectors, *panel])
    return Trial(as_table([*rates, *groups]), chosen, left, clean)


def _audits(scenario: Scenario, seeds: Sequence[int], device: str) -> pd.DataFrame:
    """The audits of labelled runs, of which there must be some."""
    audits = record(scenario, seeds, device)
    if audits.empty:
        raise BadInput(scenario.name, "", None, problem="no upload ever arrived that detectors could look at")
    return audits


def calibrate(
    audits: pd.DataFrame, detectors: Sequence[Detector], share: float
) -> tuple[tuple[Detector, ...], dict[str, str]]:
    """The detectors with limits for this share of false alarms, and why some have kept theirs."""
    clean, whose = ~audits["violation"].to_numpy(dtype=np.bool_), _owners(audits)
    found: list[Detector] = []
    left: dict[str, str] = {}
    for detector in detectors:
        try:
            found.append(calibrated(detector, score(audits, detector)[clean], share, whose[clean]))
        except ValueError as problem:
            found.append(detector)
            left[detector.name] = str(problem)
    return tuple(found), left


def show(trial: Trial, false_alarms: float | None = None) -> None:
    """Print the table, a line for each detector and kind of case, and what a scenario would say of its audits."""
    table = trial.table
    print(f"{'detector':<17} {'cases':<28} {'count':>6} {'flagged':>8} {'rate':>6}  95 % interval  area")
    for row in table.to_dict("records"):
        interval = f"{row['low']:.3f} to {row['high']:.3f}"
        shown = "-" if np.isnan(row["area"]) else f"{row['area']:.3f}"
        line = f"{row['detector']:<17} {row['cases']:<28} {row['count']:>6} {row['flagged']:>8} {row['rate']:>6.3f}"
        print(f"{line}  {interval}  {shown:>5}")
    if false_alarms is not None and any(trial.calibrated_on):
        rounds, owners = trial.calibrated_on
        print(f"set to false alarms of {false_alarms:g} by {rounds} clean rounds of {owners} owners")
    for name, reason in trial.left.items():
        print(f"{name} keeps its parameters, whatever its false alarms: {reason}")
    if trial.chosen:
        print(_described(trial, all_of_it=false_alarms is not None))


def _described(trial: Trial, *, all_of_it: bool) -> str:
    """Lines for a scenario: what its audits were found to do, and the detectors that do it, if they are new."""
    import yaml

    rates = trial.table[trial.table["detector"].str.startswith("audit: ")].set_index("cases")["rate"]
    rules: dict[str, Any] = {}
    if all_of_it:
        rules["detectors"] = [{"name": one.name, **asdict(one)} for one in trial.chosen]
    for name, cases in (("detection_rate", EVERYTHING), ("false_alarm_rate", CLEAN)):
        if cases in rates.index:
            rules[name] = round(float(rates[cases]), 3)
    lines = yaml.safe_dump({"enforcement": rules}, sort_keys=False, default_flow_style=None, width=120)
    return f"# for the scenario, as measured:\n{lines}".rstrip()
