"""The page: what Solara shows. One session has one ``Stage``; nothing is kept in the module."""

from __future__ import annotations

import os
from pathlib import Path

import solara
import solara.lab

from scenarios.app.draft import Draft
from scenarios.app.drawing import DARK, LIGHT
from scenarios.app.look import CSS
from scenarios.app.main_area import Board
from scenarios.app.mesa_controls import ModelController, update_counter
from scenarios.app.sidebar import Desk
from scenarios.app.stage import Stage

OPENING = "DATAGORA_APP_OPENING"
"""Environment variable that tells the page which scenario, or folder of a run, a new session opens with."""


def opening_stage() -> Stage:
    """What a new session shows first."""
    opening = os.environ.get(OPENING, "quickstart")
    return Stage(folder=opening) if Path(opening).is_dir() else Stage(Draft(opening))


@solara.component
def Page() -> None:
    """Controls at the left, the worlds at the right."""
    first = solara.use_memo(opening_stage, [])
    draft, stage = solara.use_reactive(first.draft), solara.use_reactive(first)
    generation = solara.use_reactive(0)
    _close_old_ones(stage.value)

    def open_stage(fresh: Stage) -> None:
        """Another scenario or a finished run: Mesa's controls start anew as well."""
        stage.set(fresh)
        draft.set(fresh.draft)
        generation.set(generation.value + 1)

    update_counter.get()
    theme = DARK if solara.lab.use_dark_effective() else LIGHT
    solara.Title("Datagora")
    solara.Style(CSS)
    with solara.AppBar():
        solara.AppBarTitle(f"Datagora · {_title(stage.value)}")
        solara.lab.ThemeToggle(enable_auto=False)
    with solara.Sidebar():
        Desk(stage, draft, open_stage, generation.value, ModelController)
    Board(stage.value, theme, open_stage).key(f"board-{id(stage.value)}")


def _title(stage: Stage) -> str:
    if stage.problem or not stage.shows:
        return "nothing to play"
    scenario = stage.shows[0].scenario
    return str(scenario.get("title") or scenario["name"])


def _close_old_ones(stage: Stage) -> None:
    solara.use_effect(lambda: stage.close, [stage])
