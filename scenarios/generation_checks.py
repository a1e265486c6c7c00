"""Settings that go together where owners make synthetic data and compete."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scenarios import registries
from scenarios.choices import problem_at

if TYPE_CHECKING:
    from scenarios.schema import Scenario


def check_generation(scenario: Scenario, mechanism: object) -> None:
    """A mechanism that knows synthetic data has what it needs for them.

    ``mechanism`` is the one of the scenario, built. Raises the error of ``problem_at``.
    """
    from market.mechanism import Generating

    name, learning = scenario.market.mechanism.name, scenario.learning
    if not isinstance(mechanism, Generating):
        return
    if learning.enabled and learning.generation is None:
        raise problem_at("learning.generation", None, f"is missing: {name} asks owners to make synthetic data")
    if not learning.enabled and mechanism.pays_for == "measured":
        expected = "curve, for without learning there is no accuracy"
        raise problem_at("market.mechanism.pays_for", "measured", expected)
    _check_number_of_rivals(scenario)


def check_generation_is_used(scenario: Scenario) -> None:
    """Synthetic data and competition are set only where a mechanism of the run knows them.

    The interventions of the scenario must be valid. Raises the error of ``problem_at``.
    """
    from market.mechanism import Generating
    from scenarios.interventions import mechanisms_of_run

    settings = {"learning.generation": scenario.learning.generation, "market.competition": scenario.market.competition}
    given = [field for field, value in settings.items() if value is not None]
    if given and not any(isinstance(mechanism, Generating) for mechanism in mechanisms_of_run(scenario)):
        name = scenario.market.mechanism.name
        raise problem_at(given[0], None, f"null, for the mechanism {name} knows neither synthetic data nor rivals")


def _check_number_of_rivals(scenario: Scenario) -> None:
    """Those who are there from the start may all compete; who comes later is counted when it comes."""
    from market.cocogen.rivalry import too_many

    chosen, founders = scenario.market.competition, scenario.population.initial
    if chosen is None:
        return
    rivalry = registries.rivalries()[chosen.name]
    if rivalry.most_persons is not None and founders > rivalry.most_persons:
        raise problem_at("market.competition", chosen.name, too_many(rivalry, founders))
