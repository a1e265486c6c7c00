"""The left-hand side of the page: what to play, how fast, with which values, and what to keep of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import solara

from scenarios.app.controls import (
    GROUPS,
    LEVERS,
    controls,
    factors,
    mechanism_parameters,
    strategy_names,
)
from scenarios.app.draft import MIX, Draft
from scenarios.app.inputs import Put, parameter_inputs, value_input
from scenarios.app.keeping import Keep
from scenarios.app.mesa_controls import force_update, update_counter
from scenarios.app.stage import Stage
from scenarios.errors import BadInput
from scenarios.interventions import MECHANISM
from scenarios.loading import library

Open = Callable[[Stage], None]
RIVAL = ("market.mechanism", "market.budget", "enforcement.audit_rate", "enforcement.deposit")
"""What the second world can have otherwise."""


@solara.component
def Desk(
    stage: solara.Reactive[Stage],
    draft: solara.Reactive[Draft],
    open_stage: Open,
    generation: int,
    controller: Callable[..., Any],
) -> None:
    """All controls."""
    # Mesa's Reset makes a new stage from these: of what is set up at that time.
    parameters = solara.use_memo(lambda: {"draft": lambda: draft.value}, [])
    interval, redraw = solara.use_reactive(100), solara.use_reactive(1)
    threads = solara.use_reactive(False)
    with solara.Column(classes=["dg-desk"], gap="6px"):
        if stage.value.folder:
            solara.Text("A finished run: move the slider at the top through its rounds.")
        else:
            controller(
                stage,
                model_parameters=parameters,
                play_interval=interval,
                render_interval=redraw,
                use_threads=threads,
            ).key(f"controller-{generation}")
            Clock(stage.value, draft.value != stage.value.draft)
            solara.SliderInt(f"pause: {interval.value} ms", value=interval, min=1, max=1000)
            solara.SliderInt(f"rounds per picture: {redraw.value}", value=redraw, min=1, max=20)
        Gallery(stage.value, open_stage).key("gallery")
        # While another scenario is opened, the stage and the draft change one after the other.
        if stage.value.folder or not (draft.value.readable and stage.value.draft.readable):
            return
        Levers(stage.value)
        for group, paths in GROUPS.items():
            with solara.Details(group), solara.Column(gap="2px"):
                for path in paths:
                    value_input(controls()[path], draft.value.value(path), _setter(draft, path))
                    if path == MECHANISM:
                        parameter_inputs(draft.value.mechanism(), _setter(draft, path))
                if group == "Population":
                    Mix(draft)
        Rival(draft)
        Keep(stage.value)


@solara.component
def Clock(stage: Stage, changed: bool) -> None:
    """How far the run has come, and whether values wait for a reset."""
    update_counter.get()
    played, horizon = stage.windows
    ended = "" if stage.running or stage.problem else " · the end"
    news = " · Reset to play the new values" if changed else ""
    seconds = next((float(show.scenario["window"]) for show in stage.shows), 0.0)
    each = f" ({seconds:g} s each)" if seconds else ""
    classes = ["dg-clock", *(["dg-news"] if changed else [])]
    solara.Text(f"window {played} of {horizon}{each}{ended}{news}", classes=classes)


@solara.component
def Gallery(stage: Stage, open_stage: Open) -> None:
    """Ready-made scenarios, a file of one's own, a finished run."""
    titles = {f"{name}: {title}": name for name, (title, _) in solara.use_memo(library, []).items()}
    here = next((label for label, name in titles.items() if name == stage.draft.source and not stage.folder), None)
    path, folder = solara.use_reactive(""), solara.use_reactive("")

    def chosen(label: str | None) -> None:
        if label is not None:
            open_stage(Stage(Draft(titles[label])))

    solara.Select("ready-made scenario", values=list(titles), value=here, on_value=chosen)
    with solara.Details("Open a file or a finished run"), solara.Column(gap="2px"):
        solara.InputText("scenario file", value=path)
        solara.Button(
            "Open file", small=True, disabled=not path.value, on_click=lambda: open_stage(Stage(Draft(path.value)))
        )
        solara.InputText("folder of a finished run", value=folder)
        solara.Button(
            "Open run", small=True, disabled=not folder.value,
            on_click=lambda: open_stage(Stage(stage.draft, folder=folder.value)),
        )  # fmt: skip


