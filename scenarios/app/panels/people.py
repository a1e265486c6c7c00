"""Owners one by one: their lives as a raster, the leaderboard with truth beside report, and the ticker of events."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping

import matplotlib.image
import numpy as np
from numpy.typing import NDArray

from market.mechanism import DATA_SIZE
from scenarios.app.charts import digits_for
from scenarios.app.drawing import Picture, Theme, shortened
from scenarios.app.reel import Columns, Frame
from scenarios.app.view import NOT_YET, View
from scenarios.engine.leaving import ExitKind
from scenarios.number_text import number
from scenarios.palette import rgb

MOST_LINES, MOST_ROUNDS = 240, 240
_LINES = 5  # lines of the image per owner: one of paper, four of colour


def raster(view: View) -> Picture:
    """Owners (rows, by strategy and id) over rounds. Full: trained; hollow: forged; pale: absent or late; dot: guilty.

    The last ``MOST_ROUNDS`` rounds are shown, and an even selection of owners beyond ``MOST_LINES``.
    """
    picture = Picture("Every owner's life", view.theme)
    frames = view.frames[-MOST_ROUNDS:]
    if not frames:
        picture.note(NOT_YET)
        return picture
    owners, kinds = _order(view, frames)
    if len(owners) == 0:
        picture.note("Nobody has been in the market yet.")
        return picture
    total = len(owners)
    kept = np.unique(np.linspace(0, total - 1, min(total, MOST_LINES)).astype(int))
    owners, kinds = owners[kept], kinds[kept]
    image = np.stack([_column(frame, owners, view) for frame in frames], axis=1)  # [owners * lines, rounds, 3]
    left, top, right, bottom = 158.0, 34.0, picture.width - 12.0, picture.height - 44.0
    span = max(10, len(frames))
    picture.image(left, top, (right - left) * len(frames) / span, bottom - top, _png(image))
    low = 0.0
    for name in view.colours:
        members = np.flatnonzero(kinds == name)
        if len(members) == 0:
            continue
        y = top + (bottom - top) * (members[0] + members[-1] + 1) / 2 / len(owners)
        y = max(low, y + 4)
        picture.text(left - 6, y, f"{shortened(name, 20)} {len(members)}", size=10.5, anchor="end",
                     colour=view.text(name), bold=True)  # fmt: skip
        low = y + 12
    first, last = frames[0].number, frames[-1].number
    picture.text(left, bottom + 13, f"round {first}", size=10, colour=view.theme.muted)
    picture.text(left + (right - left) * len(frames) / span, bottom + 13, str(last), size=10, anchor="end",
                 colour=view.theme.muted)  # fmt: skip
    marked = "dark" if view.theme.name == "light" else "white"
    words = f"full: trained · hollow: forged · pale: absent or late · {marked}: found guilty"
    picture.text(12, picture.height - 10, words, size=10, colour=view.theme.muted)
    if total > len(owners):
        picture.text(right, 20, f"{len(owners)} of {total:,} owners", size=10, anchor="end", colour=view.theme.muted)
    return picture


def _order(view: View, frames: tuple[Frame, ...]) -> tuple[NDArray[np.int64], NDArray[np.object_]]:
    """Owners in drawing order and the strategy that each was last seen with."""
    last: dict[int, str] = {}
    for frame in frames:
        here = _present(frame)
        last |= dict(zip(frame.owners["owner"][here].tolist(), frame.owners["strategy"][here].tolist(), strict=True))
    rank = {name: place for place, name in enumerate(view.colours)}
    order = sorted(last, key=lambda owner: (rank.get(last[owner], len(rank)), owner))
    return np.array(order, dtype=np.int64), np.array([last[owner] for owner in order], dtype=object)


def _present(frame: Frame) -> NDArray[np.bool_]:
    owners = frame.owners
    return np.asarray((owners["status"] == "active") | owners["took_part"].astype(bool))


def _column(frame: Frame, owners: NDArray[np.int64], view: View) -> NDArray[np.float64]:
    """The colours of one round, [owners * lines, 3]."""
    paper = np.array(rgb(view.theme.paper))
    cells = np.tile(paper, (len(owners), _LINES, 1))
    here, table = np.flatnonzero(_present(frame)), frame.owners
    place = np.searchsorted(owners, table["owner"][here], sorter=(sorter := np.argsort(owners, kind="stable")))
    place = sorter[np.minimum(place, len(owners) - 1)]
    found = owners[place] == table["owner"][here]
    place, here = place[found], here[found]
    names, kind = np.unique(table["strategy"][here].astype(str), return_inverse=True)
    tones = np.array([rgb(view.fill(str(name)) if name in view.colours else view.theme.muted) for name in names])
    colour = tones[kind] if len(names) else np.zeros((0, 3))
    took, arrived = table["took_part"][here].astype(bool), table["arrived"][here].astype(bool)
    pale = np.where(~took, 0.8, np.where(~arrived, 0.55, 0.0))[:, None]
    cells[place, 1:] = (colour * (1 - pale) + paper * pale)[:, None, :]
    forged = arrived & ~table["trained"][here].astype(bool)
    cells[place[forged], 2:4] = paper
    guilty = table["flagged"][here].astype(bool)
    cells[place[guilty], 2:4] = rgb(view.theme.ink)
    return cells.reshape(-1, 3)


def _png(image: NDArray[np.float64]) -> str:
    stream = io.BytesIO()
    matplotlib.image.imsave(stream, image, format="png")
    return base64.b64encode(stream.getvalue()).decode("ascii")


MOST_CLAIMS = 2
_CLAIM_PLACES = (280.0, 366.0)
_HEADINGS = (
    ("#", 20, "end"), ("owner", 28, "start"), ("strategy", 68, "start"), ("gain", 408, "end"),
    ("rep.", 442, "end"), ("audit", 476, "end"),
)  # fmt: skip


def leaderboard(view: View) -> Picture:
    """The owners with the greatest gain since the start; truth beside report, a mark for the round's verdict."""
    picture = Picture("Leaderboard: truth beside report", view.theme)
    if not view.frames:
        picture.note(NOT_YET)
        return picture
    table, gains = view.last.owners, view.last.gains
    rows = np.flatnonzero(table["status"] == "active")
    rows = rows[np.argsort(-gains[table["owner"][rows].astype(np.int64)], kind="stable")][:12]
    claims = list(zip(view.claims[:MOST_CLAIMS], _CLAIM_PLACES[-len(view.claims) :], strict=False))
    for words, x, anchor in (*_HEADINGS, *((claim.replace("_", " "), place, "end") for claim, place in claims)):
        picture.text(x, 44, words, size=10, anchor=anchor, colour=view.theme.muted)
    digits = digits_for(gains[table["owner"][rows].astype(np.int64)])
    for k, row in enumerate(rows.tolist()):
        y = 62 + 18 * k
        owner, strategy = int(table["owner"][row]), str(table["strategy"][row])
        picture.text(20, y, str(k + 1), size=10, anchor="end", colour=view.theme.muted)
        picture.text(28, y, str(owner), size=10.5)
        picture.dot(66, y - 3.5, 3.8, view.fill(strategy), view.theme.ink, 0.4)
        picture.text(74, y, shortened(strategy, 17 if len(claims) > 1 else 24), size=10.5)
        for claim, x in claims:
            true, said = float(table[claim][row]), float(table[f"reported_{claim}"][row])
            lies = np.isfinite(said) and abs(said - true) > 0.05 * max(abs(true), 1e-9)
            places = 0 if claim == DATA_SIZE else digits_for([true, said]) - (abs(true) < 1)
            words = f"{number(true, places)} / {number(said, places)}"
            picture.text(x, y, words, size=10.5, anchor="end", bold=bool(lies),
                         colour=view.theme.text("#D55E00") if lies else None)  # fmt: skip
        picture.text(408, y, number(gains[owner], digits), size=10.5, anchor="end")
        picture.text(442, y, number(float(table["reputation"][row]), 2), size=10.5, anchor="end")
        mark, tone = _verdict(table, row, view.theme)
        picture.text(465, y, mark, size=11, anchor="middle", colour=tone, bold=True)
    words = "true / said, orange: a lie · gain: money since the start · audit: ✓ cleared, ! guilty, ? wrongly"
    picture.text(12, picture.height - 8, words, size=9.5, colour=view.theme.muted)
    return picture


