"""Rounds of fluke (``FedAVG``), with its evaluation switched off.

Friendly to fluke: clients forget their models after a round (``persistency=False``), which FedAvg does not need, and
the closing evaluation of all clients, which ``run`` would start, is left out.
"""

from __future__ import annotations

import sys
import warnings
from importlib.metadata import version

import torch
from architectures import build
from fluke import DDict, FlukeENV
from fluke.algorithms.fedavg import FedAVG
from fluke.client import Client
from fluke.config import OptimizerConfigurator
from fluke.data import FastDataLoader
from fluke.server import Server
from worker import Work, flat, put, serve


class Rounds(FedAVG):
    def finalize(self) -> None:
        """Nothing: whole rounds are measured, not the end of an experiment."""


def federation(work: Work, owners: list, shuffle: bool) -> Rounds:
    plan = work.plan
    optimizer = OptimizerConfigurator(DDict(name="SGD", lr=plan["rate"]))
    clients = [
        Client(
            index=number,
            train_set=FastDataLoader(
                *data, num_labels=plan["classes"], batch_size=plan["batch"], shuffle=shuffle, skip_singleton=False
            ),
            test_set=None,
            optimizer_cfg=optimizer,
            loss_fn=torch.nn.CrossEntropyLoss(),
            local_epochs=1,
            persistency=False,
        )
        for number, data in enumerate(owners)
    ]
    module = put(build(plan["model"], plan["shape"], plan["classes"]), work.initial)
    server = Server(model=module, test_set=None, clients=clients, weighted=True)
    return Rounds(len(clients), None, {}, clients=clients, server=server)


def main() -> None:
    warnings.simplefilter("ignore")
    work = Work(sys.argv[1])
    settings = FlukeENV()
    settings.set_seed(1)
    settings.set_device("cpu")
    settings.set_inmemory(True)
    settings.set_eval_cfg(pre_fit=False, post_fit=False, locals=False, server=False)
    whole = federation(work, work.owners(), shuffle=True)

    def play(times: int) -> dict:
        whole.run(times, work.plan["cohort"] / len(work.sizes))
        return {"steps": times * work.plan["steps_per_round"]}

    def check(path: str) -> dict:
        one = federation(work, work.pinned(), shuffle=False)
        one.run(1, 1)
        torch.save(flat(one.server.model), path)
        return {}

    versions = {"fluke-fl": version("fluke-fl"), "torch": torch.__version__}
    serve({"play": play, "check": check, "versions": lambda: versions})


if __name__ == "__main__":
    main()
