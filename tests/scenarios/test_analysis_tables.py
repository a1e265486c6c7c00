"""Cheating, detection, gains, inequality, regimes and small games, on made-up tables whose answer is known."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from market_runs import play, small
from scipy.optimize import minimize
from synthetic_run import make_folder

from scenarios import analysis
from scenarios.analysis.participation import band_width, participation_tables, run_windows, write_tables
from scenarios.cli import main
from scenarios.results import Run, open_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return open_run(make_folder(tmp_path_factory.mktemp("analysis") / "run"))


def drawn_intervals(effect: float, owners: int = 400, rounds: int = 40) -> pd.DataFrame:
    """Owners whose covariate changes every round and multiplies a hazard of 0.05 by exp(effect) per unit."""
    rng, rows = np.random.default_rng(5), []
    for owner in range(owners):
        for tenure in range(rounds):
            value = rng.normal()
            ended = rng.random() < 1 - np.exp(-0.05 * np.exp(effect * value))
            rows.append((owner, float(tenure), tenure + 1.0, ended, value))
            if ended:
                break
    return pd.DataFrame(rows, columns=["id", "start", "stop", "ended", "utility"])


def test_the_cox_model_finds_the_effect_of_a_covariate_that_changes_over_time() -> None:
    (effect,) = analysis.cox_exit(drawn_intervals(-0.7)).itertuples()
    assert np.log(effect.hazard_ratio) == pytest.approx(-0.7 * effect.sd, abs=0.12)
    assert effect.lower < np.exp(-0.7 * effect.sd) < effect.upper
    assert effect.p_value < 1e-6


def test_the_cox_model_is_the_maximum_of_its_partial_likelihood() -> None:
    """Efron's likelihood of ties, written out owner by owner and maximised by SciPy."""
    drawn = drawn_intervals(-0.7, owners=60, rounds=12)
    drawn = drawn.assign(reputation=np.random.default_rng(6).random(len(drawn)))
    values = drawn[["utility", "reputation"]].to_numpy()
    start, stop, ended = (drawn[name].to_numpy() for name in ("start", "stop", "ended"))

    def loss(effects: np.ndarray) -> float:
        total, risk = 0.0, np.exp(values @ effects)
        for time in np.unique(stop[ended]):
            dying = ended & (stop == time)
            there, theirs = risk[(start < time) & (stop >= time)].sum(), risk[dying].sum()
            total += float((values[dying] @ effects).sum())
            total -= sum(np.log(there - place / dying.sum() * theirs) for place in range(dying.sum()))
        return -total

    best = minimize(loss, np.zeros(2), tol=1e-9).x
    found = analysis.cox_exit(drawn)
    assert np.log(found["hazard_ratio"]).tolist() == pytest.approx((best * found["sd"]).tolist(), abs=1e-3)


def test_the_cox_model_finds_no_effect_where_there_is_none() -> None:
    (effect,) = analysis.cox_exit(drawn_intervals(0.0)).itertuples()
    assert effect.lower < 1 < effect.upper


def test_the_cox_model_says_why_it_cannot_be_fitted() -> None:
    intervals = drawn_intervals(0.0, owners=5)
    with pytest.raises(ValueError, match="nobody left"):
        analysis.cox_exit(intervals.assign(ended=False))
    with pytest.raises(ValueError, match="'utility' never differs"):
        analysis.cox_exit(intervals.assign(utility=1.0))


def test_every_exit_of_a_run_ends_one_interval_at_most(run: Run) -> None:
    intervals = analysis.exit_intervals(run, ["utility"])
    gone = run.episodes["exit_kind"].astype(str) != "censored"
    assert 0 < intervals["ended"].sum() <= gone.sum()
    assert intervals.groupby("id")["ended"].sum().max() == 1
    assert (intervals["stop"] == intervals["start"] + 1).all()


