"""``datagora anarchy``: what selfish play costs in a small market, all of whose profiles are played.

Players are the first persons of the market. Every way in which they can choose among the strategies is a run of the
real market, with the same persons and the same luck. What a choice is worth to a player is a difference of two of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scenarios.analysis.games import Anarchy, anarchy
from scenarios.errors import BadInput
from scenarios.studies.command import Voice
from scenarios.studies.store import Store
from scenarios.tournament.entrants import entrants
from scenarios.tournament.payoffs import Payoffs, interval
from scenarios.tournament.playing import Playing, play_worlds, write_tables
from scenarios.tournament.worlds import Profile, all_profiles, find_markets, make_study, read_fields

STRATEGIES = ("honest", "free_rider_noise")
MOST_PROFILES = 1024
SHOWN = 16
"""Profiles that are printed at most; all are in the table."""
_ROUNDING = 1e-9
"""Gains below this share of the largest payoff are those of adding up."""


def play_profiles(
    mechanism: str,
    strategies: Sequence[str] = (),
    *,
    scenario: str | None = None,
    players: int = 3,
    owners: int | None = None,
    seeds: int = 10,
    training: bool = True,
    changes: Sequence[str] = (),
    seed: int = 1,
    workers: int | None = None,
    out: Path | None = None,
    resume: bool = False,
    voice: Voice = "normal",
) -> int:
    """Play it into a folder (default ``runs/anarchy-<mechanism>``); the exit code as of a batch.

    The market has ``owners`` (default: the players), and those who do not play a game follow the first strategy. Raises
    ``BadInput`` for anything wrong with what was asked, before anything is written.
    """
    played = entrants(strategies or STRATEGIES)
    if len(played) < 2:
        raise BadInput("--strategy", "", played[0].label, problem="a game needs at least two strategies")
    if owners is not None and owners < players:
        raise BadInput("--owners", "", owners, f"at least as many as players, {players}")
    if len(played) ** players > MOST_PROFILES:
        count = f"{len(played)} strategies of {players} players have {len(played) ** players} profiles"
        raise BadInput("--players", "", players, problem=f"{count}, at most {MOST_PROFILES} can be played")
    markets = find_markets([mechanism], scenario)
    profiles = all_profiles(played, players)
    study = make_study(
        f"anarchy-{mechanism}".replace(".", "-"),
        f"What selfish play costs under {mechanism}",
        markets,
        profiles,
        owners=owners or players,
        seeds=seeds,
        seed=seed,
        changes=read_fields(changes, training),
    )
    store = Store(out or Path("runs") / f"anarchy-{mechanism}")
    outcome = play_worlds(study, markets, profiles, Playing(store, workers, resume, voice))
    if outcome.payoffs is None:
        return outcome.code
    payoff, welfare = games(outcome.payoffs, mechanism, profiles)
    told, prices = profile_table(payoff, welfare, profiles), price_table(payoff, welfare)
    write_tables(store, {"profiles": told, "prices": prices})
    if voice == "normal":
        _print(told, prices, players)
    print(store.folder)
    return outcome.code


def games(
    payoffs: Payoffs[Profile], mechanism: str, profiles: Sequence[Profile]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Payoffs [seeds, strategies, ..., strategies, players] and welfare [seeds, strategies, ...], in money over a run.

    One axis of choices per player, in the order of ``all_profiles``.
    """
    players, choices = len(profiles[0].choices), len(profiles[0].strategies)
    utility, worth = payoffs.utility[mechanism], payoffs.welfare[mechanism]
    earned = np.stack([utility[profile][:, :players] for profile in profiles], axis=1)
    total = np.stack([worth[profile] for profile in profiles], axis=1)
    axes = (len(earned), *[choices] * players)
    return earned.reshape((*axes, players)), total.reshape(axes)


def profile_table(
    payoff: NDArray[np.float64], welfare: NDArray[np.float64], profiles: Sequence[Profile]
) -> pd.DataFrame:
    """One row per profile, the best for welfare first; ``payoff`` and ``welfare`` as of ``games``.

    ``player_1`` ...: what each plays; ``payoff_1`` ...: what each earns on average; ``welfare`` of the market, with
    bounds over the seeds; ``regret``: the most that one player gains on average by another choice alone, never below 0;
    ``equilibrium``: no where the interval of such a gain is above 0, yes where none of them reaches above it, else
    open.
    """
    most = _tolerance(payoff)
    labels = [one.label for one in profiles[0].strategies]
    rows = []
    for profile in profiles:
        earned = _at(payoff, profile.choices)
        gains = [interval(gain) for gain in _gains(payoff, profile.choices)]
        middle, low, high = interval(_at(welfare, profile.choices))
        row: dict[str, Any] = {f"player_{place}": labels[choice] for place, choice in enumerate(profile.choices, 1)}
        row |= {f"payoff_{place}": float(own) for place, own in enumerate(earned.mean(axis=0), 1)}
        row |= {"welfare": middle, "welfare_low": low, "welfare_high": high}
        row["regret"] = max(max(gain for gain, _, _ in gains), 0.0)
        leaves, stays = any(low > most for _, low, _ in gains), all(high <= most for _, _, high in gains)
        row["equilibrium"] = "no" if leaves else "yes" if stays else "open"
        rows.append(row)
    return pd.DataFrame(rows).sort_values("welfare", ascending=False, kind="stable", ignore_index=True)


