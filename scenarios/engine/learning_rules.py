"""From the fields of a scenario to the rules of its training. Imports torch late: a scenario may train nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from scenarios.errors import BadInput
from scenarios.schema import LearningSpec, Scenario

if TYPE_CHECKING:
    import torch

    from learning.contribution import Effort, Method
    from learning.local_terms import LocalTerms
    from learning.models import FlatModel
    from learning.personalization import PersonalMethod
    from learning.privacy_hook import ClipAndNoise
    from learning.server_rules import ServerRules
    from learning.shards import Shards
    from learning.training import Choice, LocalTraining


def plan_of(spec: LearningSpec) -> LocalTraining:
    """Local training, but for what the algorithm changes."""
    from learning.training import LocalTraining

    return LocalTraining(epochs=spec.epochs, batch_size=spec.batch_size, learning_rate=spec.learning_rate)


def terms_of(spec: LearningSpec) -> LocalTerms:
    """What the local optimizer adds to plain SGD."""
    from learning.local_terms import LocalTerms

    return LocalTerms(momentum=spec.momentum, weight_decay=spec.weight_decay)


def privacy_of(spec: LearningSpec) -> ClipAndNoise:
    """What is done to each trained update."""
    from learning.privacy.terms import NOISE_MECHANISMS
    from learning.privacy_hook import ClipAndNoise

    law = NOISE_MECHANISMS[spec.privacy.mechanism].law
    return ClipAndNoise(spec.privacy.clip, spec.privacy.noise_multiplier, law)


def personalization_of(spec: LearningSpec) -> PersonalMethod | None:
    """How owners with models of their own learn from each other; None where there is one global model."""
    from learning.personalization import PERSONALIZATION

    chosen = spec.personalization
    return None if chosen is None else PERSONALIZATION[chosen.name](**chosen.params)


def rules_of(scenario: Scenario) -> ServerRules:
    """The rules of the training, refused if they have no meaning together."""
    from learning.algorithms import ALGORITHMS
    from learning.asynchronous import MERGING
    from learning.robust import ROBUST
    from learning.server import SERVER_OPTIMIZERS
    from learning.server_rules import ServerRules
    from learning.staleness import STALENESS

    spec, timing = scenario.learning, scenario.round
    rules = ServerRules(
        algorithm=ALGORITHMS[spec.algorithm.name](**spec.algorithm.params),
        aggregation=ROBUST[spec.aggregation.name](**spec.aggregation.params),
        optimizer=SERVER_OPTIMIZERS[spec.server.name](**spec.server.params),
        merging=MERGING[timing.merging.name](**timing.merging.params),
        staleness=STALENESS[timing.staleness.name](**timing.staleness.params),
    )
    with blamed_on("learning.algorithm", spec.algorithm.name):
        rules.check(plan_of(spec), terms_of(spec), privacy_of(spec))
    least = rules.aggregation.least
    expected = f"at least {least}, the uploads that {spec.aggregation.name} needs"
    if timing.late == "buffer":
        with blamed_on("round.late", timing.late):
            rules.check_asynchronous()
        if timing.buffer_size < least:
            raise BadInput("", "round.buffer_size", timing.buffer_size, expected)
    elif timing.invited is not None and timing.invited < least:
        raise BadInput("", "round.invited", timing.invited, expected)
    elif not _grows(scenario) and scenario.population.initial < least:
        raise BadInput("", "population.initial", scenario.population.initial, expected)
    return rules


def _grows(scenario: Scenario) -> bool:
    people = scenario.population
    return people.arrival_rate > 0 or len(people.arrival_times) > 0 or len(people.arrivals) > 0


def choice_of(spec: LearningSpec, model: FlatModel, shards: Shards, plan: LocalTraining, place: torch.device) -> Choice:
    """Back-end and chunk for the whole run, as the scenario fixes them or asks to choose them."""
    import torch

    from learning.backends import can_train
    from learning.calibration import calibrate
    from learning.training import Choice, choose, owners_that_fit

    if spec.backend == "measured":
        chosen = calibrate(model, shards, plan, place)
        return Choice(chosen.backend, spec.chunk or chosen.chunk)
    usual = choose(model, place)
    if spec.backend not in ("auto", usual.backend) and not can_train(spec.backend, model):
        raise BadInput("", "learning.backend", spec.backend, problem=f"it cannot train the model '{model.name}'")
    fitting = owners_that_fit(model, plan, torch.float32, place)
    chunk = usual.chunk if fitting is None else min(usual.chunk, fitting)
    return Choice(usual.backend if spec.backend == "auto" else spec.backend, spec.chunk or chunk)


def method_of(spec: LearningSpec) -> Method:
    """How contributions are measured."""
    from learning.contribution import CONTRIBUTION

    return CONTRIBUTION[spec.contribution.name](**spec.contribution.params)


def effort_of(spec: LearningSpec) -> Effort:
    """How much work may go into measuring them."""
    from learning.contribution import Effort

    limits = spec.measurement
    return Effort(max_evaluations=limits.max_evaluations, half_width=limits.half_width, level=limits.level)


@contextmanager
def blamed_on(field: str, value: object) -> Iterator[None]:
    """What goes wrong inside is a bad value of that field of the scenario."""
    try:
        yield
    except ValueError as problem:
        raise BadInput("", field, value, problem=str(problem)) from None
