"""No collaboration: what every other method is compared with."""

from __future__ import annotations

from dataclasses import dataclass

from learning.personalization.method import PERSONALIZATION, PersonalMethod


@PERSONALIZATION.register("local")
@dataclass(frozen=True, kw_only=True)
class Local(PersonalMethod):
    """Every owner trains its own model on its own data and takes nothing from anybody."""
