"""The market played with real training: the nine classification settings, the nine methods, and what a run is asked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from learning.columns import FloatColumn
from scenarios.errors import BadInput
from scenarios.reproduce.ipfl.published import METHODS, ROUNDS
from scenarios.reproduce.study import Options
from scenarios.schema import Scenario

if TYPE_CHECKING:
    from learning.data import Dataset

IPFL, LOCAL = "iPFL", "Local"

STAY = -1e6
"""An outside option that nobody leaves for, in money per round."""

NEVER_SELLS = 1000.0
"""The sharing cost of a pure buyer in the authors' code."""

PERSONALIZATION: Mapping[str, dict[str, Any]] = {
    "Local": {"name": "local"},
    "FedAvg": {"name": "fedavg"},
    "FedProx": {"name": "fedprox"},
    "Ditto": {"name": "ditto"},
    "FedAMP": {"name": "fedamp"},
    "CFL": {"name": "cfl"},
    "FedFomo": {"name": "fedfomo"},
    "pFedGraph": {"name": "pfedgraph"},
    "iPFL": {"name": "proximal_centre"},
}
"""How each method learns; parameters are the registry's, which are the authors'. iPFL's come with the setting."""


@dataclass(frozen=True)
class Scale:
    """How long and how often. ``samples``: training samples of an image set (None: all); ``text`` those of a text."""

    rounds: int
    seeds: int
    samples: int | None
    text: int
    small: bool

    @property
    def seed_numbers(self) -> range:
        """Seeds of the runs."""
        return range(1, self.seeds + 1)

    def says(self) -> str:
        """A few words for the reader."""
        return f"{self.rounds} round{'s' * (self.rounds > 1)}, {self.seeds} seed{'s' * (self.seeds > 1)}"


QUICK = Scale(rounds=8, seeds=1, samples=2000, text=500, small=True)
FULL = Scale(rounds=25, seeds=2, samples=None, text=1000, small=False)
LARGE = Scale(rounds=15, seeds=1, samples=2000, text=1000, small=False)
"""Large images leave no time for more on a CPU."""

LARGE_IMAGES = 256
"""Numbers per image above which it counts as large."""


def scale_of(options: Options) -> Scale:
    """Quick, full, or what of that large images allow. Raises ``BadInput`` for data that cannot be loaded."""
    if options.quick:
        return QUICK
    return LARGE if math.prod(loaded(options.dataset).shape) > LARGE_IMAGES else FULL


def loaded(name: str) -> Dataset:
    """The data set. Raises ``BadInput`` if it is not to be had."""
    from learning.data import BadData, load_dataset

    try:
        return load_dataset(name)
    except BadData as problem:
        raise BadInput("--dataset", "", None, problem=str(problem)) from None


@dataclass(frozen=True)
class Setting:
    """One of the paper's classification settings, and what it is played with here.

    ``worth``: K per training sample of all clients together, so that K / N is what it is in the paper; ``penalty`` and
    ``step`` are lambda and eta; ``first_pull``: whether models are pulled to the initial one in the first round.
    """

    name: str
    dataset: str
    clients: int
    partition: dict[str, Any]
    penalty: float
    step: float
    worth: float = 10.0
    first_pull: bool = True


NIID = {"name": "dirichlet", "alpha": 0.1}
CLUSTER = {"name": "clustered", "clusters": 3, "alpha_between": 0.1, "alpha_within": 10.0}
SKEW = {"name": "class_clusters", "clusters": 2}

SECOND = {"digits": "digits_writers", "fashion_mnist": "mnist"}
"""What stands for Fashion-MNIST where it is not itself the choice for CIFAR-10."""

DOMAINS = {name: f"{name}_domains" for name in ("digits", "mnist", "fashion_mnist", "cifar10")}
WRITERS = dict.fromkeys(("mnist", "fashion_mnist", "cifar10"), "mnist_writers")


def settings(dataset: str) -> tuple[Setting, ...]:
    """The nine settings with ``dataset`` in CIFAR-10's place; lambda and eta that are unknown are those of Cluster."""
    second = SECOND.get(dataset, "fashion_mnist" if dataset in DOMAINS else dataset)
    fashion = 5e5 / 60_000
    return (
        Setting("CIFAR-10 NIID", dataset, 10, NIID, 2.0, 5.0),
        Setting("CIFAR-10 Cluster", dataset, 9, CLUSTER, 2.0, 5.0),
        Setting("CIFAR-10 Skew", dataset, 10, SKEW, 2.0, 5.0),
        Setting("Fashion-MNIST NIID", second, 10, NIID, 1e-3, 5.0, fashion),
        Setting("Fashion-MNIST Cluster", second, 9, CLUSTER, 1e-3, 5.0, fashion),
        Setting("Fashion-MNIST Skew", second, 10, SKEW, 1e-3, 5.0, fashion),
        Setting("PACS", DOMAINS.get(dataset, "digits_domains"), 8, {"name": "natural_dirichlet", "alpha": 0.1}, 1e-5,
                5.0, 5e5 / (0.8 * 9_991)),
        Setting("FEMNIST", WRITERS.get(dataset, "digits_writers"), 20, {"name": "natural"}, 1.0, 5.0, 5.0),
        Setting("Shakespeare", "markov_text", 10, {"name": "natural"}, 2.0, 5000.0),
    )  # fmt: skip


def find(dataset: str, name: str) -> Setting:
    """The setting of that name."""
    return next(setting for setting in settings(dataset) if setting.name == name)


@dataclass(frozen=True)
class Training:
    """What local training is like; the authors' SGD but for the batch, which small shards need smaller."""

    model: str
    batch_size: int
    learning_rate: float
    train: int | None
    test: int | None
    epochs: int = 3
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def says(self, setting: Setting) -> str:
        """A few words for the reader."""
        some = f", first {self.train:,} samples" if self.train else ""
        return f"{self.model} on {setting.dataset}{some}"


