"""Settings that go together where owners make synthetic data and compete."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scenarios.choices import problem_at

if TYPE_CHECKING:
    from scenarios.schema import Scenario


def check_generation(scenario: Scenario, mechanism: object) -> None:
    """Synthetic data, competition and the mechanisms that know them go together.

    ``mechanism`` is the one of the scenario, built. Raises the error of ``problem_at``.
    """
    from market.mechanism import Generating

    name, learning = scenario.market.mechanism.name, scenario.learning
    if isinstance(mechanism, Generating):
        if learning.enabled and learning.generation is None:
            raise problem_at("learning.generation", None, f"is missing: {name} asks owners to make synthetic data")
        if not learning.enabled and mechanism.pays_for == "measured":
            expected = "curve, for without learning there is no accuracy"
            raise problem_at("market.mechanism.pays_for", "measured", expected)
        return
    for field, given in (
        ("learning.generation", learning.generation),
        ("market.competition", scenario.market.competition),
    ):
        if given is not None:
            raise problem_at(field, None, f"null, for the mechanism {name} knows neither synthetic data nor rivals")
