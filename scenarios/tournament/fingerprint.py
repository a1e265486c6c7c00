"""``datagora fingerprint``: which lies pay under one mechanism, by how much, and what they do to the market.

One owner after the other alone claims a multiple of the truth, of every claim that the mechanism asks for, or does less
than it says, among owners that are honest. Its gain is the difference to what the same person earns when it is honest,
with the same luck.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from scenarios.errors import BadInput
from scenarios.report import png
from scenarios.studies.command import Voice
from scenarios.studies.store import Store
from scenarios.tournament.entrants import Entrant, entrant
from scenarios.tournament.payoffs import deviation_table
from scenarios.tournament.playing import Playing, play_worlds, write_tables
from scenarios.tournament.worlds import deviations, find_markets, make_study, pure, read_fields

FACTORS = (0.25, 0.5, 0.8, 1.25, 2.0, 4.0)
QUICK_FACTORS = (0.5, 0.8, 1.25, 2.0)
DEEDS = ("withhold_data", "free_rider_partial", "free_rider_global", "free_rider_noise")
"""What is done less than is said, under any mechanism."""
GENERATING_DEEDS = ("under_generate", "generate_nothing")
MODEL_MARKET_DEEDS = ("free_rider_resale",)
PICTURE, TABLE = "fingerprint.png", "fingerprint"


@dataclass(frozen=True)
class Lie:
    """One way to lie: the claim that is multiplied by ``factor``, or ``deed`` for what is done (factor NaN)."""

    kind: str
    factor: float
    plays: Entrant


def lies_under(mechanism: str, factors: Sequence[float]) -> list[Lie]:
    """The lies that concern a mechanism: a grid of factors for each claim that it needs, and the deeds."""
    from agents.strategies.base import STRATEGIES
    from agents.strategies.misreport import Misreport
    from market.mechanism import Generating, ModelMarket
    from scenarios.registries import mechanisms

    built = mechanisms()[mechanism]()
    liars = {
        kind.claim: name
        for name, kind in STRATEGIES.items()
        if issubclass(kind, Misreport) and name.startswith("misreport_")
    }
    found = [
        Lie(claim, factor, entrant(f"{liars[claim]}:factor={factor:g}"))
        for claim in built.needs
        for factor in sorted(factors)
        if factor != 1.0
    ]
    deeds = [
        *DEEDS,
        *(GENERATING_DEEDS if isinstance(built, Generating) else ()),
        *(MODEL_MARKET_DEEDS if isinstance(built, ModelMarket) else ()),
    ]
    return found + [Lie("deed", float("nan"), entrant(name)) for name in deeds]


def fingerprint(
    mechanism: str,
    *,
    scenario: str | None = None,
    factors: Sequence[float] = (),
    owners: int | None = None,
    seeds: int | None = None,
    persons: int | None = None,
    quick: bool = False,
    training: bool = True,
    changes: Sequence[str] = (),
    seed: int = 1,
    workers: int | None = None,
    out: Path | None = None,
    resume: bool = False,
    voice: Voice = "normal",
) -> int:
    """Play it into a folder (default ``runs/fingerprint-<mechanism>``); the exit code as of a batch.

    Raises ``BadInput`` for anything wrong with what was asked, before anything is written.
    """
    for place, factor in enumerate(factors):
        if not 0.0 < factor < float("inf") or factor in factors[:place]:
            raise BadInput("--factor", "", factor, "factors above 0, each once")
    markets = find_markets([mechanism], scenario)
    fields = read_fields(changes, training)
    honest = entrant("honest")
    lies = lies_under(mechanism, factors or (QUICK_FACTORS if quick else FACTORS))
    worlds = [pure(honest), *deviations(honest, [lie.plays for lie in lies], persons or (2 if quick else 3))]
    study = make_study(
        f"fingerprint-{mechanism}".replace(".", "-"),
        f"Which lies pay under {mechanism}",
        markets,
        worlds,
        owners=owners,
        seeds=seeds or (4 if quick else 10),
        seed=seed,
        changes=fields,
    )
    store = Store(out or Path("runs") / f"fingerprint-{mechanism}")
    outcome = play_worlds(study, markets, worlds, Playing(store, workers, resume, voice))
    if outcome.payoffs is None:
        return outcome.code
    table = lie_table(lies, deviation_table(outcome.payoffs, worlds, worlds[0]))
    write_tables(store, {TABLE: table})
    from scenarios.plots.tournaments import fingerprint_figure

    store.write(PICTURE, png(fingerprint_figure(table, mechanism).axes[0]))
    if voice == "normal":
        _print(table)
    print(store.folder / PICTURE)
    return outcome.code


def lie_table(lies: Sequence[Lie], gains: pd.DataFrame) -> pd.DataFrame:
    """One row per lie: its ``kind`` and ``factor``, and the columns of ``deviation_table`` about it."""
    about = pd.DataFrame({
        "lie": [lie.plays.label for lie in lies],
        "kind": [lie.kind for lie in lies],
        "factor": [lie.factor for lie in lies],
    })  # fmt: skip
    return about.merge(gains.drop(columns="resident"), left_on="lie", right_on="mutant").drop(columns="mutant")


def _print(table: pd.DataFrame) -> None:
    from rich.table import Table
    from rich.text import Text

    from scenarios.console import output

    shown = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("lie", "gain", "95 %", "% of honest", "welfare"):
        shown.add_column(heading, justify="left" if heading == "lie" else "right", no_wrap=True)
    for row in table.to_dict("records"):
        bounds = f"{row['gain_low']:+.3g} to {row['gain_high']:+.3g}"
        cells = (row["lie"], f"{row['gain']:+.3g}", bounds, f"{100 * row['relative']:+.3g}", f"{row['welfare']:+.3g}")
        shown.add_row(*(Text(cell) for cell in cells))
    console = output()
    console.print(shown)
    console.print()
