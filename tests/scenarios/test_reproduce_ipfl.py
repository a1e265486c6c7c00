"""The experiments of iPFL, played once as small as can be: tables, pictures, verdicts, and what must hold in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scenarios.cli import main
from scenarios.reproduce import find_system
from scenarios.reproduce.ipfl import drift, instructions, lies, living, living_lies, waiting
from scenarios.reproduce.ipfl.living import Scale
from scenarios.reproduce.ipfl.published import INSTRUCTED, METHODS
from scenarios.reproduce.study import Options

TINY = Scale(rounds=4, seeds=1, samples=400, text=120, small=True)
TUNED = Scale(rounds=1, seeds=1, samples=160, text=40, small=True)
QUICK = Options("digits", quick=True)
NAMES = [
    "identities", "settings", "instructions", "attacks", "inclusive", "dropout", "static_lies", "living_lies",
    "waiting", "drift", "riders",
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """What the command leaves, at the smallest scale."""
    out = tmp_path_factory.mktemp("reproduced") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(living, "QUICK", TINY)
        patch.setattr(instructions, "QUICK", {instructions.MIX: TUNED, instructions.CODE: TUNED})
        patch.setattr(living_lies, "SEEDS", 1)
        patch.setattr(lies, "MARKETS", 25)
        patch.setattr(drift, "QUICK_ROUNDS", 40)
        assert main(["reproduce", "ipfl", "--quick", "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def tables(folder) -> dict[str, pd.DataFrame]:
    return {name: pd.read_csv(folder / f"{name}.csv", dtype={"factor": str}) for name in NAMES}


def found(table: pd.DataFrame, **key: object) -> pd.Series:
    """What was found in the rows with this key."""
    for column, value in key.items():
        table = table[table[column.replace("_", " ")] == value]
    assert len(table) > 0, key
    return table["found"]


# ---- what the command leaves ----------------------------------------------------------------------------------------


def test_there_is_a_table_and_a_picture_of_each_study_and_one_page(folder) -> None:
    wanted = {"reproduce.html", *(f"{name}.{kind}" for name in NAMES for kind in ("csv", "png"))}
    assert {entry.name for entry in folder.iterdir()} == wanted


def test_every_row_has_a_number_a_verdict_and_a_reason(tables) -> None:
    for table in tables.values():
        assert set(table["verdict"]) <= {"reproduced", "differs", "not comparable"}
        assert table["why"].str.len().min() > 0
        assert table["found"].notna().all()


def test_a_study_played_again_gives_the_same_bytes(folder) -> None:
    again = waiting.waiting(QUICK, TINY)
    assert again.as_csv().encode() == (folder / "waiting.csv").read_bytes()


def test_studies_stand_in_the_order_of_the_page() -> None:
    assert len(find_system("ipfl").studies) == len(NAMES)


# ---- settings and methods -------------------------------------------------------------------------------------------


def test_nine_settings_are_played_with_nine_methods(tables) -> None:
    table = tables["settings"]
    counted = table[table["method"].isin(METHODS)].groupby(["setting", "method"]).size()
    assert len(counted) == 81
    assert set(counted) == {2}


def test_where_everybody_uses_everybody_the_published_utility_comes_out(tables) -> None:
    """CIFAR-10 Skew: equally much data everywhere, so the utility does not hang on what was trained."""
    table = tables["settings"]
    for method in ("FedAvg", "FedProx", "Ditto", "FedAMP"):
        rows = table[(table["setting"] == "CIFAR-10 Skew") & (table["method"] == method)]
        row = rows[rows["quantity"] == "utility"].iloc[0]
        assert row["found"] == pytest.approx(-108.11, abs=0.5)
        assert row["verdict"] == "reproduced"


def test_who_learns_alone_has_no_utility(tables) -> None:
    assert (found(tables["settings"], method="Local", quantity="utility") == 0.0).all()


def test_nobody_loses_by_being_in_the_market(tables) -> None:
    assert (found(tables["settings"], method="iPFL", quantity="utility") >= -1e-6).all()


def test_the_lead_is_over_the_best_other_method(tables) -> None:
    table = tables["settings"]
    shown = table[(table["setting"] == "PACS") & (table["quantity"] == "utility")].set_index("method")["found"]
    best = shown[[method for method in METHODS if method != "iPFL"]].max()
    for rule in ("iPFL", "iPFL, skip"):
        name = f"{rule}{',' * (rule != 'iPFL')} less the best other"
        lead = found(table, setting="PACS", method=name, quantity="utility").iloc[0]
        assert lead == pytest.approx(shown[rule] - best, abs=1e-6)


# ---- instruction tuning ---------------------------------------------------------------------------------------------


def test_both_tuning_settings_are_played_with_the_methods_of_the_papers_table(tables) -> None:
    table = tables["instructions"]
    accuracies = table[(table["quantity"] == "accuracy (%)") & table["method"].isin(INSTRUCTED)]
    counted = accuracies.groupby(["setting", "method"]).size()
    assert set(counted["Mix-Finance"]) == {3}
    assert set(counted["Code&Finance"]) == {2}
    assert {len(counted["Mix-Finance"]), len(counted["Code&Finance"])} == {7}
    assert accuracies["found"].between(0.0, 100.0).all()


def test_tuners_that_use_everybody_have_the_published_utility(tables) -> None:
    """Not exactly, because a few samples cannot be dealt out evenly."""
    for method in ("FedAvg", "FedProx"):
        utility = found(tables["instructions"], setting="Mix-Finance", method=method, quantity="utility")
        assert utility.iloc[0] == pytest.approx(50 * (10 - np.sqrt(2e4 / 1200) - 5), abs=0.2)


def test_tuners_that_buy_from_their_twin_have_twice_that(tables) -> None:
    rows = tables["instructions"].query("setting == 'Mix-Finance' and method == 'iPFL'").set_index("quantity")["found"]
    assert rows["owners that buy from their twin only, last round"] == 6.0
    assert rows["utility"] == pytest.approx(50 * (10 - np.sqrt(50) - 1), abs=0.2)


# ---- attackers, riders, liars ---------------------------------------------------------------------------------------


def test_every_attack_is_played_with_the_types_of_the_authors_code_and_with_own_ones(tables) -> None:
    kinds = tables["attacks"].groupby("attack")["attacker's type"].agg(set)
    assert kinds["shuffle"] == kinds["sign flip"] == {"pure seller", "own"}
    assert kinds["same value"] == kinds["random"] == {"own"}


def test_nobody_buys_random_weights(tables) -> None:
    sales = found(tables["attacks"], attack="random", method="iPFL", quantity="imports of the attacker's model")
    assert (sales == 0.0).all()


def test_peers_pay_attackers_that_ipfl_does_not(tables) -> None:
    """Ditto's graph is everybody, so an attacker without costs gains what sharing cost its honest twin."""
    change = found(tables["attacks"], attack="random", method="Ditto", quantity="attacker's utility")
    assert change.iloc[0] == pytest.approx(50 * 8, abs=1e-6)  # eight others imported it in each round