def _gains(payoff: NDArray[np.float64], choices: tuple[int, ...]) -> list[NDArray[np.float64]]:
    """What each player gains [seeds] by each choice other than its own, all others as they are."""
    own = _at(payoff, choices)
    found = []
    for player, chosen in enumerate(choices):
        for other in range(payoff.shape[1 + player]):
            if other != chosen:
                there = (*choices[:player], other, *choices[player + 1 :])
                found.append(_at(payoff, there)[:, player] - own[:, player])
    return found


def _tolerance(payoff: NDArray[np.float64]) -> float:
    """Money that is no gain but the rounding of sums."""
    return float(np.abs(payoff).max(initial=0.0)) * _ROUNDING


def _at(values: NDArray[np.float64], choices: tuple[int, ...]) -> NDArray[np.float64]:
    """The values of one profile [seeds, ...]."""
    place: Any = (slice(None), *choices)
    return np.asarray(values[place])


def price_table(payoff: NDArray[np.float64], welfare: NDArray[np.float64]) -> pd.DataFrame:
    """One row per game: that of the payoffs that players can expect (``mean``), and that of each seed.

    ``optimum``: the best welfare of any profile; ``equilibria``: how many in pure strategies; ``worst`` and ``best``:
    their welfare; the prices of anarchy and of stability as of ``analysis.anarchy``.
    """
    tolerance = _tolerance(payoff)
    drawn = [(str(seed), payoff[seed], welfare[seed]) for seed in range(len(payoff))]
    rows = []
    for name, own, worth in [("mean", payoff.mean(axis=0), welfare.mean(axis=0)), *drawn]:
        found: Anarchy = anarchy(own, worth, tolerance)
        reached = [float(worth[profile]) for profile in found.equilibria]
        rows.append({
            "game": name, "optimum": found.optimum, "equilibria": len(reached),
            "worst": min(reached, default=float("nan")), "best": max(reached, default=float("nan")),
            "price_of_anarchy": found.price_of_anarchy, "price_of_stability": found.price_of_stability,
        })  # fmt: skip
    return pd.DataFrame(rows)


def _print(profiles: pd.DataFrame, prices: pd.DataFrame, players: int) -> None:
    from rich.table import Table
    from rich.text import Text

    from scenarios.console import output

    table = Table(box=None, pad_edge=False, header_style="bold")
    choices = [f"player_{place}" for place in range(1, players + 1)]
    for name in (*choices, "welfare", "95 %", "regret", "equilibrium"):
        label = name in choices
        table.add_column(name.replace("_", " "), justify="left" if label else "right", overflow="fold",
                         no_wrap=not label)  # fmt: skip
    for row in profiles.head(SHOWN).to_dict("records"):
        bounds = f"{_money(row['welfare_low'])} to {_money(row['welfare_high'])}"
        cells = (_money(row["welfare"]), bounds, _money(row["regret"]), str(row["equilibrium"]))
        table.add_row(*(Text(cell) for cell in (*(row[name] for name in choices), *cells)))
    console = output()
    console.print(table)
    console.print()
    mean, drawn = prices.iloc[0], prices["price_of_anarchy"].iloc[1:].dropna()
    console.print(f"price of anarchy {_price(mean['price_of_anarchy'])}, of stability "
                  f"{_price(mean['price_of_stability'])}, with {mean['equilibria']} pure equilibria")  # fmt: skip
    if len(drawn):
        bounds = f"{drawn.min():.3g} to {drawn.max():.3g}"
        console.print(f"by seed: {len(drawn)} of {len(prices) - 1} have a price of anarchy, from {bounds}")


def _price(value: float) -> str:
    return "none" if np.isnan(value) else f"{value:.3g}"


def _money(amount: float) -> str:
    return f"{round(amount, 6) + 0.0:.4g}"
