"""``datagora calibrate``: the numbers that a published system takes as given, measured by real training."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scenarios.errors import BadInput

if TYPE_CHECKING:
    from learning.data import Dataset
    from learning.generation.worth import Laboratory, Result
    from learning.learning_curve import Estimate, LearningCurve
    from learning.streams import Streams

SYSTEMS = ("cocogen",)
NAMES = ("synthetic_quality", "volume_scale", "volume_exponent", "emd_penalty")
"""Keys of an instance of CoCoGen+ that are measured here."""


@dataclass(frozen=True)
class Effort:
    """How much is tried: greatest volume, number of volumes, shares of synthetic data, label skews, repeats."""

    most: int
    volumes: int
    shares: tuple[float, ...]
    alphas: tuple[float, ...]
    repeats: int
    test_limit: int | None


FULL = Effort(20_000, 6, (1 / 3, 1 / 2, 2 / 3, 4 / 5, 9 / 10), (0.1, 0.3, 1.0), 10, None)
QUICK = Effort(2_000, 5, (1 / 2, 4 / 5), (0.1, 1.0), 3, 2_000)

SPAN = 32
"""The greatest volume is at most so many times the least."""
LARGE_IMAGE = 1000
"""Numbers of a sample from which on images are trained with convolutions."""


def calibrate(
    system: str, *, dataset: str, generator: str, public: int, seed: int, quick: bool, device: str
) -> str | None:
    """The JSON object that ``datagora calibrate`` prints, on one line; None when interrupted.

    ``public``: how many training samples are set apart as public data, of which a generator that all share is
    trained; 0: every owner trains its own. Raises ``BadInput`` for whatever is wrong with what was asked.
    """
    if system not in SYSTEMS:
        raise BadInput("SYSTEM", "", system, f"one of: {', '.join(SYSTEMS)}")
    from learning.generation.worth import designs, play_all
    from learning.streams import Streams

    effort, streams = QUICK if quick else FULL, Streams(seed)
    laboratory = _laboratory(dataset, generator, public, device, effort, streams)
    volumes = _volumes(laboratory, effort, dataset)
    wanted = designs(volumes, volumes[2], effort.shares, effort.alphas, effort.repeats)
    results: list[Result] = []
    begun = time.perf_counter()
    try:
        for result in play_all(laboratory, wanted, streams):
            results.append(result)
            _tell(len(results), len(wanted), effort.repeats, time.perf_counter() - begun)
    except KeyboardInterrupt:
        return None
    asked = {"generator": generator, "public_samples": public, "seed": seed}
    return json.dumps(_measured(laboratory, results, asked, streams), allow_nan=False)


def _laboratory(name: str, generator: str, public: int, device: str, effort: Effort, streams: Streams) -> Laboratory:
    import torch

    from learning.data import BadData, load_dataset
    from learning.device import resolve_device, use_threads
    from learning.generation import UnsupportedData, generator_for
    from learning.generation.worth import Laboratory, split_public
    from learning.models import FlatModel
    from learning.registry import UnknownName

    try:
        data = load_dataset(name).first(None, effort.test_limit)
    except (UnknownName, BadData) as problem:
        raise BadInput("--dataset", "", None, problem=str(problem)) from None
    try:
        made = generator_for(generator, data)
    except UnknownName as problem:
        raise BadInput("--generator", "", None, problem=str(problem)) from None
    except UnsupportedData as problem:
        raise BadInput("--dataset", "", None, problem=str(problem)) from None
    try:
        there = resolve_device(device)
    except ValueError as problem:
        raise BadInput("--device", "", None, problem=str(problem)) from None
    use_threads(1)  # more would only wait for each other on models of this size
    model, rate = _model(data)
    shared = None
    if public != 0:
        try:
            data, given = split_public(data, public, streams)
        except ValueError as problem:
            raise BadInput("--public", "", None, problem=str(problem)) from None
        x, y = (torch.from_numpy(part).to(there) for part in (given.x_train, given.y_train))
        shared = made.fit(x, y, data.classes, 0, 0, streams)
    return Laboratory(data, FlatModel.for_dataset(model, data), made, there, shared, rounds=30, learning_rate=rate)


def _model(data: Dataset) -> tuple[str, float]:
    """Model and learning rate: a small network that learns such data within the rounds of a trial."""
    if len(data.shape) == 1:
        return "tabular", 0.1
    if math.prod(data.shape) > LARGE_IMAGE:
        return "cnn", 0.05
    # Small standard deviations want large steps: `digits` are pixels in [0, 1], all others are standardised.
    return "mlp", 0.1 / float(data.x_train.std())


def _volumes(laboratory: Laboratory, effort: Effort, name: str) -> list[int]:
    """Real samples of the trials, in a geometric series."""
    most = min(effort.most, len(laboratory.dataset.y_train))
    least = max(most // SPAN, 2 * laboratory.owners, 2 * laboratory.dataset.classes)
    ratio = (most / least) ** (1 / (effort.volumes - 1)) if most > least else 1.0
    volumes = sorted({round(least * ratio**step) for step in range(effort.volumes)})
    if most < 3 * least or len(volumes) < effort.volumes:
        problem = f"{most} training samples are too few to measure a learning curve, at least {3 * least} are needed"
        raise BadInput("--dataset", "", name, problem=problem)
    return [*volumes[:-1], most]


def _measured(
    laboratory: Laboratory, results: Sequence[Result], asked: dict[str, object], streams: Streams
) -> dict[str, Any]:
    """All that is printed."""
    from learning.generation.worth import trials_of, worth
    from learning.learning_curve import fit_learning_curve

    trials = trials_of(results)
    curve = fit_learning_curve(trials, ("emd_penalty", "synthetic_quality"))
    decaying = fit_learning_curve(trials, ("emd_penalty", "synthetic_quality", "quality_decay"))
    columns = zip(results, worth(curve, trials).tolist(), strict=True)
    points = [
        {
            "study": result.design.study,
            "repeat": result.design.repeat,
            "real": result.design.real,
            "synthetic": result.design.synthetic,
            "emd": result.emd,
            "accuracy": result.accuracy,
            "worth": _finite(value),
        }
        for result, value in columns
    ]
    names = (*NAMES, "limit")
    return {
        **{name: curve.estimates[name].value for name in NAMES},
        "accuracy_limit": curve.estimates["limit"].value,
        "standard_error": {_key(name): _finite(curve.estimates[name].standard_error) for name in names},
        "interval_95": {_key(name): [_finite(end) for end in curve.interval(name)] for name in names},
        "noise": curve.noise,
        "with_decay": {_key(name): _told(estimate) for name, estimate in decaying.estimates.items()}
        | {"noise": decaying.noise},
        "generation": _speed(laboratory, streams),
        "setting": {
            "dataset": laboratory.dataset.name,
            "model": laboratory.model.name,
            "owners": laboratory.owners,
            "rounds": laboratory.rounds,
            "steps": laboratory.steps,
            "learning_rate": laboratory.learning_rate,
            **asked,
        },
        "notes": _notes(curve),
        "points": points,
    }  # fmt: skip


def _notes(curve: LearningCurve) -> list[str]:
    """What a user should know before the numbers go into an instance."""
    notes = [
        f"{_key(name)} is at the end of its range: these data do not determine it"
        for name, estimate in curve.estimates.items()
        if not math.isfinite(estimate.standard_error)
    ]
    quality = curve.estimates["synthetic_quality"]
    low, high = curve.interval("synthetic_quality")
    if low <= 0 <= high:
        notes.append("synthetic_quality is not distinguishable from 0: the synthetic data may be worth nothing")
    if not 0 < quality.value <= 1:
        notes.append("synthetic_quality is outside (0, 1], where the game takes place")
    if low <= 0:
        notes.append("with_decay means little: what may be worth nothing has nothing to lose")
    if curve.estimates["emd_penalty"].value < 0:
        notes.append("emd_penalty is negative: heterogeneity did no harm here")
    return notes


def _speed(laboratory: Laboratory, streams: Streams) -> dict[str, float]:
    """Wall-clock times of this machine; the only numbers that differ between two calls."""
    import torch

    from learning.generation import measured_speed

    data = laboratory.dataset
    some = slice(len(data.y_train) // laboratory.owners)
    x, y = (torch.from_numpy(part[some]).to(laboratory.device) for part in (data.x_train, data.y_train))
    speed = measured_speed(laboratory.generator, x, y, data.classes, streams)
    return {"fit_seconds": speed.fit_seconds, "seconds_per_sample": speed.seconds_per_sample,
            "samples_per_second": 1.0 / max(speed.seconds_per_sample, 1e-9)}  # fmt: skip


def _told(estimate: Estimate) -> dict[str, float | None]:
    return {"value": estimate.value, "standard_error": _finite(estimate.standard_error)}


def _key(name: str) -> str:
    return "accuracy_limit" if name == "limit" else name


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _tell(done: int, wanted: int, repeats: int, seconds: float) -> None:
    """A line on standard error whenever all trials of a repeat are done."""
    if done % (wanted // repeats) == 0:
        print(f"{done}/{wanted} trials, {seconds:.0f} s", file=sys.stderr)
