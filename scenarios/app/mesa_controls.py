"""What the page takes from Mesa's visualization: play, pause, step and reset, and the counter of redraws.

The only module that imports it, for Mesa moves its parts between versions.
"""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # about the order of hooks in a component of Mesa's that the page does not use
    from mesa.visualization.solara_viz import ModelController
    from mesa.visualization.utils import force_update, update_counter

__all__ = ["ModelController", "force_update", "update_counter"]
