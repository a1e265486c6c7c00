"""Shapley values of a round's uploads by ``learning.contribution``: coalitions in batches, each once."""

from __future__ import annotations

import sys
from collections.abc import Callable

import torch

from benchmarks.learning.peers.worker import Work, serve
from learning.contribution import Contribution, shapley
from learning.device import resolve_device, use_threads
from learning.models import FlatModel
from learning.streams import Streams


def commands(work: Work, device: torch.device) -> dict[str, Callable[..., dict[str, object]]]:
    """What this side answers to."""
    plan = work.plan
    model = FlatModel(plan["ours"], tuple(plan["shape"]), plan["classes"])
    base, x, y = work.initial.to(device), work.x.to(device), work.y.to(device)
    uploads = torch.from_numpy(work.arrays["uploads"]).to(device)
    weights = work.arrays["weights"]
    rounds = 0

    def values(players: int, permutations: int) -> Contribution:
        nonlocal rounds
        rounds += 1
        some = uploads[:players], weights[:players]
        return shapley(
            model,
            base,
            *some,
            x,
            y,
            permutations=permutations,
            tolerance=0.0,
            streams=Streams(plan["seed"]),
            counter=rounds,
        )

    def play(times: int) -> dict[str, object]:
        return {"evaluations": values(len(uploads), max(times, 2)).evaluations}

    def check(path: str) -> dict[str, object]:
        torch.save(torch.from_numpy(values(plan["few"], 2).values), path)
        return {}

    return {"play": play, "check": check, "versions": lambda: {"torch": torch.__version__}}


def main() -> None:
    use_threads(1)
    serve(commands(Work(sys.argv[1]), resolve_device(sys.argv[2])))


if __name__ == "__main__":
    main()
