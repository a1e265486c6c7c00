"""Rules of enforcement that go together, and those that could have no effect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from scenarios.choices import problem_at

if TYPE_CHECKING:
    from market.enforcement import EnforcementPolicy
    from scenarios.schema import EnforcementSpec, Scenario

_PLACE = "enforcement"


_GIVEN = frozenset({"regulation", "audit_cost", "tolerance", "initial_reputation"})
"""What is not the regulator's to choose."""


def options_of(spec: EnforcementSpec) -> list[dict[str, Any]]:
    """The options of the regulator, built: fields of the policy that each puts in place of the scenario's."""
    found = []
    for option, described in zip(_options(spec), _under_options(spec), strict=True):
        built = policy_of(described)
        found.append({name: getattr(built, name) for name in option})
    return found


def needs_of(spec: EnforcementSpec) -> frozenset[str]:
    """What is measured of uploads at some time in a run, whichever option holds."""
    return frozenset().union(*(policy_of(one).needs for one in (spec, *_under_options(spec))))


def _options(spec: EnforcementSpec) -> list[dict[str, Any]]:
    return list(spec.regulation.params.get("options", ()))


def _under_options(spec: EnforcementSpec) -> list[EnforcementSpec]:
    """The rules under each option of the regulator."""
    return [_described(spec, number, _PLACE) for number in range(len(_options(spec)))]


def policy_of(spec: EnforcementSpec) -> EnforcementPolicy:
    """The rules that a scenario describes, built."""
    from market.enforcement import EnforcementPolicy
    from scenarios import registries

    known = {
        "audit_policy": registries.audit_policies(),
        "slashing": registries.slashing_schedules(),
        "admission": registries.admissions(),
        "deposits": registries.deposit_schedules(),
        "ban": registries.bans(),
        "appeal": registries.appeals(),
    }
    chosen = {name: getattr(spec, name) for name in known}
    rules: dict[str, Any] = {
        name: None if choice is None else known[name][choice.name](**choice.params) for name, choice in chosen.items()
    }
    detectors = registries.detectors()
    rules["detectors"] = tuple(detectors[choice.name](**choice.params) for choice in spec.detectors)
    numbers = {name: getattr(spec, name) for name in type(spec).model_fields if name not in (*rules, "regulation")}
    return EnforcementPolicy(**numbers, **rules)


def check_enforcement(scenario: Scenario, mechanism: Any) -> None:
    """What the rules read is measured, and no rule stands in the way of another, under each option of the regulator.

    ``mechanism`` is the one of the scenario, built. Raises the error of ``problem_at``.
    """
    spec = scenario.enforcement
    _check_rules(_PLACE, spec, scenario, mechanism)
    for number, option in enumerate(_options(spec)):
        place = f"{_PLACE}.regulation.options.{number}"
        for name, value in option.items():
            if name not in type(spec).model_fields or name in _GIVEN:
                known = ", ".join(field for field in type(spec).model_fields if field not in _GIVEN)
                raise problem_at(f"{place}.{name}", value, f"nothing that an option can set, known: {known}")
        _check_rules(place, _described(spec, number, place), scenario, mechanism)


def _described(spec: EnforcementSpec, number: int, place: str) -> EnforcementSpec:
    """The rules under an option of the regulator; raises the error of ``problem_at`` at ``place``."""
    from scenarios.problems import first_problem

    content = {**spec.model_dump(mode="json", exclude={"regulation"}), **_options(spec)[number]}
    try:
        return type(spec).model_validate(content)
    except ValidationError as error:
        found = first_problem(error, content, type(spec))
        field = ".".join(map(str, (place, *found.field)))
        raise problem_at(field, found.value, found.problem or f"Input should be {found.expected}") from None


