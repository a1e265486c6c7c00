"""The questions of the privacy auction, played as small as can be: tables, verdicts, and what must hold in them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from market.privacy_auction import RULES, Bids, Sale
from scenarios.cli import main
from scenarios.reproduce import find_system
from scenarios.reproduce.privacy_auction import accuracy, budgets, inversion, mean_field, regret, robustness, scaling
from scenarios.reproduce.privacy_auction import training as private_training
from scenarios.reproduce.privacy_auction.markets import FIELD, GIVEN_AWAY, drawn, estimate, market, total_cost
from scenarios.reproduce.privacy_auction.training import TERMS, Bench, Setting, spent

NAMES = [
    "budget_factors", "paper_budgets", "regret", "robustness", "mean_field", "scaling", "accuracy_by_epsilon",
    "accuracy_by_rule", "inversion",
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """What the command leaves, at the smallest scale."""
    out = tmp_path_factory.mktemp("reproduced") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(budgets, "markets_played", lambda quick: 4)
        patch.setattr(budgets, "QUICK_FACTORS", (0.6, 2.0))
        patch.setattr(regret, "QUICK", regret.Scale(2, (5, 10), (0.6, 1.0), (0.6,)))
        patch.setattr(robustness, "OWNERS", 10)
        patch.setattr(robustness, "RINGS", (2, 5))
        patch.setattr(mean_field, "QUICK", mean_field.Scale((10, 100, 1000), 8))
        patch.setattr(scaling, "QUICK", scaling.Scale((5, 1_000, 10_000), (200, 400)))
        patch.setattr(private_training, "OWNERS", 6)
        patch.setattr(private_training, "REPETITIONS", 2)
        patch.setattr(accuracy, "REPETITIONS", 2)
        patch.setattr(accuracy, "EPSILONS", (5.0, 1e4))
        patch.setattr(inversion, "REPETITIONS", 2)
        patch.setattr(inversion, "SAMPLES", 4)
        assert main(["reproduce", "privacy-auction", "--quick", "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def tables(folder) -> dict[str, pd.DataFrame]:
    return {name: pd.read_csv(folder / f"{name}.csv", dtype={"budget factor": str, "owners": str}) for name in NAMES}


def found(table: pd.DataFrame, **key: object) -> pd.Series:
    """What was found in the rows with this key."""
    for column, value in key.items():
        table = table[table[column.replace("_", " ")] == value]
    assert len(table) > 0, key
    return table["found"]


def verdicts(table: pd.DataFrame, **key: object) -> set[str]:
    return set(table.loc[found(table, **key).index, "verdict"])


# ---- what the command leaves ----------------------------------------------------------------------------------------


def test_there_is_a_table_and_a_picture_of_each_study_and_one_page(folder) -> None:
    wanted = {"reproduce.html", *(f"{name}.{kind}" for name in NAMES for kind in ("csv", "png"))}
    assert {entry.name for entry in folder.iterdir()} == wanted
    assert len(find_system("privacy_auction").studies) == len(NAMES)


def test_every_row_has_a_number_a_verdict_and_a_reason(tables) -> None:
    for table in tables.values():
        assert np.isfinite(table["found"]).all()
        assert set(table["verdict"]) <= {"reproduced", "differs", "not comparable"}
        assert table["why"].str.len().min() > 0


# ---- what is bought -------------------------------------------------------------------------------------------------


def test_no_rule_within_caps_and_budget_buys_more_than_the_first_best(tables) -> None:
    table = tables["budget_factors"]
    for factor in ("0.6", "2"):
        ceiling = found(table, budget_factor=factor, rule="first_best", quantity=budgets.SHARE).item()
        for name in ("pac_capped", "csra_declared", "all_in", "mfg_regretnet", "mfg_regretnet_free_markup"):
            assert found(table, budget_factor=factor, rule=name, quantity=budgets.CAPS).item() == 0.0
            assert found(table, budget_factor=factor, rule=name, quantity=budgets.SHARE).item() <= ceiling + 1e-7


def test_the_welfare_trap_has_the_highest_welfare_and_buys_nothing(tables) -> None:
    table = tables["budget_factors"]
    welfare = table[(table["quantity"] == budgets.WELFARE_OF) & (table["budget factor"] == "2")]
    assert welfare.loc[welfare["found"].idxmax(), "rule"] == GIVEN_AWAY
    assert "trap" in welfare.loc[welfare["found"].idxmax(), "why"]
    for quantity in (budgets.SHARE, budgets.VALUE_OF, budgets.SURPLUS_OF):
        assert (found(table, rule=GIVEN_AWAY, quantity=quantity) == 0.0).all()


def test_the_trained_auction_breaks_nothing_and_the_published_code_breaks_caps(tables) -> None:
    for quantity in (budgets.LOSERS, budgets.CAPS, budgets.OVERSPENT):
        assert verdicts(tables["budget_factors"], rule="mfg_regretnet", quantity=quantity) == {"reproduced"}
    for name in ("pac", "vcg", "csra"):
        key = {"types": "uniform", "budget": "50.0", "rule": name, "quantity": budgets.CAPS}
        table = tables["paper_budgets"].replace({"budget": {"50": "50.0"}})
        assert found(table, **key).item() > 0.0


def test_the_papers_budget_of_50_never_binds_and_gives_its_welfare_of_mfg_pricing(tables) -> None:
    table = tables["paper_budgets"].replace({"budget": {"50": "50.0"}})
    uniform = table[table["types"] == "uniform"]
    assert found(uniform, budget="50.0", quantity="budgets that bind (%)").item() == 0.0
    cost = found(uniform, quantity="cost of everything (money)").item()
    welfare = found(uniform, budget="50.0", rule="mfg_pricing", quantity="social welfare (money)").item()
    assert welfare + cost == pytest.approx(50.0, abs=1e-6)


# ---- lies -----------------------------------------------------------------------------------------------------------


def test_lies_gain_nothing_under_pac_and_much_under_pay_what_it_costs(tables) -> None:
    table = tables["regret"]
    for name in ("pac", "vcg"):
        assert verdicts(table, rule=name, quantity=regret.MEAN) == {"reproduced"}
    assert found(table, rule="first_best", quantity=regret.MEAN).item() > 10.0


def test_lies_gain_less_than_a_hundredth_under_the_trained_auction(tables) -> None:
    assert found(tables["regret"], owners="10", rule="mfg_regretnet", quantity=regret.MEAN).max() < 1.0


def test_a_ring_of_one_is_a_single_liar_and_no_ring_loses() -> None:
    truth = market(0, 6, 0.6)
    rule = FIELD["first_best"]
    alone = [
        robustness.gain_of(rule, truth, robustness.saying(truth.bids, [2], factor, share), [2])
        for factor in robustness.FACTORS for share in robustness.CAP_SHARES
    ]  # fmt: skip
    assert robustness.ring_gain(rule, truth, [2]) == pytest.approx(max(0.0, *alone))
    assert robustness.ring_gain(FIELD[GIVEN_AWAY], truth, [0, 1]) == 0.0


def test_what_a_liar_says_changes_its_own_row_only() -> None:
    bids = drawn(1, 5)
    said = robustness.saying(bids, [3], 1.5, 0.5)
    changed = np.flatnonzero((said.valuation != bids.valuation) | (said.privacy_budget != bids.privacy_budget))
    assert changed.tolist() == [3]
    assert said.valuation[3] == 1.5 * bids.valuation[3]
    assert said.privacy_budget[3] == 0.5 * bids.privacy_budget[3]


# ---- size -----------------------------------------------------------------------------------------------------------


def test_the_limit_of_the_payment_is_that_of_a_very_large_market() -> None:
    """Against a market with types on a fine even grid, far from the places of the quadrature."""
    side = 600
    place = (np.arange(side) + 0.5) / side
    valuation, cap = (axis.ravel() for axis in np.meshgrid(place, 0.1 + 4.9 * place))
    valuation, cap = np.append(mean_field.OWN_VALUATION, valuation), np.append(mean_field.OWN_CAP, cap)
    budget = mean_field.FACTOR * 0.5 * 2.55 * len(cap)
    sale = RULES["mfg_regretnet"](Bids.of_equals(valuation, cap), budget)
    limit = mean_field.limit_payment(mean_field.shipped("mfg_regretnet"))
    assert limit == pytest.approx(float(sale.payment[0]), rel=1e-4)


def test_a_sweep_finds_who_could_do_better() -> None:
    bids, budget = market(0, 10, 0.6)
    assert scaling.best_responses(RULES["pac"], bids, budget) == 0

    def pay_as_bid(said: Bids, money: float) -> Sale:
        return Sale(np.ones(len(said)), said.valuation.copy())

    assert scaling.best_responses(pay_as_bid, bids, budget) == 10


def test_slopes_are_fitted_to_large_sizes() -> None:
    sizes = (10, 1_000, 10_000, 100_000)
    assert scaling.fitted(sizes, [[1.0], [1.0], [10.0], [100.0]]) == pytest.approx(1.0)


# ---- privacy --------------------------------------------------------------------------------------------------------


def test_a_private_training_learns_with_much_epsilon_and_not_with_little() -> None:
    bench = Bench(Setting("digits", 6, 8, None, None), seed=1)
    none, much, little = (bench.accuracy(epsilon) for epsilon in (None, np.full(6, 1e6), np.full(6, 0.1)))
    assert none > 60.0
    assert much > 40.0 > little


def test_owners_that_sell_nothing_take_no_part() -> None:
    bench = Bench(Setting("digits", 4, 1, None, None), seed=1)
    untrained = bench.accuracy(np.zeros(4))
    assert untrained < 30.0
    assert bench.accuracy(np.array([1e6, 0.0, 0.0, 0.0])) != untrained


def test_rounds_add_up_to_the_reference_value() -> None:
    """Fifty rounds of epsilon 1 at delta 1e-5 cost 10.9 by the plain conversion, and somewhat less by a better one."""
    assert TERMS.delta == 1e-5
    assert 9.0 < spent(1.0, 50) < 10.9


def test_matched_epsilon_has_the_mean_of_the_privacy_budgets() -> None:
    bids = drawn(0, 8)
    epsilon = np.array([0.0, 1.0, 2.0, 0.0, 0.5, 0.0, 0.0, 0.0])
    assert accuracy.matched(epsilon, bids).mean() == pytest.approx(bids.privacy_budget.mean())
    assert not accuracy.matched(np.zeros(8), bids).any()


def test_inversion_errors_rise_with_noise(tables) -> None:
    table = tables["inversion"]
    assert found(table, attack="exact", against="noise", quantity="trend").item() == 1.0


# ---- means ----------------------------------------------------------------------------------------------------------


def test_intervals_are_those_of_student() -> None:
    values = [1.0, 2.0, 4.0, 4.5, 7.0]
    low, high = stats.t.interval(0.95, 4, loc=np.mean(values), scale=stats.sem(values))
    got = estimate(values)
    assert (got.mean - got.half_width, got.mean + got.half_width) == pytest.approx((low, high))
    assert got.says() == f"95 % interval {low:.4g} to {high:.4g}"


def test_markets_are_the_same_in_every_study_and_differ_by_number() -> None:
    one, again, other = drawn(3, 10), drawn(3, 10), drawn(4, 10)
    assert np.array_equal(one.valuation, again.valuation)
    assert not np.array_equal(one.valuation, other.valuation)
    bids, budget = market(3, 10, 0.4)
    assert budget == pytest.approx(0.4 * total_cost(bids))
    assert math.isclose(total_cost(bids), sum(bids.valuation * bids.privacy_budget))


def test_accuracy_rises_unless_it_falls_beyond_its_interval() -> None:
    assert accuracy.rises([[1.0, 2.0, 3.0], [1.5, 1.8, 3.1], [4.0, 5.0, 6.0]])
    assert not accuracy.rises([[10.0, 11.0, 12.0], [5.0, 6.1, 7.0]])


def test_nothing_is_played_with_data_that_are_not_there(tmp_path, monkeypatch, capfd) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["reproduce", "privacy-auction", "--dataset", "missing.npz"]) == 2
    assert "missing.npz" in capfd.readouterr().err
