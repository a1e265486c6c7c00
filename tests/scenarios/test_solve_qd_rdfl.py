"""QD-RDFL instances: what may stand in them, what comes out, and how a bad one is refused."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.cli import main
from scenarios.errors import BadInput
from scenarios.instances import instance_kind
from scenarios.solving import answer

KIND = instance_kind("qd-rdfl")
TEN = [0.92, 0.95, 0.97, 0.99, 1.0, 0.93, 0.96, 0.98, 0.94, 0.91]
TENTHS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
RESULT = [
    "trade",
    "reward_total",
    "contribution",
    "effective_contribution",
    "payment",
    "utility_model_owner",
    "utility_owner",
    "active",
    "compute_load",
    "utility_center",
    "match",
]
MEASURED = [
    "owner_best_response_gain",
    "leader_gain",
    "individual_rationality",
    "balance",
    "blocking_pairs",
    "quality_report_gain",
]


def solved(**instance):
    return KIND.solve(KIND.schema.model_validate(instance))


def checked(**instance):
    return KIND.check(KIND.schema.model_validate(instance))


def numbers(value):
    """All numbers in a JSON value."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [number for entry in value for number in numbers(entry)]
    return [] if value is None else [value]


def test_the_keys_and_their_order():
    found = solved(quality=[0.9, 1.0])
    assert list(found) == RESULT
    assert found["compute_load"] is found["utility_center"] is found["match"] is None
    assert list(checked(quality=[0.9, 1.0])) == RESULT + MEASURED


def test_what_is_left_out_is_as_in_the_authors_code():
    found = solved(quality=[0.9, 1.0])
    assert found["reward_total"] == pytest.approx(0.38889, abs=1e-5)
    assert found["utility_model_owner"] == pytest.approx(0.0338019, abs=1e-7)
    written_out = {
        "revenue_sensitivity": 5,
        "revenue_coefficient": 0.5,
        "market_factor": 1,
        "unit_price": 1,
        "contribution_cap": None,
        "owner_solver": "active_set",
        "reward_total": None,
        "computing_centers": None,
    }
    assert solved(quality=[0.9, 1.0], **written_out) == found


def test_a_given_reward_is_what_the_model_owner_pays():
    found = solved(quality=[0.9, 1], reward_total=1)
    assert found["reward_total"] == 1.0
    assert found["utility_model_owner"] == pytest.approx(-0.0305862, abs=1e-7)
    assert sum(found["payment"]) == pytest.approx(1.0, abs=1e-15)


def test_one_cap_stands_for_all():
    assert solved(quality=TEN, contribution_cap=0.1) == solved(quality=TEN, contribution_cap=[0.1] * 10)
    assert max(solved(quality=TEN, contribution_cap=0.1)["contribution"]) == pytest.approx(0.1, abs=1e-15)


def test_centers_load_and_match_in_owner_order():
    found = solved(quality=TEN, computing_centers={"compute_cost_factor": TENTHS, "solver": "authors"})
    assert sorted(found["match"]) == list(range(10))
    for owner, center in enumerate(found["match"]):
        earned = found["contribution"][owner] * (1.0 - TENTHS[center])
        assert found["utility_center"][center] == pytest.approx(earned, abs=1e-12)
    assert found["match"].index(9) == 9, "the dearest center chooses first: the owner with the least data"


def test_owners_without_a_center_have_null():
    found = solved(quality=TEN, computing_centers={"compute_cost_factor": [0.5, 0.6]})
    assert found["match"].count(None) == 8
    assert len(found["compute_load"]) == len(found["utility_center"]) == 2


def test_a_check_of_an_equilibrium_finds_nothing_but_the_reward_of_lying():
    found = checked(quality=TEN, computing_centers={"compute_cost_factor": TENTHS})
    assert found["owner_best_response_gain"] <= 1e-9
    assert found["leader_gain"] <= 1e-9
    assert found["individual_rationality"]["count"] == 0
    assert abs(found["balance"]) <= 1e-12
    assert found["blocking_pairs"] == 0
    assert found["quality_report_gain"] > 0.01


def test_a_check_of_the_first_order_mode_finds_nothing_for_what_is_infeasible_pays():
    quality = [0.9 + 0.1 * place / 39 for place in range(40)]
    found = checked(quality=quality, owner_solver="foc")
    assert min(found["contribution"]) < 0.0
    assert found["owner_best_response_gain"] <= 1e-9
    assert found["individual_rationality"]["count"] == 0
    assert found["blocking_pairs"] is None


CLOSED = [
    {"quality": [1]},
    {"quality": [0]},
    {"quality": [0, 0, 0]},
    {"quality": [0, 0, 1], "reward_total": 3},
    {"quality": [1, 1], "revenue_sensitivity": 3},
    {"quality": [1, 1], "revenue_sensitivity": 0},
    {"quality": [1, 1], "reward_total": 0},
    {"quality": [1e-300, 5e-324], "reward_total": 1},
]
CLOSED_BY_CAPS = [
    {"quality": [1, 1, 1], "contribution_cap": 0},
    {"quality": [1, 1, 1], "contribution_cap": [0, 0, 1], "reward_total": 1},
]


