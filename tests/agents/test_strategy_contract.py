"""What every registered strategy must keep: its metadata is tested, not trusted.

A new strategy needs a line in CASES; without one, ``test_every_strategy_has_a_case`` fails.
"""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import agents.strategies as families
from agents.population import COLUMNS, Population
from agents.strategies import make_strategy
from agents.strategies.base import STRATEGIES, Observation, Strategy
from agents.strategies.transformers import TRANSFORMERS
from learning.uploads import Upload, works
from market.mechanism import CLAIMS, QUALITY

Observe = Callable[..., Observation]

FACTORS: list[dict[str, Any]] = [{}, {"factor": 0.5}, {"factor": 1.0}, {"factor": 1.5, "spread": 0.4}]
RIDERS: list[dict[str, Any]] = [{}, {"claim_factor": 3.0}]
SYBILS_PLAY = ("misreport_size", "free_rider_noise", "under_generate", "learning_reporter")
CASES: dict[str, list[dict[str, Any]]] = {
    "honest": [{}],
    "misreport_size": FACTORS,
    "misreport_quality": FACTORS,
    "misreport_cost": FACTORS,
    "misreport_sharing_cost": FACTORS,
    "misreport_gain_scale": FACTORS,
    "misreport_valuation": FACTORS,
    "misreport_privacy_budget": FACTORS,
    "misreport_emd": FACTORS,
    "misreport_generation_cost": FACTORS,
    "under_generate": [{}, {"made_share": 0.9}],
    "generate_nothing": [{}, {"made_share": 0.1}],
    "generation_ring": [{}, {"factor": 1.0}, {"made_share": 0.0}],
    "free_rider_global": RIDERS,
    "free_rider_replay": RIDERS,
    "free_rider_noise": [*RIDERS, {"scale": 0.3}],
    "free_rider_copy": RIDERS,
    "free_rider_stealthy": [*RIDERS, {"scale": 0.3}],
    "learning_reporter": [{}, {"explore": 1.0, "step": 0.5}],
    "attack_shuffle": [{}],
    "attack_sign_flip": [{}],
    "attack_same_value": RIDERS,
    "attack_random": RIDERS,
    "sybil": [{}, {"identities": 2, "leaving": "separately"}, *({"plays": name} for name in SYBILS_PLAY)],
    "attack_noise": [{}],
    "attack_boost": [{"boost": 3.0}],
    "attack_label_flip": [{}, {"poisoned": 0.3}],
    "attack_backdoor": [{}],
    "attack_model_replacement": [{}],
    "altruist": [{}],
    "withhold_data": [{}],
    "trembling_hand": [{}, {"error": 0.0}],
    "misreport_competition": [{}, {"factor": 0.5}],
    "misreport_gradual": [{"claim": "cost", "factor": 0.5}, {"factor": 1.0}],
    "misreport_random": [{"claim": claim} for claim in CLAIMS],
    "misreport_up_down": [{"claim": "valuation"}, {"factor": 1.0}],
    "misreport_threshold": [{}, {"claim": "data_size", "level": 100.0}],
    "bid_shading": [{}, {"claim": "valuation", "highest": 0.8}],
    "overconfident": [{}],
    "free_rider_copy_noise": RIDERS,
    "free_rider_scaled": RIDERS,
    "free_rider_resale": [*RIDERS, {"eagerness": 1.0}],
    "free_rider_partial": [{}],
    "loyal": [{}],
    "hit_and_run": [{}],
    "target_earner": [{"target": 0.2}],
    "wait_for_others": [{}, {"accuracy": 0.9}],
    "seasonal": [{}, {"rounds": 10}],
    "intermittent": [{}, {"probability": 1.0}],
    "cherry_picker": [{}],
    "whitewasher": RIDERS,
    "collusion_ring": FACTORS,
    "bid_rotation": [{}, {"claim": "valuation", "size": 2}, {"factor": 1.0}],
    "wash_trader": [{}, {"factor": 1.0}],
    "sabotage_rivals": [{}],
    "reputation_milker": [{}],
    "end_game_defector": [{}],
    "on_off": [{}],
    "grim": [{}],
    "tit_for_tat": [{}],
    "tit_for_two_tats": [{}],
    "generous_tit_for_tat": [{}, {"forgiveness": 0.0}],
    "gradual": [{}],
    "win_stay_lose_shift": [{}, {"aspiration": 0.5}],
    "conditional_cooperator": [{}],
}
HALF = {"name": "probability", "probability": 0.5}
DERIVED: list[tuple[str, list[dict[str, Any]]]] = [
    ("misreport_size", [{"name": "delay", "rounds": 2}]),
    ("misreport_cost", [HALF]),
    ("misreport_size", [{"name": "after_loss"}, HALF]),
    ("misreport_quality", [{"name": "periodic", "period": 5}]),
    ("honest", [{"name": "noise", "claim": "quality"}]),
    ("misreport_size", [{"name": "noise"}]),
    ("free_rider_stealthy", [{"name": "delay"}, {"name": "noise", "claim": "cost", "spread": 0.5}]),
    ("attack_backdoor", [{"name": "delay", "rounds": 3}]),
    ("attack_sign_flip", [HALF, HALF]),
    ("grim", [{"name": "whitewash"}]),
    ("learning_reporter", [{"name": "probability", "probability": 1.0}]),
]
FAMILIES = {
    *("honest", "misreporter", "free_rider", "attacker", "adaptive"),
    *("participation", "colluder", "reputation", "reciprocal", "sybil"),
}

