"""One set of colours for all pictures, on a light background and safe for colour-blind readers.

The base is Okabe and Ito, "Color Universal Design" (2008). A strategy's hue says its family, the shade which one it
is; the colour of a name never depends on which others are present.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Iterable, Mapping

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"

INK, MUTED, FAINT, PAPER = "#1F2933", "#616E7C", "#D9DEE4", "#FFFFFF"
"""Text, secondary text, grid lines, background."""

HONEST, MISREPORTER, FREE_RIDER = "honest", "misreporter", "free_rider"
ATTACKER, ADAPTIVE, OTHER = "attacker", "adaptive", "other"
PARTICIPATION, COLLUDER, REPUTATION, RECIPROCAL = "participation", "colluder", "reputation", "reciprocal"
OLIVE, WINE, TEAL, BROWN = "#808000", "#882255", "#1B7F8C", "#8C510A"
"""Further hues, from Tol's muted scheme and its like: of families beyond the eight colours."""
_FAMILY_HUES = {
    HONEST: BLUE,
    MISREPORTER: ORANGE,
    FREE_RIDER: PURPLE,
    ATTACKER: VERMILION,
    ADAPTIVE: SKY,
    PARTICIPATION: TEAL,
    COLLUDER: WINE,
    REPUTATION: BROWN,
    RECIPROCAL: OLIVE,
    OTHER: GREEN,
}

_STRATEGIES = {
    "honest": BLUE,
    "misreport_size": ORANGE,
    "misreport_quality": "#FFD27A",
    "misreport_cost": "#6B4700",
    "misreport_valuation": "#F4C430",
    "misreport_privacy_budget": "#B8860B",
    "collusion_ring": "#7A3E00",
    "misreport_emd": "#FFC04D",
    "misreport_generation_cost": "#8A5A00",
    "misreport_gain_scale": "#F2B134",
    "misreport_sharing_cost": "#7D5100",
    "free_rider_global": "#C94F00",
    "free_rider_replay": "#7A1F2B",
    "free_rider_noise": PURPLE,
    "free_rider_copy": "#4B1D6B",
    "free_rider_stealthy": "#9A6FB0",
    "under_generate": "#E3B5D6",
    "generation_ring": "#A8407F",
    "generate_nothing": "#5A1846",
    "attack_random": "#F28E5C",
    "attack_same_value": "#B23A00",
    "attack_shuffle": "#FFBE9C",
    "attack_sign_flip": "#8C2D04",
}
"""Strategies that meet in one market differ in lightness as well as in hue."""

STATES = {
    "outside": "#F2F4F7",
    "active": SKY,
    "probation": YELLOW,
    "expelled": BLACK,
    "left": "#8A949E",
    "bankrupt": VERMILION,
}
"""Colours of an identity's state."""

PARTIES = {"owners": BLUE, "model owner": GREEN, "regulator": PURPLE, "centers": ORANGE, "all": INK}
"""Colours of who gains."""

_FLOWS = {
    "payment": BLUE,
    "revenue": GREEN,
    "model purchase": "#005A8C",
    "admission fee to incumbents": "#8E6FD0",
    "training cost": VERMILION,
    "training fee": "#B5532A",
    "compute cost": "#4A5A1A",
    "slash": "#8B1A2B",
    "deposit": "#B87A00",
    "deposit back": "#6B8E23",
    "admission fee": "#6A4FB3",
    "audit": INK,
    "audit subsidy": "#7B8691",
    "endowment": "#A8467F",
    "new identity": "#1B9AAA",
    "treasury": "#7A5C00",
}
_OTHER_FLOWS = ("#004C3F", "#C2185B", "#3F5F00", "#5D4037")
"""Colours of money flows, dark enough for text: those of the kinds that every market has, and of others in turn."""


_PREFIXES = {
    "honest": HONEST,
    "misreport": MISREPORTER,
    "free_rid": FREE_RIDER,
    "attack": ATTACKER,
    "learning": ADAPTIVE,
}


def family_of(strategy: str) -> str:
    """Family by name, for strategies whose class is not at hand: the prefix says it."""
    for prefix, family in _PREFIXES.items():
        if strategy.startswith(prefix):
            return family
    return OTHER


def strategy_colour(strategy: str, family: str | None = None) -> str:
    """Colour (#RRGGBB) of a strategy; an unknown name gets a shade of its family's hue that only its name decides."""
    if strategy in _STRATEGIES:
        return _STRATEGIES[strategy]
    hue = _FAMILY_HUES.get(family or family_of(strategy), GREEN)
    share = int.from_bytes(hashlib.blake2b(strategy.encode(), digest_size=2).digest(), "big") / 65535
    # From 45 % towards black to 45 % towards white.
    return mix(hue, BLACK, 0.45 - 0.9 * share) if share < 0.5 else mix(hue, PAPER, 0.9 * share - 0.45)


def strategy_colours(strategies: Iterable[str], families: Mapping[str, str] | None = None) -> dict[str, str]:
    """Colours by name, in the order in which pictures list strategies: by family, honest first, then by name."""
    families = families or {}
    order = list(_FAMILY_HUES)

    def family_in(name: str) -> str:  # grim+noise and grim(fair=0.2) are of the family of grim
        return families.get(name) or families.get(re.split(r"[+(]", name)[0]) or family_of(name)

    def rank(name: str) -> tuple[int, int, str]:
        family = family_in(name)
        known = list(_STRATEGIES).index(name) if name in _STRATEGIES else len(_STRATEGIES)
        return (order.index(family) if family in order else len(order), known, name)

    return {name: strategy_colour(name, family_in(name)) for name in sorted(set(strategies), key=rank)}


def flow_colours(kinds: Iterable[str]) -> dict[str, str]:
    """Colours of kinds of transfer. The list of kinds is open: beyond four unknown ones, colours repeat."""
    spare = itertools.cycle(_OTHER_FLOWS)
    return {kind: _FLOWS[kind] if kind in _FLOWS else next(spare) for kind in kinds}


def mix(colour: str, other: str, share: float) -> str:
    """``colour`` with a share (0 to 1) of ``other`` in it, both #RRGGBB."""
    pairs = zip(rgb(colour), rgb(other), strict=True)
    return "#" + "".join(f"{round(255 * ((1 - share) * a + share * b)):02X}" for a, b in pairs)


def rgb(colour: str) -> tuple[float, float, float]:
    """Red, green and blue in [0, 1] of #RRGGBB."""
    return int(colour[1:3], 16) / 255, int(colour[3:5], 16) / 255, int(colour[5:7], 16) / 255
