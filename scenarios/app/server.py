"""Starting the page: Solara's server on this machine only, everything from local files, nothing reported anywhere."""

from __future__ import annotations

import importlib.util
import os
import socket
import sys
import warnings
from pathlib import Path

from scenarios.errors import BadInput
from scenarios.loading import load_scenario
from scenarios.results import BadRun, open_run

HOST = "127.0.0.1"


def serve(opening: str, port: int) -> None:
    """Serve the page until interrupted; it opens with a scenario or with the folder of a finished run.

    Raises ``BadInput`` for a missing extra, a bad scenario or folder, and a port that is taken.
    """
    if importlib.util.find_spec("solara") is None:
        raise BadInput("datagora app", "", None, problem="needs the extra app: pip install 'datagora[app]'")
    _check_opening(opening)
    _check_port(port)
    os.environ.update(_settings(opening))
    import uvicorn

    warnings.filterwarnings("ignore", message="Cookies with samesite=none")  # it concerns pages within other pages
    print("Starting ...", file=sys.stderr, flush=True)
    _warm_up()
    print(f"http://{HOST}:{port}", file=sys.stderr, flush=True)
    uvicorn.run("solara.server.starlette:app", host=HOST, port=port, log_level="warning")


def _check_opening(opening: str) -> None:
    if not Path(opening).is_dir():
        load_scenario(opening)
        return
    try:
        open_run(Path(opening))
    except BadRun as problem:
        raise BadInput("", "", None, problem=str(problem)) from None


def _warm_up() -> None:
    """What takes seconds to import or load is there before the address is shown, not when the first page is opened."""
    page = importlib.import_module("scenarios.app.page")
    page.opening_stage().close()


def _settings(opening: str) -> dict[str, str]:
    """Solara reads its settings from the environment when it is imported."""
    return {
        "SOLARA_APP": "scenarios.app.page",
        "DATAGORA_APP_OPENING": opening,
        "SOLARA_MODE": "production",
        "SOLARA_TELEMETRY_MIXPANEL_ENABLE": "False",
        "SOLARA_SESSION_SAME_SITE": "lax",
        "SOLARA_THEME_SHOW_BANNER": "False",
        "SOLARA_THEME_LOADER": "plain",
        "SOLARA_KERNEL_CULL_TIMEOUT": "10m",
    }


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as problem:
            raise BadInput("--port", "", port, problem=f"cannot be used ({problem.strerror})") from None
