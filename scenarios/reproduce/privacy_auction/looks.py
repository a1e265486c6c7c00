"""Colours of the rules in all pictures of the privacy auction."""

from __future__ import annotations

from collections.abc import Mapping

from scenarios.palette import BLACK, BLUE, GREEN, MUTED, ORANGE, PURPLE, SKY, VERMILION, YELLOW

_COLOURS: Mapping[str, str] = {
    "pac": BLUE,
    "pac_capped": SKY,
    "vcg": "#004C3F",
    "csra": "#6B4700",
    "csra_declared": "#B87A00",
    "all_in": GREEN,
    "mfg_pricing": PURPLE,
    "first_best": BLACK,
    "mfg_regretnet": VERMILION,
    "mfg_regretnet_free_markup": "#FF9D5C",
    "mfg_regretnet_paper": "#7A1F2B",
    "regretnet": ORANGE,
    "dm_regretnet": YELLOW,
}


def colour(rule: str) -> str:
    """The colour of a rule; grey for what is none."""
    return _COLOURS.get(rule, MUTED)
