"""Turning policy levers between two rounds: what changes is announced with the next round and logged."""

from __future__ import annotations

import dataclasses
from typing import Any

from agents.adaptation import make_adaptation
from agents.confirmation import make_confirmation
from agents.participation import make_participation, make_patience
from agents.regulation import make_regulation
from market.enforcement import EnforcementPolicy
from market.mechanism import Generating
from market.parties import REGULATOR
from scenarios.enforcement_checks import options_of, policy_of
from scenarios.engine.arriving import change_arrival_rate
from scenarios.engine.event_log import Event
from scenarios.engine.learning_rules import plan_of, terms_of
from scenarios.engine.outages import change_faults
from scenarios.engine.privacy import open_accounts_of_everybody
from scenarios.engine.world import World
from scenarios.interventions import FAULTS, LOCAL_TRAINING, MECHANISM, changed, touched
from scenarios.registries import mechanisms
from scenarios.schema import Scenario


def intervene(world: World, number: int, tick: int) -> None:
    """Turn the levers that are due when round ``number`` opens, in the order of the scenario."""
    planned = world.scenario.interventions
    while world.intervened < len(planned) and planned[world.intervened].round <= number:
        settings = planned[world.intervened].set
        _turn(world, settings, tick)
        world.log.add(Event.INTERVENE, tick, number, REGULATOR, world.intervened)
        world.intervened += 1


def _turn(world: World, settings: dict[str, Any], tick: int) -> None:
    """What is read from the scenario in force when it is needed holds by that alone; the rest is set here."""
    scenario = world.scenario = changed(world.scenario, settings)
    rules = {path.split(".")[1] for path in settings if path.startswith("enforcement.")}
    if rules:
        built = policy_of(scenario.enforcement)
        if "regulation" in rules:
            chosen = scenario.enforcement.regulation
            world.regulator.regulate(make_regulation(chosen.name, chosen.params), options_of(scenario.enforcement))
        enact(world, world.regulator.amend({name: getattr(built, name) for name in rules - {"regulation"}}))
    world.model_owner.budget = scenario.market.budget
    world.model_owner.value = scenario.market.revenue
    if MECHANISM in settings:
        _replace_mechanism(world, scenario)
    elif touched(settings, MECHANISM):  # only its parameters: what is on record goes on meaning the same
        world.mechanism = mechanisms()[scenario.market.mechanism.name](**scenario.market.mechanism.params)
    _change_minds(world, settings)
    if "population.arrival_rate" in settings:
        change_arrival_rate(world, tick)
    if touched(settings, *LOCAL_TRAINING) and world.training is not None:
        world.training.train_as(plan_of(scenario.learning), terms_of(scenario.learning))
    if touched(settings, FAULTS):
        change_faults(world, tick)


def _change_minds(world: World, settings: dict[str, Any]) -> None:
    """Owners go by other rules; what they believe and have been through stays."""
    rules = world.scenario.population
    if touched(settings, "population.participation"):
        world.participation = make_participation(rules.participation.name, rules.participation.params)
    if touched(settings, "population.patience"):
        world.patience = make_patience(rules.patience.name, rules.patience.params)
    if touched(settings, "population.confirmation"):
        world.confirmation = make_confirmation(rules.confirmation.name, rules.confirmation.params)
    if touched(settings, "population.adaptation"):
        world.adaptation = make_adaptation(rules.adaptation.name, rules.adaptation.params)
        if world.adaptation.keeps_scores:
            world.population.keep_scores(len(world.strategies))


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
