"""Shapley values of a round's uploads by pyDVL, with a utility of its own that evaluates one coalition per call."""

from __future__ import annotations

import sys
import warnings
from importlib.metadata import version

import numpy as np
import torch
from coalition import Game
from pydvl.valuation import Dataset, MaxUpdates, NoStopping, ShapleyValuation
from pydvl.valuation.samplers import DeterministicUniformSampler, PermutationSampler
from pydvl.valuation.utility.base import UtilityBase
from worker import Work, serve


class CoalitionUtility(UtilityBase):
    def __init__(self, game: Game) -> None:
        self.game = game

    def __call__(self, sample) -> float:
        return self.game.worth([] if sample is None else sample.subset.tolist())


def players(game: Game) -> Dataset:
    """pyDVL values data points; here each point stands for an upload."""
    count = len(game.uploads)
    return Dataset(np.arange(count, dtype=float).reshape(-1, 1), np.arange(count) % 2)


def main() -> None:
    warnings.simplefilter("ignore")
    work = Work(sys.argv[1])
    torch.set_num_threads(1)
    whole = Game(work)
    order = 0

    def play(times: int) -> dict:
        nonlocal order
        order += 1
        before = whole.evaluations
        valuation = ShapleyValuation(
            CoalitionUtility(whole), PermutationSampler(seed=order), is_done=MaxUpdates(times), progress=False
        )
        valuation.fit(players(whole))
        return {"evaluations": whole.evaluations - before}

    def check(path: str) -> dict:
        few = Game(work, work.plan["few"])
        sampler = DeterministicUniformSampler()
        valuation = ShapleyValuation(CoalitionUtility(few), sampler, is_done=NoStopping(sampler), progress=False)
        valuation.fit(players(few))
        result = valuation.result
        torch.save(torch.from_numpy(result.values[np.argsort(result.indices)]), path)
        return {}

    versions = {"pydvl": version("pydvl"), "torch": torch.__version__}
    serve({"play": play, "check": check, "versions": lambda: versions})


if __name__ == "__main__":
    main()
