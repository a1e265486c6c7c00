"""Money: what moved and why, and where it is now."""

from __future__ import annotations

import math

from scenarios.app.drawing import Picture, shortened
from scenarios.app.reel import by_kind
from scenarios.app.view import NOT_YET, View
from scenarios.number_text import number
from scenarios.palette import flow_colours

MOST_KINDS = 12


def flows(view: View) -> Picture:
    """Money moved in the round by kind of posting (bars on a logarithmic scale), beside the total since the start."""
    picture = Picture("Money flows", view.theme)
    if not view.frames:
        picture.note(NOT_YET)
        return picture
    now = {kind: amount for kind, (amount, _) in by_kind(view.last.tables["transfers"]).items()}
    totals = dict(sorted(view.last.posted.items(), key=lambda item: -item[1])[:MOST_KINDS])
    colours = flow_colours(view.last.posted)
    top, left, right = 52.0, 168.0, 394.0
    picture.text(left, 38, "money this round (log scale)", size=10, colour=view.theme.muted)
    picture.text(picture.width - 12, 38, "since the start", size=10, anchor="end", colour=view.theme.muted)
    largest = max([*now.values(), 1e-6])
    for k, (kind, total) in enumerate(totals.items()):
        y = top + 18.5 * k
        amount = now.get(kind, 0.0)
        # Three decades below the largest flow is where bars end.
        length = 0.0 if amount <= 0 else max(0.02, 1 + math.log10(amount / largest) / 3) * (right - left - 52)
        picture.text(left - 8, y + 9, shortened(kind, 26), size=10.5, anchor="end")
        picture.box(left, y, length, 12, view.theme.fill(colours[kind]), 2)
        picture.text(left + length + 5, y + 10, number(amount, 2), size=10, colour=view.theme.muted)
        picture.text(picture.width - 12, y + 10, number(total, 1), size=10, anchor="end")
    return picture


def ledger(view: View) -> Picture:
    """Whose money it is, and the postings of the round; the last line says whether the books close."""
    picture = Picture("Ledger", view.theme)
    if not view.frames:
        picture.note(NOT_YET)
        return picture
    picture.text(12, 44, "balances", size=10, bold=True)
    before = view.frames[-2].balances if len(view.frames) > 1 else dict.fromkeys(view.last.balances, 0.0)
    picture.text(236, 44, "this round", size=10, anchor="end", colour=view.theme.muted)
    for k, (party, money) in enumerate(view.last.balances.items()):
        y = 64 + 18 * k
        change = money - before[party]
        picture.text(12, y, party, size=10.5)
        picture.text(160, y, number(money, 2), size=10.5, anchor="end")
        colour = view.theme.text("#D55E00" if change < -1e-9 else "#009E73" if change > 1e-9 else view.theme.muted)
        picture.text(236, y, f"{'+' if change > 1e-9 else ''}{number(change, 2)}", size=10, anchor="end", colour=colour)
    rest = sum(view.last.balances.values())
    closes = abs(rest) < 1e-6 * max(1.0, *map(abs, view.last.balances.values()))
    foot = 64.0 + 18 * len(view.last.balances)
    picture.line(12, foot - 12, 236, foot - 12, view.theme.faint)
    picture.text(12, foot + 2, f"sum {number(rest, 2)}: {'the books close' if closes else 'THE BOOKS DO NOT CLOSE'}",
                 size=10.5, bold=True)  # fmt: skip
    picture.text(256, 44, "postings of the round", size=10, bold=True)
    for k, (kind, (amount, count)) in enumerate(list(by_kind(view.last.tables["transfers"]).items())[:MOST_KINDS]):
        y = 64 + 18 * k
        picture.text(256, y, shortened(kind, 20), size=10)
        picture.text(406, y, f"{count:,} ×", size=10, anchor="end", colour=view.theme.muted)
        picture.text(picture.width - 12, y, number(amount, 2), size=10, anchor="end")
    return picture
