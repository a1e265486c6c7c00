"""Numbers as people read them and can copy them: thousands separators, a plain minus, a dash for what is unknown."""

from __future__ import annotations

import math

UNKNOWN = "-"


def number(value: float, digits: int = 0) -> str:
    """``value`` with so many digits after the point: ``1,234.57``, ``-91``; never a negative zero."""
    value = float(value)
    if not math.isfinite(value):
        return UNKNOWN
    text = f"{value:,.{digits}f}"
    return text if text.strip("-0,.") else text.lstrip("-")


def percent(share: float, digits: int = 1) -> str:
    """``0.9312`` as ``93.1 %``."""
    return f"{number(100 * share, digits)} %" if math.isfinite(share) else UNKNOWN
