"""The registries behind the names in a scenario, each filled by importing what registers itself there."""

from __future__ import annotations

from typing import Any

from learning.registry import Registry


def strategies() -> Registry[Any]:
    """The strategy registry, filled."""
    import agents.strategies
    from agents.strategies.base import STRATEGIES

    del agents
    return STRATEGIES


def strategy_transformers() -> Registry[Any]:
    """The registry of what derives variants of strategies, filled."""
    from agents.strategies.transformers import TRANSFORMERS

    return TRANSFORMERS


def mechanisms() -> Registry[Any]:
    """The mechanism registry, filled."""
    import market.baselines
    import market.cocogen.mechanism
    import market.ipfl.mechanism
    import market.model_sharing
    import market.privacy_auction.mechanism
    import market.qd_rdfl.mechanism
    from market.mechanism import MECHANISMS

    del market
    return MECHANISMS


def rivalries() -> Registry[Any]:
    """The registry of ways to draw who competes with whom."""
    from market.cocogen.rivalry import RIVALRIES

    return RIVALRIES


def participation_rules() -> Registry[Any]:
    """The registry of join, stay and exit rules."""
    from agents.participation import PARTICIPATION

    return PARTICIPATION


def patience_kinds() -> Registry[Any]:
    """The registry of ways to count disappointing rounds."""
    from agents.participation import PATIENCE

    return PATIENCE


def arrival_processes() -> Registry[Any]:
    """The registry of arrival processes."""
    from agents.arrivals import ARRIVALS

    return ARRIVALS


def regulations() -> Registry[Any]:
    """The registry of rules by which the regulator tunes its audits."""
    from agents.regulation import REGULATION

    return REGULATION


def audit_policies() -> Registry[Any]:
    """The registry of policies that share out audits."""
    from market.enforcement import AUDIT_POLICIES

    return AUDIT_POLICIES


def detectors() -> Registry[Any]:
    """The registry of detectors."""
    from market.enforcement.detectors import DETECTORS

    return DETECTORS


def group_detectors() -> Registry[Any]:
    """The registry of detectors of groups."""
    from market.enforcement.groups import GROUP_DETECTORS

    return GROUP_DETECTORS


def slashing_schedules() -> Registry[Any]:
    """The registry of slashing schedules."""
    from market.enforcement.slashing import SLASHING

    return SLASHING


def admissions() -> Registry[Any]:
    """The registry of admission fees."""
    from market.enforcement.admission import ADMISSION

    return ADMISSION


def deposit_schedules() -> Registry[Any]:
    """The registry of deposit schedules."""
    from market.enforcement.deposits import DEPOSITS

    return DEPOSITS


def bans() -> Registry[Any]:
    """The registry of bans."""
    from market.enforcement.bans import BANS

    return BANS


def appeals() -> Registry[Any]:
    """The registry of appeals."""
    from market.enforcement.appeals import APPEALS

    return APPEALS


def adaptation_rules() -> Registry[Any]:
    """The registry of adaptation rules."""
    from agents.adaptation import ADAPTATION

    return ADAPTATION


def confirmation_rules() -> Registry[Any]:
    """The registry of rules to pay or quit."""
    from agents.confirmation import CONFIRMATION

    return CONFIRMATION


def faults() -> Registry[Any]:
    """The registry of what can go wrong."""
    from scenarios.faults import FAULTS

    return FAULTS


def distributions() -> Registry[Any]:
    """The registry of distributions."""
    from agents.private_types import DISTRIBUTIONS

    return DISTRIBUTIONS


def partitions() -> Registry[Any]:
    """The registry of partition methods."""
    from learning.partition import PARTITIONS

    return PARTITIONS


def datasets() -> Registry[Any]:
    """The registry of data sets."""
    from learning.data import DATASETS

    return DATASETS


def staleness_functions() -> Registry[Any]:
    """The registry of staleness functions."""
    from learning.staleness import STALENESS

    return STALENESS


def algorithms() -> Registry[Any]:
    """The registry of algorithms of federated optimization (imports torch)."""
    from learning.algorithms import ALGORITHMS

    return ALGORITHMS


def personalization_methods() -> Registry[Any]:
    """The registry of methods of personalised federated learning (imports torch)."""
    from learning.personalization import PERSONALIZATION

    return PERSONALIZATION


def contribution_methods() -> Registry[Any]:
    """The registry of methods that measure contributions to a round (imports torch)."""
    from learning.contribution import CONTRIBUTION

    return CONTRIBUTION


def merging_rules() -> Registry[Any]:
    """The registry of ways to merge uploads of different ages (imports torch)."""
    from learning.asynchronous import MERGING

    return MERGING


def robust_rules() -> Registry[Any]:
    """The registry of rules that make one model of the uploads (imports torch)."""
    from learning.robust import ROBUST

    return ROBUST


def server_optimizers() -> Registry[Any]:
    """The registry of server optimizers (imports torch)."""
    from learning.server import SERVER_OPTIMIZERS

    return SERVER_OPTIMIZERS


def generators() -> Registry[Any]:
    """The registry of generators of synthetic data (imports torch)."""
    from learning.generation import GENERATORS

    return GENERATORS


def models() -> Registry[Any]:
    """The registry of models (imports torch)."""
    from learning.models import MODELS

    return MODELS
