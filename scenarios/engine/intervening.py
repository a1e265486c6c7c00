"""Turning policy levers between two rounds: what changes is announced with the next round and logged."""

from __future__ import annotations

import dataclasses
from typing import Any

from market.enforcement import EnforcementPolicy
from market.mechanism import Generating
from market.parties import REGULATOR
from scenarios.enforcement_checks import policy_of
from scenarios.engine.event_log import Event
from scenarios.engine.privacy import open_accounts_of_everybody
from scenarios.engine.world import World
from scenarios.interventions import changed
from scenarios.registries import mechanisms
from scenarios.schema import EnforcementSpec, Scenario


def intervene(world: World, number: int, tick: int) -> None:
    """Turn the levers that are due when round ``number`` opens, in the order of the scenario."""
    planned = world.scenario.interventions
    while world.intervened < len(planned) and planned[world.intervened].round <= number:
        settings = planned[world.intervened].set
        _turn(world, settings)
        world.log.add(Event.INTERVENE, tick, number, REGULATOR, world.intervened)
        world.intervened += 1


def _turn(world: World, settings: dict[str, Any]) -> None:
    scenario = changed(world.scenario, settings)
    names = {path.split(".")[1] for path in settings if path.startswith("enforcement.")}
    if names & set(EnforcementSpec.model_fields):
        built = policy_of(scenario.enforcement)
        enact(world, world.regulator.amend({name: getattr(built, name) for name in names}))
    if "market.budget" in settings:
        world.model_owner.budget = scenario.market.budget
    if "market.revenue" in settings:
        world.model_owner.value = scenario.market.revenue
    if "market.mechanism" in settings:
        _replace_mechanism(world, scenario)


def tune(world: World, number: int) -> None:
    """The regulator sets the audit rate of round ``number``, or all the rules, if it tunes them at all."""
    if world.regulator.tunes:
        draw = float(world.streams.uniform("regulation", 0, number))
        enact(world, world.regulator.tuned(len(world.population.active()), draw))


def enact(world: World, policy: EnforcementPolicy) -> None:
    """The new policy holds from now on; who is there tops up a higher deposit when its next round is settled."""
    world.policy = world.regulator.policy = policy
    world.board = world.regulator.published(world.board)


def _replace_mechanism(world: World, scenario: Scenario) -> None:
    """Another mechanism takes over; the records of the old one, and the units it counted in, mean nothing to it.

    The old one's deposits went back when its last round was settled. Accounts of privacy are opened when privacy is
    sold for the first time, and are kept: what a person has lost stays lost while nobody buys any.
    """
    chosen = scenario.market.mechanism
    world.mechanism = mechanisms()[chosen.name](**chosen.params)
    if world.accounts is None:
        open_accounts_of_everybody(world, scenario)
    bench = world.federation.workbench if world.federation is not None else None
    if isinstance(world.mechanism, Generating) and bench is not None:
        bench.target = world.mechanism.synthetic_target
    world.records.clear()
    world.remembered.clear()
    world.flights.claims.clear()  # no flights are under way between two rounds
    world.population.center[:] = -1
    world.board = dataclasses.replace(world.board, claimed=0.0)
