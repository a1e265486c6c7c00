"""Settings that go together in a market for personal models, and those that have no effect there."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from scenarios.choices import Named, problem_at

if TYPE_CHECKING:
    from scenarios.schema import Scenario, Spec

IPFL, SHARING, PROXIMAL, LOCAL = "ipfl", "model_sharing", "proximal_centre", "local"
LAMBDA = "dissimilarity_penalty"

_NO_GLOBAL_MODEL = "there is no global model to be made of uploads (learning.personalization decides)"
_NO_BUFFER = "personal models are exchanged once a round, not whenever enough uploads have come"
_NOT_MEASURED = "nobody measures contributions to a global model where there is none"
_WITHOUT_EFFECT = {
    "learning.algorithm": _NO_GLOBAL_MODEL,
    "learning.aggregation": _NO_GLOBAL_MODEL,
    "learning.server": _NO_GLOBAL_MODEL,
    "learning.contribution": _NOT_MEASURED,
    "learning.measurement.worth": _NOT_MEASURED,
    "learning.measurement.max_evaluations": _NOT_MEASURED,
    "learning.measurement.half_width": _NOT_MEASURED,
    "learning.measurement.level": _NOT_MEASURED,
    "round.buffer_size": _NO_BUFFER,
    "round.merging": _NO_BUFFER,
    "round.staleness": _NO_BUFFER,
}
"""What must be left as it is by default, and why."""

_OF_THE_MODEL_OWNER = ("budget", "treasury", "revenue")


def check_personal(scenario: Scenario, mechanism: object) -> None:
    """Personal models and markets for them go together, and nothing is set that would have no effect in them.

    ``mechanism`` is the one of the scenario, built. Raises the error of ``problem_at``.
    """
    from market.mechanism import ModelMarket

    method, name = scenario.learning.personalization, scenario.market.mechanism.name
    if isinstance(mechanism, ModelMarket) and method is None:
        known = PROXIMAL if name == IPFL else "fedamp"
        raise problem_at(
            "learning.personalization", None, f"is missing: {name} needs owners with models of their own, as {known}"
        )
    if name != IPFL:
        _check_cost_is_finite(scenario)
    if method is None:
        return
    if not isinstance(mechanism, ModelMarket):
        raise problem_at(
            "market.mechanism.name",
            name,
            "this mechanism pays for one global model, but learning.personalization gives each owner its own: "
            "ipfl or model_sharing",
        )
    if name == IPFL and method.name == LOCAL:
        raise problem_at(
            "learning.personalization.name",
            method.name,
            f"a method that uses models of others, as {PROXIMAL}: nobody would use what it buys",
        )
    if name == SHARING and method.name == PROXIMAL:
        raise problem_at(
            "learning.personalization.name",
            method.name,
            "a method that decides by itself who uses whose model, as fedamp",
        )
    if scenario.round.late == "buffer":
        raise problem_at("round.late", "buffer", "drop or wait: personal models are exchanged once a round")
    _check_settings_have_effect(scenario)


def _check_cost_is_finite(scenario: Scenario) -> None:
    from agents.private_types import make_distribution

    cost = scenario.population.types.sharing_cost
    if math.isinf(make_distribution(cost.name, cost.params).support()[1]):
        raise problem_at(
            "population.types.sharing_cost",
            "null",
            "expected a number for everybody: only in the market ipfl can an owner refuse to share its model",
        )


def _check_settings_have_effect(scenario: Scenario) -> None:
    for place, why in _WITHOUT_EFFECT.items():
        above: Any = scenario
        *path, field = place.split(".")
        for key in path:
            above = getattr(above, key)
        chosen, usual = getattr(above, field), _default(type(above), field)
        if not isinstance(chosen, Named):
            if chosen != usual:
                raise problem_at(place, chosen, f"expected {_shown(usual)}, for {why}")
        elif chosen.name != usual.name:
            raise problem_at(f"{place}.name", chosen.name, f"expected {usual.name}, for {why}")
        else:
            for parameter, value in usual.params.items():
                if chosen.params.get(parameter, value) != value:
                    raise problem_at(
                        f"{place}.{parameter}", chosen.params[parameter], f"expected {_shown(value)}, for {why}"
                    )
    for field in _OF_THE_MODEL_OWNER:
        money = getattr(scenario.market, field)
        if money not in (0.0, _default(type(scenario.market), field)):
            raise problem_at(
                f"market.{field}", money, "expected 0, for there is no model owner in a market of personal models"
            )


def _default(spec: type[Spec], field: str) -> Any:
    return spec.model_fields[field].get_default(call_default_factory=True)


def _shown(value: Any) -> str:
    return "null" if value is None else str(value)


def one_lambda(scenario: Scenario) -> Scenario:
    """The scenario with one lambda: where the market has one, proximal centres pull by it.

    Zhang et al. 2025, equation 6: the weight of a distance in prices is that in training. Raises the error of
    ``problem_at`` for a method that says another one than the market.
    """
    method, market = scenario.learning.personalization, scenario.market.mechanism
    if method is None or method.name != PROXIMAL or market.name != IPFL:
        return scenario
    weight = market.params[LAMBDA]
    said = method.params.get(LAMBDA, weight)
    if isinstance(said, bool) or not isinstance(said, (int, float)):
        return scenario  # the loader refuses it: it knows the types of a method's parameters
    if said != weight:
        raise problem_at(
            f"learning.personalization.{LAMBDA}",
            said,
            f"expected {weight}, as in market.mechanism (one lambda, for prices and for training; leave it out)",
        )
    learning = scenario.learning.model_copy(
        update={"personalization": Named.model_validate({**method.model_dump(), LAMBDA: weight})}
    )
    return scenario.model_copy(update={"learning": learning})