@solara.component
def Levers(stage: Stage) -> None:
    """Policy that can change while the run goes on; it acts when the next round opens."""
    update_counter.get()
    staged, worlds, said = solara.use_reactive({}), solara.use_reactive("both"), solara.use_reactive("")
    solara.use_effect(lambda: (staged.set({}), said.set(""))[1], [stage])

    def stager(path: str) -> Put:
        return lambda value: staged.set({**staged.value, path: value})

    def turn() -> None:
        try:
            settings = {path: _with_parameters(value, stage) if path == MECHANISM else value
                        for path, value in staged.value.items()}  # fmt: skip
            rounds = stage.turn(settings, {"both": "AB"}.get(worlds.value, worlds.value))
        except BadInput as problem:
            said.set(re.sub(r"^interventions\.\d+\.set\.", "", str(problem)))
            return
        said.set(f"Acts in round {rounds[0]}." if rounds else "The run is over: press Reset.")
        staged.set({})
        force_update()

    with solara.Details("Levers during the run"), solara.Column(gap="2px"):
        for path in LEVERS:
            value = staged.value.get(path, stage.in_force(path))
            if path != MECHANISM:
                value_input(controls()[path], value, stager(path))
                continue
            chosen = _with_parameters(value, stage) if path in staged.value else stage.mechanism()
            value_input(controls()[path], chosen["name"], stager(path))
            parameter_inputs(chosen, stager(path))
        if len(stage.shows) > 1:
            solara.ToggleButtonsSingle(worlds, values=["both", "A", "B"])
        solara.Button("Turn levers", color="primary", small=True, disabled=not staged.value, on_click=turn)
        if said.value:
            solara.Text(said.value, classes=["dg-said"])


@solara.component
def Mix(draft: solara.Reactive[Draft]) -> None:
    """The population's strategies: shares, factors, one more."""
    mix: list[dict[str, Any]] = list(draft.value.value(MIX))

    def put(place: int, name: str, value: float | None) -> None:
        if value is None:
            return  # not a number yet
        draft.set(
            draft.value.with_change(MIX, [{**one, name: value} if k == place else one for k, one in enumerate(mix)])
        )

    def add(name: str | None) -> None:
        if name is not None:
            draft.set(draft.value.with_change(MIX, [*mix, {"name": name, "share": 0.1}]))

    def drop(place: int) -> None:
        draft.set(draft.value.with_change(MIX, [one for k, one in enumerate(mix) if k != place]))

    solara.Text("strategies of those who arrive", style="font-weight: 600; margin-top: 6px")
    for place, share in enumerate(mix):
        with solara.Div(classes=["dg-bar"]):
            with solara.Div(classes=["dg-grow"]):
                solara.InputFloat(
                    f"share of {share['name']}", value=float(share["share"]),
                    on_value=lambda v, k=place: put(k, "share", v),
                )  # fmt: skip
            solara.Button(
                icon_name="mdi-close", text=True, disabled=len(mix) == 1, on_click=lambda k=place: drop(k),
                classes=["dg-drop"],
            )  # fmt: skip
        for name, value in factors(share).items():
            edit = solara.InputInt if isinstance(value, int) else solara.InputFloat
            edit(
                f"{name.replace('_', ' ')} of {share['name']}", value=value,
                on_value=lambda v, k=place, name=name: put(k, name, v),
            )  # fmt: skip
    absent = [name for name in strategy_names() if name not in {share["name"] for share in mix}]
    solara.Select(
        "add a strategy", values=absent, value=None,
        on_value=add,
    )  # fmt: skip


@solara.component
def Rival(draft: solara.Reactive[Draft]) -> None:
    """A second world with the same people and the same luck, under other rules."""
    there = draft.value.rival is not None

    def toggle(on: bool) -> None:
        draft.set(replace(draft.value, rival={} if on else None))

    with solara.Details("Second world"), solara.Column(gap="2px"):
        solara.Switch(label="compare two worlds", value=there, on_value=toggle)
        if there:
            solara.Text("World B has the values of A, but for these:")
            for path in RIVAL:
                value_input(
                    controls()[path], draft.value.value(path, rival=True),
                    _rival_setter(draft, path),
                )  # fmt: skip


def _with_parameters(chosen: str | Mapping[str, Any], stage: Stage) -> dict[str, Any]:
    """A mechanism with all its parameters; the one that the scenario starts with, by its name, has those written."""
    written = stage.shows[0].scenario["market"]["mechanism"] if stage.shows else {}
    return mechanism_parameters(written if chosen == written.get("name") else chosen)


def _setter(draft: solara.Reactive[Draft], path: str) -> Put:
    return lambda value: draft.set(draft.value.with_change(path, value))


def _rival_setter(draft: solara.Reactive[Draft], path: str) -> Put:
    return lambda value: draft.set(draft.value.with_rival(path, value))
