"""Whether code that a scenario names may run: only where the user says so, for this call."""

from __future__ import annotations

import os

ALLOW_CODE = "DATAGORA_ALLOW_CODE"
"""The environment variable that allows it if it is 1. Worker processes inherit it."""


class CodeNotAllowed(ValueError):
    """Code would have to run that nobody has allowed; ``str()`` of it is one line that says how to allow it."""


def code_allowed() -> bool:
    """Whether the user allows code that a scenario names."""
    return os.environ.get(ALLOW_CODE) == "1"


def check_code(path: str) -> None:
    """Raise ``CodeNotAllowed`` unless the user allows code; ``path`` names the model that is code."""
    if not code_allowed():
        raise CodeNotAllowed(
            f"the model '{path}' is code that would run here; if you trust it, set {ALLOW_CODE}=1 in the environment"
        )