every_strategy = pytest.mark.parametrize(
    "strategy",
    [
        pytest.param(make_strategy(name, params), id=f"{name}-{params}")
        for name, cases in CASES.items()
        if name in STRATEGIES
        for params in cases
    ]
    + [
        pytest.param(make_strategy(name, {"with": steps}), id="+".join([name, *(step["name"] for step in steps)]))
        for name, steps in DERIVED
    ],
)


def decisions(strategy: Strategy, seen: Observation) -> dict[str, np.ndarray]:
    """Everything that the strategy decides, by name, one column each."""
    work = strategy.train(seen)
    columns = {f"claim {name}": claim for name, claim in strategy.report(seen).items()}
    columns |= {"takes part": strategy.takes_part(seen), "offer": strategy.offer(seen), "leaves": strategy.react(seen)}
    columns |= {"renames": strategy.renames(seen), "stays": strategy.stays(seen)}
    columns |= {f"memory {name}": column for name, column in strategy.learn(seen).items()}
    columns |= {"data share": work.data_share, "upload": work.upload, "scale": work.scale}
    columns |= {"volume": strategy.volume(seen)}
    columns |= {} if work.volume_share is None else {"volume share": work.volume_share}
    return columns


def same(left: dict[str, np.ndarray], right: dict[str, np.ndarray]) -> bool:
    return left.keys() == right.keys() and all(np.array_equal(left[name], right[name]) for name in left)


def truth(seen: Observation) -> dict[str, np.ndarray]:
    return {claim: getattr(seen.own, claim) for claim in CLAIMS}


def test_every_strategy_has_a_case() -> None:
    assert set(CASES) == set(STRATEGIES)


@every_strategy
def test_tells_its_name_family_and_source(strategy: Strategy) -> None:
    name, *steps = strategy.name.split("+")
    if steps:
        assert TRANSFORMERS[steps[-1]] is type(strategy)
        assert TRANSFORMERS.description(steps[-1])
    else:
        assert STRATEGIES[name] is type(strategy)
    assert strategy.family in FAMILIES
    assert strategy.family == STRATEGIES[name].family
    assert strategy.reference == STRATEGIES[name].reference != ""
    assert STRATEGIES.description(name)


@every_strategy
def test_claims_differ_from_the_truth_exactly_where_declared(strategy: Strategy, observe: Observe) -> None:
    seen = observe()
    claims = strategy.report(seen)
    assert set(claims) == set(CLAIMS)
    lies = {name for name, true in truth(seen).items() if not np.array_equal(claims[name], true)}
    assert lies == strategy.lies_about


@every_strategy
def test_claims_are_possible_values(strategy: Strategy, observe: Observe) -> None:
    claims = strategy.report(observe())
    assert all(np.isfinite(claim).all() and (claim >= 0).all() for claim in claims.values())
    assert (claims[QUALITY] <= 1).all()


@every_strategy
def test_trains_if_and_only_if_declared(strategy: Strategy, observe: Observe) -> None:
    seen = observe()
    advised = seen.advice.data_share > 0
    work = strategy.train(seen)
    trained = (work.upload == Upload.TRAINED) & (work.data_share > 0)
    assert trained[advised].all() == strategy.trains
    assert strategy.trains or trained.any() == strategy.conditional
    comes = advised | strategy.takes_part(seen)
    assert ((work.data_share > 0) == (works(work.upload) & comes)).all()


@every_strategy
def test_sends_nothing_but_what_it_says_it_may_send(strategy: Strategy, observe: Observe) -> None:
    assert set(strategy.train(observe()).upload) <= strategy.sends()


@every_strategy
def test_returns_under_a_new_identity_only_if_declared(strategy: Strategy, observe: Observe) -> None:
    seen = observe()
    assert (strategy.react(seen) & strategy.renames(seen)).any() == strategy.renaming
    assert not (strategy.react(seen) & strategy.stays(seen)).any()


