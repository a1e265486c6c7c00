"""What a method that measures contributions to one round looks like, and the registry of them."""

from __future__ import annotations

from typing import Any, Protocol

from learning.contribution.result import Contribution
from learning.contribution.sampling import ALL, Draws, Effort
from learning.registry import Registry


class Method(Protocol):
    """A frozen dataclass of parameters, with one method.

    ``game`` is any ``Game`` for the methods of game theory and a ``RoundGame`` for those that look at the uploads.
    Methods that do not sample ignore ``draws`` and ``begun``, a result to go on from.
    """

    def measure(
        self, game: Any, draws: Draws, effort: Effort = ALL, begun: Contribution | None = None
    ) -> Contribution: ...


CONTRIBUTION: Registry[type[Method]] = Registry("contribution method")
