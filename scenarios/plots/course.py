"""The course of a run from the rounds table: accuracy, welfare, free riding, audits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from scenarios.number_text import number, percent
from scenarios.palette import BLUE, GREEN, INK, MUTED, ORANGE, PAPER, PARTIES, PURPLE, VERMILION, mix
from scenarios.plots.canvas import (
    canvas,
    label_ends,
    nothing_to_show,
    round_axis,
    smoothed,
    span_of,
    styled,
    thousands,
)

AUDIT_SMOOTHING = 7
"""Rounds over which the audits' estimate is averaged: single rounds audit few owners."""


@styled
def accuracy(rounds: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Test accuracy of the global model, and how it serves the owners on their own class mixes."""
    title = "Accuracy"
    if rounds["accuracy"].notna().sum() == 0:
        return nothing_to_show(ax, title, "nothing was trained")
    ax = canvas(ax)
    at, mean, spread = rounds["round"], rounds["owner_accuracy_mean"], rounds["owner_accuracy_std"]
    low, high = (mean - spread).clip(0, 1), (mean + spread).clip(0, 1)
    ax.fill_between(at, low, high, color=BLUE, alpha=0.15, linewidth=0, label="owners: mean ± 1 sd")
    ax.plot(at, rounds["owner_accuracy_min"], color=MUTED, linewidth=1.0, linestyle=(0, (3, 2)), label="worst owner")
    ax.plot(at, rounds["accuracy"], color=BLUE, linewidth=2.2, label="global (or mean) model")
    last = rounds.dropna(subset=["accuracy"]).iloc[-1]
    ax.plot(last["round"], last["accuracy"], "o", color=BLUE, markersize=5)
    end = float(last["round"]), float(last["accuracy"])
    ax.annotate(f"{end[1]:.3f}", end, xytext=(6, 0), textcoords="offset points", va="center", color=BLUE,
                fontweight="bold", annotation_clip=False)  # fmt: skip
    round_axis(ax, title, "accuracy", span_of(rounds))
    ax.set_ylim(0, 1)
    handles, labels = ax.get_legend_handles_labels()
    # Beside the title: no corner within the axes is free for every course that accuracy can take.
    ax.legend(handles[::-1], labels[::-1], loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3, borderaxespad=0.2)
    return ax


@styled
def welfare_split(rounds: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Cumulative gains of owners, model owner, regulator and, where they are paid, computing centers; their sum."""
    title = "Welfare and who gets it"
    if rounds.empty:
        return nothing_to_show(ax, title, "no round was closed")
    ax = canvas(ax)
    columns = {
        "all": "welfare",
        "owners": "owner_utility",
        "model owner": "model_owner_utility",
        "regulator": "regulator_income",
    }
    if rounds["center_income"].any():
        columns["centers"] = "center_income"
    ends, last = [], float(rounds["round"].iloc[-1])
    for party, column in columns.items():
        total = rounds[column].fillna(0.0).cumsum()
        style: dict[str, Any] = {"linewidth": 1.4, "linestyle": (0, (4, 2))} if party == "all" else {}
        ax.plot(rounds["round"], total, color=PARTIES[party], label=party, **style)
        ends.append((f"{party} {number(total.iloc[-1])}", last, float(total.iloc[-1]), PARTIES[party]))
    ax.axhline(0, color=MUTED, linewidth=0.8)
    round_axis(ax, title, "cumulative gain (money)", span_of(rounds))
    thousands(ax.yaxis)
    label_ends(ax, ends)
    return ax


@styled
def free_rider_share(rounds: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Truth: forged uploads and lying reports. Beside it what the audits saw: the share of audited found guilty."""
    title = "Free riding and lying: truth and audits"
    if rounds.empty:
        return nothing_to_show(ax, title, "no round was closed")
    ax = canvas(ax)
    uploads = (rounds["trained"] + rounds["free_riding"]).replace(0, np.nan)
    audited = rounds["audited"].replace(0, np.nan)
    seen = rounds["flagged"] / audited
    lying = rounds["lying"] / rounds["participants"].replace(0, np.nan)
    # The two coincide where everybody who forges also lies: one is broad and shaded, the other lies on top of it.
    lines = {"forged uploads": (rounds["free_riding"] / uploads, PURPLE, 4.5), "lying reports": (lying, ORANGE, 1.6)}
    for name, (share, colour, width) in lines.items():
        ax.plot(rounds["round"], share, color=colour, linewidth=width, label=name)
    ax.fill_between(rounds["round"], 0, lines["forged uploads"][0], color=PURPLE, alpha=0.15, linewidth=0)
    ends = [(name, share, colour) for name, (share, colour, _) in lines.items()]
    if seen.notna().any():
        flagged, audits = smoothed(rounds["flagged"], AUDIT_SMOOTHING), smoothed(rounds["audited"], AUDIT_SMOOTHING)
        smooth = pd.Series(flagged / np.where(audits > 0, audits, np.nan), index=rounds.index)
        ax.scatter(rounds["round"], seen, s=4 + 3 * rounds["audited"], color=INK, alpha=0.25, linewidths=0)
        name = "found guilty\nof audited"
        ax.plot(rounds["round"], smooth, color=INK, linewidth=1.4, linestyle=(0, (4, 2)), label=name)
        ends.append((name, smooth, INK))
    round_axis(ax, title, "share", span_of(rounds))
    ax.set_ylim(-0.02, 1.02)
    known = [(name, share.dropna(), colour) for name, share, colour in ends]
    last = [(name, float(rounds["round"][share.index[-1]]), float(share.iloc[-1]), c) for name, share, c in known
            if len(share)]  # fmt: skip
    label_ends(ax, last, 0.085)
    return ax


@styled
def audit_confusion(rounds: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """All audits of the run, each of one owner's round: what was true against what was found."""
    title = "Audits: truth and verdict"
    audited = int(rounds["audited"].sum())
    if audited == 0:
        return nothing_to_show(ax, title, "nobody was audited")
    ax = canvas(ax)
    hit, false_alarm, missed = (
        int(rounds[name].sum()) for name in ("true_positives", "false_positives", "false_negatives")
    )
    clean = max(0, audited - hit - false_alarm - missed)
    cells = {
        (0, 0): (hit, "found", GREEN), (0, 1): (missed, "missed", ORANGE),
        (1, 0): (false_alarm, "false alarm", VERMILION), (1, 1): (clean, "cleared", BLUE),
    }  # fmt: skip
    for (row, column), (count, word, colour) in cells.items():
        ax.fill_between([column, column + 1], row, row + 1, color=mix(PAPER, colour, 0.12 + 0.6 * count / audited),
                        edgecolor=PAPER, linewidth=4)  # fmt: skip
        ax.text(column + 0.5, row + 0.45, number(count), ha="center", va="center", fontsize=17, fontweight="bold")
        share = count / max(1, hit + missed if row == 0 else false_alarm + clean)
        ax.text(column + 0.5, row + 0.72, f"{word}, {percent(share, 0)}", ha="center", va="center")
    ax.set_xlim(0, 2)
    ax.set_ylim(2, 0)
    ax.set_xticks([0.5, 1.5], ["found guilty", "not found guilty"])
    rows = {"violations": hit + missed, "clean rounds": false_alarm + clean}
    ax.set_yticks([0.5, 1.5], [f"{name}\n{number(count)}" for name, count in rows.items()])
    ax.xaxis.tick_top()
    ax.tick_params(length=0, labelcolor=INK)
    ax.grid(False)
    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.set_title(title)
    return ax