def test_covariates_over_time_need_a_complete_record(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(run.scenario, "recording", {"owners_every": 2})
    with pytest.raises(ValueError, match="all owners in all rounds"):
        analysis.exit_intervals(run, ["utility"])


def rounds(**columns: list[float]) -> pd.DataFrame:
    frame = pd.DataFrame(columns)
    return frame.assign(round=range(len(frame)))


def test_cooperation_is_the_share_of_uploads_that_were_trained() -> None:
    table = analysis.cooperation(rounds(arrived=[4, 0], free_riding=[1, 0], participants=[5, 0], lying=[2, 0]))
    assert table.loc[0, ["cooperation", "free_riding", "lying"]].tolist() == [0.75, 0.25, 0.4]
    assert table.loc[1, ["cooperation", "free_riding", "lying"]].isna().all()


def test_the_rates_of_audits_are_counted_with_their_uncertainty() -> None:
    counted = rounds(
        audited=[10, 10], flagged=[4, 5], true_positives=[4, 4], false_positives=[0, 1], false_negatives=[1, 1]
    )
    table = analysis.audit_rates(counted).set_index("rate")
    assert table.loc["true positive rate", "share"] == pytest.approx(8 / 10)
    assert table.loc["false positive rate", "share"] == pytest.approx(1 / 10)
    assert table.loc["precision", "share"] == pytest.approx(8 / 9)
    assert (table["lower"] < table["share"]).all()
    assert (table["share"] < table["upper"]).all()


def test_a_rate_of_nothing_is_not_a_number() -> None:
    nothing = rounds(audited=[0], flagged=[0], true_positives=[0], false_positives=[0], false_negatives=[0])
    assert analysis.audit_rates(nothing)["share"].isna().all()


def test_violators_are_found_after_their_first_violation_or_get_away(run: Run) -> None:
    spells = analysis.detection_spells(run)
    owners = run.owners[(run.owners["moment"] == "round") & run.owners["violation"]]
    assert sorted(spells["owner"]) == sorted(owners["owner"].unique())
    found = owners.loc[owners["flagged"], "owner"].unique()
    assert sorted(spells.loc[spells["cause"] == "detected", "owner"]) == sorted(found)
    assert (spells["exit"] >= spells["entry"]).all()


def test_the_gains_of_the_parties_add_up_to_welfare() -> None:
    table = analysis.welfare_by_party(play(small()).table("rounds")).set_index("party")["total"]
    assert table.drop("welfare").sum() == pytest.approx(table["welfare"])


def test_the_parts_of_utility_add_up_to_what_the_simulation_says() -> None:
    owners = play(small()).table("owners")
    present = owners[(owners["moment"] == "round") & ((owners["status"] == "active") | owners["took_part"])]
    means = present.groupby(present["strategy"].astype(str))["utility"].mean()
    pd.testing.assert_series_equal(analysis.utility_by_part(owners)["utility"], means, check_names=False)


def test_lorenz_curves_tell_equal_shares_from_one_owner_that_has_all() -> None:
    equal, one = analysis.lorenz([2, 2, 2, 2]), analysis.lorenz([0, 0, 0, 8])
    assert equal["total"].tolist() == pytest.approx([0, 0.25, 0.5, 0.75, 1])
    assert one["total"].tolist() == pytest.approx([0, 0, 0, 0, 1])
    with pytest.raises(ValueError, match="positive total"):
        analysis.lorenz([-1.0, 0.5, np.nan])


def test_the_gini_coefficient_is_twice_the_area_between_the_curve_and_equality(run: Run) -> None:
    final = run.owners[run.owners["moment"] == "final"]
    curve = analysis.lorenz(final["wallet"])
    area = np.trapezoid(curve["total"], curve["owners"])
    found = analysis.payoff_inequality(run.owners).set_index("what").loc["wallet", "gini"]
    assert found == pytest.approx(1 - 2 * area)


def test_the_gini_coefficient_is_the_mean_difference_of_two_owners_over_twice_the_mean() -> None:
    wallets = np.random.default_rng(2).lognormal(0, 1, 30)
    owners = pd.DataFrame({
        "moment": "final", "owner": range(30), "utility": 0.0, "wallet": wallets, "accuracy": np.nan
    })  # fmt: skip
    found = analysis.payoff_inequality(owners).set_index("what").loc["wallet", "gini"]
    apart = np.abs(wallets[:, None] - wallets[None, :]).mean()
    assert found == pytest.approx(apart / (2 * wallets.mean()))


def test_a_collapse_is_found_where_it_happened() -> None:
    rng = np.random.default_rng(3)
    course = np.concatenate([50 + rng.normal(0, 2, 60), 10 + rng.normal(0, 2, 40)])
    table = analysis.regimes(rounds(active=course.tolist()))
    assert table[["first_round", "last_round"]].to_numpy().tolist() == [[0, 59], [60, 99]]
    assert table["mean"].tolist() == pytest.approx([50, 10], abs=1)


@pytest.mark.parametrize("seed", range(3))
def test_regimes_are_the_best_of_all_splits(seed: int) -> None:
    rng = np.random.default_rng(seed)
    course = np.repeat(rng.normal(0, 4, 4), 4) + rng.normal(0, 1, 16)
    step = np.median(np.abs(np.diff(course))) / 0.6745
    price = max(3.0 * np.log(16) * step**2 / 2, 0.02 * ((course - course.mean()) ** 2).sum())

    def cost(cuts: tuple[int, ...]) -> float:
        parts = np.split(course, cuts)
        return sum(((part - part.mean()) ** 2).sum() for part in parts) + price * len(cuts)

    every = [cuts for count in range(5) for cuts in itertools.combinations(range(3, 14), count)
             if all(high - low >= 3 for low, high in itertools.pairwise((0, *cuts, 16)))]  # fmt: skip
    best = min(every, key=cost)
    assert analysis.regimes(rounds(active=course.tolist()))["first_round"].tolist() == [0, *best]


@pytest.mark.parametrize("seed", range(10))
def test_noise_alone_is_one_regime(seed: int) -> None:
    course = np.random.default_rng(seed).normal(50, 3, 80)
    assert len(analysis.regimes(rounds(active=course.tolist()))) == 1


def test_a_market_that_empties_without_noise_is_not_cut_into_stairs() -> None:
    course = [60.0] * 50 + [55.0, 40.0, 20.0, 5.0] + [0.0] * 30
    table = analysis.regimes(rounds(active=course))
    assert len(table) <= 3
    assert table["last_round"].iloc[0] in range(48, 53)


def test_a_course_that_never_moves_is_one_regime_and_no_course_is_none() -> None:
    assert len(analysis.regimes(rounds(active=[5.0] * 30))) == 1
    assert len(analysis.regimes(rounds(active=[np.nan] * 3))) == 0
    with pytest.raises(ValueError, match="penalty"):
        analysis.regimes(rounds(active=[1.0]), penalty=0)


def test_the_prisoners_dilemma_costs_its_price_of_anarchy() -> None:
    payoff = np.array([[[3, 3], [0, 4]], [[4, 0], [1, 1]]], dtype=float)
    game = analysis.anarchy(payoff)
    assert game.equilibria == ((1, 1),)
    assert (game.optimum, game.price_of_anarchy, game.price_of_stability) == (6, 3, 3)


def test_a_coordination_game_has_a_better_and_a_worse_equilibrium() -> None:
    payoff = np.array([[[4, 4], [0, 0]], [[0, 0], [1, 1]]], dtype=float)
    game = analysis.anarchy(payoff)
    assert game.equilibria == ((0, 0), (1, 1))
    assert (game.price_of_anarchy, game.price_of_stability) == (4, 1)


def test_a_game_without_pure_equilibrium_has_no_price() -> None:
    pennies = np.array([[[1, -1], [-1, 1]], [[-1, 1], [1, -1]]], dtype=float)
    game = analysis.anarchy(pennies, welfare=np.ones((2, 2)))
    assert game.equilibria == ()
    assert np.isnan(game.price_of_anarchy)
    with pytest.raises(ValueError, match="axes"):
        analysis.anarchy(np.zeros((2, 2)))


@pytest.mark.parametrize(("windows", "width"), [(5, 1), (9, 2), (40, 5), (60, 10), (1000, 200)])
def test_bands_are_round_numbers_of_windows(windows: float, width: float) -> None:
    assert band_width(windows) == width


def test_all_tables_of_a_run_are_written_as_csv(run: Run, tmp_path: Path) -> None:
    tables = participation_tables(run)
    assert [path.stem for path in write_tables(tmp_path, tables)] == list(tables)
    read = pd.read_csv(tmp_path / "survival.csv")
    assert len(read) == len(tables["survival"])
    assert run_windows(run) == 40


def test_the_command_writes_beside_the_run_and_names_the_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_folder(tmp_path / "run")
    assert main(["analyse", str(folder)]) == 0
    printed = capsys.readouterr().out
    assert "Half-life" in printed
    assert (folder / "analysis" / "exit_causes.csv").exists()


def test_a_folder_without_a_run_is_one_line_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["analyse", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not (tmp_path / "out").exists()
