"""Rounds of this project's trainer: a cohort drawn from streams, ``train_cohort``, FedAvg.

What only a market does (looking for uploads that are not finite, remembering the last uploads) no peer does either, so
it is left out.

Arguments: the work folder, the device, the back-end: ``auto`` (the static rule), ``calibrated`` (measured on this
machine) or a name of ``learning.backends``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict

import numpy as np
import torch
from torch import Tensor

from benchmarks.learning.peers.worker import Work, serve
from learning.aggregation import fedavg
from learning.batches import LocalTraining
from learning.calibration import calibrate
from learning.columns import IntColumn
from learning.device import resolve_device, use_threads
from learning.models import FlatModel
from learning.shards import Shards
from learning.streams import Streams
from learning.training import Choice, choose, train_cohort


class Ours:
    """A federation on the work's data; ``weights`` [P] is the global model."""

    def __init__(self, work: Work, device: torch.device, backend: str) -> None:
        plan = work.plan
        self.model = FlatModel(plan["ours"], tuple(plan["shape"]), plan["classes"])
        owners = len(work.sizes)
        mix, perfect, none_wrong = np.full((owners, plan["classes"]), np.nan), np.ones(owners), np.zeros(owners)
        self.shards = Shards(work.x.to(device), work.y.to(device), work.sizes, mix, perfect, none_wrong)
        self.plan = LocalTraining(epochs=1, batch_size=plan["batch"], learning_rate=plan["rate"])
        self.streams = Streams(plan["seed"])
        self.initial = work.initial.to(device)
        self.choice = self._choice(backend, device)
        self.weights = self.initial
        self.rounds = 0

    def _choice(self, backend: str, device: torch.device) -> Choice:
        static = choose(self.model, device)
        if backend == "calibrated":
            return calibrate(self.model, self.shards, self.plan, device)
        return static if backend == "auto" else Choice(backend, static.chunk)

    def sampled(self, count: int) -> IntColumn:
        """Owners of the next round's cohort [count], without replacement."""
        self.rounds += 1
        luck = self.streams.uniform("cohort", np.arange(len(self.shards)), self.rounds)
        return np.argpartition(luck, count - 1)[:count]

    def round(self, cohort: IntColumn, counter: int, base: Tensor) -> Tensor:
        """The next global model [P] after one round of a cohort."""
        samples = self.shards.sizes[cohort]
        uploads = train_cohort(
            self.model,
            base,
            self.shards,
            cohort,
            samples,
            cohort,
            counter,
            self.plan,
            self.streams,
            self.choice.backend,
            chunk=self.choice.chunk,
        )
        return fedavg(uploads, samples.astype(np.float64))


def commands(work: Work, device: torch.device, backend: str) -> dict[str, Callable[..., dict[str, object]]]:
    """What this side answers to."""
    whole = Ours(work, device, backend)

    def play(times: int, cohort: int = work.plan["cohort"]) -> dict[str, object]:
        steps = 0
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        for _ in range(times):
            owners = whole.sampled(cohort)
            whole.weights = whole.round(owners, whole.rounds, whole.weights)
            steps += int(whole.plan.steps(whole.shards.sizes[owners]).sum())
        if device.type != "cuda":
            return {"steps": steps}
        torch.cuda.synchronize(device)
        return {"steps": steps, "device_bytes": torch.cuda.max_memory_allocated(device)}

    def check(path: str) -> dict[str, object]:
        merged = whole.round(work.arrays["check_owners"], work.plan["check_counter"], whole.initial)
        torch.save(merged.cpu(), path)
        return {}

    versions = {"torch": torch.__version__, "numpy": np.__version__, **asdict(whole.choice)}
    return {"play": play, "check": check, "versions": lambda: dict(versions)}


def main() -> None:
    use_threads(1)
    serve(commands(Work(sys.argv[1]), resolve_device(sys.argv[2]), sys.argv[3]))


if __name__ == "__main__":
    main()