def _verdict(table: Columns, row: int, theme: Theme) -> tuple[str, str]:
    if not table["audited"][row]:
        return "", theme.ink
    if not table["flagged"][row]:
        return "✓", theme.text("#009E73")
    return ("!", theme.text("#D55E00")) if table["violation"][row] else ("?", theme.text("#E69F00"))


def ticker(view: View) -> Picture:
    """The latest events worth telling, newest first."""
    picture = Picture("Event ticker", view.theme)
    picture.text(picture.width - 12, 20, "market time, newest first", size=10, anchor="end", colour=view.theme.muted)
    if not view.frames:
        picture.note(NOT_YET)
        return picture
    told: list[tuple[float, str, str]] = []
    latest = view.frames[:-7:-1]
    for frame, before in zip(latest, view.frames[-2:-8:-1] + latest[-1:], strict=False):
        told += _told(frame, before, view)
        if len(told) >= 15:
            break
    for k, (tick, words, colour) in enumerate(told[:15]):
        y = 46 + 16 * k
        picture.text(72, y, clock_text(tick), size=10.5, anchor="end", colour=view.theme.muted)
        picture.dot(83, y - 3.5, 3, colour)
        picture.text(92, y, shortened(words, 60), size=10.5)
    return picture


def clock_text(tick: float) -> str:
    """Simulated time, in hours, minutes and seconds."""
    from scenarios.engine.clock import TICKS_PER_SECOND

    seconds = tick / TICKS_PER_SECOND
    return f"{int(seconds // 3600)}:{int(seconds % 3600 // 60):02d}:{seconds % 60:04.1f}"


