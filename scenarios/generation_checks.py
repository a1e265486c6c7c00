"""Settings that go together where owners make synthetic data and compete."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scenarios import registries
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
        _check_number_of_rivals(scenario)
        return
    for field, given in (
        ("learning.generation", learning.generation),
        ("market.competition", scenario.market.competition),
    ):
        if given is not None:
            raise problem_at(field, None, f"null, for the mechanism {name} knows neither synthetic data nor rivals")


def _check_number_of_rivals(scenario: Scenario) -> None:
    """Those who are there from the start may all compete; who comes later is counted when it comes."""
    from market.cocogen.rivalry import too_many

    chosen, founders = scenario.market.competition, scenario.population.initial
    if chosen is None:
        return
    rivalry = registries.rivalries()[chosen.name]
    if rivalry.most_persons is not None and founders > rivalry.most_persons:
        raise problem_at("market.competition", chosen.name, too_many(rivalry, founders))
