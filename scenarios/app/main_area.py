"""The right-hand side of the page: problem, time, tabs of panels, in one world or in two side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import solara
import solara.lab

from scenarios.app.draft import Draft
from scenarios.app.drawing import Picture, Theme
from scenarios.app.mesa_controls import update_counter
from scenarios.app.panels.course import accuracy, earnings, free_riding, population, rules, welfare
from scenarios.app.panels.differences import DIFFERENCES
from scenarios.app.panels.money import flows, ledger
from scenarios.app.panels.network import network
from scenarios.app.panels.people import leaderboard, raster, ticker
from scenarios.app.png import PngButton
from scenarios.app.stage import Show, Stage
from scenarios.app.view import View, told_claims
from scenarios.interventions import MECHANISM
from scenarios.loading import library
from scenarios.summary import strategy_families

Panel = Callable[[View], Picture]
Open = Callable[[Stage], None]

TABS: Mapping[str, tuple[Panel, ...]] = {
    "Market": (network, population, accuracy, free_riding),
    "Money": (welfare, earnings, flows, ledger),
    "Owners": (raster, leaderboard, ticker, rules),
}
DIFFERENCE_TAB = "Differences B − A"


@solara.component
def Board(stage: Stage, theme: Theme, open_stage: Open) -> None:
    """Everything there is to see of a stage."""
    update_counter.get()
    tab = solara.use_reactive(0)
    place = solara.use_reactive(-1)  # -1: the latest round
    if stage.problem:
        solara.Error(stage.problem)
    if not stage.shows:
        _what_to_do(stage)
        Cards(stage, open_stage)
        return
    last = stage.length - 1
    if last < 0:
        _introduction(stage)
        Cards(stage, open_stage)
        return
    shown = last if place.value < 0 else min(place.value, last)
    names = [*TABS, *([DIFFERENCE_TAB] if len(stage.shows) > 1 else [])]
    with solara.Div(classes=["dg-bar"]):
        with solara.lab.Tabs(value=tab):
            for name in names:
                solara.lab.Tab(name)
        solara.Div(classes=["dg-grow"])
        PngButton(filename=_file_name(stage, names[min(tab.value, len(names) - 1)], shown))
    with solara.Div(classes=["dg-bar"]):
        solara.Text(_time_text(stage, shown, place.value < 0), classes=["dg-time"])
        if last > 0:
            with solara.Div(classes=["dg-grow"]):
                solara.SliderInt("", value=shown, min=0, max=last, on_value=lambda k: place.set(-1 if k >= last else k))
            solara.Button("Latest", text=True, disabled=place.value < 0, on_click=lambda: place.set(-1))
    pairs = [(show, view_of(show, shown, theme)) for show in stage.shows]
    views = [view for _, view in pairs]
    chosen = names[min(tab.value, len(names) - 1)]
    if chosen == DIFFERENCE_TAB:
        _grid([draw(views[0], views[1]) for draw in DIFFERENCES])
    elif len(views) == 1:
        _grid([draw(views[0]) for draw in TABS[chosen]])
    else:
        with solara.Div(classes=["dg-panels", "dg-pairs"]):
            for show in stage.shows:
                solara.Text(f"World {show.name}: {_what_differs(show, stage)}", classes=["dg-world"])
        _grid([_titled(draw(view), show) for draw in TABS[chosen] for show, view in pairs], "dg-pairs")


def view_of(show: Show, place: int, theme: Theme) -> View:
    """What the panels draw of a world: up to the frame at ``place`` (-1: none)."""
    frames = show.reel.until(place)
    mechanism = str(show.mechanism_at(frames[-1].number if frames else 0)["name"])
    return View(
        frames,
        theme,
        show.strategies,
        strategy_families(),
        show.marks,
        show.levers,
        mechanism,
        told_claims(mechanism, show.strategies),
        show.layout,
    )


def _titled(picture: Picture, show: Show) -> Picture:
    """The picture with its world in the title, so that a saved view tells them apart."""
    picture.title = f"{show.name}: {picture.title}"
    return picture


def _grid(pictures: list[Picture], *classes: str) -> None:
    with solara.Div(classes=["dg-panels", "dg-shot", *classes]):
        for picture in pictures:
            solara.HTML(tag="div", unsafe_innerHTML=picture.svg(), classes=["dg-panel"])


def _time_text(stage: Stage, shown: int, latest: bool) -> str:
    number = stage.shows[0].reel.frames[shown].number
    return f"Round {number}{'' if latest else f' of {stage.shows[0].reel.frames[-1].number}'}"


def _what_differs(show: Show, stage: Stage) -> str:
    """The mechanism, and in the second world what was set for it alone."""
    rival = {} if show.name != "B" else stage.draft.rival or {}
    settings = [f"{path.split('.')[-1].replace('_', ' ')} {value}" for path, value in rival.items()]
    name = show.scenario["market"]["mechanism"]["name"]
    return ", ".join([str(name), *(text for text in settings if not text.startswith("mechanism "))])


def _file_name(stage: Stage, tab: str, shown: int) -> str:
    name = stage.shows[0].scenario["name"]
    return f"{name}-{tab.split()[0].lower()}-round{max(0, shown)}.png"


def _introduction(stage: Stage) -> None:
    """What the scenario is about, until there is something to see."""
    words = " ".join(str(stage.shows[0].scenario.get("description") or "").split())
    if stage.folder:
        solara.Info("This run has no closed round: there is nothing to see.", dense=True)
        return
    solara.Info(f"{words} Press ▶ to play, or Step for one round.".strip(), dense=True)
    for show in stage.shows if len(stage.shows) > 1 else ():
        solara.Text(f"World {show.name}: {_what_differs(show, stage)}", classes=["dg-world"])


@solara.component
def Cards(stage: Stage, open_stage: Open) -> None:
    """The gallery: every ready-made scenario with its mechanism and what it shows."""
    ready = solara.use_memo(library, [])
    names = sorted(ready, key=lambda name: (name != "quickstart", name))
    with solara.Column(gap="8px", style="margin-top: 12px"):
        solara.Text("Ready-made scenarios: press one to open it", style="font-weight: 600")
        with solara.Div(classes=["dg-cards"]):
            for name in names:
                title, description = ready[name]
                _card(name, title, description, name == stage.draft.source and not stage.folder, open_stage)


def _card(name: str, title: str, description: str, here: bool, open_stage: Open) -> None:
    about = _beginning(description, 110)
    card = solara.v.Html(
        tag="div",
        class_=f"dg-card{' dg-here' if here else ''}",
        attributes={"role": "link", "tabindex": "0", "aria-label": f"Open {name}"},
        children=[
            solara.v.Html(tag="div", class_="dg-title", children=[title]),
            solara.v.Html(tag="div", class_="dg-name", children=[name]),
            solara.v.Html(tag="div", class_="dg-about", children=[about]),
        ],
    )
    for event in ("click", "keydown.enter"):
        solara.v.use_event(card, event, lambda *_: open_stage(Stage(Draft(name))))


def _beginning(words: str, least: int) -> str:
    """As many whole sentences as it takes to say so many letters."""
    told = ""
    for sentence in words.split(". "):
        if len(told) >= least:
            break
        told += f"{sentence.rstrip('.')}. "
    return told.strip()


def _what_to_do(stage: Stage) -> None:
    chosen = str(stage.draft.changes.get(MECHANISM, "")) if not stage.folder else ""
    if stage.folder:
        words = (
            "This folder does not hold a finished run. Give the folder that datagora run printed, or choose a "
            "scenario below."
        )
    elif chosen:
        words = (
            f"The mechanism that you have chosen ({chosen}) needs owners or training that this scenario does not have. "
            "Set the mechanism back at the left under Market and press Reset, or open a scenario below that is made "
            "for it."
        )
    else:
        words = (
            "Mend the value that the message names (at the left, or in the file) and press Reset, or choose another "
            "scenario below. If data are missing, the message says where to put them."
        )
    solara.Text(words, style="display: block; margin: 10px 4px")