def _kinds(frame: Frame) -> dict[int, str]:
    return dict(zip(frame.owners["owner"].tolist(), frame.owners["strategy"].tolist(), strict=True))


def _who(owner: int, strategy: Mapping[int, str]) -> str:
    """An owner with its strategy; who came and went within one round has none in the tables."""
    return f"owner {owner} ({strategy[owner]})" if owner in strategy else f"owner {owner}"


def _told(frame: Frame, before: Frame, view: View) -> list[tuple[float, str, str]]:
    """The events of a round in words, newest first; those of which there are many are counted."""
    events, theme = frame.tables["events"], view.theme
    strategy = {**_kinds(before), **_kinds(frame)}  # who has left is found in the round before
    lines: list[tuple[float, str, str]] = []
    counted = {"join": "joins", "report": "reports in time", "update": "uploads in", "late": "uploads too late"}
    groups = {kind: np.flatnonzero(events["kind"] == kind) for kind in counted}
    for kind, words in counted.items():
        rows = groups[kind]
        if len(rows) and (kind != "join" or len(rows) > 4):
            lines.append((float(events["tick"][rows[-1]]), f"{words}: {len(rows):,}", theme.muted))
    for kind, words, tone in (
        ("guilty", "{who} guilty: {value} of its deposit", "#D55E00"),
        ("leave", "{who} leaves: {why}", "#616E7C"),
        ("switch", "{who} switches to {other}", "#56B4E9"),
        ("intervene", "lever: {lever}", "#CC79A7"),
        ("plan", "plan: {count} owners selected", "#0072B2"),
        ("close", "round {round} closed{reached}", "#009E73"),
    ):
        for row in np.flatnonzero(events["kind"] == kind)[-8:].tolist():
            value = float(events["value"][row])
            owner = int(events["owner"][row])
            told = words.format(
                who=_who(owner, strategy),
                value=number(value, 2),
                reached=f", accuracy {number(value, 3)}" if np.isfinite(value) else "",
                count=number(value),
                round=frame.number,
                why=ExitKind(int(value)).name.lower() if kind == "leave" else "",
                lever=view.levers[int(value)] if kind == "intervene" and value < len(view.levers) else "",
                other=view.strategies[int(value)] if kind == "switch" and value < len(view.strategies) else "",
            )
            lines.append((float(events["tick"][row]), told, theme.text(tone)))
    if len(groups["join"]) <= 4:
        for row in groups["join"].tolist():
            owner = int(events["owner"][row])
            lines.append((float(events["tick"][row]), f"{_who(owner, strategy)} joins", theme.text("#009E73")))
    return sorted(lines, key=lambda line: -line[0])
