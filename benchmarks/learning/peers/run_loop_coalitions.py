"""The same coalitions one by one in a plain loop: random orders of the players, no valuation library."""

from __future__ import annotations

import itertools
import math
import sys

import torch
from coalition import Game
from worker import Work, serve


def exact(game: Game) -> list[float]:
    """Shapley values by the definition: the mean marginal worth over all orders, grouped by coalition."""
    count = len(game.uploads)
    worth = {
        members: game.worth(list(members))
        for size in range(count + 1)
        for members in itertools.combinations(range(count), size)
    }
    values = [0.0] * count
    for members, value in worth.items():
        for player in set(range(count)) - set(members):
            gain = worth[tuple(sorted((*members, player)))] - value
            values[player] += gain / (count * math.comb(count - 1, len(members)))
    return values


def main() -> None:
    work = Work(sys.argv[1])
    whole = Game(work)
    generator = torch.Generator().manual_seed(1)

    def play(times: int) -> dict[str, object]:
        before = whole.evaluations
        for _ in range(times):
            order = torch.randperm(len(whole.uploads), generator=generator).tolist()
            for size in range(1, len(order) + 1):
                whole.worth(order[:size])
        return {"evaluations": whole.evaluations - before}

    def check(path: str) -> dict[str, object]:
        torch.save(torch.tensor(exact(Game(work, work.plan["few"])), dtype=torch.float64), path)
        return {}

    serve({"play": play, "check": check, "versions": lambda: {"torch": torch.__version__}})


if __name__ == "__main__":
    main()
