"""What can be kept of a session: its scenario, which replays it exactly, and the run as a folder."""

from __future__ import annotations

from pathlib import Path

import solara
import solara.lab

from learning.data import BadData
from scenarios.app.stage import Show, Stage
from scenarios.errors import BadInput
from scenarios.loading import resolved_yaml
from scenarios.recorder import Recorder
from scenarios.schema import Scenario
from scenarios.simulation import Simulation


def session_scenario(show: Show, windows: int | None = None) -> Scenario:
    """The scenario of a world with every lever turned so far; ``windows`` cuts it off there."""
    assert show.simulation is not None
    scenario = show.simulation.resolved
    return scenario if windows is None else scenario.model_copy(update={"horizon": windows})


def export_run(show: Show, folder: Path) -> Path:
    """Play the session again, up to the window reached, into a run folder: the same bytes as ``datagora run``.

    Raises ``FileExistsError`` if there is something, ``OSError`` where nothing can be written.
    """
    assert show.simulation is not None
    recorder = Recorder(folder.expanduser())
    try:
        scenario = session_scenario(show, max(1, min(show.simulation.steps, show.simulation.scenario.horizon)))
        done = Simulation(scenario=scenario, device=show.simulation.wanted_device, recorder=recorder).run()
    except BaseException:
        recorder.abort()
        raise
    assert done is not None
    return done


@solara.component
def Keep(stage: Stage) -> None:
    """Download the scenario of each world; export the run of each."""
    folder, said, asked = solara.use_reactive(""), solara.use_reactive(""), solara.use_reactive(0)

    def export() -> None:
        if not asked.value:
            return
        said.set("Writing ...")
        try:
            places = []
            for show in stage.shows:
                place = Path(f"{folder.value}{'-' if show.name else ''}{show.name.lower()}")
                places.append(str(export_run(show, place)))
            said.set(f"Written: {', '.join(places)}")
        except FileExistsError as problem:
            said.set(str(problem).replace(", use --force to replace it", ": give another folder"))
        except (BadInput, BadData, OSError) as problem:
            said.set(str(problem))

    solara.lab.use_task(export, dependencies=[asked.value], prefer_threaded=True)
    with solara.Details("Keep"), solara.Column(gap="4px"):
        for show in stage.shows:
            if show.simulation is not None:
                name = f"{show.scenario['name']}{'-' if show.name else ''}{show.name.lower()}.yaml"
                solara.FileDownload(
                    lambda show=show: resolved_yaml(session_scenario(show)),
                    filename=name,
                    label=f"Scenario {show.name}".strip(),
                )
        solara.Text("It holds the levers that you have turned: datagora run plays the session again.")
        solara.InputText("new folder for the run", value=folder)
        solara.Button("Export run", small=True, disabled=not folder.value, on_click=lambda: asked.set(asked.value + 1))
        if said.value:
            solara.Text(said.value, classes=["dg-kept"])