@pytest.mark.parametrize(
    "instance",
    [*CLOSED, *CLOSED_BY_CAPS, *({**instance, "owner_solver": "foc"} for instance in CLOSED)],
    ids=json.dumps,
)
def test_a_market_without_trade_is_all_zeros(instance):
    found = checked(**instance, computing_centers={"compute_cost_factor": [0.5, 1.0]})
    assert found["trade"] is False
    assert found["match"] == [None] * len(instance["quality"])
    assert not any(numbers([found[key] for key in RESULT]))
    assert all(math.isfinite(number) for number in numbers(found))


prices = st.sampled_from([1e-9, 1e-3, 1.0, 7, 1e9])
amounts = st.one_of(st.floats(0.0, 2.0), st.sampled_from([0, 5e-324, 1e-12, 1e9]))


@given(
    st.lists(amounts, min_size=1, max_size=6),
    st.fixed_dictionaries(
        {},
        optional={
            "revenue_sensitivity": amounts,
            "market_factor": prices,
            "unit_price": prices,
            "contribution_cap": st.one_of(st.none(), amounts, st.sampled_from([1e300])),
            "owner_solver": st.sampled_from(["active_set", "foc"]),
            "reward_total": st.one_of(st.none(), amounts),
            "computing_centers": st.fixed_dictionaries(
                {"compute_cost_factor": st.lists(prices, min_size=1, max_size=4)},
                optional={"solver": st.sampled_from(["equilibrium", "authors"]), "unit_compute_cost": prices},
            ),
        },
    ),
)
def test_whatever_the_instance_the_answer_is_finite_or_one_line(tmp_path_factory, quality, rest):
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_text(json.dumps({"quality": quality, **rest}))
    try:
        found = json.loads(answer("solve", "qd-rdfl", str(path)))
    except BadInput as refusal:
        allowed = "binds for owner", "too far apart"
        if not any(words in str(refusal) for words in allowed):
            raise
    else:
        assert all(math.isfinite(number) for number in numbers(found))
        if rest.get("owner_solver") != "foc":
            assert min(found["contribution"]) >= 0.0


@pytest.mark.parametrize(
    ("instance", "line"),
    [
        ({}, "quality: expected a value"),
        ({"quality": []}, "quality: []: expected at least 1 in the list"),
        ({"quality": 1}, "quality: 1: expected a list"),
        ({"quality": [1, -1]}, "quality.1: -1.0: expected a number from 0 to 1e+09"),
        ({"quality": [1, True]}, "quality.1: true: expected a number"),
        ({"quality": [1, None]}, "quality.1: null: expected a number"),
        ({"quality": ["1", 1]}, "quality.0: 1: expected a number"),
        ({"quality": [1], "qualty": 1}, "qualty: 1: unknown key, did you mean 'quality'?"),
        ({"unit_price": 0}, "unit_price: 0.0: expected a number from 1e-09 to 1e+09"),
        ({"revenue_sensitivity": -1}, "revenue_sensitivity: -1.0: expected a number from 0 to 1e+09"),
        ({"reward_total": -1}, "reward_total: -1.0: expected a number from 0 to 1e+09"),
        ({"owner_solver": "fok"}, "owner_solver: fok: expected 'active_set' or 'foc', did you mean 'foc'?"),
        (
            {"contribution_cap": -1},
            "contribution_cap: -1: expected a finite number of at least 0, or a list of them",
        ),
        (
            {"contribution_cap": [1, "a"]},
            "contribution_cap: a: at place 1: expected a finite number of at least 0, or a list of them",
        ),
        ({"contribution_cap": [1]}, "contribution_cap: 1 value: expected 2, one per owner"),
        (
            {"contribution_cap": 0.01, "owner_solver": "foc"},
            "contribution_cap: 0.01: binds for owner 0, which owner_solver foc does not know: use active_set",
        ),
        (
            {"computing_centers": {"compute_cost_factor": []}},
            "computing_centers.compute_cost_factor: []: expected at least 1 in the list",
        ),
        (
            {"computing_centers": {"compute_cost_factor": [0]}},
            "computing_centers.compute_cost_factor.0: 0.0: expected a number from 1e-09 to 1e+09",
        ),
        (
            {"computing_centers": {"compute_cost_factor": [1], "solver": "tullock"}},
            "computing_centers.solver: tullock: expected 'equilibrium' or 'authors'",
        ),
    ],
    ids=lambda value: None if isinstance(value, str) else json.dumps(value),
)
@pytest.mark.parametrize("task", ["solve", "check"])
def test_a_bad_instance_gets_one_line(task, instance, line, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    whole = instance if "quality" in instance or not instance else {"quality": [1, 1], **instance}
    (tmp_path / "bad.json").write_text(json.dumps(whole))
    assert main([task, "qd-rdfl", "bad.json"]) == 2
    assert capfd.readouterr() == ("", f"bad.json: {line}\n")
