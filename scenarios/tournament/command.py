"""``datagora tournament``: worlds of every pair of strategies under every mechanism, played as a study.

The folder is that of a study, with the tables (``tables/*.csv``), the pictures and the page beside the runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import Any

import pandas as pd

from scenarios.errors import BadInput
from scenarios.studies.command import Voice
from scenarios.studies.store import Store
from scenarios.tournament.entrants import Entrant, entrants
from scenarios.tournament.evolving import Process, evolution_table, mixture_table, standing_table
from scenarios.tournament.payoffs import deviation_table, regret_table, utility_table
from scenarios.tournament.playing import Playing, play_worlds, write_tables
from scenarios.tournament.worlds import everybody_meets, find_markets, make_study, pure, read_fields

MECHANISMS = ("proportional", "qd_rdfl", "ipfl", "privacy_auction")
STRATEGIES = (
    "honest",
    "misreport_size:factor=2",
    "misreport_quality:factor=1.5",
    "withhold_data",
    "free_rider_partial",
    "free_rider_noise",
)
QUICK_STRATEGIES = ("honest", "misreport_size:factor=2", "misreport_quality:factor=1.5", "free_rider_noise")


@dataclass(frozen=True)
class Size:
    """How much is played: owners of a market, seeds, who deviates, and at how many mutants mixtures are played."""

    owners: int
    seeds: int
    persons: int
    mixtures: tuple[int, ...]


def size_of(owners: int, seeds: int | None, persons: int | None, quick: bool) -> Size:
    """The size asked for; what is None is as usual, or as ``quick`` has it."""
    inner = {owners // 2} if quick else {round(owners * share) for share in (0.25, 0.5, 0.75)}
    return Size(
        owners,
        seeds or (4 if quick else 10),
        min(persons or (1 if quick else 3), owners),
        tuple(sorted(count for count in inner if 2 <= count <= owners - 2)),
    )


def tournament(
    mechanisms: Sequence[str] = (),
    strategies: Sequence[str] = (),
    *,
    scenario: str | None = None,
    size: Size,
    quick: bool = False,
    training: bool = True,
    changes: Sequence[str] = (),
    process: Process = "fermi",
    selection: float = 1.0,
    seed: int = 1,
    workers: int | None = None,
    out: Path | None = None,
    resume: bool = False,
    voice: Voice = "normal",
) -> int:
    """Play the tournament into a folder (default ``runs/tournament``); the exit code as of a batch.

    Raises ``BadInput`` for anything wrong with what was asked, before anything is written.
    """
    from scenarios.tournament.page import write_page

    if process == "moran" and selection > 1.0:
        raise BadInput("--selection", "", selection, "at most 1 in the Moran process")
    played = entrants(strategies or (QUICK_STRATEGIES if quick else STRATEGIES))
    if len(played) < 2:
        raise BadInput("--strategy", "", played[0].label, problem="a tournament needs at least two strategies")
    named = mechanisms or (() if scenario else MECHANISMS)
    markets = find_markets(named, scenario)
    worlds = everybody_meets(played, size.owners, size.persons, size.mixtures)
    study = make_study(
        "tournament",
        f"Tournament of {len(played)} strategies",
        markets,
        worlds,
        owners=size.owners,
        seeds=size.seeds,
        seed=seed,
        changes=read_fields(changes, training),
    )
    store = Store(out or Path("runs") / "tournament")
    outcome = play_worlds(study, markets, worlds, Playing(store, workers, resume, voice))
    payoffs = outcome.payoffs
    if payoffs is None:
        return outcome.code
    reference = pure(played[0])
    deviations = deviation_table(payoffs, worlds, reference)
    mixtures = mixture_table(payoffs, played, size.owners)
    evolution = evolution_table(mixtures, deviations, size.owners, process, selection)
    regrets = regret_table(payoffs, deviations, reference)
    standing, points = standing_table(regrets, evolution, mixtures, payoffs, played)
    tables = {
        "utilities": utility_table(payoffs), "deviations": deviations, "regret": regrets, "mixtures": mixtures,
        "evolution": evolution, "standing": standing, "rest_points": points,
    }  # fmt: skip
    write_tables(store, tables)
    page = write_page(store, tables, _facts(size, played, len(markets), process, selection, seed), played[0].label)
    _print_end(standing, page, voice)
    return outcome.code


def _facts(
    size: Size, played: Sequence[Entrant], markets: int, process: str, selection: float, seed: int
) -> list[tuple[str, str]]:
    return [
        ("mechanisms", str(markets)),
        ("strategies", str(len(played))),
        ("owners", str(size.owners)),
        ("seeds", str(size.seeds)),
        ("who deviates", f"{size.persons} of each market"),
        ("process", f"{process}, selection {selection:g}"),
        ("seed", str(seed)),
    ]


def _print_end(standing: pd.DataFrame, page: Path, voice: Voice) -> None:
    from rich.table import Table
    from rich.text import Text

    from scenarios.console import output

    if voice == "normal":
        console = output()
        table = Table(box=None, pad_edge=False, header_style="bold")
        columns: dict[str, Callable[[Any], str]] = {
            "mechanism": str, "strategy": str, "utility": _amount, "regret": _amount, "best_reply": str,
            "resists": str, "invaded_by": str, "long_run": _share,
        }  # fmt: skip
        for name in columns:
            label = name in ("mechanism", "strategy", "best_reply")
            # Where there is little room labels are folded; figures are not cut.
            table.add_column(name.replace("_", " "), justify="left" if label else "right", no_wrap=not label,
                             overflow="fold", min_width=None if label else 6)  # fmt: skip
        for row in standing.to_dict("records"):
            table.add_row(*(Text(show(row[name])) for name, show in columns.items()))
        console.print(table)
        console.print()
    print(page)


def _amount(value: float) -> str:
    return f"{value:.3g}"


def _share(value: float) -> str:
    return "-" if isnan(value) else f"{value:.0%}"