def _check_rules(place: str, spec: EnforcementSpec, scenario: Scenario, mechanism: Any) -> None:
    if spec.votes > max(1, len(spec.detectors)):
        raise problem_at(f"{place}.votes", spec.votes, f"at most {max(1, len(spec.detectors))}, one for each detector")
    if spec.slashing.name != "proportional" and spec.slash_share != 1.0:
        raise problem_at(
            f"{place}.slash_share",
            spec.slash_share,
            f"expected 1.0, for slashing by {spec.slashing.name} has no use for it",
        )
    policy = policy_of(spec)
    rules = [("audit_policy", policy.audit_policy.needs)]
    rules += [(f"detectors.{number}", detector.needs) for number, detector in enumerate(policy.detectors)]
    for rule, needs in rules:
        for name in sorted(needs):
            _check_measured(f"{place}.{rule}", name, scenario, mechanism)


def _check_measured(place: str, name: str, scenario: Scenario, mechanism: Any) -> None:
    from learning.inspection_names import SIGNALS
    from market.mechanism import CONTRIBUTION, MEASURED_QUALITY

    if name in (CONTRIBUTION, MEASURED_QUALITY) and name not in mechanism.measures:
        raise problem_at(f"{place}.measurement", name, f"{mechanism.name} has no {name} measured")
    if name in SIGNALS and not scenario.learning.enabled:
        raise problem_at(f"{place}.name", name, f"{name} is read from uploads, so learning must be enabled")


def check_effect(scenario: Scenario) -> None:
    """No rule is set that could have no effect, whatever the scenario's own interventions turn.

    Raises the error of ``problem_at``.
    """
    spec = scenario.enforcement
    turned = {path.removeprefix(f"{_PLACE}.") for intervention in scenario.interventions for path in intervention.set}

    every = [spec, *_under_options(spec)]

    def idle(*levers: str) -> bool:
        return not any(getattr(one, name) for one in every for name in levers) and not turned.intersection(levers)

    if spec.regulation.name != "fixed":
        _check_regulation(spec, turned, idle("audit_cost"))
    elif idle("audit_rate"):
        for name, usual in (("audit_policy", "random"), ("slashing", "proportional")):
            if (chosen := getattr(spec, name)).name != usual:
                raise problem_at(f"{_PLACE}.{name}.name", chosen.name, "nobody is ever audited (audit_rate)")
        for name, chosen in (("detectors.0", spec.detectors[0] if spec.detectors else None), ("appeal", spec.appeal)):
            if chosen is not None:
                raise problem_at(f"{_PLACE}.{name}.name", chosen.name, "nobody is ever audited (audit_rate)")
    if idle("deposit") and spec.deposits.name == "escalating":
        raise problem_at(f"{_PLACE}.deposits.name", spec.deposits.name, "nothing is ever locked (deposit)")
    if idle("deposit") and spec.deposits.name == "flat" and spec.slashing.name != "proportional":
        raise problem_at(f"{_PLACE}.slashing.name", spec.slashing.name, "nothing is ever locked (deposit)")
    if idle("expel_after", "expel_below") and (spec.ban.name, spec.ban.params["rounds"]) != ("identity", 0):
        raise problem_at(f"{_PLACE}.ban.name", spec.ban.name, "nobody is ever expelled (expel_after, expel_below)")


def _check_regulation(spec: EnforcementSpec, turned: set[str], free: bool) -> None:
    """A regulator that tunes pays for what it does, and nobody else tunes the same."""
    rule, params = spec.regulation.name, spec.regulation.params
    if free:
        raise problem_at(f"{_PLACE}.regulation.name", rule, "a budget is for audits that cost something (audit_cost)")
    cost = spec.audit_cost + (spec.appeal.params["cost"] if spec.appeal else 0.0)
    if not turned.intersection({"audit_cost"}) and params["budget"] * params["reserve"] < cost:
        raise problem_at(
            f"{_PLACE}.regulation.budget",
            params["budget"],
            f"never enough for an audit and an appeal, which cost {cost:g}",
        )
    own = {"audit_rate"}.union(*_options(spec))
    if both := sorted(turned & own):
        raise problem_at(f"{_PLACE}.regulation.name", rule, f"it sets {both[0]} itself, and so does an intervention")
