"""What selfish play costs: games with known answers, and a market of three owners, all of whose choices are played."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scenarios.cli import main
from scenarios.tournament.anarchy import price_table, profile_table
from scenarios.tournament.entrants import entrant
from scenarios.tournament.worlds import all_profiles

PAIR = (entrant("honest"), entrant("free_rider_noise"))
SAME = "misreport_size:factor=1"
PLAYED = ("anarchy", "fixed_price", "--no-training", "--strategy", "honest", "--strategy", SAME,
          "--strategy", "misreport_size:factor=2", "--players", "2", "--owners", "3", "--seeds", "2",
          "--set", "horizon=2", "-q", "--workers", "1")  # fmt: skip


THREE = ("--strategy", "grim", "--strategy", "free_rider_noise")


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("anarchy") / "one"
    assert main([*PLAYED, "--out", str(folder)]) == 0
    return folder


def dilemma(noise: float, seeds: int = 6) -> np.ndarray:
    """The prisoner's dilemma [seeds, 2, 2, 2] with payoffs that seeds disturb."""
    payoff = np.array([[[3.0, 3.0], [0.0, 4.0]], [[4.0, 0.0], [1.0, 1.0]]])
    return payoff + noise * np.random.default_rng(1).normal(size=(seeds, 2, 2, 2))


def test_selfish_prisoners_lose_two_thirds_of_what_they_could_have() -> None:
    payoff = dilemma(noise=0.01)
    prices = price_table(payoff, payoff.sum(axis=-1)).set_index("game")
    assert prices.loc["mean", "equilibria"] == 1
    assert prices[["worst", "best"]].loc["mean"].to_list() == pytest.approx([2, 2], abs=0.05)
    assert prices["price_of_anarchy"].to_numpy() == pytest.approx(3.0, rel=0.05)


def test_a_profile_is_an_equilibrium_as_far_as_the_seeds_tell() -> None:
    def verdicts(noise: float) -> list[str]:
        payoff = dilemma(noise)
        table = profile_table(payoff, payoff.sum(axis=-1), all_profiles(PAIR, 2))
        return table.set_index(["player_1", "player_2"]).sort_index()["equilibrium"].tolist()

    # Sorted by names: both free-ride, one of them, the other, nobody.
    assert verdicts(noise=0.01) == ["yes", "no", "no", "no"]
    assert set(verdicts(noise=30.0)) == {"open"}


def test_players_that_are_honest_in_other_words_earn_the_same_to_the_last_bit(played: Path) -> None:
    """Common random numbers: which strategies are listed, and where, changes nobody's luck."""
    table = pd.read_csv(played / "tables" / "profiles.csv")
    renamed = table.replace({"player_1": {SAME: "honest"}, "player_2": {SAME: "honest"}})
    groups = renamed.groupby(["player_1", "player_2"])[["payoff_1", "payoff_2", "welfare"]]
    assert len(table) == 9
    assert len(groups) == 4
    assert (groups.nunique() == 1).all(axis=None)


def test_who_claims_twice_its_data_at_a_posted_price_is_in_equilibrium(played: Path) -> None:
    table = pd.read_csv(played / "tables" / "profiles.csv")
    twice = (table[["player_1", "player_2"]] == "misreport_size:factor=2").all(axis=1)
    assert table.loc[twice, "regret"].tolist() == [0.0]
    assert (table.loc[~twice, "regret"] > 0.0).all()
    assert pd.read_csv(played / "tables" / "prices.csv")["equilibria"].tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["barter"], "mechanism: barter: unknown mechanism"),
        (["free", "--strategy", "honest"], "--strategy: honest: a game needs at least two strategies"),
        (["free", "--players", "4", "--owners", "3"], "--owners: 3: expected at least as many as players, 4"),
        (
            ["free", "--players", "10", "--strategy", "honest", "--strategy", "grim", "--strategy", "free_rider_noise"],
            "59049 profiles",
        ),
    ],
)
def test_bad_games_are_one_line_and_nothing_is_written(
    words: list[str], line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["anarchy", *words, "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert line in said
    assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()
