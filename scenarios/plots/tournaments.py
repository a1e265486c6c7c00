"""Tournaments in pictures: regret, gains of deviating, fixation, and the fingerprint of a mechanism.

Each function draws one tidy table of ``scenarios.tournament``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize, SymLogNorm, TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

from scenarios.palette import BLUE, INK, MUTED, PAPER, VERMILION, mix
from scenarios.plots.canvas import WIDTH, canvas, nothing_to_show, styled

LOSES_GAINS = LinearSegmentedColormap.from_list("loses and gains", [BLUE, PAPER, VERMILION])
GAINS = LinearSegmentedColormap.from_list("gains", [PAPER, VERMILION])
_MOST_GAIN = 1.0
"""Relative gain at which colours are full."""
_LEAST_SPAN = 0.02
_LABEL_ROOM = 0.16
"""Share of the width of a panel that the label of a factor takes."""


@styled
def regret_map(regrets: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Regret of every strategy (rows) under every mechanism, relative to what a person earns in the reference world."""
    title = "Regret: what leaving a strategy gains when all play it"
    if regrets.empty:
        return nothing_to_show(ax, title, "nothing was compared")
    shares = _matrix(regrets, "strategy", "mechanism", "relative")
    sure = _matrix(regrets.assign(sure=regrets["regret_low"] > 0.0), "strategy", "mechanism", "sure")
    ax = canvas(ax, WIDTH + 0.6, 1.7 + 0.42 * len(shares))
    # Small gains stay apart beside a large one.
    colours = SymLogNorm(0.1, vmin=0.0, vmax=max(_MOST_GAIN, float(np.nanmax(shares.to_numpy(), initial=0.0))))
    _heat(ax, shares, GAINS, colours, sure)
    ax.set_title(title)
    return ax


@styled
def deviation_map(deviations: pd.DataFrame, mechanism: str, ax: Axes | None = None) -> Axes:
    """What one person gains by the column's strategy where all others play the row's, under one mechanism."""
    title = f"One deviates: {mechanism}"
    rows = deviations[deviations["mechanism"] == mechanism]
    if rows.empty:
        return nothing_to_show(ax, title, "nothing was compared")
    shares = _matrix(rows, "resident", "mutant", "relative").reindex(columns=list(dict.fromkeys(rows["resident"])))
    sure = rows.assign(sure=(rows["gain_low"] > 0.0) | (rows["gain_high"] < 0.0))
    ax = canvas(ax, WIDTH + 0.6, 2.3 + 0.42 * len(shares))
    most = max(float(np.nanmax(np.abs(shares.to_numpy()), initial=0.0)), 0.05)
    _heat(ax, shares, LOSES_GAINS, SymLogNorm(0.1, vmin=-most, vmax=most), _matrix(sure, "resident", "mutant", "sure"))
    ax.set_title(title)
    ax.set_ylabel("all others play")
    ax.set_xlabel("one plays")
    return ax


@styled
def fixation_map(evolution: pd.DataFrame, mechanism: str, ax: Axes | None = None) -> Axes:
    """Probability that one mutant with the column's strategy takes over residents with the row's."""
    title = f"One takes over: {mechanism}"
    rows = evolution[evolution["mechanism"] == mechanism]
    if rows.empty or rows["fixation"].isna().all():
        return nothing_to_show(ax, title, "no fixation probability: a fitness is not positive")
    chances = _matrix(rows, "resident", "mutant", "fixation").reindex(columns=list(dict.fromkeys(rows["resident"])))
    neutral = float(rows["neutral"].iloc[0])
    sure = rows.assign(sure=(rows["fixation_low"] > neutral) | (rows["fixation_high"] < neutral))
    ax = canvas(ax, WIDTH + 0.6, 2.3 + 0.42 * len(chances))
    _heat(ax, chances, LOSES_GAINS, TwoSlopeNorm(neutral, 0.0, 1.0), _matrix(sure, "resident", "mutant", "sure"))
    ax.set_title(f"{title} (neutral: {neutral:.0%})")
    ax.set_ylabel("all others play")
    ax.set_xlabel("one plays")
    return ax


