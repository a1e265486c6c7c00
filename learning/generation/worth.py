"""What synthetic samples are worth, by real federated training: trials that differ in nothing but their data.

Every trial trains the same model from the same start, with the same number of owners, rounds and SGD steps, whatever
the volume: so accuracies differ by what the data say, and not by how long was trained. Owners hold equal shares.
Every owner trains a generator on its own samples alone and generates on its own account; or all use a shared one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from learning.aggregation import fedavg
from learning.batches import LocalTraining
from learning.columns import FloatColumn, IntColumn
from learning.data import Dataset
from learning.data.dataset import interleaved
from learning.evaluation import evaluate
from learning.generation.augmentation import Synthetic, with_synthetic
from learning.generation.class_mix import class_counts, labels_of
from learning.generation.generator import Fitted, Generator
from learning.heterogeneity import emd, heterogeneity
from learning.learning_curve import LearningCurve, Trials
from learning.local_terms import LocalTerms
from learning.models import FlatModel
from learning.partition import PARTITIONS
from learning.shards import Shards
from learning.streams import Streams
from learning.training import train_cohort


@dataclass(frozen=True, eq=False)
class Laboratory:
    """What all trials have in common.

    Attributes:
        generator: what owners train on their own samples, to generate with.
        shared: a trained generator that all use instead, for instance of public data; None for none.
        owners, rounds: of the federated training.
        steps: SGD steps of an owner in a round, whatever it holds.
    """

    dataset: Dataset
    model: FlatModel
    generator: Generator
    device: torch.device
    shared: Fitted | None = None
    owners: int = 5
    rounds: int = 20
    steps: int = 10
    batch_size: int = 32
    learning_rate: float = 0.1


@dataclass(frozen=True)
class Design:
    """One trial to be made: ``real`` and ``synthetic`` samples of all owners together.

    ``study`` names the series it belongs to. ``alpha``: owners' label mixes are drawn from a Dirichlet distribution
    with this parameter (``inner_dirichlet``); None for mixes as equal as can be. ``repeat`` keys the draws: trials of
    the same repeat and alpha share data and initial weights.
    """

    study: str
    real: int
    synthetic: int = 0
    alpha: float | None = None
    repeat: int = 0


@dataclass(frozen=True)
class Result:
    """A trial that was made: its ``emd`` with synthetic labels counted (weighted mean of the owners'), its accuracy."""

    design: Design
    emd: float
    accuracy: float


def play(laboratory: Laboratory, design: Design, streams: Streams) -> Result:
    """One training on fresh test data. Raises ``ValueError`` for more samples than there are, or too few."""
    repeat = streams_of(design.repeat, streams)
    volumes = np.diff(np.arange(laboratory.owners + 1) * design.synthetic // laboratory.owners)
    distance, accuracy = trained_on(laboratory, _dealt(laboratory, design, repeat), volumes, repeat)
    return Result(design, distance, accuracy)


def streams_of(repeat: int, streams: Streams) -> Streams:
    """The luck of one repeat: its data, initial weights, batches and synthetic samples."""
    return Streams(int(streams.integers("trial", repeat, 2**52)))


def trained_on(
    laboratory: Laboratory, parts: Sequence[IntColumn], synthetic: IntColumn, streams: Streams
) -> tuple[float, float]:
    """Mean EMD and test accuracy of owners who hold real samples and add ``synthetic`` [K] ones of the global mix.

    ``parts`` are training samples of each owner, none empty. The same streams give the same initial weights whatever
    the volumes. Mean EMD is weighted with the owners' samples, synthetic ones counted.
    """
    shards = _shards(laboratory, parts, streams)
    if synthetic.any():
        added = _generated(laboratory, synthetic, shards, streams)
        shards = with_synthetic(shards, np.arange(len(parts)), shards.sizes, added)
    weights = _trained(laboratory, shards, streams)
    tested = evaluate(laboratory.model, weights, *_test_set(laboratory), laboratory.dataset.classes)
    share = shards.sizes / shards.sizes.sum()
    return float(share @ emd(shards.class_mix, _real_mix(laboratory, parts))), tested.accuracy


def designs(volumes: Sequence[int], base: int, shares: Sequence[float], alphas: Sequence[float],
            repeats: int) -> list[Design]:  # fmt: skip
    """The trials that calibrate a learning curve.

    ``volume``: real data of each of ``volumes``. ``growing``: ``base`` real samples, and synthetic ones on top up to
    each of ``shares`` of all. ``replacing``: the greatest volume, of which a share is synthetic. ``label_skew``: the
    greatest volume, dealt by Dirichlet draws with each of ``alphas``.
    """
    most, made = max(volumes), []
    for repeat in range(repeats):
        made += [Design("volume", volume, repeat=repeat) for volume in volumes]
        made += [Design("growing", base, round(base * share / (1 - share)), repeat=repeat) for share in shares]
        made += [
            Design("replacing", most - round(most * share), round(most * share), repeat=repeat) for share in shares
        ]
        made += [Design("label_skew", most, alpha=alpha, repeat=repeat) for alpha in alphas]
    return made


def split_public(dataset: Dataset, public: int, streams: Streams) -> tuple[Dataset, Dataset]:
    """The data set without ``public`` of its training samples, and one of those alone, classes spread over both.

    Raises ``ValueError`` unless some are left on either side.
    """
    if not 0 < public < len(dataset.y_train):
        raise ValueError(f"public samples must be 1 to {len(dataset.y_train) - 1}, got {public}")
    mixed = streams.generator("public samples").permutation(len(dataset.y_train))
    order = mixed[interleaved(dataset.y_train[mixed])]
    halves = [np.sort(order[public:]), np.sort(order[:public])]
    kept, given = (
        replace(dataset, x_train=dataset.x_train[rows], y_train=dataset.y_train[rows],
                groups=None if dataset.groups is None else dataset.groups[rows])
        for rows in halves
    )  # fmt: skip
    return kept, given


def play_all(laboratory: Laboratory, wanted: Sequence[Design], streams: Streams) -> Iterator[Result]:
    """The results one by one, so that a caller can show progress."""
    for design in wanted:
        yield play(laboratory, design, streams)


def trials_of(results: Sequence[Result]) -> Trials:
    """Results as columns for ``fit_learning_curve``."""
    real, synthetic, distance, accuracy = np.array(
        [[r.design.real, r.design.synthetic, r.emd, r.accuracy] for r in results], dtype=np.float64
    ).reshape(-1, 4).T  # fmt: skip
    return Trials(real, synthetic, distance, accuracy)


def worth(curve: LearningCurve, trials: Trials) -> FloatColumn:
    """Worth [M] of a synthetic sample in each trial: how many real ones would have given the same accuracy.

    (equivalent volume - real) / synthetic, by a curve of real data; NaN without synthetic samples, infinite where no
    volume of real data reaches the accuracy. Single trials scatter widely: where the curve is flat, a little noise is
    worth many samples.
    """
    needed = curve.equivalent_volume(trials.accuracy, trials.heterogeneity)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(trials.synthetic > 0, (needed - trials.real) / trials.synthetic, np.nan))


def _dealt(laboratory: Laboratory, design: Design, streams: Streams) -> list[IntColumn]:
    """Training samples of each owner: the same first ones for every volume of a repeat."""
    labels = laboratory.dataset.y_train
    if not laboratory.owners <= design.real <= len(labels):
        raise ValueError(f"a trial needs {laboratory.owners} to {len(labels)} real samples, got {design.real}")
    mixed = streams.generator("trial samples").permutation(len(labels))
    chosen = mixed[interleaved(labels[mixed])[: design.real]]
    if design.alpha is not None:
        parts = PARTITIONS["inner_dirichlet"](labels[chosen], laboratory.owners, streams, alpha=design.alpha)
        return [chosen[part] for part in parts]
    by_class = chosen[np.argsort(labels[chosen], kind="stable")]
    return [by_class[owner :: laboratory.owners] for owner in range(laboratory.owners)]


def _real_mix(laboratory: Laboratory, parts: Sequence[IntColumn]) -> FloatColumn:
    """The label mix [C] of all owners' real data."""
    found = heterogeneity(parts, laboratory.dataset.y_train, laboratory.dataset.classes)
    return np.asarray(found.class_counts.sum(axis=0) / found.sizes.sum())


def _shards(laboratory: Laboratory, parts: Sequence[IntColumn], streams: Streams) -> Shards:
    clean = np.ones(len(parts))
    return Shards.build(
        laboratory.dataset,
        parts,
        clean,
        max_label_noise=0.0,
        max_feature_noise=0.0,
        streams=streams,
        device=laboratory.device,
    )


def _generated(laboratory: Laboratory, volumes: IntColumn, shards: Shards, streams: Streams) -> list[Synthetic | None]:
    """What each owner generates, its labels after the global mix; None for nothing."""
    classes = laboratory.dataset.classes
    mix = shards.sizes @ shards.class_mix / shards.sizes.sum()
    made: list[Synthetic | None] = []
    for owner, volume in enumerate(volumes.tolist()):
        if volume == 0:
            made.append(None)
            continue
        own = slice(int(shards.offsets[owner]), int(shards.offsets[owner + 1]))
        fitted = laboratory.shared
        if fitted is None:
            fitted = laboratory.generator.fit(shards.x[own], shards.y[own], classes, owner, 0, streams)
        counts = np.bincount(shards.y[own].cpu().numpy(), minlength=classes)
        labels = labels_of(class_counts("global", counts, mix, volume, fitted.known))
        samples = fitted.sample(labels, owner, 0, streams)
        made.append(Synthetic(samples, torch.from_numpy(labels).to(samples.device)))
    return made


def _trained(laboratory: Laboratory, shards: Shards, streams: Streams) -> Tensor:
    """Weights [P] after all rounds of federated averaging."""
    rows = np.arange(len(shards))
    plan = LocalTraining(batch_size=laboratory.batch_size, learning_rate=laboratory.learning_rate)
    terms = LocalTerms(steps=np.full(len(rows), laboratory.steps))
    weights = laboratory.model.initial(streams).to(laboratory.device)
    for number in range(laboratory.rounds):
        sent = train_cohort(
            laboratory.model, weights, shards, rows, shards.sizes, rows, number, plan, streams, terms=terms
        )
        weights = fedavg(sent, shards.sizes.astype(np.float64))
    return weights


def _test_set(laboratory: Laboratory) -> tuple[Tensor, Tensor]:
    data = laboratory.dataset
    return torch.from_numpy(data.x_test).to(laboratory.device), torch.from_numpy(data.y_test).to(laboratory.device)
