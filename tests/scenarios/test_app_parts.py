"""The small parts of the page: controls from the schema, places that stay, colours that can be read, axes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("solara", reason="the page needs the extra app")

from scenarios.app.charts import Course, courses, digits_for
from scenarios.app.controls import GROUPS, LEVERS, controls, factors, mechanism_parameters
from scenarios.app.drawing import DARK, LIGHT, READABLE, Picture, contrast, ticks, wrapped
from scenarios.app.layout import Layout
from scenarios.app.view import told_claims
from scenarios.interventions import levers
from scenarios.loading import LIBRARY, library, read_mapping
from scenarios.palette import flow_colours, rgb, strategy_colours
from scenarios.registries import mechanisms, strategies


def test_every_control_takes_its_meaning_and_its_bounds_from_the_schema():
    found = controls()
    assert set(found) == {path for paths in GROUPS.values() for path in paths}
    assert all(control.help and control.label for control in found.values())
    assert found["enforcement.audit_rate"].kind == "share"
    assert found["enforcement.deposit"].kind == "number"
    assert (found["enforcement.deposit"].low, found["enforcement.deposit"].high) == (0, 1e6)
    assert (found["population.initial"].kind, found["population.initial"].low) == ("whole", 1)
    assert found["market.mechanism"].choices == tuple(mechanisms())
    assert "mnist" in found["data.dataset"].choices
    assert found["learning.enabled"].kind == "switch"


def test_the_levers_on_the_page_can_be_turned_by_an_intervention():
    assert set(LEVERS) <= set(levers())
    assert {"market.mechanism", "market.budget", "enforcement.audit_rate", "enforcement.deposit"} <= set(LEVERS)


def test_a_strategy_offers_its_numbers():
    assert factors({"name": "misreport_size", "share": 0.3, "factor": 2.0, "loud": True}) == {"factor": 2.0}


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)
def test_every_colour_of_the_palette_can_be_read_as_text(theme):
    colours = {**strategy_colours(strategies()), **flow_colours(["payment", "slash", "treasury", "deposit"])}
    for name, colour in colours.items():
        assert contrast(theme.text(colour), theme.paper) >= READABLE, name
    assert contrast(theme.ink, theme.paper) > 12
    assert contrast(theme.muted, theme.paper) >= READABLE
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21)


DEUTERANOPIA = np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]])
"""Machado, Oliveira and Fernandes 2009, linear sRGB as it is seen without green cones."""
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def lab(colour: str, sight: np.ndarray) -> np.ndarray:
    channels = np.array(rgb(colour))
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    xyz = TO_XYZ @ np.clip(sight @ linear, 0, 1) / [0.9505, 1.0, 1.089]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("sight", [np.eye(3), DEUTERANOPIA], ids=["all colours", "deuteranopia"])
def test_strategies_that_meet_in_a_ready_made_market_can_be_told_apart(sight: np.ndarray):
    """A distance of 20 in CIE Lab is far more than the eye needs side by side (about 2)."""
    for name in library():
        present = read_mapping(LIBRARY / f"{name}.yaml").get("population", {}).get("strategies", [])
        colours = strategy_colours(share if isinstance(share, str) else share["name"] for share in present)
        for one, other in itertools.combinations(colours, 2):
            apart = np.linalg.norm(lab(colours[one], sight) - lab(colours[other], sight))
            assert apart > 20, (name, one, other)


def test_the_leaderboard_shows_the_claims_that_somebody_lies_about():
    assert told_claims("privacy_auction", ("honest", "misreport_privacy_budget"))[0] == "privacy_budget"
    assert told_claims("privacy_auction", ("honest", "misreport_valuation"))[:2] == ("valuation", "privacy_budget")
    assert told_claims("cocogen", ("misreport_generation_cost",))[0] == "generation_cost"
    assert told_claims("free", ("honest",)) == ("data_size",)


def test_a_mechanism_is_offered_with_all_its_parameters():
    assert mechanism_parameters("fixed_price") == {"name": "fixed_price", "price": 0.02}
    assert mechanism_parameters({"name": "fixed_price", "price": 0.5})["price"] == 0.5
    assert mechanism_parameters("magic") == {"name": "magic"}
    assert factors(mechanism_parameters("fixed_price")) == {"price": 0.02}


@pytest.mark.parametrize(
    ("values", "digits"), [([0.0], 2), ([1234.5, 0.1], 0), ([12.3], 1), ([1.0], 2), ([0.042], 4), ([np.nan, -5.0], 2)]
)
def test_numbers_beside_lines_show_three_figures_of_the_largest(values: list[float], digits: int):
    assert digits_for(values) == digits


def test_words_in_a_picture_are_escaped():
    picture = Picture("<script>", LIGHT)
    picture.text(0, 0, "a < b & c")
    assert "<script>" not in picture.svg()
    assert "a &lt; b &amp; c" in picture.svg()


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.integers(2, 9))
def test_ticks_are_few_round_numbers_within_the_axis(low: float, span: float, most: int):
    found = ticks(low, low + span, most)
    assert len(found) <= most + 1
    assert all(low - 1e-6 * span <= tick <= low + span + 1e-6 * span for tick in found)
    assert found == sorted(set(found))


def test_a_note_is_broken_between_words():
    assert wrapped("one two three", 7) == ["one two", "three"]


def test_a_chart_breaks_its_line_where_a_value_is_unknown_and_says_so_where_all_are():
    rounds = np.arange(4.0)
    line = Course("a", np.array([1.0, np.nan, 2.0, 3.0]), "#0072B2")
    assert courses("t", LIGHT, rounds, [line]).svg().count("M") == 3  # two pieces, and the thread of its name
    nothing = Course("a", np.full(4, np.nan), "#0072B2")
    assert "no value" in courses("t", LIGHT, rounds, [nothing], empty="no value").svg()


# ---- places in the graph ------------------------------------------------------------------------------------------

NOBODY = np.zeros(0, dtype=np.int64)
NO_WEIGHT = np.zeros(0)


def place(layout: Layout, number: int, owners: list[int], edges: list[tuple[int, int]] = ()) -> np.ndarray:
    ends = np.array(edges, dtype=np.int64).reshape(-1, 2)
    return layout.arrange(number, np.array(owners), np.zeros(len(owners)), ends[:, 0], ends[:, 1], np.ones(len(ends)))


def test_owners_stay_about_where_they_were_when_others_come_and_go():
    layout = Layout()
    before = place(layout, 0, list(range(30)))
    after = place(layout, 1, [*range(1, 30), 40])
    moved = np.sqrt(((after[:-1] - before[1:]) ** 2).sum(axis=1))
    assert moved.max() < 0.3
    np.testing.assert_array_equal(layout.last(0), before[0])
    place(layout, 2, list(range(1, 30)))
    assert layout.last(0) is None


def test_the_same_round_is_drawn_twice_alike_and_a_fresh_layout_does_the_same():
    first, second = Layout(), Layout()
    places = place(first, 0, [3, 5, 9])
    np.testing.assert_array_equal(places, place(first, 0, [3, 5, 9]))
    np.testing.assert_array_equal(places, place(second, 0, [3, 5, 9]))


def test_a_newcomer_starts_beside_those_it_deals_with():
    layout = Layout()
    owners = list(range(12))
    angles = np.linspace(0, 5, 12)
    before = layout.arrange(0, np.array(owners), angles, NOBODY, NOBODY, NO_WEIGHT)
    edges = np.array([[50, 0], [50, 1]])
    after = layout.arrange(1, np.array([*owners, 50]), np.append(angles, 3.0), edges[:, 0], edges[:, 1], np.ones(2))
    middle = before[:2].mean(axis=0)
    assert np.linalg.norm(after[-1] - middle) < np.linalg.norm(after[-1] - before[6:].mean(axis=0))


@given(st.lists(st.integers(0, 10_000), min_size=0, max_size=60, unique=True))
def test_everybody_has_a_finite_place_within_the_disc_apart_from_the_others(owners: list[int]):
    places = place(Layout(), 0, sorted(owners))
    assert places.shape == (len(owners), 2)
    assert np.isfinite(places).all()
    assert (np.sqrt((places**2).sum(axis=1)) < 1.6).all()
    assert len({tuple(row) for row in places.round(6)}) == len(owners)