@styled
def fingerprint_figure(lies: pd.DataFrame, mechanism: str) -> Figure:
    """Which lies pay: gain of the one who lies (above) and of the market (below), a column of panels for each claim.

    ``lies`` is the table of ``scenarios.tournament.fingerprint``. Claims are told by factors, honest at 1; what is
    not a claim has a panel of its own with one place for each. Bands and bars are 95 % intervals. Gains are in percent
    of what an honest owner earns, or in money where that is nothing or a loss.
    """
    unit = float(lies["unit"].iloc[0])
    in_percent = unit > 0.0  # of a loss, percentages would turn all signs round
    amounts = [f"{value}{end}" for value in ("gain", "welfare") for end in ("", "_low", "_high")]
    lies = lies.assign(**{name: lies[name] / unit for name in amounts}) if in_percent else lies
    kinds = list(dict.fromkeys(lies["kind"]))
    claims = [kind for kind in kinds if kind != "deed"]
    deeds = lies[lies["kind"] == "deed"]
    widths = [1.0] * len(claims) + ([max(1.0, 0.36 * len(deeds))] if len(deeds) else [])
    figure = Figure(figsize=(max(1.4 + 2.1 * sum(widths), WIDTH), 5.0), layout="constrained")
    panels = figure.subplots(2, len(widths), sharey="row", squeeze=False, gridspec_kw={"width_ratios": widths})
    for row, (value, label) in enumerate((("gain", "gain of the liar"), ("welfare", "gain of the market"))):
        for place, claim in enumerate(claims):
            _factor_panel(panels[row, place], lies[lies["kind"] == claim], value, claim)
        if len(deeds):
            _deed_panel(panels[row, -1], deeds, value)
        panels[row, 0].set_ylabel(label)
        panels[row, 0].yaxis.set_major_formatter(FuncFormatter(_signed_percent if in_percent else _signed_money))
        for ax in panels[row]:
            ax.axhline(0.0, color=MUTED, linewidth=0.9)
            if row == 0:
                ax.set_xlabel("")
                ax.tick_params(labelbottom=False)
            else:
                ax.set_title("")
        low, high = panels[row, 0].get_ylim()
        if high - low < _LEAST_SPAN:  # else what is zero but for rounding would fill the panel
            panels[row, 0].set_ylim(low - _LEAST_SPAN / 2, high + _LEAST_SPAN / 2)
    measure = "in % of what an honest owner earns" if in_percent else "in money (honest owners earn nothing)"
    title = f"Which lies pay under {mechanism}, {measure}"
    figure.suptitle(title, x=0.01, ha="left", color=INK, fontsize=11, fontweight="bold")
    _verdicts(figure)
    return figure


def _verdicts(figure: Figure) -> None:
    """What the colours say, below the panels."""
    said = {"gains": VERMILION, "loses": BLUE, "neither for certain (95 %)": MUTED}
    dots = [Line2D([], [], marker="o", linestyle="", markersize=5, color=colour) for colour in said.values()]
    figure.legend(dots, list(said), loc="outside lower left", ncols=len(said), frameon=False, fontsize=8.5,
                  labelcolor=INK, handletextpad=0.1, columnspacing=1.4)  # fmt: skip


def _signed_percent(share: float, _: object) -> str:
    return f"{100 * share:+,.0f} %" if share else "0"


def _signed_money(amount: float, _: object) -> str:
    return f"{amount:+.3g}" if amount else "0"


def _factor_panel(ax: Axes, rows: pd.DataFrame, value: str, claim: str) -> None:
    """A line over the factors of one claim, on a logarithmic axis."""
    honest = pd.DataFrame([{"factor": 1.0, value: 0.0, f"{value}_low": 0.0, f"{value}_high": 0.0}])
    course = pd.concat([rows, honest]).sort_values("factor")
    columns = (value, f"{value}_low", f"{value}_high")
    middle, low, high = (course[name].to_numpy(dtype=np.float64) for name in columns)
    factors = course["factor"].to_numpy(dtype=np.float64)
    ax.fill_between(factors, low, high, color=MUTED, alpha=0.18, linewidth=0)
    ax.plot(factors, middle, color=MUTED, linewidth=1.4)
    for factor, at, least, most in zip(factors, middle, low, high, strict=True):
        ax.plot([factor], [at], "o", markersize=5, color=INK if factor == 1.0 else _colour(least, most))
    ax.axvline(1.0, color=MUTED, linewidth=0.8, linestyle=(0, (3, 2)))
    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_locator(FixedLocator([float(factor) for factor in factors]))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xticklabels(factor_labels(factors.tolist()))
    ax.set_title(claim.replace("_", " "), fontsize=10)
    ax.set_xlabel("times the truth")


