"""When a found number counts as the published one, and how tables of such verdicts are written."""

from __future__ import annotations

import math

import pytest
from matplotlib.figure import Figure

from scenarios.reproduce.study import Row, Study, readable
from scenarios.reproduce.verdicts import law, law_in_noise, one_draw, other_setting, printed, same_sign


@pytest.mark.parametrize(("published", "word"), [(0.58, "reproduced"), (0.60, "reproduced"), (0.61, "differs")])
def test_one_draw_is_reproduced_within_two_deviations(published: float, word: str) -> None:
    assert one_draw(0.58, 0.0125, published).word == word


def test_a_difference_says_by_how_much() -> None:
    assert one_draw(0.58, 0.01, 0.61).why == "the published draw is 3.0 sd from the mean of the draws (by -0.03)"
    assert printed(0.25, 0.20, 0.01).why == "by +0.05"


def test_without_a_deviation_one_draw_tells_nothing() -> None:
    assert one_draw(0.5, 0.0, 0.5).word == "not comparable"
    assert one_draw(0.5, math.nan, 0.5).word == "not comparable"


@pytest.mark.parametrize(("found", "word"), [(1.3349, "reproduced"), (1.3251, "reproduced"), (1.336, "differs")])
def test_a_printed_number_is_met_within_half_its_last_digit(found: float, word: str) -> None:
    assert printed(found, 1.33, 0.01).word == word


def test_what_was_computed_from_printed_numbers_has_more_room() -> None:
    assert printed(1.336, 1.33, 0.01, slack=0.002).word == "reproduced"


@pytest.mark.parametrize(
    ("found", "reach", "word"),
    [(2.0, 1.0, "reproduced"), (-2.0, 1.0, "differs"), (2.0, 3.0, "not comparable"), (2.0, math.nan, "not comparable")],
)
def test_a_measured_law_is_judged_only_beyond_its_noise(found: float, reach: float, word: str) -> None:
    assert law_in_noise(found, reach, "it rises").word == word


def test_a_law_holds_or_does_not() -> None:
    assert law(True, "it rises").word == "reproduced"
    assert law(False, "it rises").why == "does not hold: it rises"


@pytest.mark.parametrize(
    ("found", "published", "sign"),
    [(0.5, 1.8, "same sign"), (-0.5, 1.8, "opposite sign"), (0.1, 1.8, "its sign is within the noise")],
)
def test_in_another_setting_only_signs_beyond_the_noise_are_compared(found: float, published: float, sign: str) -> None:
    verdict = same_sign("other data", found, 0.1, published)
    assert verdict.word == "not comparable"
    assert verdict.why == f"other data; {sign}"


def test_a_table_leaves_out_what_is_not_there() -> None:
    rows = (
        Row(("a", 1), 1 / 3, other_setting("one, two", 1 / 3, 0.25), 0.1, 0.25),
        Row(("b", 2), -0.0, law(True, "yes")),
    )
    study = Study("name", "title", "method", ("what", "size"), rows, Figure(), "caption")
    assert study.as_csv().splitlines() == [
        "what,size,found,sd,published,gap,verdict,why",
        'a,1,0.3333333333,0.1,0.25,0.08333333333,not comparable,"one, two (by +0.0833)"',
        "b,2,0,,,,reproduced,yes",
    ]


@pytest.mark.parametrize(
    ("value", "text"), [(81.02, "81.02"), (0.0338019, "0.03380"), (12345.6, "12,346"), (0.0, "0"), (math.nan, "-")]
)
def test_readers_see_four_digits(value: float, text: str) -> None:
    assert readable(value) == text
