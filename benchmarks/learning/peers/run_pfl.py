"""Rounds of pfl (``SimulatedBackend``, ``FederatedAveraging``, its PyTorch model), with no evaluation and no privacy.

Friendly to pfl: the users' data sets are built once, as tensors, so their batches are cut once and kept.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from importlib.metadata import version

import torch
from architectures import build
from pfl.aggregate.simulate import SimulatedBackend
from pfl.algorithm.base import NNAlgorithmParams
from pfl.algorithm.federated_averaging import FederatedAveraging
from pfl.data.dataset import Dataset
from pfl.data.federated_dataset import FederatedDataset
from pfl.data.sampling import get_user_sampler
from pfl.hyperparam import NNEvalHyperParams, NNTrainHyperParams
from pfl.metrics import Weighted
from pfl.model.pytorch import PyTorchModel
from worker import Work, flat, put, serve

NEVER = 10**9


def with_loss(module: torch.nn.Module) -> torch.nn.Module:
    """The two methods that pfl asks of a module; ``metrics`` runs in the very first, untimed round only."""
    entropy = torch.nn.functional.cross_entropy
    module.loss = lambda x, y: entropy(module(x), y)
    module.metrics = lambda x, y: {"loss": Weighted(float(entropy(module(x), y, reduction="sum")), len(y))}
    return module


class Federation:
    def __init__(self, work: Work, owners: list, sampler: Callable[[], int], cohort: int) -> None:
        plan = work.plan
        self.module = put(build(plan["model"], plan["shape"], plan["classes"]), work.initial)
        self.model = PyTorchModel(
            with_loss(self.module), torch.optim.SGD, torch.optim.SGD(self.module.parameters(), lr=1.0)
        )
        users = {name: Dataset(raw_data=data, user_id=str(name)) for name, data in enumerate(owners)}
        data = FederatedDataset(users.__getitem__, sampler)
        self.backend = SimulatedBackend(training_data=data, val_data=data)
        self.algorithm = FederatedAveraging()
        self.training = NNTrainHyperParams(
            local_num_epochs=1, local_learning_rate=plan["rate"], local_batch_size=plan["batch"]
        )
        self.cohort = cohort
        self.rounds = 0

    def play(self, times: int) -> None:
        self.rounds += times
        params = NNAlgorithmParams(
            central_num_iterations=self.rounds,
            evaluation_frequency=NEVER,
            train_cohort_size=self.cohort,
            val_cohort_size=0,
        )
        evaluation = NNEvalHyperParams(local_batch_size=None)
        self.algorithm.run(params, self.backend, self.model, self.training, evaluation, send_metrics_to_platform=False)


def main() -> None:
    work = Work(sys.argv[1])
    everybody = range(len(work.sizes))
    federation = Federation(work, work.owners(), get_user_sampler("random", everybody), work.plan["cohort"])

    def play(times: int) -> dict:
        federation.play(times)
        return {"steps": times * work.plan["steps_per_round"]}

    def check(path: str) -> dict:
        pinned = work.pinned()
        order: Iterable[int] = iter(range(len(pinned)))
        one = Federation(work, pinned, order.__next__, len(pinned))
        one.play(1)
        torch.save(flat(one.module), path)
        return {}

    def save(path: str) -> dict:
        torch.save(flat(federation.module), path)
        return {}

    versions = {"pfl": version("pfl"), "torch": torch.__version__}
    serve({"play": play, "check": check, "save": save, "versions": lambda: versions})


if __name__ == "__main__":
    main()
