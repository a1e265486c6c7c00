"""The optional extra ``language``: imported where it is needed, and missed in one line."""

from __future__ import annotations

import importlib
from types import ModuleType

from learning.data.dataset import BadData


def required(module: str, what: str) -> ModuleType:
    """An optional package. Raises ``BadData`` of the source ``what`` that says how to get it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise BadData(what, f"needs the package {module}, install it with: pip install 'datagora[language]'") from error
