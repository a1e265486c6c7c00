"""iPFL instances: what may stand in them, what comes out, and how a bad one is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

from market.ipfl import BundleTooHard
from scenarios.cli import main
from scenarios.errors import BadInput
from scenarios.instances import instance_kind
from scenarios.instances import ipfl as instances
from scenarios.solving import answer

KIND = instance_kind("ipfl")
RESULT = ["edges", "gain", "net_payment", "utility_client", "welfare", "balance"]
GAINS = ["cost_over_report_gain", "cost_under_report_gain", "size_report_gain", "gain_scale_report_gain"]
SKEW = {
    "gain_scale": [5e5] * 10,
    "data_size": [5000] * 10,
    "sharing_cost": [1] * 10,
    "model_distance": [[0.1] * 10] * 10,
    "dissimilarity_penalty": 2,
    "payment_rule": "ipfl",
}


def a_market(owners=8, seed=0, **changes):
    """A random market as an instance."""
    chance = np.random.default_rng(seed)
    distance = np.triu(chance.uniform(0.05, 0.6, (owners, owners)), 1)
    instance = {
        "gain_scale": chance.uniform(2.5e5, 5e5, owners).tolist(),
        "data_size": chance.uniform(500, 12000, owners).tolist(),
        "sharing_cost": chance.uniform(0.5, 1.5, owners).tolist(),
        "model_distance": (distance + distance.T).tolist(),
        "dissimilarity_penalty": 2,
        "payment_rule": "ipfl",
    }
    return instance | changes


def solved(**instance):
    return KIND.solve(KIND.schema.model_validate(instance))


def checked(**instance):
    return KIND.check(KIND.schema.model_validate(instance))


# ---- what comes out -----------------------------------------------------------------------------------------------


def test_the_command_prints_one_object_and_nothing_else(tmp_path, capsys):
    file = tmp_path / "skew.json"
    file.write_text(json.dumps(SKEW))
    assert main(["solve", "ipfl", str(file)]) == 0
    printed = capsys.readouterr()
    result = json.loads(printed.out)
    assert printed.err == ""
    assert list(result) == RESULT
    assert 50 * np.mean(result["utility_client"]) == pytest.approx(111.32, abs=0.01)
    assert result["edges"] == sorted(result["edges"])
    assert result["edges"][0] == [0, 1, pytest.approx(1.0976, abs=1e-4)]  # marginal gain 1.2976 less 0.2
    assert result["welfare"] == pytest.approx(sum(result["utility_client"]))
    assert result["balance"] == 0.0


def test_a_check_prints_the_outcome_and_what_was_measured(tmp_path, capsys):
    file = tmp_path / "market.json"
    file.write_text(json.dumps(a_market()))
    assert main(["check", "ipfl", str(file)]) == 0
    result = json.loads(capsys.readouterr().out)
    assert list(result) == [*RESULT, "individual_rationality", *GAINS, "one_flip_gain"]
    assert result["individual_rationality"] == {"count": 0, "worst": min(result["utility_client"])}
    for name in GAINS:
        assert set(result[name]) == {"largest", "share", "by_factor"}
        factors = result[name]["by_factor"]
        assert result[name]["largest"] == max(0.0, *(line["largest"] for line in factors))
        assert max(line["share"] for line in factors) <= result[name]["share"] <= 1
    assert result["cost_over_report_gain"]["largest"] <= 1e-6
    assert result["cost_over_report_gain"]["share"] == 0
    assert result["size_report_gain"]["largest"] > 0.1
    assert set(result["one_flip_gain"]) == {"largest", "share", "additions", "removals"}


def test_the_published_rule_invites_low_costs_and_the_other_two_do_not():
    found = {
        payment_rule: [
            checked(**a_market(seed=seed, payment_rule=payment_rule))["cost_under_report_gain"] for seed in range(5)
        ]
        for payment_rule in ("ipfl", "critical", "vcg")
    }
    assert max(gain["largest"] for gain in found["ipfl"]) > 1e-3
    assert max(gain["share"] for gain in found["ipfl"]) > 0
    assert all(gain["largest"] <= 1e-9 and gain["share"] == 0 for gain in found["critical"] + found["vcg"])


def test_the_check_shows_where_the_printed_stop_rule_is_not_locally_optimal():
    found = {
        stop_rule: [checked(**a_market(seed=seed, graph_stop_rule=stop_rule))["one_flip_gain"] for seed in range(8)]
        for stop_rule in ("break", "skip")
    }
    assert sum(flips["additions"] for flips in found["break"]) > 0
    assert all(flips["removals"] == 0 for flips in found["break"])
    assert all(flips == {"largest": 0.0, "share": 0.0, "additions": 0, "removals": 0} for flips in found["skip"])


def test_break_is_the_stop_rule_that_is_meant_when_none_is_given():
    assert solved(**a_market()) == solved(**a_market(graph_stop_rule="break"))


def test_null_is_an_owner_that_never_sells():
    instance = a_market()
    instance["sharing_cost"][2] = None
    result = checked(**instance)
    assert not [edge for edge in result["edges"] if edge[1] == 2]
    assert result["net_payment"][2] >= 0


def test_what_is_reported_makes_the_graph_and_the_truth_makes_the_utilities():
    instance = a_market()
    lies = [0.2 * cost for cost in instance["sharing_cost"]]
    said = solved(**instance, reported={"sharing_cost": lies})
    low = solved(**instance | {"sharing_cost": lies})
    assert said["edges"] == low["edges"] != solved(**instance)["edges"]
    sales = [sum(edge[1] == owner for edge in said["edges"]) for owner in range(8)]
    for owner in range(8):
        extra = sales[owner] * (instance["sharing_cost"][owner] - lies[owner])
        assert said["utility_client"][owner] == pytest.approx(low["utility_client"][owner] - extra)


def test_gains_are_from_true_sizes_though_the_graph_is_from_reported_ones():
    instance = a_market()
    sizes = [2.0 * instance["data_size"][0], *instance["data_size"][1:]]
    said = solved(**instance, reported={"data_size": sizes})
    assert said["edges"] == solved(**instance | {"data_size": sizes})["edges"]
    held, scale = np.array(instance["data_size"]), np.array(instance["gain_scale"])
    bought = np.zeros(8)
    for buyer, seller, _ in said["edges"]:
        bought[buyer] += held[seller]
    assert said["gain"] == pytest.approx((np.sqrt(scale / held) - np.sqrt(scale / (held + bought))).tolist())


def test_reporting_the_truth_changes_nothing():
    instance = a_market()
    truth = {name: instance[name] for name in ("gain_scale", "data_size", "sharing_cost")}
    assert checked(**instance, reported=truth) == checked(**instance)


def test_one_owner_alone_is_a_market_without_trade():
    result = checked(
        gain_scale=[5e5],
        data_size=[10],
        sharing_cost=[1],
        model_distance=[[0]],
        dissimilarity_penalty=1,
        payment_rule="vcg",
    )
    assert (result["edges"], result["utility_client"], result["balance"]) == ([], [0.0], 0.0)


@pytest.mark.parametrize("payment_rule", ["ipfl", "critical", "vcg"])
def test_the_largest_and_smallest_numbers_that_are_taken_give_finite_results(payment_rule):
    result = checked(
        gain_scale=[1e30, 1e30, 0],
        data_size=[1e-6, 1e12, 1e12],
        sharing_cost=[1e15, 0, None],
        model_distance=[[-1e308, 1e15, 0], [0, 0, 1], [0, 0, 1e15]],
        dissimilarity_penalty=1e15,
        payment_rule=payment_rule,
    )
    json.dumps(result, allow_nan=False)


# ---- refusals -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"model_distance": [[0, 1], [1, 0], [1, 1]]}, "model_distance: 3 values: expected 2, one per owner"),
        ({"model_distance": [[0, 1], [1]]}, "model_distance.1: 1 value: expected 2, one per owner"),
        ({"model_distance": [[0, -0.5], [1, 0]]}, "model_distance.0.1: -0.5: expected a number of at least 0"),
        ({"data_size": [100, -5]}, "data_size.1: -5.0: expected a number from 1e-06 to 1e+12"),
        ({"data_size": [100, 0.0]}, "data_size.1: 0.0: expected a number from 1e-06 to 1e+12"),
        ({"data_size": [100]}, "data_size: 1 value: expected 2, one per owner"),
        ({"sharing_cost": [1, 1, 1]}, "sharing_cost: 3 values: expected 2, one per owner"),
        ({"sharing_cost": [1, -1.0]}, "sharing_cost.1: -1.0: expected a number from 0 to 1e+15"),
        ({"gain_scale": [5e5, None]}, "gain_scale.1: null: expected a number"),
        ({"gain_scale": []}, "gain_scale: []: expected at least 1 in the list"),
        ({"gain_scale": [5e5, "5e5"]}, "gain_scale.1: 5e5: expected a number"),
        ({"payment_rule": "vgc"}, "payment_rule: vgc: expected 'ipfl', 'critical' or 'vcg', did you mean 'vcg'?"),
        ({"graph_stop_rule": "stop"}, "graph_stop_rule: stop: expected 'break' or 'skip'"),
        ({"dissimilarity_penalty": -1.0}, "dissimilarity_penalty: -1.0: expected a number from 0 to 1e+15"),
        ({"reported": {"data_size": [1.0]}}, "reported.data_size: 1 value: expected 2, one per owner"),
        ({"reported": {"cost": [1.0]}}, "reported.cost: [1.0]: unknown key"),
        (
            {"sharing_cost": [None, 1], "reported": {"sharing_cost": [0.5, 1]}},
            "reported.sharing_cost.0: 0.5: expected null, as the sharing_cost of this owner is null",
        ),
        ({"lambda": 2}, "lambda: 2: unknown key"),
    ],
)
@pytest.mark.parametrize("task", ["solve", "check"])
def test_a_bad_instance_is_refused_in_one_line(tmp_path, monkeypatch, task, change, line):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.json").write_text(json.dumps(a_market(2) | change))
    with pytest.raises(BadInput) as refused:
        answer(task, "ipfl", "bad.json")
    assert str(refused.value).startswith(f"bad.json: {line}")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("token", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_are_none_are_refused_with_their_place(tmp_path, capsys, token):
    file = tmp_path / "bad.json"
    file.write_text(json.dumps(SKEW).replace("[0.1, 0.1,", f"[0.1, {token},", 1))
    assert main(["solve", "ipfl", str(file)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == f"{file}: model_distance.0.1: {token}: expected a number\n"


def test_a_payment_rule_must_be_given(tmp_path):
    instance = a_market()
    del instance["payment_rule"]
    file = tmp_path / "bad.json"
    file.write_text(json.dumps(instance))
    with pytest.raises(BadInput, match="payment_rule: expected a value"):
        answer("solve", "ipfl", str(file))


def test_a_bundle_that_cannot_be_found_is_laid_to_the_payment_rule(tmp_path, monkeypatch):
    def too_hard(*_: object) -> None:
        raise BundleTooHard(70)

    monkeypatch.setattr(instances, "play_round", too_hard)
    file = tmp_path / "hard.json"
    file.write_text(json.dumps(a_market(payment_rule="vcg")))
    with pytest.raises(BadInput, match="payment_rule: vcg: the best bundle of 70 sellers cannot be found"):
        answer("solve", "ipfl", str(file))
