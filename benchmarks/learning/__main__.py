"""``python -m benchmarks.learning``: whole rounds beside peers, ragged cohorts, coalitions, memory."""

from __future__ import annotations

import argparse
import datetime
import shlex
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.learning.measure import compare, memory
from benchmarks.learning.results import (
    BARS,
    CUDA_BARS,
    Row,
    append_section,
    comparison,
    figure,
    load_average,
    machine,
    table,
)
from benchmarks.learning.work import SHAPES, Coalitions, write_coalitions, write_work

RESULTS = Path(__file__).parents[1] / "RESULTS.md"
TRAINERS = ("pfl", "flower", "fluke")
PEERS = (*TRAINERS, "pydvl")
PARTS = ("rounds", "ragged", "coalitions", "memory")
RAGGED = ("softmax", "mlp", "lenet")
COHORTS = (50, 100, 200, 500, 1_000)
SPREAD = 1.0


def rounds(options: argparse.Namespace, folder: Path) -> tuple[list[Row], str]:
    """Whole rounds of every model beside the loop and the peers."""
    rows: list[Row] = []
    scale = {}
    for name in options.models:
        shape = replace(SHAPES[name], cohort=options.cohort)
        scale[name] = shape.steps_per_owner
        work = write_work(shape, folder / name)
        backends = [*options.backends, *(["loop_bf16"] if name == "cnn" and options.device == "cpu" else [])]
        peers = [peer for peer in TRAINERS if peer in options.peers and options.device == "cpu"]
        rows += _compared(name, backends, ["loop", *peers], work, options)
    return rows, comparison(rows, "owners", options.device, scale, _bars(options))


def ragged(options: argparse.Namespace, folder: Path) -> tuple[list[Row], str]:
    """Owners whose sizes are log-normal, beside the loop."""
    rows: list[Row] = []
    scale = {}
    for name in (name for name in options.models if name in RAGGED):
        shape = replace(SHAPES[name], cohort=options.cohort, spread=SPREAD)
        subject = f"{name} ragged"
        scale[subject] = shape.steps_per_owner
        rows += _compared(subject, options.backends, ["loop"], write_work(shape, folder / subject), options)
    return rows, comparison(rows, "owners", options.device, scale, _bars(options))


def coalitions(options: argparse.Namespace, folder: Path) -> tuple[list[Row], str]:
    """Coalitions of a 50-owner MLP round, evaluated along random orders, beside one by one and beside pyDVL."""
    work = write_coalitions(Coalitions(), folder / "coalitions")
    others = ["loop", *(["pydvl"] if "pydvl" in options.peers and options.device == "cpu" else [])]
    rows = compare(
        "coalitions",
        ["auto"],
        others,
        work,
        unit="evaluations",
        repeats=options.repeats,
        seconds=options.seconds,
        device=options.device,
        suffix="_coalitions",
    )
    return rows, comparison(rows, "coalitions", options.device, {}, {})


def peak_memory(options: argparse.Namespace, folder: Path) -> str:
    """Peak memory of one round of the MLP by cohort size."""
    work = write_work(SHAPES["mlp"], folder / "memory")
    lines = []
    for row in memory(work, COHORTS, options.device):
        added = row["device"] or row["peak"] - row["before"]
        lines.append([str(row["cohort"]), figure(row["peak"] / 2**20), figure(added / 2**20)])
    added_by = "round adds, MiB" if options.device == "cpu" else "peak on the device, MiB"
    return table(["cohort", "peak of the process, MiB", added_by], lines)


def _compared(
    subject: str, backends: Sequence[str], others: Sequence[str], work: Path, options: argparse.Namespace
) -> list[Row]:
    rows = compare(
        subject,
        backends,
        others,
        work,
        unit="steps",
        repeats=options.repeats,
        seconds=options.seconds,
        device=options.device,
        baseline=work / "initial.npy",
    )
    for row in rows:
        said = row.reason or f"{statistics.median(row.ratios):.2f} times {row.other}"
        print(f"{row.subject}, {row.ours}: {said}", file=sys.stderr, flush=True)
    return rows


def _bars(options: argparse.Namespace) -> dict[tuple[str, str], float]:
    return BARS if options.device == "cpu" else CUDA_BARS


def _versions(rows: Sequence[Row]) -> str:
    found = {f"{name} {text}" for row in rows for name, text in row.versions.items()}
    return ", ".join(sorted(found))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    def listed(text: str, known: Sequence[str], what: str) -> list[str]:
        names = [] if text == "none" else text.split(",")
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"unknown {what} '{name}', known: {', '.join(known)}")
        return names

    parser = argparse.ArgumentParser(prog="python -m benchmarks.learning", description=__doc__)
    parser.add_argument("--peers", type=lambda text: listed(text, PEERS, "peer"), default=list(PEERS))
    parser.add_argument("--models", type=lambda text: listed(text, list(SHAPES), "model"), default=list(SHAPES))
    parser.add_argument("--parts", type=lambda text: listed(text, PARTS, "part"), default=list(PARTS))
    parser.add_argument("--backends", type=lambda text: text.split(","), default=["auto", "calibrated"])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="about how long one repeat of one side takes")
    parser.add_argument("--cohort", type=int, default=50, help="owners per round, of 1,000")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="on cuda only ours and the loop run")
    parser.add_argument("--write", action="store_true", help="append the tables to benchmarks/RESULTS.md")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the parts asked for, print their tables and, on ``--write``, keep them."""
    options = _options(arguments)
    told: list[tuple[str, str]] = []
    rows: list[Row] = []
    before = load_average()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for name, part in (("rounds", rounds), ("ragged", ragged), ("coalitions", coalitions)):
            if name in options.parts:
                measured, text = part(options, folder)
                rows += measured
                told.append((name.capitalize(), text))
        if "memory" in options.parts:
            told.append(("Memory", peak_memory(options, folder)))
    given = shlex.join(sys.argv[1:] if arguments is None else arguments)
    facts = [
        ("machine", machine(options.device)),
        ("load average before and after", f"{before}; {load_average()}"),
        ("command", f"`python -m benchmarks.learning {given}`".replace(" `", "`")),
        ("versions", _versions(rows)),
    ]
    started = dict.fromkeys(f"{row.other} ({row.subject}) {row.start_up:.0f} s" for row in rows if row.start_up)
    if started:
        facts.append(("start-up, not counted", ", ".join(started)))
    print("\n".join(f"{name}: {text}" for name, text in facts))
    for name, text in told:
        print(f"\n{name}\n\n{text}")
    if options.write:
        append_section(RESULTS, f"{datetime.date.today().isoformat()}, learning, {options.device}", facts, told)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
