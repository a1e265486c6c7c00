"""What an actor of Flower's simulation runs; a module of its own, so that its data stay in the actor between calls."""

from __future__ import annotations

import os
from functools import cache

import torch
from architectures import build
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from worker import Work

app = ClientApp()


@cache
def everything() -> tuple[Work, list, list, torch.nn.Module]:
    """Work, data of all owners, data of the pinned cohort and one module, read once per actor."""
    torch.set_num_threads(1)
    work = Work(os.environ["BENCH_WORK"])
    plan = work.plan
    return work, work.owners(), work.pinned(), build(plan["model"], plan["shape"], plan["classes"])


@app.train()
def train(message: Message, context: Context) -> Message:
    work, owners, pinned, module = everything()
    config = message.content["config"]
    who = int(config.get("pinned", -1))
    x, y = pinned[who] if who >= 0 else owners[int(context.node_config["partition-id"])]
    order = torch.arange(len(y)) if who >= 0 else torch.randperm(len(y))
    module.load_state_dict(message.content["arrays"].to_torch_state_dict())
    optimizer = torch.optim.SGD(module.parameters(), lr=work.plan["rate"])
    for rows in order.split(work.plan["batch"]):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(module(x[rows]), y[rows]).backward()
        optimizer.step()
    metrics = MetricRecord({"num-examples": len(y)})
    content = RecordDict({"arrays": ArrayRecord(module.state_dict()), "metrics": metrics})
    return Message(content=content, reply_to=message)
