"""Tasks whose learning curves are measured by real training: accuracy by data, by heterogeneity, by generated data.

Organisations use one generator that was trained on public data: what a generator learns from an owner's own few
samples is worth nothing on such data (docs/generation.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from learning.columns import IntColumn
from learning.data import BadData, Dataset, load_dataset
from learning.data.dataset import interleaved
from learning.device import resolve_device, use_threads
from learning.generation import UnsupportedData, generator_for
from learning.generation.worth import Laboratory, Result, designs, play, split_public, streams_of, trials_of
from learning.heterogeneity import heterogeneity
from learning.learning_curve import LearningCurve, fit_learning_curve
from learning.models import FlatModel
from learning.partition import PARTITIONS
from learning.streams import Streams
from market.cocogen import LearningCurve as CommonCurve
from market.cocogen.game import CompetitionModel, Game
from scenarios.instances.cocogen import PERSONAL_GAIN
from scenarios.reproduce.cocogen.rivals import MODERATE, Setting, rivals
from scenarios.reproduce.study import Options

FURTHER = ("breast_cancer", "fashion_mnist", "cifar10")
"""Played beside the named data set, unless it is to be quick."""
GENERATOR = "gaussian_mixture"
ORGANISATIONS = 5
SEED = 1
LEAST_QUALITY = 1e-6
"""Worth of a synthetic sample in the game where it was measured as 0 or less: the game knows no harm."""


@dataclass(frozen=True)
class Effort:
    """``volumes`` amounts of real data up to ``most``, shares of synthetic data, label skews, ``repeats`` of each;
    ``public`` samples at most for the generator; ``cohorts`` that are trained under every rule.
    """

    most: int = 8_000
    volumes: int = 5
    span: int = 32
    shares: tuple[float, ...] = (1 / 2, 2 / 3, 4 / 5)
    alphas: tuple[float, ...] = (0.1, 0.5)
    repeats: int = 4
    public: int = 5_000
    test: int = 2_000
    rounds: int = 30
    cohorts: int = 6


FULL = Effort()
QUICK = Effort(shares=(1 / 2, 4 / 5), repeats=3, cohorts=3)


@dataclass(frozen=True, eq=False)
class Task:
    """A data set with what was measured on it; ``public`` samples are what its shared generator was trained on."""

    laboratory: Laboratory
    public: Dataset
    volumes: tuple[int, ...]
    results: tuple[Result, ...]
    curve: LearningCurve
    cohorts: int

    @property
    def name(self) -> str:
        """That of its data set."""
        return self.laboratory.dataset.name

    @property
    def base(self) -> int:
        """Real samples of all organisations of a cohort together."""
        return self.volumes[len(self.volumes) // 2]

    @property
    def difficulty(self) -> float:
        """Share of errors with the real data of a cohort whose label mixes are equal, by the curve."""
        some = np.array([float(self.base)])
        return 1.0 - float(self.curve.accuracy(some, 0.0 * some, 0.0 * some)[0])

    def common_curve(self, reading: CompetitionModel) -> CommonCurve:
        """The measured curve as the game takes it: neither synthetic samples nor likeness of labels can do harm."""
        found = self.curve.parameters
        return CommonCurve(
            volume_scale=found["volume_scale"],
            volume_exponent=found["volume_exponent"],
            emd_penalty=max(found["emd_penalty"], 0.0),
            synthetic_quality=min(max(found["synthetic_quality"], LEAST_QUALITY), 1.0),
            personal_gain=PERSONAL_GAIN[reading],
        )

    def parts(self, number: int) -> list[IntColumn]:
        """Training samples of each organisation of a cohort: unlike in size and in labels."""
        luck, labels = streams_of(number, Streams(SEED)), self.laboratory.dataset.y_train
        mixed = luck.generator("trial samples").permutation(len(labels))
        chosen = mixed[interleaved(labels[mixed])[: self.base]]
        least = max(2, self.base // (5 * ORGANISATIONS))
        dealt = PARTITIONS["dirichlet"](labels[chosen], ORGANISATIONS, luck, alpha=MODERATE, min_samples=least)
        return [chosen[part] for part in dealt]

    def game(self, number: int, setting: Setting) -> Game:
        """The game of a cohort, with the measured curve."""
        data = self.laboratory.dataset
        counts = heterogeneity(self.parts(number), data.y_train, data.classes).class_counts.astype(np.float64)
        return rivals(counts, self.common_curve(setting.reading), number, setting)


@lru_cache(maxsize=1)
def measured_tasks(options: Options) -> tuple[tuple[Task, ...], tuple[str, ...]]:
    """Tasks from easy to difficult, and a warning for each that cannot be played; measured once for all studies."""
    effort = QUICK if options.quick else FULL
    names = [options.dataset, *(() if options.quick else FURTHER)]
    found, warnings = [], []
    for name in dict.fromkeys(names):
        try:
            found.append(measured_task(name, options.device, effort))
        except (BadData, UnsupportedData, TooFewSamples) as problem:
            warnings.append(f"left out: {problem}")
    return tuple(sorted(found, key=lambda task: task.difficulty)), tuple(warnings)


class TooFewSamples(ValueError):
    """A data set from which no learning curve can be measured."""


def measured_task(name: str, device: str, effort: Effort) -> Task:
    """Train on a data set until its curve is known. Raises ``BadData``, ``UnsupportedData`` and ``TooFewSamples``."""
    there, streams = resolve_device(device), Streams(SEED)
    use_threads(1)  # more would only wait for each other on models of this size
    data = load_dataset(name).first(None, effort.test)
    generator = generator_for(GENERATOR, data)
    public = min(effort.public, len(data.y_train) // 4)
    volumes = _volumes(data, len(data.y_train) - public, effort)
    data, given = split_public(data, public, streams)
    x, y = (torch.from_numpy(part).to(there) for part in (given.x_train, given.y_train))
    shared = generator.fit(x, y, data.classes, 0, 0, streams)
    model, rate = ("tabular", 0.1) if len(data.shape) == 1 else ("mlp", 0.1 / float(data.x_train.std()))
    laboratory = Laboratory(
        data, FlatModel.for_dataset(model, data), generator, there, shared, ORGANISATIONS, effort.rounds,
        learning_rate=rate,
    )  # fmt: skip
    wanted = designs(volumes, volumes[len(volumes) // 2], effort.shares, effort.alphas, effort.repeats)
    results = tuple(play(laboratory, design, streams) for design in wanted)
    curve = fit_learning_curve(trials_of(results), ("emd_penalty", "synthetic_quality"))
    return Task(laboratory, given, tuple(volumes), results, curve, effort.cohorts)


def says(tasks: Sequence[Task]) -> str:
    """What was trained, in words."""
    first = tasks[0].laboratory
    sizes = ", ".join(f"{task.name} {task.base:,}" for task in tasks)
    return (
        f"{ORGANISATIONS} organisations train a small network (one hidden layer) for {first.rounds} rounds of "
        f"{first.steps} steps each, whatever their volumes, on real samples in all of: {sizes}. Synthetic samples come "
        f"from one {GENERATOR} generator trained on public data that nobody holds"
    )


def _volumes(data: Dataset, available: int, effort: Effort) -> list[int]:
    """Real samples of the trials, in a geometric series."""
    most = min(effort.most, available)
    least = max(most // effort.span, 2 * ORGANISATIONS, 2 * data.classes)
    if most < 3 * least:
        raise TooFewSamples(
            f"{data.name}: {available} samples are too few for a learning curve, {3 * least} are needed"
        )
    ratio = (most / least) ** (1 / (effort.volumes - 1))
    return [*(round(least * ratio**step) for step in range(effort.volumes - 1)), most]
