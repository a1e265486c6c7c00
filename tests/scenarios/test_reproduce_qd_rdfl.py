"""The experiments of QD-RDFL, played once quickly on digits: tables, pictures, verdicts, and what is behind them."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize_scalar

from market.qd_rdfl.equilibrium import Market, solve
from scenarios.cli import main
from scenarios.reproduce import find_system
from scenarios.reproduce.qd_rdfl import accuracy, comparison, living, matching, misreports, noise, sweeps
from scenarios.reproduce.qd_rdfl.draws import STREAMS, noise_levels, qualities
from scenarios.reproduce.study import Options

QUICK = Options("digits", quick=True)
NAMES = ["comparison", "sweeps", "ablation", "matching", "noise", "misreports", "adjustment_round"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """What the command leaves."""
    out = tmp_path_factory.mktemp("reproduced") / "out"
    assert main(["reproduce", "qd-rdfl", "--quick", "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def tables(folder) -> dict[str, pd.DataFrame]:
    return {name: pd.read_csv(folder / f"{name}.csv") for name in NAMES}


def number_of(table: pd.DataFrame, **key: object) -> pd.Series:
    rows = table
    for column, value in key.items():
        rows = rows[rows[column] == value]
    assert len(rows) == 1, key
    return rows.iloc[0]


# ---- what the command leaves ----------------------------------------------------------------------------------------


def test_there_is_a_table_and_a_picture_of_each_study_and_one_page(folder) -> None:
    wanted = {"reproduce.html", *(f"{name}.{kind}" for name in NAMES for kind in ("csv", "png"))}
    assert {entry.name for entry in folder.iterdir()} == wanted
    assert all((folder / f"{name}.png").read_bytes().startswith(b"\x89PNG") for name in NAMES)


def test_the_page_holds_everything_and_loads_nothing(folder, tables) -> None:
    page = (folder / "reproduce.html").read_text()
    assert page.count("data:image/png;base64,") == len(NAMES)
    assert not re.search(r"(?:src|href)=\"(?!data:|#)", page)
    assert "selects on test data" in page
    for word in ("reproduced", "differs", "not comparable"):
        count = sum((table["verdict"] == word).sum() for table in tables.values())
        assert f"<dt>{word}</dt><dd>{count}</dd>" in page


def test_every_row_has_a_verdict_and_says_why(tables) -> None:
    for table in tables.values():
        assert set(table["verdict"]) <= {"reproduced", "differs", "not comparable"}
        assert table["why"].str.len().min() > 0
        assert table["found"].notna().all()
        gaps = table.dropna(subset=["published"])
        np.testing.assert_allclose(gaps["gap"], gaps["found"] - gaps["published"], atol=1e-8)


@pytest.mark.parametrize("name", ["comparison", "sweeps", "matching", "noise", "misreports"])
def test_a_study_played_again_gives_the_same_bytes(name: str, folder) -> None:
    place = NAMES.index(name)
    again = find_system("qd-rdfl").studies[place](QUICK)
    assert again.name == name
    assert again.as_csv().encode() == (folder / f"{name}.csv").read_bytes()


# ---- static studies -------------------------------------------------------------------------------------------------


def test_the_published_log_lies_within_two_deviations_of_our_draws(tables) -> None:
    table = tables["comparison"]
    ours = table[(table["mode"] == "foc") & table["method"].isin(["QD-RDFL", "FIXED"])]
    assert len(ours) == 24
    assert (ours["verdict"] == "reproduced").all()
    assert (table[table["method"] == "RANDOM"]["verdict"] == "not comparable").all()


def test_both_modes_agree_where_nobody_stays_out_and_part_where_many_do(tables) -> None:
    table = tables["comparison"].set_index(["mode", "quantity", "method", "owners"])["found"]
    assert table["foc", "U_s", "QD-RDFL", 10] == pytest.approx(table["active_set", "U_s", "QD-RDFL", 10], abs=1e-4)
    assert table["active_set", "U_s", "QD-RDFL", 60] > table["foc", "U_s", "QD-RDFL", 60] + 0.01


@pytest.mark.parametrize(("size", "expected", "deviation"), [(10, 0.582, 0.012), (60, 0.713, 0.006)])
def test_2000_draws_meet_the_reference_figures(size: int, expected: float, deviation: float) -> None:
    lots = STREAMS.uniform("lot", 0, np.arange(2000))
    values = comparison.utilities("foc", qualities(2000, size), lots)[0, :, 0]
    assert values.mean() == pytest.approx(expected, abs=0.0015)
    assert values.std() == pytest.approx(deviation, abs=0.001)


def test_exact_numbers_are_met_to_their_last_digit(tables) -> None:
    exact = tables["sweeps"][tables["sweeps"]["owners"] == "exact"]
    assert len(exact) == 20
    assert (exact["verdict"] == "reproduced").all()
    assert exact["gap"].abs().max() < 1e-5


def test_the_recovered_market_has_the_published_peaks() -> None:
    market = sweeps.recovered(0.5710, 0.00663)
    assert market.found.utility_model_owner == pytest.approx(0.5710, abs=1e-10)
    peak = minimize_scalar(lambda x: -market.own_utility(np.array([x]))[0], bounds=(0, 1), options={"xatol": 1e-10})
    assert -peak.fun == pytest.approx(0.00663, abs=1e-10)
    assert peak.x == pytest.approx(market.found.contribution[0], abs=1e-5)
    # By hand: U_s = A ln(A kappa) - A + 1 / kappa gives kappa, U_0 = reward (1 - kappa / f_0)^2 gives f_0.
    kappa = 9 / (1 / market.quality).sum()
    assert 2.5 * np.log(2.5 * kappa) - 2.5 + 1 / kappa == pytest.approx(0.5710, abs=1e-10)
    assert market.quality[0] == pytest.approx(kappa / (1 - np.sqrt(0.00663 / (2.5 - 1 / kappa))), abs=1e-9)


def test_without_enough_revenue_nobody_trades(tables) -> None:
    table = tables["sweeps"]
    assert number_of(table, quantity="U_s at alpha = 2")["found"] == 0.0
    assert number_of(table, quantity="U_s at alpha = 3")["found"] > 0.0


def test_a_center_earns_its_share_of_what_its_owner_contributes() -> None:
    utility, blocked = matching.center_utilities(np.ones((1, 10)))
    np.testing.assert_allclose(utility[0], 0.125 * (1 - matching.FACTORS), atol=1e-12)
    assert blocked == 0


def test_dearer_centers_earn_less_and_the_dearest_nothing(tables) -> None:
    table = tables["matching"]
    drawn = table[(table["owners"] == "drawn owners") & (table["quantity"] == "U_m")]["found"].to_numpy()
    assert (np.diff(drawn) < 0).all()
    assert drawn[-1] == 0.0
    assert (table[table["quantity"] == "blocking pairs"]["found"] == 0).all()


# ---- misreports -----------------------------------------------------------------------------------------------------


def test_a_lone_liar_gains_what_solving_both_markets_says() -> None:
    levels = noise_levels(3, 10)
    believed, true, liar = misreports.changes_by_lies(levels, 1, 0.6)
    for draw, power in enumerate(levels**2):
        raw = {"honest": 1 - power, "lied": 1 - power * np.where(np.arange(10) == 0, 0.4, 1.0)}
        scaled = {name: 0.9 + 0.1 * (f - f.min()) / np.ptp(f) for name, f in raw.items()}
        honest, lied = (solve(Market(scaled[name])) for name in ("honest", "lied"))
        assert liar[draw] == pytest.approx(lied.utility_owner[0] - honest.utility_owner[0], abs=1e-12)
        scored = 2.5 * np.log1p(scaled["honest"] @ lied.contribution) - lied.reward
        assert true[draw] == pytest.approx(scored - honest.utility_model_owner, abs=1e-12)
        assert believed[draw] == pytest.approx(lied.utility_model_owner - honest.utility_model_owner, abs=1e-12)


def test_the_same_lie_of_all_changes_nothing() -> None:
    np.testing.assert_allclose(misreports.changes_by_lies(noise_levels(20, 10), 10, 0.4), 0.0, atol=1e-12)


def test_a_liar_gains_over_its_honest_twin_only_until_it_is_measured(tables) -> None:
    played = tables["misreports"][tables["misreports"]["market"] == "played"].set_index("quantity")["found"]
    assert played["gain per round before measurement"] > 1e-3
    assert played["gain per round after measurement"] < 0


# ---- training -------------------------------------------------------------------------------------------------------


def short(**change: object) -> living.Setting:
    values = {"dataset": "iris", "device": "cpu", "rounds": 5, "seeds": 1, "model": "softmax", "learning_rate": 0.1}
    return living.Setting(**{**values, "train_limit": None, "test_limit": None, **change})


def test_before_the_measurement_both_arms_are_the_same_run() -> None:
    adjusted, static = (accuracy.courses_of(short(dataset="digits"), "fedavg", number)[0] for number in (2, -1))
    assert adjusted[:3].tolist() == static[:3].tolist()
    assert adjusted[3:].tolist() != static[3:].tolist()


def test_what_is_selected_on_the_test_data_never_falls_on_it() -> None:
    course = accuracy.courses_of(short(dataset="digits"), "sequential_accept", 2)[0]
    assert (np.diff(course) >= 0).all()


def test_the_gain_is_the_mean_difference_of_the_arms(tables) -> None:
    found = tables["ablation"].set_index(["noise", "aggregation", "adjustment"])["found"]
    assert len(found) == 14
    for case in itertools.product((1.0, 4.0), ("fedavg", "sequential_accept")):
        difference = found[*case, "with"] - found[*case, "without"]
        assert found[*case, "gain"] == pytest.approx(difference, abs=1e-6)


def test_everybody_trains_in_every_round() -> None:
    (rounds,) = living.played(living.market(short()), 1, "cpu", "rounds")
    assert rounds["arrived"].tolist() == [10] * 5


@pytest.mark.parametrize(
    ("dataset", "model"), [("digits", "softmax"), ("wine", "softmax"), ("markov_text", "char_lstm")]
)
def test_the_model_fits_the_data(dataset: str, model: str) -> None:
    where = living.setting(Options(dataset, quick=True))
    assert where.model == model
    scenario = living.market(short(dataset=dataset, model=model, rounds=1, train_limit=200, test_limit=50))
    (rounds,) = living.played(scenario, 1, "cpu", "rounds")
    assert 0.0 <= rounds["accuracy"].iloc[-1] <= 1.0


def test_a_fifth_of_the_owners_has_other_noise() -> None:
    assert noise.ARMS["less"] > noise.ARMS["unchanged"] > noise.ARMS["more"]
    drawn = {"name": "choice", "values": [0.0, 0.5], "weights": [0.2, 0.8]}
    shares = []
    for seed in range(1, 21):
        (owners,) = living.played(living.market(short(rounds=1), data={"quality": drawn}), seed, "cpu", "owners")
        shares.append((owners["quality"] == 0.0).mean())
    assert np.mean(shares) == pytest.approx(0.2, abs=0.06)
