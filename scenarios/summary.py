"""What a run came to, strategy by strategy: the tables that the command line prints and the report shows.

Two tables, because owners change their strategy: stays are told by the strategy at their end, verdicts by the strategy
played in the round that was audited. Both add up: how the stays ended sums to the stays, the verdicts to the audits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from agents.strategies import strategy_labels
from market.cocogen.mechanism import PERFORMANCE_PAY, REDISTRIBUTION
from market.money import from_micro
from scenarios.number_text import number
from scenarios.palette import strategy_colours
from scenarios.registries import strategies
from scenarios.results import Run, open_run
from scenarios.trading import has_personal_models, trades


@dataclass(frozen=True)
class Measure:
    """One column of a table: its name, its heading (a line break where a narrow table may break it), its digits."""

    name: str
    heading: str
    digits: int = 0


@dataclass(frozen=True)
class Breakdown:
    """A table by strategy, in the order in which pictures list strategies.

    ``figures``: index strategy name (of several rows, where they tell more apart), one column per measure.
    """

    heading: str
    measures: tuple[Measure, ...]
    figures: pd.DataFrame

    def rows(self) -> Iterator[tuple[str, list[str]]]:
        """Strategies with their printed cells, in the order of ``measures``."""
        for strategy, *values in self.figures[[measure.name for measure in self.measures]].itertuples():
            cells = [
                value if isinstance(value, str) else number(value, measure.digits)
                for value, measure in zip(values, self.measures, strict=True)
            ]
            yield str(strategy), cells


STAYS = (
    Measure("stays", "stays"),
    Measure("left", "left"),
    Measure("expelled", "expelled"),
    Measure("bankrupt", "bankrupt"),
    Measure("still_there", "still\nthere"),
    Measure("utility", "utility\nper stay", 2),
    Measure("paid", "paid\nper stay", 2),
)
AUDITS = (
    Measure("audits", "audits"),
    Measure("guilty_rightly", "guilty,\nrightly"),
    Measure("guilty_wrongly", "guilty,\nwrongly"),
    Measure("missed", "violations\nmissed"),
    Measure("cleared", "clean rounds\ncleared"),
)
TRADES = (
    Measure("role", "what\nit does"),
    Measure("owners", "owners"),
    Measure("purchases", "bought\neach", 1),
    Measure("sales", "sold\neach", 1),
    Measure("earned", "net income\neach", 2),
    Measure("utility", "utility\neach", 2),
    Measure("quarantined", "quarantined\nuploads"),
)
_FROM_EDGES = ("role", "purchases", "sales")
"""Columns of ``TRADES`` that count recorded edges; money is always complete."""

_ENDS = {
    "left": ("voluntary", "quit"),
    "expelled": ("expelled",),
    "bankrupt": ("bankrupt",),
    "still_there": ("censored",),
}
"""The columns of ``STAYS`` that count how stays ended, and the kinds of exit that each counts."""


def strategy_summary(folder: Path) -> list[Breakdown]:
    """The tables of a run: its stays, what owners with models of their own traded, and verdicts on audits, if any.

    What the model owner pays per stay is left out where there is none.
    """
    run = open_run(folder)
    audits = verdicts(run)
    measures = tuple(measure for measure in STAYS if measure.name != "paid" or not has_personal_models(run))
    tables = [Breakdown("strategy at the\nend of the stay", measures, stays(run))]
    if has_personal_models(run) and len(run.episodes):
        traded = trades(run, strategy_families())
        tables.append(Breakdown("strategy at the\nend of the run", _trades_measures(run), traded))
    if len(audits):
        tables.append(Breakdown("strategy played\nin the round", AUDITS, audits))
    return tables


def _trades_measures(run: Run) -> tuple[Measure, ...]:
    """``TRADES``, with heads that say so where not every round's edges are on record."""
    every = run.scenario.get("recording", {}).get("edges_every", 1)
    if every == 1:
        return TRADES
    return tuple(
        replace(measure, heading=f"{measure.heading},\n1 round in {every}") if measure.name in _FROM_EDGES else measure
        for measure in TRADES
    )


def strategy_families() -> dict[str, str]:
    """Families of the registered strategies by name."""
    return {name: entry.family for name, entry in strategies().items()}


