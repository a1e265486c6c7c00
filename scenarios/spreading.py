"""One large run on many machines: the training of its cohorts is dealt to Ray workers, everything else stays here.

Every random number of an owner's training is a function of the owner and the round, so it does not matter who trains
whom; only the rounding of sums depends on which owners are trained together. Each worker has the data of all owners,
sent once, and a GPU of its own where there are some.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from learning.columns import IntColumn
from learning.device import resolve_device, use_threads
from learning.local_terms import LocalTerms
from learning.models import FlatModel
from learning.shards import Shards
from learning.streams import Streams
from learning.training import LocalTraining, TrainingReport, train_cohort
from learning.uploads import poisons
from scenarios.errors import BadInput
from scenarios.simulation import Simulation

MOST_RESTARTS = 10
"""How often a lost worker is started again."""


class Trainee:
    """What runs in a worker: the data of all owners on its device, and ``train_cohort`` for some of them."""

    def __init__(self, model: FlatModel, shards: Shards, seed: int, threads: int, device: str) -> None:
        use_threads(threads)
        self._device = resolve_device(device)
        self._model, self._streams = model, Streams(seed)
        self._shards = moved(shards, self._device)

    def train(
        self, base: Any, columns: tuple[IntColumn, IntColumn, IntColumn], counter: int, plan: LocalTraining,
        backend: str, chunk: int, terms: LocalTerms,
    ) -> tuple[Any, TrainingReport]:  # fmt: skip
        """New weights [K, P] of the owners of the columns (shards, samples, owners), and how they were trained."""
        report = TrainingReport()
        start = torch.from_numpy(np.array(base)).to(self._device)
        shards, samples, owners = (np.array(column) for column in columns)
        terms = terms_on(terms, self._device)
        trained = train_cohort(
            self._model, start, self._shards, shards, samples, owners, counter, plan, self._streams, backend,
            chunk=chunk, terms=terms, report=report,
        )  # fmt: skip
        return trained.cpu().numpy(), report


class SpreadTrainer:
    """``train_cohort`` by so many Ray actors; called with its arguments."""

    def __init__(self, actors: list[Any]) -> None:
        self._actors = actors

    def __call__(
        self,
        model: FlatModel,
        base: Tensor,
        shards: Shards,
        rows: IntColumn,
        samples: IntColumn,
        owners: IntColumn,
        counter: int,
        plan: LocalTraining,
        streams: Streams,
        backend: str,
        *,
        chunk: int,
        terms: LocalTerms,
        report: TrainingReport,
    ) -> Tensor:
        """New weights [K, P] of K owners in the order given. Owners are dealt by the size of their work."""
        import ray

        work = np.argsort(-(samples if terms.steps is None else terms.steps), kind="stable")
        shares = [share for share in (work[k :: len(self._actors)] for k in range(len(self._actors))) if len(share)]
        same = base.ndim == 1 or base.stride(0) == 0
        whole = ray.put((base if base.ndim == 1 else base[0]).cpu().numpy()) if same else None
        flying = []
        for actor, share in zip(self._actors, shares, strict=False):
            start = whole if same else base[torch.from_numpy(share).to(base.device)].cpu().numpy()
            columns = (rows[share], samples[share], owners[share])
            part = terms_on(terms.take(share), torch.device("cpu"))
            flying.append(actor.train.remote(start, columns, counter, plan, backend, chunk, part))
        try:
            landed = ray.get(flying)
        except ray.exceptions.RayActorError:
            lost = f"a worker was lost more than {MOST_RESTARTS} times"
            raise BadInput("--spread", "", len(self._actors), problem=lost) from None
        result = base.new_empty(len(rows), model.size)
        for share, (trained, told) in zip(shares, landed, strict=True):
            result[torch.from_numpy(share).to(base.device)] = torch.from_numpy(np.array(trained)).to(base.device)
            report.device, report.dtype, report.threads = told.device, told.dtype, told.threads
            report.backend, report.chunk = told.backend, told.chunk
            report.clients += told.clients
            report.steps += told.steps
            report.halvings += told.halvings
            report.seconds += told.seconds
        return result


@contextmanager
def spread(simulation: Simulation, workers: int, address: str | None = None, device: str = "auto") -> Iterator[None]:
    """Let a simulation train on so many workers of a Ray cluster (at ``address``, or started here) for a while.

    ``device``: ``auto`` gives each worker a GPU, or a share of one, where the cluster has some; ``cpu`` none. Nothing
    changes where it trains nothing. ``BadInput`` where Ray is missing, no cluster answers, the cluster has no room for
    so many workers, or samples are generated or falsified: the workers have the dealt samples only.
    """
    if any(poisons(list(strategy.sends())).any() for strategy in simulation.strategies):
        raise BadInput("--spread", "", None, problem="owners falsify their data here, which workers elsewhere lack")
    if simulation.scenario.learning.generation is not None:
        raise BadInput("--spread", "", None, problem="owners make synthetic data here, which workers elsewhere lack")
    training = simulation.world.training
    if training is None:
        yield
        return
    from scenarios.studies.ray_engine import connected

    with connected(address):
        import ray

        threads = simulation.scenario.learning.threads
        machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        gpus = 0.0 if device == "cpu" else sum(machine.get("GPU", 0.0) for machine in machines)
        share = gpu_share(gpus, workers)
        room = sum(room_on(machine, threads, share) for machine in machines)
        if room < workers:
            raise BadInput("--spread", "", workers, problem=f"the cluster has room for {room} workers")
        data = ray.put(moved(training.shards, torch.device("cpu")))
        actor = ray.remote(
            num_cpus=threads,
            num_gpus=share,
            scheduling_strategy="SPREAD",
            max_restarts=MOST_RESTARTS,
            # Until Ray has noticed that a machine is gone, each call to it fails at once: counting those would give up
            # before the worker is started elsewhere.
            max_task_retries=-1,
        )(Trainee)
        actors = [
            actor.remote(training.model, data, simulation.scenario.seed, threads, "auto" if share else "cpu")
            for _ in range(workers)
        ]
        training.train_with(SpreadTrainer(actors))
        try:
            yield
        finally:
            training.train_with(train_cohort)
            for each in actors:
                ray.kill(each)


def gpu_share(gpus: float, workers: int) -> float:
    """The share of a GPU of each worker: 1, or an equal share such that all of them find a place; 0 without GPUs."""
    whole = math.floor(gpus)
    return 1.0 / math.ceil(workers / whole) if whole else 0.0


def room_on(machine: Mapping[str, float], threads: int, share: float) -> int:
    """How many workers of so many threads and such a share of a GPU a machine of these resources holds."""
    room = math.floor(machine.get("CPU", 0.0) / threads)
    return min(room, math.floor(machine.get("GPU", 0.0)) * round(1 / share)) if share else room


def moved(shards: Shards, device: torch.device) -> Shards:
    """The same shards with their samples on another device."""
    there = copy.copy(shards)
    there.x, there.y = shards.x.to(device), shards.y.to(device)
    return there


def terms_on(terms: LocalTerms, device: torch.device) -> LocalTerms:
    """The same terms with their tensors on another device."""
    centre, drift = (None if each is None else each.to(device) for each in (terms.centre, terms.drift))
    return replace(terms, centre=centre, drift=drift)
