"""Whether a found number agrees with a published one. Each rule says in words what it went by."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Word = Literal["reproduced", "differs", "not comparable"]

WORDS: tuple[Word, ...] = ("reproduced", "differs", "not comparable")

_ROUNDING = 1e-9  # so that 0.125 against a printed 0.12 or 0.13 does not hang on float arithmetic


@dataclass(frozen=True)
class Verdict:
    """One word, and why."""

    word: Word
    why: str


def one_draw(found: float, sd: float, published: float) -> Verdict:
    """The published number comes from one draw; ``found`` is the mean and ``sd`` the deviation of many."""
    if not (math.isfinite(sd) and sd > 0.0):
        return Verdict("not comparable", "the draws do not differ, so nothing tells how far one may be off")
    away = abs(found - published) / sd
    where = f"the published draw is {away:.1f} sd from the mean of the draws"
    return Verdict(
        "reproduced" if away <= 2.0 else "differs", where + ("" if away <= 2.0 else f" ({_by(found, published)})")
    )


def printed(found: float, published: float, unit: float, slack: float = 0.0) -> Verdict:
    """The published number is exact up to its printing: ``unit`` is one of its last digit.

    ``slack``: how far ``found`` itself is uncertain, having been computed from printed numbers.
    """
    if abs(found - published) <= 0.5 * unit + slack + _ROUNDING * max(1.0, abs(published)):
        return Verdict("reproduced", "equal as far as digits were printed")
    return Verdict("differs", _by(found, published))


def law(holds: bool, what: str) -> Verdict:
    """A statement without a number: ``what`` was said."""
    return Verdict("reproduced" if holds else "differs", what if holds else f"does not hold: {what}")


def law_in_noise(found: float, reach: float, what: str) -> Verdict:
    """A statement that a number is above 0, of which ``found`` is an estimate: ``what`` was said.

    ``reach``: half the width of its 95 % confidence interval, infinite or NaN where that is not known.
    """
    if not abs(found) > reach:
        return Verdict("not comparable", f"within the noise: {what}")
    return law(found > 0.0, what)


def other_setting(why: str, found: float = math.nan, published: float = math.nan) -> Verdict:
    """The numbers belong to different settings; the difference is told all the same."""
    told = f" ({_by(found, published)})" if math.isfinite(found - published) else ""
    return Verdict("not comparable", why + told)


def same_sign(why: str, found: float, sd: float, published: float) -> Verdict:
    """Differences in different settings: only their signs are compared. ``sd`` is the standard error of ``found``."""
    unclear = not abs(found) > 2.0 * sd
    sign = "its sign is within the noise" if unclear else "same sign" if found * published > 0.0 else "opposite sign"
    return Verdict("not comparable", f"{why}; {sign}")


def unpublished(why: str = "no number was published") -> Verdict:
    """Nothing to compare with."""
    return Verdict("not comparable", why)


def _by(found: float, published: float) -> str:
    return f"by {found - published:+.3g}"
