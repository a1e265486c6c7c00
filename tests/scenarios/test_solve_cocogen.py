"""CoCoGen+ instances: what may stand in them, what comes out, and how a bad one is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenarios.cli import main
from scenarios.errors import BadInput
from scenarios.instances import instance_kind
from scenarios.solving import answer

KIND = instance_kind("cocogen")
RESULT = [
    "synthetic_volume",
    "effective_volume",
    "performance",
    "utility",
    "redistribution",
    "social_welfare",
    "potential",
    "potential_weight",
]
MEASURED = [
    "potential_identity_error",
    "best_response_gain",
    "redistribution_balance",
    "optimal_welfare",
    "price_of_anarchy",
    "stand_alone_violations",
    "stand_alone_margin",
    "share_at_cap",
    "welfare_gain",
]


def rivals(organisations=6, seed=0, **changes):
    """Random organisations as an instance."""
    chance = np.random.default_rng(seed)
    intensity = chance.uniform(0, 0.04, (organisations, organisations))
    np.fill_diagonal(intensity, 0.0)
    instance = {
        "data_size": chance.uniform(500, 4000, organisations).tolist(),
        "emd": chance.uniform(0.2, 1.6, organisations).tolist(),
        "profitability": chance.uniform(1000, 2500, organisations).tolist(),
        "unit_cost": chance.uniform(0.01, 0.03, organisations).tolist(),
        "quadratic_cost": 0,
        "synthetic_volume_cap": 4000,
        "competition_intensity": intensity.tolist(),
        "redistribution_rate": 0.05,
        "synthetic_quality": 0.8,
        "volume_scale": 0.847,
        "volume_exponent": 0.209,
        "emd_penalty": 0.063,
        "personal_gain": 0.05,
        "competition_model": "relative",
    }
    return instance | changes


def solved(**instance):
    return KIND.solve(KIND.schema.model_validate(instance))


def checked(**instance):
    return KIND.check(KIND.schema.model_validate(instance))


# ---- what comes out -----------------------------------------------------------------------------------------------


def test_the_command_prints_one_object_and_nothing_else(tmp_path, capsys):
    file = tmp_path / "rivals.json"
    file.write_text(json.dumps(rivals()))
    assert main(["solve", "cocogen", str(file)]) == 0
    printed = capsys.readouterr()
    result = json.loads(printed.out)
    assert printed.err == ""
    assert list(result) == RESULT
    size, volume = np.array(rivals()["data_size"]), np.array(result["synthetic_volume"])
    assert result["effective_volume"] == pytest.approx((size + 0.8 * volume).sum())
    assert result["social_welfare"] == pytest.approx(sum(result["utility"]))
    assert sum(result["redistribution"]) == pytest.approx(0, abs=1e-9)
    assert result["potential_weight"] == rivals()["profitability"]
    distance = np.array(rivals()["emd"]) * size / (size + volume)
    performance = -0.847 * result["effective_volume"] ** -0.209 - 0.063 * (size / size.sum() * distance).sum()
    assert result["performance"] == pytest.approx(performance)


@pytest.mark.parametrize("model", ["relative", "damage"])
@pytest.mark.parametrize("quadratic_cost", [0, 1e-5])
def test_a_check_prints_the_outcome_and_what_was_measured(tmp_path, capsys, model, quadratic_cost):
    file = tmp_path / "rivals.json"
    instance = rivals(competition_model=model, quadratic_cost=quadratic_cost)
    file.write_text(json.dumps(instance))
    assert main(["check", "cocogen", str(file)]) == 0
    result = json.loads(capsys.readouterr().out)
    assert list(result) == [*RESULT, *MEASURED]
    assert {name: result[name] for name in RESULT} == solved(**instance)
    assert result["potential_identity_error"] < 1e-9
    assert 0 <= result["best_response_gain"] < 1e-9
    assert abs(result["redistribution_balance"]) < 1e-9
    assert result["optimal_welfare"] >= result["social_welfare"]
    gains = result["welfare_gain"]
    assert result["price_of_anarchy"] == pytest.approx(gains["optimum"] / gains["equilibrium"])
    assert result["price_of_anarchy"] > 1
    assert max(gains.values()) == gains["optimum"]
    assert gains["vcfl"] == 0
    assert 0 <= result["share_at_cap"] <= 1
    assert isinstance(result["stand_alone_violations"], int)
    assert (result["stand_alone_violations"] > 0) == (result["stand_alone_margin"] < 0)


def test_the_check_shows_the_published_order_under_relative_and_its_inversion_under_damage():
    orders, hard = {}, {"volume_scale": 2.56, "volume_exponent": 0.215, "emd_penalty": 0.285}
    for model, gain in (("relative", 0.05), ("damage", 0.0)):
        found = [
            checked(**rivals(10, seed, competition_model=model, personal_gain=gain, redistribution_rate=0, **hard))
            for seed in range(5)
        ]
        orders[model] = {
            name: np.mean([one["welfare_gain"][name] for one in found]) for name in ("equilibrium", "wco", "radg")
        }
    assert orders["relative"]["equilibrium"] > orders["relative"]["wco"] > 0
    assert orders["damage"]["equilibrium"] < orders["damage"]["wco"]


def test_under_damage_nobody_generates_enough_until_redistribution_pays_for_it():
    poor = checked(**rivals(10, competition_model="damage", personal_gain=0, redistribution_rate=0))
    paid = checked(**rivals(10, competition_model="damage", personal_gain=0, redistribution_rate=0.06))
    assert paid["welfare_gain"]["equilibrium"] > poor["welfare_gain"]["equilibrium"]
    assert paid["optimal_welfare"] == pytest.approx(poor["optimal_welfare"])
    assert paid["welfare_gain"]["without_redistribution"] == pytest.approx(poor["welfare_gain"]["equilibrium"])


def test_where_the_outcome_gains_nothing_there_is_no_price_of_anarchy():
    dear = rivals(competition_model="damage", personal_gain=0, redistribution_rate=0, unit_cost=[1.0] * 6)
    result = checked(
        **dear,
    )
    assert sum(result["synthetic_volume"]) == 0
    worth_it = result["welfare_gain"]["optimum"] > 0
    assert result["price_of_anarchy"] == (None if worth_it else 1.0)


def test_numbers_for_all_and_lists_of_the_same_number_are_alike():
    one = rivals(quadratic_cost=1e-6, synthetic_volume_cap=1000)
    listed = rivals(quadratic_cost=[1e-6] * 6, synthetic_volume_cap=[1000] * 6)
    assert solved(**one) == solved(**listed)


def test_what_is_left_out_is_as_in_the_reference_instance():
    short = rivals(redistribution_rate=0)
    for name in ("quadratic_cost", "redistribution_rate", "synthetic_quality", "personal_gain", "competition_model"):
        del short[name]
    assert solved(**short) == solved(**rivals(redistribution_rate=0))
    assert solved(**short, competition_model="damage") == solved(
        **rivals(redistribution_rate=0, personal_gain=0, competition_model="damage")
    )


def test_a_decline_of_quality_with_the_synthetic_share_lowers_what_is_made_of_the_volumes():
    plain, worn = solved(**rivals()), solved(**rivals(quality_decay=0.5))
    assert worn["effective_volume"] < plain["effective_volume"]
    assert checked(**rivals(quality_decay=0.5))["best_response_gain"] < 1e-9


def test_one_organisation_alone_is_as_good_as_standing_alone():
    result = checked(**rivals(1))
    assert result["redistribution"] == [0.0]
    assert result["stand_alone_margin"] == pytest.approx(0, abs=1e-9)
    assert result["stand_alone_violations"] == 0
    assert result["price_of_anarchy"] == pytest.approx(1.0)


AMOUNTS = st.sampled_from([0.0, 1e-9, 1.0, 1e9])


@settings(max_examples=40)
@given(st.data())
def test_the_largest_and_smallest_numbers_that_are_taken_give_finite_results(data):
    def column(*values):
        return data.draw(st.lists(st.sampled_from(values), min_size=2, max_size=2))

    instance = {
        "data_size": column(1e-3, 1e3, 1e12),
        "emd": column(0.0, 1e-300, 2.0),
        "profitability": column(1e-9, 1.0, 1e9),
        "unit_cost": column(0.0, 1e-300, 1.0, 1e9),
        "quadratic_cost": column(0.0, 1e-300, 1.0, 1e9),
        "synthetic_volume_cap": column(0.0, 1e-300, 1e3, 1e12),
        "competition_intensity": [[0.0, data.draw(AMOUNTS)], [data.draw(AMOUNTS), 0.0]],
        "redistribution_rate": data.draw(AMOUNTS),
        "synthetic_quality": data.draw(st.sampled_from([1e-6, 1.0])),
        "quality_decay": data.draw(st.sampled_from([0.0, 0.5, 1.0])),
        "volume_scale": data.draw(AMOUNTS),
        "volume_exponent": data.draw(st.sampled_from([1e-6, 0.2, 10.0])),
        "emd_penalty": data.draw(AMOUNTS),
        "personal_gain": data.draw(AMOUNTS),
    }
    result = checked(**instance)
    json.dumps(result, allow_nan=False)
    assert result["best_response_gain"] <= 1e-9 * max(1.0, *map(abs, result["utility"]))


# ---- refusals -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"data_size": [100, -5.0]}, "data_size.1: -5.0: expected a number from 0.001 to 1e+12"),
        ({"data_size": [100, 0]}, "data_size.1: 0.0: expected a number from 0.001 to 1e+12"),
        ({"data_size": []}, "data_size: []: expected at least 1 in the list"),
        ({"data_size": [100]}, "emd: 2 values: expected 1, one per organisation"),
        ({"data_size": [100, None]}, "data_size.1: null: expected a number"),
        ({"emd": [0.5]}, "emd: 1 value: expected 2, one per organisation"),
        ({"emd": [0.5, 2.5]}, "emd.1: 2.5: expected a number from 0 to 2"),
        ({"profitability": [0.0, 1]}, "profitability.0: 0.0: expected a number from 1e-09 to 1e+09"),
        ({"profitability": [1, 2, 3]}, "profitability: 3 values: expected 2, one per organisation"),
        ({"unit_cost": [1, -1.0]}, "unit_cost.1: -1.0: expected a number from 0 to 1e+09"),
        ({"unit_cost": [1, "1"]}, "unit_cost.1: 1: expected a number"),
        ({"quadratic_cost": -1}, "quadratic_cost: -1: expected a finite number of at least 0, or a list of them"),
        ({"quadratic_cost": [1, 1, 1]}, "quadratic_cost: 3 values: expected 2, one per organisation"),
        ({"quadratic_cost": [0, 1e10]}, "quadratic_cost.1: 10000000000.0: expected a number from 0 to 1e+09"),
        ({"synthetic_volume_cap": [1.0]}, "synthetic_volume_cap: 1 value: expected 2, one per organisation"),
        ({"synthetic_volume_cap": [1.0, -2.0]}, "synthetic_volume_cap: -2.0: at place 1: expected a finite number"),
        ({"synthetic_volume_cap": 1e300}, "synthetic_volume_cap: 1e+300: expected a number from 0 to 1e+12"),
        ({"competition_intensity": [[0, 1]]}, "competition_intensity: 1 value: expected 2, one per organisation"),
        ({"competition_intensity": [[0, 1], [1]]}, "competition_intensity.1: 1 value: expected 2, one per"),
        ({"competition_intensity": [[0, 1], [1, 0.5]]}, "competition_intensity.1.1: 0.5: expected 0, nobody competes"),
        ({"competition_intensity": [[0, -1.0], [1, 0]]}, "competition_intensity.0.1: -1.0: expected a number from 0"),
        ({"competition_intensity": 0.1}, "competition_intensity: 0.1: expected a list"),
        ({"redistribution_rate": -0.1}, "redistribution_rate: -0.1: expected a number from 0 to 1e+09"),
        ({"synthetic_quality": 1.5}, "synthetic_quality: 1.5: expected a number from 1e-06 to 1"),
        ({"synthetic_quality": 0.0}, "synthetic_quality: 0.0: expected a number from 1e-06 to 1"),
        ({"quality_decay": 2.0}, "quality_decay: 2.0: expected a number from 0 to 1"),
        ({"volume_exponent": 0.0}, "volume_exponent: 0.0: expected a number from 1e-06 to 10"),
        ({"competition_model": "relativ"}, "competition_model: relativ: expected 'relative' or 'damage', did you mean"),
        ({"gamma": 0.1}, "gamma: 0.1: unknown key"),
        (
            {"competition_model": "damage", "competition_intensity": [[0, 3.0], [0.1, 0]]},
            "competition_intensity: potential weight of organisation 0 is -",
        ),
    ],
)
@pytest.mark.parametrize("task", ["solve", "check"])
def test_a_bad_instance_is_refused_in_one_line(tmp_path, monkeypatch, task, change, line):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.json").write_text(json.dumps(rivals(2) | change))
    with pytest.raises(BadInput) as refused:
        answer(task, "cocogen", "bad.json")
    assert str(refused.value).startswith(f"bad.json: {line}")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("token", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("field", ["data_size", "competition_intensity", "synthetic_volume_cap"])
def test_numbers_that_are_none_are_refused_with_their_place(tmp_path, capsys, token, field):
    bad = {"data_size": ["?", 1.0], "competition_intensity": [["?", 1], [1, 0]], "synthetic_volume_cap": "?"}[field]
    file = tmp_path / "bad.json"
    file.write_text(json.dumps(rivals(2) | {field: bad}).replace('"?"', token))
    assert main(["solve", "cocogen", str(file)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"{file}: {field}")
    assert f"{token}: expected a" in printed.err
    assert printed.err.count("\n") == 1


@pytest.mark.parametrize("missing", ["data_size", "emd", "competition_intensity", "volume_scale"])
def test_what_has_no_default_must_be_given(tmp_path, missing):
    instance = rivals()
    del instance[missing]
    file = tmp_path / "bad.json"
    file.write_text(json.dumps(instance))
    with pytest.raises(BadInput, match=f"{missing}: expected a value"):
        answer("solve", "cocogen", str(file))
