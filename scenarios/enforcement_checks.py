"""Rules of enforcement that go together, and those that could have no effect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scenarios.choices import problem_at

if TYPE_CHECKING:
    from market.enforcement import EnforcementPolicy
    from scenarios.schema import EnforcementSpec, Scenario

_PLACE = "enforcement"


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
    """What the rules read is measured, and no rule stands in the way of another.

    ``mechanism`` is the one of the scenario, built. Raises the error of ``problem_at``.
    """
    spec = scenario.enforcement
    if spec.votes > max(1, len(spec.detectors)):
        raise problem_at(f"{_PLACE}.votes", spec.votes, f"at most {max(1, len(spec.detectors))}, one for each detector")
    if spec.slashing.name != "proportional" and spec.slash_share != 1.0:
        raise problem_at(
            f"{_PLACE}.slash_share",
            spec.slash_share,
            f"expected 1.0, for slashing by {spec.slashing.name} has no use for it",
        )
    _check_measured(scenario, mechanism)


def _check_measured(scenario: Scenario, mechanism: Any) -> None:
    from learning.inspection_names import SIGNALS
    from market.mechanism import CONTRIBUTION, MEASURED_QUALITY

    policy, learning = policy_of(scenario.enforcement), scenario.learning
    places = [("audit_policy", policy.audit_policy.needs)]
    places += [(f"detectors.{number}", detector.needs) for number, detector in enumerate(policy.detectors)]
    for place, needs in places:
        for name in sorted(needs):
            field = f"{_PLACE}.{place}"
            if name in (CONTRIBUTION, MEASURED_QUALITY) and name not in mechanism.measures:
                raise problem_at(f"{field}.measurement", name, f"{mechanism.name} has no {name} measured")
            if name not in SIGNALS:
                continue
            if not learning.enabled:
                raise problem_at(f"{field}.name", name, f"{name} is read from uploads, so learning must be enabled")
            if learning.trained_sample is not None:
                raise problem_at(
                    "learning.trained_sample", learning.trained_sample, f"null: {name} is read from every upload"
                )


def check_effect(scenario: Scenario) -> None:
    """No rule is set that could have no effect, whatever the scenario's own interventions turn.

    Raises the error of ``problem_at``.
    """
    spec = scenario.enforcement
    turned = {path.removeprefix(f"{_PLACE}.") for intervention in scenario.interventions for path in intervention.set}

    def idle(*levers: str) -> bool:
        return not any(getattr(spec, name) for name in levers) and not turned.intersection(levers)

    if spec.regulation.name != "fixed" and idle("audit_cost"):
        raise problem_at(
            f"{_PLACE}.regulation.name", spec.regulation.name, "a budget is for audits that cost something (audit_cost)"
        )
    if spec.regulation.name == "fixed" and idle("audit_rate"):
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