def training(setting: Setting, scale: Scale) -> Training:
    """The model that fits the data. Raises ``BadInput`` for data that cannot be loaded."""
    data = loaded(setting.dataset)
    if data.answers is not None:  # at twice the rate single steps of adapters throw them far from where they were
        return Training("tiny_lm_lora", 8, 0.005, scale.samples, scale.text, 1, {"rank": 8, "alpha": 16.0})
    if data.vocabulary is not None:
        return Training("char_lstm", 20, 0.5, scale.text, 300 if scale.small else 2000)
    if len(data.shape) < 3:
        return Training("softmax", 20, 0.05, scale.samples, 2000)
    if math.prod(data.shape) <= LARGE_IMAGES:
        return Training("mlp" if scale.small else "cnn", 10, 0.02, scale.samples, None)
    return Training("lenet", 64, 0.01, scale.samples, 500 if scale.small else 2000)


def gain_scale(setting: Setting, how: Training) -> float:
    """K of this setting: as much per training sample as in the paper, so gains are of the published size."""
    samples = len(loaded(setting.dataset).y_train)
    return setting.worth * (samples if how.train is None else min(samples, how.train))


def market(setting: Setting, scale: Scale, method: str = IPFL, **changes: Any) -> Scenario:
    """Owners that all arrive at the start and stay, each with a model of its own.

    ``changes`` are fields of the parts of the scenario, ``population={"types": {...}}`` among them.
    """
    how = training(setting, scale)
    parts: dict[str, dict[str, Any]] = {
        "population": {
            "initial": setting.clients,
            "participation": {"name": "strict", "patience": 1_000_000},
        },
        "data": {
            "dataset": setting.dataset,
            "partition": setting.partition,
            "shards": setting.clients,
            "quality": 1.0,
            "train_limit": how.train,
            "test_limit": how.test,
        },
        "learning": {
            "model": {"name": how.model, **how.parameters},
            "epochs": how.epochs,
            "batch_size": how.batch_size,
            "learning_rate": how.learning_rate,
            "momentum": 0.9 if how.model != "char_lstm" else 0.0,
            "weight_decay": 1e-5,
            "personalization": _personalization(setting, method),
        },
        "round": {"late": "wait"},
        "market": {"mechanism": _mechanism(setting, method), "budget": 0.0, "revenue": 0.0, "neighbours": 0},
    }
    types = {
        "cost": 0.0, "model_value": 0.0, "compute_rate": 1e6, "link_time": 0.0, "think_time": 0.0, "wealth": 1e5,
        "outside_option": STAY, "gain_scale": gain_scale(setting, how), "sharing_cost": 1.0,
    }  # fmt: skip
    population = dict(changes.pop("population", {}))
    parts["population"]["types"] = types | population.pop("types", {})
    parts["population"] |= population
    parts["market"]["mechanism"] |= changes.pop("mechanism", {})
    merged = {name: {**part, **changes.pop(name, {})} for name, part in parts.items()}
    return Scenario.model_validate({"name": "reproduce", "horizon": scale.rounds, **merged, **changes})


def _personalization(setting: Setting, method: str) -> dict[str, Any]:
    chosen = dict(PERSONALIZATION[method])
    if method == IPFL:
        chosen |= {"dissimilarity_penalty": setting.penalty, "prox_step": setting.step}
        chosen["first_round_prox"] = setting.first_pull
    return chosen


def _mechanism(setting: Setting, method: str) -> dict[str, Any]:
    if method == IPFL:
        return {"name": "ipfl", "dissimilarity_penalty": setting.penalty}
    return {"name": "model_sharing"}


def table(values: FloatColumn) -> dict[str, Any]:
    """A private type of which each person has its own value [m]."""
    return {"kind": "table", "values": [float(value) for value in values]}


def played(scenario: Scenario, seed: int, device: str = "cpu") -> Run:
    """The run with this seed."""
    from scenarios.recorder import MemoryRecorder
    from scenarios.simulation import Simulation

    recorder = MemoryRecorder()
    Simulation(scenario=scenario, seed=seed, device=device, recorder=recorder).run()
    owners = recorder.table("owners")
    return Run(
        rounds=scenario.horizon,
        owners=owners[owners["moment"] == "round"].reset_index(drop=True),
        edges=recorder.table("edges"),
        transfers=recorder.table("transfers"),
        episodes=recorder.table("episodes"),
    )


@dataclass(frozen=True, eq=False)
class Run:
    """Tables of one run; ``owners`` holds the rows after settlements."""

    rounds: int
    owners: pd.DataFrame
    edges: pd.DataFrame
    transfers: pd.DataFrame
    episodes: pd.DataFrame

    def accuracy(self) -> pd.Series:
        """Best accuracy over the rounds, in percent, by person."""
        return 100.0 * self.owners.groupby("person")["accuracy"].max()

    def utility(self) -> pd.Series:
        """Utility of equation 3 by person, in money: the sum over the rounds, scaled to the paper's 50."""
        return self.total("paper_utility")

    def total(self, column: str) -> pd.Series:
        """Sum of a column over the rounds by person, scaled to the paper's 50 rounds."""
        return self.owners.groupby("person")[column].sum() * (ROUNDS / self.rounds)


def mean_and_sd(values: FloatColumn | list[float]) -> tuple[float, float]:
    """Mean over the seeds and the deviation of one; a deviation of NaN for a single seed."""
    numbers = np.asarray(values, dtype=np.float64)
    return float(numbers.mean()), float(numbers.std()) if len(numbers) > 1 else math.nan


assert tuple(PERSONALIZATION) == METHODS
