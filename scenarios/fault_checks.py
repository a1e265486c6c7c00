"""Faults that a scenario asks for must find what they are to befall."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scenarios.choices import problem_at

if TYPE_CHECKING:
    from scenarios.schema import Scenario


def check_faults(scenario: Scenario) -> None:
    """Centers and regions that faults befall must be there.

    Raises the error of ``problem_at``.
    """
    centers, regions = scenario.centers.count, scenario.population.regions
    for place, fault in enumerate(scenario.faults):
        path = f"faults.{place}"
        if fault.name == "center_outage" and not centers:
            raise problem_at(f"{path}.name", fault.name, "another fault: there are no computing centers")
        center = fault.params.get("center")
        if center is not None and center >= centers:
            raise problem_at(f"{path}.center", center, f"below {centers}, the number of computing centers")
        region = fault.params.get("region", 0)
        if region >= regions:
            raise problem_at(f"{path}.region", region, f"below {regions}, the number of population.regions")
