"""A small kit for pictures as SVG text: quick to make anew after every round, sharp on a projector, light and dark.

Colours are written into each picture, so that one picture alone is complete (and can be saved as PNG).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

from scenarios.palette import FAINT, INK, MUTED, PAPER, mix, rgb

WIDTH, HEIGHT = 480, 290
"""Units of one picture; the page scales it."""

_FONT = "font-family=\"'DejaVu Sans', Verdana, Arial, sans-serif\""


@dataclass(frozen=True)
class Theme:
    """Colours of a light or a dark page."""

    name: str
    paper: str
    ink: str
    muted: str
    faint: str

    def fill(self, colour: str) -> str:
        """The colour of an area: on a dark page, of a dark colour the same hue lighter."""
        return mix(colour, "#FFFFFF", 0.45) if self.name == "dark" and contrast(colour, self.paper) < 2 else colour

    def text(self, colour: str) -> str:
        """The colour of text and thin lines: the same hue, as dark or light as it takes to be read (WCAG 2, AA)."""
        end = "#FFFFFF" if self.name == "dark" else "#000000"
        shades = (mix(colour, end, share / 20) for share in range(21))
        return next(shade for shade in shades if contrast(shade, self.paper) >= READABLE)


READABLE = 4.5
"""Least contrast of text, WCAG 2.2, success criterion 1.4.3."""


def contrast(colour: str, other: str) -> float:
    """Contrast ratio of two colours, 1 to 21, as WCAG 2.2 defines it."""
    high, low = sorted((_luminance(colour), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    """Relative luminance, 0 to 1."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in rgb(colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


LIGHT = Theme("light", PAPER, INK, MUTED, FAINT)
DARK = Theme("dark", "#1B2026", "#E8ECF0", "#A3AEBA", "#39424D")


class Picture:
    """An SVG picture under construction; coordinates in its own units, y downwards."""

    def __init__(self, title: str, theme: Theme, width: float = WIDTH, height: float = HEIGHT) -> None:
        self.title, self.theme, self.width, self.height = title, theme, width, height
        self._parts: list[str] = []

    def text(
        self,
        x: float,
        y: float,
        words: str,
        *,
        size: float = 11,
        anchor: str = "start",
        colour: str | None = None,
        bold: bool = False,
    ) -> None:
        """One line of text; ``anchor`` is start, middle or end."""
        weight = ' font-weight="bold"' if bold else ""
        self._parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" text-anchor="{anchor}"{weight} '
            f'fill="{colour or self.theme.ink}">{escape(words)}</text>'
        )

    def line(self, x1: float, y1: float, x2: float, y2: float, colour: str, width: float = 1, dash: str = "") -> None:
        """A straight line."""
        dashes = f' stroke-dasharray="{dash}"' if dash else ""
        self._parts.append(
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
            f'stroke-width="{width:.2f}"{dashes}/>'
        )

    def lines(self, ends: Iterable[Sequence[float]], colour: str, width: float, opacity: float = 1.0) -> None:
        """Many lines (x1, y1, x2, y2) of one look."""
        path = "".join(f"M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" for x1, y1, x2, y2 in ends)
        if path:
            self._parts.append(
                f'<path d="{path}" stroke="{colour}" stroke-width="{width:.2f}" opacity="{opacity:.2f}" fill="none"/>'
            )

    def curve(
        self, x: NDArray[np.float64], y: NDArray[np.float64], colour: str, width: float = 2, dash: str = ""
    ) -> None:
        """A polyline through the points; broken where y is NaN."""
        path, pen = [], "M"
        for a, b in zip(x.tolist(), y.tolist(), strict=True):
            if math.isnan(b):
                pen = "M"
                continue
            path.append(f"{pen}{a:.1f} {b:.1f}")
            pen = "L"
        dashes = f' stroke-dasharray="{dash}"' if dash else ""
        if path:
            self._parts.append(
                f'<path d="{"".join(path)}" fill="none" stroke="{colour}" stroke-width="{width:g}" '
                f'stroke-linejoin="round" stroke-linecap="round"{dashes}/>'
            )

    def area(self, points: Iterable[Sequence[float]], colour: str, opacity: float = 1.0) -> None:
        """A filled polygon."""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self._parts.append(f'<polygon points="{path}" fill="{colour}" opacity="{opacity:g}"/>')

    def box(self, x: float, y: float, width: float, height: float, colour: str, radius: float = 0) -> None:
        """A filled rectangle."""
        self._parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(0.0, width):.1f}" height="{height:.1f}" rx="{radius:g}" '
            f'fill="{colour}"/>'
        )

    def dot(
        self, x: float, y: float, radius: float, fill: str, ring: str = "none", ring_width: float = 0, hint: str = ""
    ) -> None:
        """A circle; ``hint`` is what the pointer tells."""
        inner = f"<title>{escape(hint)}</title></circle>" if hint else "</circle>"
        self._parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="{fill}" stroke="{ring}" '
            f'stroke-width="{ring_width:.1f}">{inner}'
        )

    def image(self, x: float, y: float, width: float, height: float, data: str) -> None:
        """A raster picture, ``data`` a PNG in base 64."""
        self._parts.append(
            f'<image x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" preserveAspectRatio="none" '
            f'style="image-rendering:pixelated" href="data:image/png;base64,{data}"/>'
        )

    def note(self, words: str) -> None:
        """What an empty picture says: why, and what to do. Long words are broken into lines."""
        for place, line in enumerate(wrapped(words, 58)):
            self.text(
                self.width / 2,
                self.height / 2 + 17 * place,
                line,
                size=12,
                anchor="middle",
                colour=self.theme.muted,
            )

    def svg(self) -> str:
        """The picture."""
        heading = f'<text x="12" y="21" font-size="13.5" font-weight="bold" fill="{self.theme.ink}">'
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width:g} {self.height:g}" {_FONT} '
            f'role="img" aria-label="{escape(self.title)}" width="100%">'
            f'<rect width="{self.width:g}" height="{self.height:g}" rx="6" fill="{self.theme.paper}"/>'
            f"{heading}{escape(self.title)}</text>{''.join(self._parts)}</svg>"
        )


def wrapped(words: str, length: int) -> list[str]:
    """Lines of at most ``length`` letters, broken between words."""
    lines = [""]
    for word in words.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > length:
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else word
    return lines


def shortened(words: str, length: int) -> str:
    """At most ``length`` letters, the last one of a longer text an ellipsis."""
    return words if len(words) <= length else f"{words[: length - 1]}…"


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers from ``low`` to ``high``, at most ``most`` + 1 of them."""
    span = high - low
    if not (math.isfinite(span) and span > 0):
        return [low]
    raw = span / most
    size = 10.0 ** math.floor(math.log10(raw))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= raw * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(k * step, 12) for k in range(first, last + 1)]


def tick_text(value: float) -> str:
    """A number on an axis: thousands separators, no needless zeros."""
    return f"{value:,.10g}".replace("-", "−")