def test_riders_are_kept_out_by_a_large_lambda_and_not_by_a_small_one(tables) -> None:
    sales = tables["riders"].query("quantity == 'sales per round' and rider == 'random weights'")
    by_setting = sales.set_index("setting")["found"]
    assert by_setting["CIFAR-10 Skew"] == 0.0
    assert by_setting["Fashion-MNIST Skew"] > 0.0


def test_overstated_costs_never_pay_and_understated_ones_do(tables) -> None:
    table = tables["static_lies"].assign(factor=lambda rows: rows["factor"].astype(float))
    gainers = table[(table["report"] == "sharing_cost") & (table["quantity"] == "share who gain")]
    ours = gainers[gainers["rule"] == "ipfl"]
    assert (ours.loc[ours["factor"] > 1, "found"] == 0.0).all()
    assert ours.loc[ours["factor"] < 1, "found"].max() > 0.1
    others = gainers[gainers["rule"] != "ipfl"]
    assert (others["found"] == 0.0).all()


@pytest.mark.parametrize(("factor", "sign"), [("0.1", -1), ("0.5", -1), ("1.5", 1), ("2", 1), ("5", 1), ("100", -1)])
def test_moderately_overstated_sizes_pay_and_others_do_not(factor: str, sign: int, tables) -> None:
    means = found(tables["static_lies"], rule="ipfl", report="data_size", factor=factor, quantity="mean gain")
    assert (np.sign(means) == sign).all()


def test_lies_are_played_in_both_directions(tables) -> None:
    factors = tables["living_lies"].groupby("report")["factor"].agg(lambda column: set(column.astype(float)))
    assert all(min(values) < 1.0 < max(values) for values in factors)
    assert {0.1, 0.5, 10.0} <= factors["size"]
    assert {2.0, 5.0, 10.0} <= factors["sharing cost"]


# ---- roles, dropout, waiting ----------------------------------------------------------------------------------------


def test_in_the_inclusive_market_everybody_keeps_its_role(tables) -> None:
    table = tables["inclusive"]
    for subject, role in (("income", "buyer"), ("spending", "seller"), ("income", "attacker")):
        assert found(table, subject=subject, role=role).iloc[0] == 0.0
    nets = found(table, quantity="received less paid")
    assert len(nets) == 12
    assert abs(nets.sum()) < 1e-6


def test_nobody_leaves_the_market_and_some_leave_fedavg(tables) -> None:
    left = tables["dropout"].query("quantity == 'share that left'").set_index(["rule", "method"])["found"]
    assert left["strict", "iPFL"] == left["probabilistic", "iPFL"] == 0.0
    assert left["strict", "FedAvg"] > 0.0
    assert left["strict", "FedAvg"] >= left["probabilistic", "FedAvg"]
    assert (left["always pays"] == 0.0).all()


def test_owners_that_keep_what_paid_learn_to_inflate_their_data(tables) -> None:
    table = tables["drift"]
    sizes = table[table["quantity"] == "data size, claimed / true"]
    assert sorted(sizes["payment rule"]) == ["critical", "ipfl", "vcg"]
    assert (sizes["found"] > 1.0).all()


def test_waiting_pays_only_if_the_final_model_counts_and_no_fee_is_due(tables) -> None:
    worth = tables["waiting"].astype({"admission fee share": str})
    worth = worth.set_index(["joins", "admission fee share", "quantity"])["found"]
    early = {quantity: worth["at the start", "-", quantity] for quantity in ("final model", "per-round sum")}
    assert worth["halfway", "0", "final model"] > early["final model"]
    assert worth["halfway", "0", "per-round sum"] < early["per-round sum"]
    assert worth["halfway", "1", "final model"] < worth["halfway", "0.5", "final model"] < (
        worth["halfway", "0", "final model"]
    )  # fmt: skip


def test_what_latecomers_pay_the_incumbents_receive(tables) -> None:
    table = tables["waiting"]
    assert found(table, quantity="admission fee paid").max() > 0.0
    assert (found(table, quantity="fee paid less received by incumbents") == 0.0).all()
