"""The collaboration graph: who used whose model in the round, who came, who went and why."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from market.parties import MODEL_OWNER
from scenarios.app.drawing import Picture, shortened
from scenarios.app.reel import Frame
from scenarios.app.view import NOT_YET, View
from scenarios.engine.leaving import ExitKind
from scenarios.palette import FAINT, GREEN, INK, MUTED, PARTIES, STATES, mix

MOST_OWNERS, MOST_EDGES = 400, 600
_CENTRE, _REACH = (150.0, 158.0), 122.0


def network(view: View) -> Picture:
    """Owners by strategy (colour), weight in the round (size) and reputation (ring); edges by weight and money.

    Newcomers of the round wear a green halo; who left is a cross where it stood, black if it was expelled. Beyond
    ``MOST_OWNERS`` an even selection of owners is drawn.
    """
    picture = Picture("Collaboration graph", view.theme)
    if not view.frames:
        picture.note(NOT_YET)
        return picture
    frame = view.last
    rows = _people(frame)
    owners = frame.owners["owner"][rows]
    total = len(owners)
    if total > MOST_OWNERS:
        kept = np.unique(np.linspace(0, total - 1, MOST_OWNERS).astype(int))
        rows, owners = rows[kept], owners[kept]
    names = list(view.colours)
    strategy = frame.owners["strategy"][rows].astype(str)
    angle = 2 * np.pi * np.array([names.index(name) for name in strategy]) / max(1, len(names)) - np.pi / 2
    users, sources, weight, money = _between(frame, owners)
    gone = _gone(frame)
    place = view.layout.arrange(frame.number, owners, angle, users, sources, weight)
    ghosts = [(view.layout.last(owner), kind) for owner, kind in gone.items()]
    at = dict(zip(owners.tolist(), _on_paper(place), strict=True))
    _spokes(picture, view, frame, at, strategy)
    for k in range(len(users)):
        (x1, y1), (x2, y2) = at[int(sources[k])], at[int(users[k])]
        tone = mix(view.theme.muted, PARTIES["model owner"], float(min(1.0, money[k] / max(money.max(), 1e-12))))
        picture.lines([(x1, y1, x2, y2)], tone, 0.5 + 2.0 * float(weight[k]), 0.65)
    _dots(picture, view, frame, rows, at, strategy)
    for ghost, kind in ghosts:
        if ghost is not None:
            _cross(picture, _on_paper(ghost[None, :])[0], kind, view)
    if total == 0:
        picture.text(*_CENTRE, "Nobody is in the market.", size=12, anchor="middle", colour=view.theme.muted)
    _legend(picture, view, strategy, len(gone), total)
    return picture


def _people(frame: Frame) -> NDArray[np.int64]:
    """Rows of who is in the market after the round."""
    return np.flatnonzero(frame.owners["status"] == "active")


def _between(
    frame: Frame, owners: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Owner-to-owner edges among the owners drawn: users, sources, weights (0 to 1) and payments; the heaviest."""
    edges = frame.tables["edges"]
    users, sources = edges["user"].astype(np.int64), edges["source"].astype(np.int64)
    among = np.flatnonzero(np.isin(users, owners) & np.isin(sources, owners) & (users != sources))
    order = among[np.argsort(-edges["weight"][among], kind="stable")][:MOST_EDGES]
    weight = edges["weight"][order].astype(float)
    return users[order], sources[order], weight / max(weight.max(initial=0.0), 1e-12), edges["payment"][order]


def _gone(frame: Frame) -> dict[int, ExitKind]:
    """Owners that left in the round, and why."""
    events = frame.tables["events"]
    left = events["kind"] == "leave"
    here = set(frame.owners["owner"][_people(frame)].tolist())
    pairs = zip(events["owner"][left].tolist(), events["value"][left].tolist(), strict=True)
    return {int(owner): ExitKind(int(kind)) for owner, kind in pairs if owner not in here}


