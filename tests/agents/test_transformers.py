from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from agents.population import Population
from agents.strategies import make_strategy, strategy_label, strategy_labels
from agents.strategies.base import Observation
from agents.strategies.transformers import TRANSFORMERS
from learning.uploads import Upload
from market.mechanism import DATA_SIZE, QUALITY

Observe = Callable[..., Observation]


def made(name: str, *steps: dict[str, Any], **params: Any) -> Any:
    return make_strategy(name, {**params, "with": list(steps)})


def lying(strategy: Any, seen: Observation) -> np.ndarray:
    return np.asarray(strategy.report(seen)[DATA_SIZE] != seen.own.data_size)


def test_a_delayed_strategy_begins_when_so_many_uploads_have_arrived(population: Population, observe: Observe) -> None:
    population.rounds_taken[:] = np.arange(len(population)) % 5
    late = made("misreport_size", {"name": "delay", "rounds": 3})
    assert np.array_equal(lying(late, observe()), population.rounds_taken >= 3)


def test_after_a_loss_is_after_a_round_that_was_worth_less(population: Population, observe: Observe) -> None:
    population.rounds_taken[:] = 1
    vengeful = made("attack_sign_flip", {"name": "after_loss", "below": 0.25})
    assert np.array_equal(vengeful.train(observe()).upload == Upload.SIGN_FLIP, population.utility < 0.25)


def test_a_probability_is_the_share_of_rounds_in_which_it_deviates(observe: Observe) -> None:
    at_times = made("misreport_size", {"name": "probability", "probability": 0.3})
    found = np.stack([lying(at_times, observe(round=number)) for number in range(300)])
    assert found.mean() == pytest.approx(0.3, abs=0.03)
    assert np.ptp(found.mean(axis=0)) < 0.2, "everybody at its own times"


def test_two_probabilities_are_independent(observe: Observe) -> None:
    step = {"name": "probability", "probability": 0.5}
    found = np.stack([lying(made("misreport_size", step, step), observe(round=number)) for number in range(300)])
    assert found.mean() == pytest.approx(0.25, abs=0.03)


def test_a_periodic_strategy_deviates_at_the_end_of_each_period(observe: Observe) -> None:
    wave = made("misreport_size", {"name": "periodic", "rounds": 2, "period": 5})
    assert [lying(wave, observe(round=number)).all() for number in range(10)] == [False, False, False, True, True] * 2


def test_noise_spreads_a_claim_around_what_the_strategy_says(observe: Observe) -> None:
    noisy = made("misreport_size", {"name": "noise", "spread": 0.1}, factor=3.0)
    ratio = np.stack(
        [
            noisy.report(seen)[DATA_SIZE] / seen.own.data_size
            for seen in (observe(round=number) for number in range(200))
        ]
    )
    assert ratio.min() >= 2.7
    assert ratio.max() <= 3.3
    assert ratio.mean() == pytest.approx(3.0, abs=0.02)
    assert ratio.std() == pytest.approx(0.3 / np.sqrt(3), abs=0.01)


def test_a_noisy_claim_stays_within_what_can_be_claimed(population: Population, observe: Observe) -> None:
    population.quality[:] = 0.99
    noisy = made("honest", {"name": "noise", "claim": QUALITY, "spread": 0.5})
    assert noisy.report(observe())[QUALITY].max() == 1.0
    assert noisy.lies_about == {QUALITY}


def test_whitewashing_is_leaving_with_a_spoilt_name(population: Population, observe: Observe) -> None:
    strategy, seen = made("honest", {"name": "whitewash", "below": 0.4}), observe()
    assert np.array_equal(strategy.react(seen), population.reputation < 0.4)
    assert np.array_equal(strategy.renames(seen), population.reputation < 0.4)


def test_a_derived_strategy_is_called_by_what_it_is_made_of() -> None:
    steps = [{"name": "delay"}, {"name": "noise", "claim": "cost"}]
    assert made("grim", *steps).name == "grim+delay+noise" == strategy_label("grim", {"with": steps})
    assert made("grim", *steps).sends() == make_strategy("grim", {}).sends()


def test_variants_of_one_strategy_are_told_apart_by_the_parameters_in_which_they_differ() -> None:
    chosen = [
        ("misreport_size", {"factor": 0.8, "spread": 0.0}),
        ("honest", {}),
        ("misreport_size", {"factor": 3, "spread": 0}),
        ("grim", {"fair": 0.5, "with": [{"name": "delay", "rounds": 1}]}),
        ("grim", {"fair": 0.5, "with": [{"name": "delay", "rounds": 9}]}),
        ("loyal", {}),
        ("loyal", {}),
    ]
    assert strategy_labels(chosen) == [
        *("misreport_size(factor=0.8)", "honest", "misreport_size(factor=3)"),
        *("grim+delay(delay.rounds=1)", "grim+delay(delay.rounds=9)", "loyal", "loyal"),
    ]


def test_without_a_difference_it_is_the_strategy_itself(observe: Observe) -> None:
    always, seen = made("free_rider_noise", {"name": "probability", "probability": 1.0}), observe()
    work, plain = always.train(seen), make_strategy("free_rider_noise", {}).train(seen)
    assert all(np.array_equal(getattr(work, name), getattr(plain, name)) for name in ("data_share", "upload", "scale"))
    assert not always.conditional
    assert not always.stochastic


@pytest.mark.parametrize(
    ("step", "complaint"),
    [
        ({"name": "delay", "rounds": 0}, "rounds is 0"),
        ({"name": "probability", "probability": 2.0}, "probability is 2.0"),
        ({"name": "periodic", "rounds": 3, "period": 3}, "rounds is 3"),
        ({"name": "noise", "claim": "sise"}, "unknown claim 'sise'"),
        ({"name": "noise", "spread": 1.0}, "spread is 1.0"),
        ({"name": "whitewash", "below": -1.0}, "below is -1.0"),
        ({"name": "after_loss", "below": float("nan")}, "below is nan"),
        ({"name": "delay", "round": 1}, "did you mean 'rounds'"),
    ],
)
def test_a_bad_parameter_is_refused_in_one_line(step: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match="strategy transformer") as problem:
        made("honest", step)
    assert complaint in str(problem.value)
    assert "\n" not in str(problem.value)


def test_every_transformer_is_described() -> None:
    assert set(TRANSFORMERS) == {"delay", "probability", "after_loss", "periodic", "noise", "whitewash"}
    assert all(TRANSFORMERS.description(name) and TRANSFORMERS[name].name == name for name in TRANSFORMERS)
