"""Rounds of Flower's simulation: ``run_simulation`` with a server app and a client app, Ray, two actors of one thread.

The conversation with the benchmark runs inside the server app, so the start-up of Ray and of the actors is over before
the first round is timed. CPU time is that of this process and of everything that Ray started.
"""

from __future__ import annotations

import logging
import os
import sys
import time
import warnings
from importlib.metadata import version

os.environ["BENCH_WORK"] = sys.argv[1]
os.environ.setdefault("FLWR_TELEMETRY_ENABLED", "0")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import psutil
import torch
from architectures import build
from flower_client import app as client_app
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MessageType, RecordDict
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg
from flwr.simulation import run_simulation
from worker import Work, put, serve

ACTORS = 2
STARTED = time.perf_counter()


def cpu_of_all() -> float:
    """User and system seconds of this process and its descendants."""
    total = 0.0
    me = psutil.Process()
    for process in (me, *me.children(recursive=True)):
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system
    return total


server_app = ServerApp()


@server_app.main()
def main(grid: Grid, context: Context) -> None:
    work = Work(sys.argv[1])
    plan = work.plan
    module = put(build(plan["model"], plan["shape"], plan["classes"]), work.initial)
    strategy = FedAvg(
        fraction_train=plan["cohort"] / len(work.sizes), fraction_evaluate=0.0, min_train_nodes=plan["cohort"]
    )
    arrays = ArrayRecord(module.state_dict())

    def play(times: int) -> dict:
        nonlocal arrays
        arrays = strategy.start(grid=grid, initial_arrays=arrays, num_rounds=times).arrays
        return {"steps": times * work.plan["steps_per_round"]}

    def check(path: str) -> dict:
        start = ArrayRecord(put(module, work.initial).state_dict())
        nodes = list(grid.get_node_ids())[: len(work.arrays["check_owners"])]
        messages = [
            Message(
                content=RecordDict({"arrays": start, "config": ConfigRecord({"pinned": number})}),
                message_type=MessageType.TRAIN,
                dst_node_id=node,
            )
            for number, node in enumerate(nodes)
        ]
        replies = list(grid.send_and_receive(messages))
        merged, _ = strategy.aggregate_train(1, replies)
        state = merged.to_torch_state_dict()
        torch.save(torch.cat([state[name].reshape(-1) for name, _ in module.named_parameters()]), path)
        return {}

    def versions() -> dict:
        found = {name: version(name) for name in ("flwr", "ray")}
        return found | {"torch": torch.__version__, "start_up": time.perf_counter() - STARTED}

    serve({"play": play, "check": check, "versions": versions}, clock=cpu_of_all)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.getLogger("flwr").setLevel(logging.WARNING)
    run_simulation(
        server_app=server_app,
        client_app=client_app,
        num_supernodes=len(Work(sys.argv[1]).sizes),
        backend_config={
            "init_args": {"num_cpus": ACTORS, "include_dashboard": False, "log_to_driver": False},
            "client_resources": {"num_cpus": 1, "num_gpus": 0.0},
        },
    )