def _on_paper(place: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array(_CENTRE) + _REACH * place / 1.15


def _spokes(
    picture: Picture, view: View, frame: Frame, at: dict[int, NDArray[np.float64]], strategy: NDArray[np.str_]
) -> None:
    """Uploads that went into the global model, as wide as their weight; and the model owner itself."""
    edges = frame.tables["edges"]
    used = (edges["user"] == MODEL_OWNER) & (edges["weight"] > 0)
    kind = dict(zip(at, strategy.tolist(), strict=True))
    pairs = [(int(o), w) for o, w in zip(edges["source"][used], edges["weight"][used], strict=True) if int(o) in at]
    if not pairs:
        return
    heaviest = max(weight for _, weight in pairs)
    for owner, weight in pairs:
        x, y = at[owner]
        picture.lines([(x, y, *_CENTRE)], view.fill(kind[owner]), 0.3 + 2.2 * weight / heaviest, 0.4)
    picture.dot(*_CENTRE, 15, PARTIES["model owner"], view.theme.paper, 2, "model owner")
    picture.text(_CENTRE[0], _CENTRE[1] - 1, "model", size=7, anchor="middle", colour="#FFFFFF", bold=True)
    picture.text(_CENTRE[0], _CENTRE[1] + 7, "owner", size=7, anchor="middle", colour="#FFFFFF", bold=True)


def _dots(
    picture: Picture,
    view: View,
    frame: Frame,
    rows: NDArray[np.int64],
    at: dict[int, NDArray[np.float64]],
    strategy: NDArray[np.str_],
) -> None:
    owners = frame.owners
    crowd = float(np.clip(np.sqrt(40 / max(1, len(rows))), 0.35, 1.0))
    weight = np.nan_to_num(owners["weight"][rows].astype(float))
    radius = crowd * (4.0 + 6.5 * np.sqrt(weight / max(weight.max(initial=0.0), 1e-12)))
    events = frame.tables["events"]
    fresh = set(events["owner"][events["kind"] == "join"].tolist()) if frame.number else set()
    low, high = (FAINT, INK) if view.theme.name == "light" else (MUTED, "#FFFFFF")
    for k, row in enumerate(rows.tolist()):
        owner = int(owners["owner"][row])
        x, y = at[owner]
        if owner in fresh:
            picture.dot(x, y, radius[k] + 4 * crowd + 1, "none", GREEN, 1.6)
        standing = float(np.nan_to_num(owners["reputation"][row]))
        hint = (
            f"owner {owner}, {strategy[k]}, weight {weight[k]:.3f}, reputation {standing:.2f}, "
            f"utility {float(owners['utility'][row]):.2f}"
        )
        picture.dot(x, y, radius[k], view.fill(strategy[k]), mix(low, high, standing), 0.6 + 1.6 * crowd, hint)


def _cross(picture: Picture, place: NDArray[np.float64], kind: ExitKind, view: View) -> None:
    x, y = place
    colour = {ExitKind.EXPELLED: view.theme.ink, ExitKind.BANKRUPT: STATES["bankrupt"]}.get(kind, view.theme.muted)
    width = 2.6 if kind is ExitKind.EXPELLED else 1.5
    picture.lines([(x - 4, y - 4, x + 4, y + 4), (x - 4, y + 4, x + 4, y - 4)], colour, width)


def _legend(picture: Picture, view: View, strategy: NDArray[np.str_], gone: int, total: int) -> None:
    y, x = 48.0, 292.0
    for name in view.colours:
        count = int((strategy == name).sum())
        picture.dot(x + 4, y - 3.5, 4.5, view.fill(name), view.theme.ink, 0.5)
        words = f"{shortened(name, 24)} {count}"
        picture.text(x + 14, y, words, size=10.5, colour=view.theme.ink if count else view.theme.muted)
        y += 15
    y += 6
    for words in _marks(view):
        picture.text(x, y, words, size=10, colour=view.theme.muted)
        y += 14
    drawn = f"round {view.last.number}: {total:,} owners, {gone} left"
    if total > MOST_OWNERS:
        drawn = f"round {view.last.number}: {MOST_OWNERS} of {total:,} owners"
    picture.text(picture.width - 12, 20, drawn, size=10, anchor="end", colour=view.theme.muted)


def _marks(view: View) -> list[str]:
    """What size, ring, lines and signs mean; lines only as far as there are any."""
    edges = view.last.tables["edges"]
    between = (edges["user"] != MODEL_OWNER) & (edges["source"] != MODEL_OWNER)
    words = ["dot size: weight in the round", "dark ring: good reputation"]
    if view.theme.name == "dark":
        words[1] = "bright ring: good reputation"
    if (edges["user"] == MODEL_OWNER).any():
        words.append("thin line: upload that is used")
    if between.any():
        words.append("grey line: model used or copied")
    if (between & (edges["payment"] > 0)).any():
        words.append("green line: pays for it")
    return [*words, "green halo: joined · ×: left", "bold ×: expelled"]
