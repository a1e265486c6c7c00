"""Rounds of the plain PyTorch loop that anybody would write: one module, a new optimizer for every owner.

On the device named by the second argument; no part of this project is used.
"""

from __future__ import annotations

import sys

import torch
from architectures import build
from worker import Work, flat, put, serve

Data = list[tuple[torch.Tensor, torch.Tensor]]


class Loop:
    def __init__(self, work: Work, device: torch.device) -> None:
        self.plan, self.device = work.plan, device
        self.module = put(build(self.plan["model"], self.plan["shape"], self.plan["classes"]), work.initial).to(device)
        self.generator = torch.Generator().manual_seed(1)

    def round(self, cohort: Data, *, shuffle: bool) -> None:
        """Train every owner of a cohort from the module's weights and put the mean, by samples, in their place."""
        start = {name: part.clone() for name, part in self.module.state_dict().items()}
        merged = {name: torch.zeros_like(part) for name, part in start.items()}
        samples = sum(len(y) for _, y in cohort)
        for x, y in cohort:
            self.module.load_state_dict(start)
            optimizer = torch.optim.SGD(self.module.parameters(), lr=self.plan["rate"])
            order = torch.randperm(len(y), generator=self.generator) if shuffle else torch.arange(len(y))
            for rows in order.to(self.device).split(self.plan["batch"]):
                optimizer.zero_grad()
                torch.nn.functional.cross_entropy(self.module(x[rows]), y[rows]).backward()
                optimizer.step()
            for name, part in self.module.state_dict().items():
                merged[name].add_(part, alpha=len(y) / samples)
        self.module.load_state_dict(merged)


def main() -> None:
    work, device = Work(sys.argv[1]), torch.device(sys.argv[2])
    loop = Loop(work, device)
    owners = [(x.to(device), y.to(device)) for x, y in work.owners()]

    def play(times: int) -> dict[str, object]:
        steps = 0
        for _ in range(times):
            cohort = torch.randperm(len(owners), generator=loop.generator)[: work.plan["cohort"]].tolist()
            data = [owners[number] for number in cohort]
            loop.round(data, shuffle=True)
            steps += sum(-(-len(y) // work.plan["batch"]) for _, y in data)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return {"steps": steps}

    def check(path: str) -> dict[str, object]:
        one = Loop(work, device)
        one.round([(x.to(device), y.to(device)) for x, y in work.pinned()], shuffle=False)
        torch.save(flat(one.module), path)
        return {}

    serve({"play": play, "check": check, "versions": lambda: {"torch": torch.__version__}})


if __name__ == "__main__":
    main()