@every_strategy
def test_offers_data_whenever_it_takes_part(strategy: Strategy, observe: Observe) -> None:
    seen = observe()
    offered = strategy.offer(seen)[strategy.takes_part(seen)]
    assert ((offered > 0) & (offered <= 1)).all()


@every_strategy
def test_same_seed_and_round_give_the_same_decisions(strategy: Strategy, observe: Observe) -> None:
    assert same(decisions(strategy, observe()), decisions(strategy, observe()))


@every_strategy
def test_chance_enters_if_and_only_if_declared(strategy: Strategy, observe: Observe) -> None:
    here = decisions(strategy, observe(seed=1, round=4))
    other_seed, other_round = (decisions(strategy, observe(seed=2, round=4)), decisions(strategy, observe(round=5)))
    assert same(here, other_seed) != strategy.stochastic
    assert same(here, other_round) != (strategy.stochastic or strategy.calendar)


@every_strategy
def test_one_owner_decides_as_it_does_within_a_column(strategy: Strategy, observe: Observe) -> None:
    together = decisions(strategy, observe())
    for owner in (0, 5, 11):
        alone = decisions(strategy, observe(np.array([owner])))
        assert same(alone, {name: column[[owner]] for name, column in together.items()})


@every_strategy
def test_nobody_decides_nothing(strategy: Strategy, observe: Observe) -> None:
    assert all(column.shape == (0,) for column in decisions(strategy, observe(np.array([], dtype=np.int64))).values())


@every_strategy
def test_does_not_look_at_others(strategy: Strategy, population: Population, observe: Observe) -> None:
    me = np.array([3])
    before = decisions(strategy, observe(me))
    others = np.arange(len(population)) != 3
    for name in COLUMNS:
        column = getattr(population, name)
        column[others] = ~column[others] if column.dtype == bool else column[others] + 1
    population.grow(5)
    assert same(before, decisions(strategy, observe(me)))


@every_strategy
def test_leaves_the_population_as_it_is(strategy: Strategy, population: Population, observe: Observe) -> None:
    before = {name: getattr(population, name).copy() for name in COLUMNS}
    decided = decisions(strategy, observe())
    for name, column in before.items():
        np.testing.assert_array_equal(getattr(population, name), column, err_msg=name)
    stored = [getattr(population, name) for name in COLUMNS]
    assert not any(np.shares_memory(mine, theirs) for mine in decided.values() for theirs in stored)


@every_strategy
def test_is_a_value(strategy: Strategy) -> None:
    namespace = {name: thing for module in FAMILY_MODULES for name, thing in vars(module).items()}
    for twin in (pickle.loads(pickle.dumps(strategy)), eval(repr(strategy), namespace), dataclasses.replace(strategy)):
        assert twin == strategy
        assert hash(twin) == hash(strategy)
        assert [getattr(twin, name) for name in METADATA] == [getattr(strategy, name) for name in METADATA]


METADATA = ("name", "family", "lies_about", "trains", "conditional", "stochastic", "calendar", "renaming", "reference")
FAMILY_MODULES = [
    families.transformers,
    families.conditional,
    families.participating,
    families.reputation,
    families.rings,
    families.honest,
    families.misreport,
    families.free_riding,
    families.attacks,
    families.learning_reports,
    families.generating,
    families.sybil,
]


@every_strategy
def test_is_frozen(strategy: Strategy) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        strategy.anything = 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", list(CASES))
def test_the_class_declares_what_its_defaults_do(name: str) -> None:
    by_default = STRATEGIES[name]()
    for told in METADATA:
        assert getattr(by_default, told) == getattr(STRATEGIES[name], told), told


EXTREMES = (1e-300, 1e-9, 1 - 1e-12, 1, 2, 1e6, 1e300, 10**9, 2**63, 10**30)


@pytest.mark.parametrize("name", list(STRATEGIES))
def test_an_extreme_parameter_is_refused_or_gives_decisions_that_are_numbers(name: str, observe: Observe) -> None:
    seen = observe()
    for field in dataclasses.fields(STRATEGIES[name]):  # type: ignore[arg-type]
        for value in EXTREMES:
            try:
                strategy = make_strategy(name, {field.name: value})
            except ValueError:
                continue
            columns = decisions(strategy, seen)
            numbers = [column for what, column in columns.items() if not what.startswith("memory kept_utility")]
            assert all(np.isfinite(column).all() for column in numbers), (field.name, value)


@pytest.mark.parametrize("name", list(STRATEGIES))
def test_no_parameter_is_called_like_what_a_scenario_says_of_any_strategy(name: str) -> None:
    parameters = {field.name for field in dataclasses.fields(STRATEGIES[name])}  # type: ignore[arg-type]
    assert not parameters & {"name", "share"}