def factor_labels(factors: Sequence[float]) -> list[str]:
    """A label for each rising factor, empty where it would run into another; 1 and the ends are named first."""
    room = _LABEL_ROOM * math.log2(factors[-1] / factors[0]) if len(factors) > 1 else 0.0
    # The farther from its named neighbours the sooner: ends and 1, then as on a ruler.
    first = [factor for factor in (1.0, factors[0], factors[-1]) if factor in factors]
    others = sorted((factor for factor in factors if factor not in first), key=lambda factor: -abs(math.log2(factor)))
    named: list[float] = []
    for factor in [*first, *others]:
        if all(abs(math.log2(factor / other)) >= room for other in named):
            named.append(factor)
    return [f"{factor:.3g}" if factor in named else "" for factor in factors]


def _deed_panel(ax: Axes, rows: pd.DataFrame, value: str) -> None:
    """A dot with an interval for each thing that is done and not claimed."""
    for place, row in enumerate(rows.to_dict("records")):
        low, high = row[f"{value}_low"], row[f"{value}_high"]
        colour = _colour(low, high)
        ax.plot([place, place], [low, high], color=mix(colour, PAPER, 0.45), linewidth=3)
        ax.plot([place], [row[value]], "o", color=colour, markersize=5)
    ax.set_xticks(range(len(rows)), [_worded(label) for label in rows["lie"]], rotation=40, ha="right")
    ax.set_xlim(-0.6, len(rows) - 0.4)
    ax.set_title("deeds", fontsize=10)


def _colour(low: float, high: float) -> str:
    """Vermilion where it gains for certain, blue where it loses, grey where that is open."""
    return VERMILION if low > 0.0 else BLUE if high < 0.0 else MUTED


def _matrix(table: pd.DataFrame, row: str, column: str, value: str) -> pd.DataFrame:
    """A table as a matrix, rows and columns in the order of their first appearance."""
    return table.pivot(index=row, columns=column, values=value).reindex(
        index=list(dict.fromkeys(table[row])), columns=list(dict.fromkeys(table[column]))
    )


def _heat(ax: Axes, shares: pd.DataFrame, shades: Colormap, colours: Normalize, sure: pd.DataFrame) -> None:
    """Coloured cells with percentages, bold where ``sure`` says that the interval leaves no doubt of the sign."""
    values = shares.to_numpy(dtype=np.float64)
    ax.pcolormesh(np.ma.masked_invalid(values), cmap=shades, norm=colours, edgecolors=PAPER, linewidth=1.2)
    ax.invert_yaxis()
    ax.grid(False)
    for (row, column), share in np.ndenumerate(values):
        if np.isnan(share):
            ax.text(column + 0.5, row + 0.5, "–", ha="center", va="center", color=MUTED)
        else:
            red, green, blue, _ = shades(colours(share))
            dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.55
            certain = bool(sure.loc[shares.index[row], shares.columns[column]])
            ax.text(column + 0.5, row + 0.5, _percent(share), ha="center", va="center", fontsize=8.5,
                    color=PAPER if dark else INK, fontweight="bold" if certain else "normal")  # fmt: skip
    names = [_worded(str(name)) for name in shares.columns]
    long = max(map(len, names)) > 14 or len(names) > 5
    ax.set_xticks(np.arange(len(names)) + 0.5, names, rotation=30 if long else 0, ha="right" if long else "center")
    ax.set_yticks(np.arange(len(shares)) + 0.5, [_worded(str(name)) for name in shares.index])
    ax.tick_params(length=0)
    for side in ("left", "bottom"):
        ax.spines[side].set_visible(False)


def _percent(share: float) -> str:
    if share == 0.0:
        return "0"
    percent = 100 * share
    return f"{percent:.0f} %" if abs(percent) >= 9.95 else f"{percent:.1f} %" if abs(percent) >= 0.05 else "≈ 0"


def _worded(label: str) -> str:
    """A label of a strategy for an axis: ``misreport_size:factor=2`` as ``misreport size ×2``."""
    name, colon, parameters = label.partition(":")
    said = parameters.replace("factor=", "×") if colon else ""
    return f"{name.replace('_', ' ')} {said}".strip()


def mechanisms_of(table: pd.DataFrame) -> Sequence[str]:
    """The mechanisms of a table, in their order."""
    return list(dict.fromkeys(table["mechanism"]))
