"""Settings that go together where owners sell privacy, or where only a sample of the uploads is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scenarios.choices import problem_at

if TYPE_CHECKING:
    from scenarios.schema import Scenario


def check_sample(scenario: Scenario, mechanism: Any) -> None:
    """Where only a sample is trained, nothing can be measured of the others, and nobody has a model of its own.

    ``mechanism`` is the one of the scenario, built. Raises the error of ``problem_at``.
    """
    sample, learning = scenario.learning.trained_sample, scenario.learning
    if sample is None or not (mechanism.measures or learning.personalization):
        return
    expected = f"null: {mechanism.name} needs every upload" if mechanism.measures else "null: each owner has a model"
    raise problem_at("learning.trained_sample", sample, expected)


def check_privacy(scenario: Scenario, mechanism: Any) -> None:
    """Who sells privacy sends clipped updates, with noise of its own and no other."""
    from market.mechanism import PRIVACY_BUDGET

    if PRIVACY_BUDGET not in mechanism.needs or not scenario.learning.enabled:
        return
    privacy = scenario.learning.privacy
    if privacy.clip is None:
        expected = "is missing: owners sell privacy, and no noise makes an update private whose norm has no limit"
        raise problem_at("learning.privacy.clip", None, expected)
    if privacy.noise_multiplier > 0:
        expected = "0: owners sell privacy, so each has the noise of what it sold"
        raise problem_at("learning.privacy.noise_multiplier", privacy.noise_multiplier, expected)
