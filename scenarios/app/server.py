"""Starting the page: Solara's server on this machine only, everything from local files, nothing reported anywhere."""

from __future__ import annotations

import importlib.util
import os
import socket
import sys
import warnings

from scenarios.errors import BadInput
from scenarios.loading import find_scenario

HOST = "127.0.0.1"


def serve(scenario: str, port: int) -> None:
    """Serve the page until interrupted. Raises ``BadInput`` for a missing extra, scenario file or port."""
    if importlib.util.find_spec("solara") is None:
        raise BadInput("datagora app", "", None, problem="needs the extra app: pip install 'datagora[app]'")
    source = str(find_scenario(scenario).resolve()) if scenario.endswith((".yaml", ".yml")) else scenario
    find_scenario(source)
    _check_port(port)
    os.environ.update(_settings(source))
    import uvicorn

    warnings.filterwarnings("ignore", message="Cookies with samesite=none")  # it concerns pages within other pages
    _warm_up(source)
    print(f"http://{HOST}:{port}", file=sys.stderr, flush=True)
    uvicorn.run("solara.server.starlette:app", host=HOST, port=port, log_level="warning")


def _warm_up(source: str) -> None:
    """What takes seconds to import or load is there before the address is shown; the page tells what is wrong."""
    importlib.import_module("scenarios.app.page")
    from scenarios.app.draft import Draft
    from scenarios.app.stage import Stage

    Stage(Draft(source)).close()


def _settings(source: str) -> dict[str, str]:
    """Solara reads its settings from the environment when it is imported."""
    return {
        "SOLARA_APP": "scenarios.app.page",
        "DATAGORA_APP_SCENARIO": source,
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