def stays(run: Run) -> pd.DataFrame:
    """Stays by the strategy at their end (index), as in ``STAYS``.

    ``utility``: realised utility; ``paid``: received from the mechanism, net (what owners pay each other is in
    ``TRADES``); both in money, means over the stays.
    """
    episodes = run.episodes
    ended = episodes["strategy_left"].astype(str).rename("strategy")
    counts = pd.crosstab(ended, episodes["exit_kind"].astype(str))
    table = pd.DataFrame(
        {name: sum(counts.get(kind, 0) for kind in kinds) for name, kinds in _ENDS.items()}, index=counts.index
    )
    table.insert(0, "stays", table.sum(axis=1))
    table["utility"] = episodes["utility"].groupby(ended).mean()
    table["paid"] = _paid(run).groupby(ended).mean()
    return _in_order(table)


def verdicts(run: Run) -> pd.DataFrame:
    """Audits by the strategy played in the audited round (index), as in ``AUDITS``."""
    kinds = [("kind", "in", ["audit", "guilty", "switch"])]
    events = run.columns("events", ["tick", "round", "kind", "owner", "value"], kinds)
    kind = events["kind"].astype(str)
    audits, guilty = events[kind == "audit"], events[kind == "guilty"]
    place = ["owner", "round"]
    found = pd.MultiIndex.from_frame(audits[place]).isin(pd.MultiIndex.from_frame(guilty[place]))
    violation = audits["value"].to_numpy() > 0
    table = pd.DataFrame({
        "strategy": _played(run, audits, events[kind == "switch"]).to_numpy(),
        "audits": 1,
        "guilty_rightly": found & violation,
        "guilty_wrongly": found & ~violation,
        "missed": ~found & violation,
        "cleared": ~found & ~violation,
    })  # fmt: skip
    return _in_order(table.groupby("strategy").sum())


def _paid(run: Run) -> pd.Series[float]:
    """Net money from the mechanism by stay (a row of episodes): what was posted since the owner joined for it."""
    kinds = [("kind", "in", ["payment", PERFORMANCE_PAY, REDISTRIBUTION])]
    rows = run.columns("transfers", ["tick", "payer", "payee", "amount_micro"], kinds)
    sides = [
        pd.DataFrame({"tick": rows["tick"], "owner": rows[party], "amount": sign * rows["amount_micro"]})
        for party, sign in (("payee", 1), ("payer", -1))
    ]
    posted = pd.concat(sides)
    posted = posted[posted["owner"] >= 0].sort_values("tick", kind="stable")
    joined = run.episodes[["joined_tick", "owner"]].assign(row=run.episodes.index).sort_values("joined_tick")
    matched = pd.merge_asof(posted, joined, left_on="tick", right_on="joined_tick", by="owner")
    micro = matched.groupby("row")["amount"].sum().reindex(run.episodes.index, fill_value=0)
    return pd.Series(from_micro(micro.to_numpy(dtype="int64")), index=micro.index, dtype="float64")


def _played(run: Run, audits: pd.DataFrame, switches: pd.DataFrame) -> pd.Series[str]:
    """The strategy of each audited owner in the audited round: what it joined with, or has switched to since.

    Owners adapt after the verdicts of a settlement, at the same tick: only earlier changes count.
    """
    joins = run.episodes[["owner", "joined_tick", "strategy_joined"]]
    changes = [joins.set_axis(["owner", "tick", "strategy"], axis="columns").astype({"strategy": "object"})]
    if len(switches):
        shares = run.scenario["population"]["strategies"]
        names = strategy_labels([(share["name"], share) for share in shares])
        chosen = [names[int(value)] for value in switches["value"]]
        changes.append(switches[["owner", "tick"]].assign(strategy=chosen))
    history = pd.concat(changes).sort_values("tick", kind="stable")
    # Audits are logged in the order of time, which merge_asof asks for.
    matched = pd.merge_asof(audits[["tick", "owner"]], history, on="tick", by="owner", allow_exact_matches=False)
    return matched["strategy"]


def _in_order(table: pd.DataFrame) -> pd.DataFrame:
    return table.reindex(list(strategy_colours(map(str, table.index), strategy_families())))
