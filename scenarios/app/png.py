"""A button that saves the panels on the page as one PNG; the browser draws it, so it is what is seen."""

from __future__ import annotations

import solara


@solara.component_vue("png.vue")
def PngButton(filename: str = "view.png") -> None:
    """The button; ``filename`` is what the browser calls the file."""
