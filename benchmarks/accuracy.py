"""``python -m benchmarks.accuracy``: how well plain federated averaging learns, and pfl on the same data and rounds.

Plays the scenarios ``fedavg_mnist`` and ``fedavg_cifar10`` of the library, as ``datagora run`` would. On CIFAR-10, pfl
(in an environment of its own) starts from the same weights with the same owners and the same plan; its cohorts and
orders of batches are other ones, so the two curves are two draws of one experiment.
"""

from __future__ import annotations

import argparse
import datetime
import shlex
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from benchmarks.learning.environments import Absent
from benchmarks.learning.results import append_section, load_average, machine, table
from benchmarks.learning.sides import Side, command
from benchmarks.learning.work import CLASSES, write_arrays
from learning.data import load_dataset
from learning.device import resolve_device
from learning.evaluation import evaluate
from learning.streams import Streams
from scenarios.choices import name_and_parameters
from scenarios.engine.learning_setup import build_learning
from scenarios.loading import load_scenario
from scenarios.playing import play
from scenarios.results import Run
from scenarios.schema import Scenario

RESULTS = Path(__file__).parent / "RESULTS.md"
ARCHITECTURE = "simple_cnn"
WANTED = 0.98
"""Accuracy that FedAvg is to reach on MNIST within the scenario's fifty rounds."""


def curve(scenario: str, rounds: int | None, device: str) -> list[float]:
    """Test accuracy after each round of a scenario of the library."""
    with tempfile.TemporaryDirectory() as place:
        changes = [] if rounds is None else [f"horizon={rounds}"]
        folder = play(scenario, changes=changes, out=Path(place) / "run", device=device, voice="verbose")
        if folder is None:
            raise KeyboardInterrupt
        return [float(value) for value in Run(folder).rounds["accuracy"]]


def pfl_curve(scenario: Scenario, rounds: int, every: int) -> dict[int, float]:
    """Test accuracy of pfl on the scenario's own shards, after every ``every``-th round.

    Raises ``Absent`` if pfl cannot take part.
    """
    federation = build_learning(scenario, Streams(scenario.seed), "cpu").federation
    assert federation is not None
    shards, plan, found = federation.shards, federation.plan, {}
    dataset = load_dataset(name_and_parameters(scenario.data.dataset)[0])
    x_test, y_test = torch.from_numpy(dataset.x_test), torch.from_numpy(dataset.y_test)
    with tempfile.TemporaryDirectory() as place:
        folder, weights = Path(place), Path(place) / "weights.pt"
        arrays = {"x": shards.x.numpy(), "y": shards.y.numpy(), "sizes": shards.sizes}
        facts = {
            "model": ARCHITECTURE,
            "shape": shards.x.shape[1:],
            "classes": CLASSES,
            "cohort": scenario.round.invited,
            "batch": plan.batch_size,
            "rate": plan.learning_rate,
            "steps_per_round": 1,
        }
        write_arrays(folder, {**arrays, "initial": federation.weights.numpy()}, facts)
        with Side(command("pfl", folder, "cpu"), folder / "log") as side:
            for reached in range(every, rounds + 1, every):
                side.ask("play", times=every)
                side.ask("save", path=str(weights))
                tested = evaluate(federation.model, torch.load(weights), x_test, y_test, CLASSES)
                found[reached] = tested.accuracy
                print(f"pfl, round {reached}: {tested.accuracy:.1%}", file=sys.stderr, flush=True)
    return found


def mnist(options: argparse.Namespace) -> str:
    """When FedAvg on MNIST first reaches the accuracy asked for."""
    reached = np.array(curve("fedavg_mnist", None, options.device))
    there = np.flatnonzero(reached >= WANTED)
    first = f"first in round {there[0] + 1}: reached" if len(there) else "missed"
    rows = [[str(number), f"{reached[number - 1]:.2%}"] for number in (1, 5, 10, 20, 30, 40, 50)]
    return f"{table(['round', 'accuracy'], rows)}\n\nAsked: {WANTED:.0%} within 50 rounds; {first}."


def cifar10(options: argparse.Namespace) -> str:
    """FedAvg on CIFAR-10 beside pfl at the same rounds."""
    ours = curve("fedavg_cifar10", options.rounds, options.device)
    theirs: dict[int, float] = {}
    why = ""
    if options.peer == "pfl":
        try:
            theirs = pfl_curve(load_scenario("fedavg_cifar10"), options.rounds, options.every)
        except Absent as reason:
            why = f"\n\npfl: {reason}"
    rows = [
        [str(number), f"{ours[number - 1]:.1%}", f"{theirs[number]:.1%}" if number in theirs else ""]
        for number in range(options.every, options.rounds + 1, options.every)
    ]
    return table(["round", "ours", "pfl"], rows) + why


def main(arguments: Sequence[str] | None = None) -> int:
    """Play what was asked for, print the tables and, on ``--write``, keep them."""
    parts = {"mnist": mnist, "cifar10": cifar10}
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*parts, []], help="default: both")
    parser.add_argument("--rounds", type=int, default=100, help="rounds of CIFAR-10; the published benchmark has 1,500")
    parser.add_argument("--every", type=int, default=10, help="rounds between two lines of the CIFAR-10 table")
    parser.add_argument("--peer", choices=("pfl", "none"), default="pfl")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="cpu")
    parser.add_argument("--write", action="store_true", help="append the tables to benchmarks/RESULTS.md")
    options = parser.parse_args(arguments)
    told = [(name, parts[name](options)) for name in options.parts or parts]
    given = shlex.join(sys.argv[1:] if arguments is None else arguments)
    device = resolve_device(options.device).type
    facts = [
        ("machine", machine(device)),
        ("load average after", load_average()),
        ("command", f"`python -m benchmarks.accuracy {given}`".replace(" `", "`")),
    ]
    for name, text in told:
        print(f"\n{name}\n\n{text}")
    if options.write:
        append_section(RESULTS, f"{datetime.date.today().isoformat()}, accuracy, {device}", facts, told)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
