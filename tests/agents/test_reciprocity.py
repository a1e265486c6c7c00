"""The reciprocal and the reputation-milking strategies, round after round, by how the market treats them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from agents.population import Population
from agents.strategies import make_strategy
from agents.strategies.base import Observation, Strategy
from learning.uploads import Upload

Observe = Callable[..., Observation]
OWNER = np.array([4])  # is advised to take part, and told to expect 0.5


@pytest.fixture
def life(population: Population, observe: Observe) -> Callable[[Strategy, Sequence[str]], str]:
    """``life(strategy, treatment)``: what the owner does in each round, C honest or D not, then how it is treated.

    Treatment of a round: + paid as promised, - paid nothing, ! slashed.
    """

    def lived(strategy: Strategy, treatment: Sequence[str]) -> str:
        population.grievances[OWNER] = population.defecting[OWNER] = 0
        population.outside_option[OWNER] = 0.1
        found = ""
        for number, treated in enumerate(treatment):
            sent = strategy.train(observe(OWNER, round=number)).upload[0]
            found += "C" if sent == Upload.TRAINED else "D"
            population.payment[OWNER] = 0.0 if treated == "-" else 0.5
            population.penalty[OWNER] = 2.0 if treated == "!" else 0.0
            population.utility[OWNER] = population.payment[OWNER] - population.penalty[OWNER]
            for name, column in strategy.learn(observe(OWNER, round=number + 1)).items():
                getattr(population, name)[OWNER] = column
        return found

    return lived


@pytest.mark.parametrize(
    ("name", "treatment", "expected"),
    [
        ("grim", "++-+++", "CCCDDD"),
        ("grim", "+!++++", "CCDDDD"),
        ("tit_for_tat", "+-+-!++", "CCDCDDC"),
        ("tit_for_two_tats", "-+-+--++", "CCCCCCDC"),
        ("gradual", "-++++-++++++-+++++", "CDCCCCDDCCCCCDDDCC"),
        ("gradual", "-----------", "CDCCCDDCCCD"),  # peace lasts two rounds even if the wrongs go on
        ("win_stay_lose_shift", "++-++--+", "CCCDDDCD"),
    ],
)
def test_a_strategy_answers_its_treatment_as_in_the_literature(
    life: Callable[..., str], name: str, treatment: str, expected: str
) -> None:
    assert life(make_strategy(name, {}), treatment) == expected


def test_who_is_paid_half_of_the_promise_is_wronged_only_if_it_calls_more_than_half_fair(
    population: Population, observe: Observe
) -> None:
    population.payment[OWNER], population.penalty[OWNER] = 0.25, 0.0
    population.grievances[OWNER] = 0

    def aggrieved(fair: float) -> bool:
        return bool(make_strategy("grim", {"fair": fair}).learn(observe(OWNER))["grievances"][0])

    assert not aggrieved(0.5)
    assert aggrieved(0.51)


def test_who_was_advised_to_stay_away_is_not_wronged_by_getting_nothing(
    population: Population, observe: Observe
) -> None:
    away = np.array([5])
    population.payment[away] = population.penalty[away] = 0.0
    population.grievances[away] = 0
    assert make_strategy("grim", {}).learn(observe(away))["grievances"].tolist() == [0]


def test_generosity_is_the_share_of_wrongs_that_are_forgiven(population: Population, observe: Observe) -> None:
    population.penalty[:] = 1.0
    generous = make_strategy("generous_tit_for_tat", {"forgiveness": 0.3})
    retaliates = [generous.learn(observe(round=number))["defecting"] for number in range(200)]
    assert np.mean(retaliates) == pytest.approx(0.7, abs=0.04)


def test_a_conditional_cooperator_gives_less_when_more_are_found_guilty(observe: Observe) -> None:
    seen, strategy = observe(OWNER), make_strategy("conditional_cooperator", {})

    def given(guilty: int) -> float:
        now = dataclasses.replace(seen, board=dataclasses.replace(seen.board, audited=9, guilty=guilty))
        assert np.array_equal(strategy.train(now).data_share, strategy.offer(now)), "openly, so it breaks no rule"
        return float(strategy.offer(now)[0] / seen.advice.data_share[0])

    assert [given(guilty) for guilty in (0, 5, 9)] == pytest.approx([1.0, 0.5, 0.1])


def test_a_milker_changes_its_mood_at_the_two_ends_of_its_band_only(population: Population, observe: Observe) -> None:
    strategy = make_strategy("reputation_milker", {"high": 0.7, "low": 0.4})
    population.defecting[OWNER] = 0
    moods = []
    for standing in (0.5, 0.69, 0.7, 0.6, 0.41, 0.4, 0.5, 0.8):
        population.reputation[OWNER] = standing
        population.defecting[OWNER] = strategy.learn(observe(OWNER))["defecting"]
        moods.append(int(population.defecting[OWNER][0]))
    assert moods == [0, 0, 1, 1, 1, 0, 0, 1]


def test_an_end_game_is_honest_first_then_defects_and_goes(population: Population, observe: Observe) -> None:
    strategy = make_strategy("end_game_defector", {"rounds": 2, "last": 2})
    course = []
    for done in range(5):
        population.stay_rounds[OWNER] = done
        seen = observe(OWNER)
        course.append((Upload(strategy.train(seen).upload[0]).name, bool(strategy.react(seen)[0])))
    assert course == [
        *[("TRAINED", False)] * 2,
        *[("GLOBAL_COPY", False)] * 2,
        ("GLOBAL_COPY", True),
    ]


def test_the_on_off_attack_is_bad_in_its_share_of_rounds_for_everybody(observe: Observe) -> None:
    strategy = make_strategy("on_off", {"good": 3, "bad": 2})
    bad = np.stack([strategy.train(observe(round=number)).upload != Upload.TRAINED for number in range(10)])
    assert (bad.sum(axis=0) == 4).all()
    assert not bad.all(axis=1).any(), "cycles begin at different rounds"
