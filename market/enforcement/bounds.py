"""One-line complaints about parameters of enforcement."""

from __future__ import annotations

import math


def check_share(name: str, value: float) -> None:
    """Raise a one-line ValueError unless ``value`` is a number in [0, 1]."""
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"{name}: expected a number between 0 and 1, got {value}")


def check_amount(name: str, value: float) -> None:
    """Raise a one-line ValueError unless ``value`` is a finite number of at least 0."""
    if not (value >= 0 and math.isfinite(value)):
        raise ValueError(f"{name}: expected a number of at least 0, got {value}")


def check_finite(name: str, value: float) -> None:
    """Raise a one-line ValueError unless ``value`` is a finite number."""
    if not math.isfinite(value):
        raise ValueError(f"{name}: expected a finite number, got {value}")


def check_one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    """Raise a one-line ValueError unless ``value`` is one of the names."""
    if value not in known:
        raise ValueError(f"{name}: expected one of {', '.join(known)}, got {value}")
