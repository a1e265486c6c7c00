"""Privacy auction instances: what may stand in them, what comes out, and how a bad one is refused."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from market.privacy_auction.networks.shipped import weights_file
from scenarios.cli import main
from scenarios.errors import BadInput
from scenarios.instances import instance_kind
from scenarios.solving import answer

KIND = instance_kind("privacy-auction")
RESULT = ["epsilon", "payment", "utility", "total_payment", "social_welfare", "epsilon_share", "winners"]
RULES = [
    "pac",
    "pac_capped",
    "vcg",
    "csra",
    "all_in",
    "mfg_pricing",
    "first_best",
    "regretnet",
    "dm_regretnet",
    "mfg_regretnet",
]
EXAMPLE = {
    "rule": "pac",
    "valuation": [0.1, 0.2, 0.3, 0.4],
    "privacy_budget": [2, 0.4, 1.5, 3],
    "data_size": None,
    "budget": 1,
}


def an_auction(owners=8, seed=0, factor=0.5, **changes):
    """A random auction as an instance; the budget is that share of all that the owners' privacy costs them."""
    chance = np.random.default_rng(seed)
    valuation, cap = chance.uniform(0, 1, owners), chance.uniform(0.1, 5, owners)
    instance = {
        "rule": "mfg_regretnet",
        "valuation": valuation.tolist(),
        "privacy_budget": cap.tolist(),
        "budget": factor * float(valuation @ cap),
    }
    return instance | changes


def solved(**instance):
    return KIND.solve(KIND.schema.model_validate(instance))


def checked(**instance):
    return KIND.check(KIND.schema.model_validate(instance))


# ---- what comes out -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_prints_one_object_and_nothing_else(tmp_path, capsys, rule):
    file = tmp_path / "auction.json"
    file.write_text(json.dumps(EXAMPLE | {"rule": rule}))
    assert main(["solve", "privacy-auction", str(file)]) == 0
    printed = capsys.readouterr()
    result = json.loads(printed.out)
    assert printed.err == ""
    assert list(result) == RESULT
    assert result["total_payment"] == pytest.approx(sum(result["payment"]))
    assert result["social_welfare"] == pytest.approx(sum(result["utility"]))
    assert result["epsilon_share"] == pytest.approx(sum(result["epsilon"]) / 6.9)
    assert result["winners"] == [owner for owner, sold in enumerate(result["epsilon"]) if sold > 0]


def test_the_worked_example_of_pac():
    result = solved(**EXAMPLE)
    assert result["epsilon"] == [1, 1, 1, 0]
    assert result["payment"] == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0])
    assert result["winners"] == [0, 1, 2]


def test_a_check_prints_the_outcome_and_what_was_measured(tmp_path, capsys):
    file = tmp_path / "auction.json"
    file.write_text(json.dumps(EXAMPLE))
    assert main(["check", "privacy-auction", str(file)]) == 0
    result = json.loads(capsys.readouterr().out)
    assert list(result) == [
        *RESULT,
        "individual_rationality",
        "regret",
        "budget_feasible",
        "caps_respected",
        "cap_violations",
        "budget_utilisation",
        "server_value",
        "total_surplus",
        "first_best_epsilon_share",
    ]
    assert result["individual_rationality"] == {"count": 0, "worst": min(result["utility"])}
    assert result["regret"] == {
        "mean": 0.0,
        "max": 0.0,
        "mean_gain": 0.0,
        "max_gain": 0.0,
        "mean_cost": pytest.approx(0.15),
        "owners": 4,
    }
    assert (result["budget_feasible"], result["caps_respected"], result["cap_violations"]) == (True, False, 1)
    assert result["first_best_epsilon_share"] == pytest.approx(4.575 / 6.9)
    assert result["server_value"] == pytest.approx(1.93 * math.log2(1 + 3 / 6.9))
    assert result["total_surplus"] == pytest.approx(result["server_value"] - (0.1 + 0.2 + 0.3))


def test_the_check_shows_where_each_rule_fails():
    pricing = checked(**EXAMPLE | {"rule": "mfg_pricing"})
    assert pricing["individual_rationality"]["count"] == 3
    assert pricing["regret"]["max"] >= pricing["regret"]["mean"] > 0.1
    assert pricing["caps_respected"]
    csra = checked(**EXAMPLE | {"rule": "csra"})
    assert csra["regret"]["mean"] == pytest.approx(csra["regret"]["mean_gain"] / csra["regret"]["mean_cost"])
    assert csra["regret"]["mean"] > 0.1
    assert not csra["caps_respected"]


def test_the_trained_auction_passes_its_check_at_every_budget():
    for factor in (0.2, 1.0, 2.0):
        result = checked(**an_auction(10, factor=factor))
        assert result["individual_rationality"]["count"] == 0
        assert result["individual_rationality"]["worst"] >= 0
        assert result["budget_feasible"]
        assert result["total_payment"] <= an_auction(10, factor=factor)["budget"]
        assert result["caps_respected"]
        assert 0 < result["epsilon_share"] <= result["first_best_epsilon_share"]


def test_sizes_matter_to_the_rules_that_read_them_alone():
    sizes = [1.0, 5.0, 2.0, 9.0, 1.0, 1.0, 3.0, 2.0]
    for rule in RULES:
        result, alike = (
            solved(**an_auction(rule=rule, data_size=data_size)) for data_size in (sizes, [1.0] * len(sizes))
        )
        assert (result != alike) == (rule in ("csra", "all_in"))
        assert alike == solved(**an_auction(rule=rule))


