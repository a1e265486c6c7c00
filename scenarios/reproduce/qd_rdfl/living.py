"""The market of the paper's training experiments, played: ten owners who stay, ten computing centers, real training."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd

from scenarios.reproduce.study import Options
from scenarios.schema import Scenario

OWNERS = 10
MEASURED_IN = 2
"""The authors' round of the adjustment, counted from 0."""

STRENGTHS = (1.0, 4.0)
"""Noise in the features of the worst owners, in standard deviations of the features: mild, and hard to learn from.

The authors' noise is below a tenth of the range of a pixel, but their models are far from what their data allow.
"""


@dataclass(frozen=True)
class Setting:
    """What a data set is trained with, and how long and how often. Limits are numbers of samples."""

    dataset: str
    device: str
    rounds: int
    seeds: int
    model: str
    learning_rate: float
    train_limit: int | None
    test_limit: int | None

    def says(self) -> str:
        """One sentence for the reader."""
        some = f", first {self.train_limit:,} samples" if self.train_limit else ""
        return f"{self.model} on {self.dataset}{some}, {self.rounds} rounds, {self.seeds} seeds"


def setting(options: Options) -> Setting:
    """Small data get the model that takes milliseconds, larger images a convolutional and text a recurrent one."""
    from learning.data import load_dataset

    data = load_dataset(options.dataset)
    rounds = 12 if options.quick else 40
    if data.vocabulary is not None:
        return Setting(options.dataset, options.device, rounds, 2 if options.quick else 3, "char_lstm", 1.0,
                       600 if options.quick else 4000, 300 if options.quick else 1000)  # fmt: skip
    if len(data.shape) == 3 and math.prod(data.shape) > 256:
        return Setting(options.dataset, options.device, rounds, 2 if options.quick else 3, "cnn", 0.05,
                       1000 if options.quick else 6000, 500 if options.quick else 2000)  # fmt: skip
    return Setting(options.dataset, options.device, rounds, 10 if options.quick else 20, "softmax", 0.1, 10_000, 2_000)


def market(where: Setting, *, adjustment_round: int = MEASURED_IN, **changes: Any) -> Scenario:
    """Ten honest owners with equal amounts of data, of uniform quality; nobody leaves, joins or comes late.

    Poor quality is noise in the features, as in the paper; -1 for no adjustment. ``changes`` are fields of the parts
    of the scenario: ``data={"quality": ...}``.
    """
    parts: dict[str, dict[str, Any]] = {
        "population": {
            "initial": OWNERS,
            "types": {"cost": 0.0, "model_value": 0.0, "outside_option": 0.0, "link_time": 0.0, "think_time": 0.0},
        },
        "data": {
            "dataset": where.dataset,
            "partition": {"name": "iid"},
            "quality": {"name": "uniform", "low": 0.0, "high": 1.0},
            "max_label_noise": 0.0,
            "max_feature_noise": 1.0,
            "train_limit": where.train_limit,
            "test_limit": where.test_limit,
        },
        "learning": {
            "model": where.model,
            "epochs": 5,
            "batch_size": 5,
            "learning_rate": where.learning_rate,
        },
        "round": {"late": "wait"},
        "market": {
            "mechanism": {"name": "qd_rdfl", "adjustment_round": adjustment_round, "center_solver": "authors"},
            "budget": 5.0,
            "revenue": 0.0,
            "neighbours": 0,
        },
        "centers": {"count": OWNERS, "slots": 1, "rate": 1000.0,
                    "cost_factor": {"name": "uniform", "low": 0.1, "high": 1.0}},
    }  # fmt: skip
    merged = {name: {**part, **changes.pop(name, {})} for name, part in parts.items()}
    return Scenario.model_validate({"name": "reproduce", "horizon": where.rounds, **merged, **changes})


def played(scenario: Scenario, seed: int, device: str, *tables: str) -> tuple[pd.DataFrame, ...]:
    """These tables of the run with this seed."""
    from scenarios.recorder import MemoryRecorder
    from scenarios.simulation import Simulation

    recorder = MemoryRecorder()
    Simulation(scenario=scenario, seed=seed, device=device, recorder=recorder).run()
    return tuple(recorder.table(name) for name in tables)