def test_csra_pays_for_what_it_buys_where_asked_to():
    result = checked(**EXAMPLE | {"rule": "csra", "allocation": "declared"})
    assert result["epsilon"] == [2, 0.4, 0, 0]
    assert result["payment"] == pytest.approx([0.6, 0.12, 0, 0])
    assert result["caps_respected"]
    assert solved(**EXAMPLE | {"rule": "csra", "allocation": "as_coded"}) == solved(**EXAMPLE | {"rule": "csra"})


def test_mfg_regretnet_has_three_parametrisations():
    found = {mode: solved(**an_auction(parametrisation=mode)) for mode in ("equivariant", "free_markup", "paper")}
    assert found["equivariant"] == solved(**an_auction())
    assert len({tuple(result["payment"]) for result in found.values()}) == 3
    bought = np.array(found["paper"]["epsilon"]) / np.array(an_auction()["privacy_budget"])
    assert bought.sum() <= 1 + 1e-6


def test_weights_of_one_s_own_take_the_place_of_the_shipped_ones(tmp_path):
    copy = tmp_path / "mine.safetensors"
    copy.write_bytes(weights_file("mfg_regretnet").read_bytes())
    assert checked(**an_auction(weights=str(copy))) == checked(**an_auction())


@pytest.mark.parametrize("rule", RULES)
def test_one_owner_alone_and_owners_who_want_nothing_give_finite_results(rule):
    for valuation in ([0.5], [0.0], [0.0, 0.0, 0.0]):
        instance = {"rule": rule, "valuation": valuation, "privacy_budget": [1.0] * len(valuation), "budget": 1.0}
        result = checked(**instance)
        json.dumps(result, allow_nan=False)
        assert result["budget_feasible"]


@pytest.mark.parametrize("rule", RULES)
def test_the_largest_and_smallest_numbers_that_are_taken_give_finite_results(rule):
    extremes = [[1e15, 0.0, 1e-9, 1e15], [1e-9, 1e9, 1e9, 1e9], [1e-6, 1e12, 1.0, 1e12]]
    for budget in (1e-9, 1e15):
        instance = dict(zip(("valuation", "privacy_budget", "data_size"), extremes, strict=True))
        json.dumps(checked(rule=rule, budget=budget, **instance), allow_nan=False)


# ---- refusals -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"valuation": [0.5, -1.0]}, "valuation.1: -1.0: expected a number from 0 to 1e+15"),
        ({"valuation": []}, "valuation: []: expected at least 1 in the list"),
        ({"valuation": [0.5, None]}, "valuation.1: null: expected a number"),
        ({"valuation": [0.5, "0.5"]}, "valuation.1: 0.5: expected a number"),
        ({"privacy_budget": [1.0]}, "privacy_budget: 1 value: expected 2, one per owner"),
        ({"privacy_budget": [1.0, 0.0]}, "privacy_budget.1: 0.0: expected a number from 1e-09 to 1e+09"),
        ({"data_size": [1.0, 2.0, 3.0]}, "data_size: 3 values: expected 2, one per owner"),
        ({"data_size": [1.0, 0.0]}, "data_size.1: 0.0: expected a number from 1e-06 to 1e+12"),
        ({"budget": 0.0}, "budget: 0.0: expected a number from 1e-09 to 1e+15"),
        ({"budget": -3.0}, "budget: -3.0: expected a number from 1e-09 to 1e+15"),
        ({"rule": "mfg_regret"}, "rule: mfg_regret: expected 'pac', 'pac_capped', 'vcg'"),
        ({"rule": "pac", "weights": "x"}, "weights: x: not an option of rule pac, only of regretnet"),
        ({"allocation": "declared"}, "allocation: declared: not an option of rule mfg_regretnet, only of csra"),
        ({"weights": "nowhere.safetensors"}, "weights: nowhere.safetensors: cannot be read"),
        ({"weights": "bad.json"}, "weights: bad.json: not a safetensors file"),
        ({"valuations": [1.0]}, "valuations: [1.0]: unknown key, did you mean 'valuation'?"),
    ],
)
@pytest.mark.parametrize("task", ["solve", "check"])
def test_a_bad_instance_is_refused_in_one_line(tmp_path, monkeypatch, task, change, line):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.json").write_text(json.dumps(an_auction(2) | change))
    with pytest.raises(BadInput) as refused:
        answer(task, "privacy-auction", "bad.json")
    assert str(refused.value).startswith(f"bad.json: {line}")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("token", ["NaN", "Infinity"])
def test_numbers_that_are_none_are_refused_with_their_place(tmp_path, capsys, token):
    file = tmp_path / "bad.json"
    file.write_text(json.dumps(EXAMPLE).replace("[0.1,", f"[{token},"))
    assert main(["solve", "privacy-auction", str(file)]) == 2
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", f"{file}: valuation.0: {token}: expected a number\n")


def test_weights_of_another_network_are_refused(tmp_path):
    copy = tmp_path / "mine.safetensors"
    copy.write_bytes(weights_file("regretnet").read_bytes())
    (tmp_path / "bad.json").write_text(json.dumps(an_auction(2, weights=str(copy))))
    with pytest.raises(BadInput, match=r"weights of regretnet, not of mfg_regretnet"):
        answer("solve", "privacy-auction", str(tmp_path / "bad.json"))
