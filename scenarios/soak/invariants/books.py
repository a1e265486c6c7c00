"""What must hold of the tables of a finished market: they agree with each other and with the state of the world."""

from __future__ import annotations

import numpy as np
import pandas as pd

from agents.participation import ExitCause
from learning.columns import FloatColumn
from learning.uploads import Upload, works
from market.cocogen.mechanism import PERFORMANCE_PAY
from market.ledger import Book
from market.parties import MODEL_OWNER, WORLD
from scenarios.engine.leaving import ExitKind
from scenarios.soak.invariants.base import AT_THE_END, Finished, require, require_equal, rows_of
from scenarios.tables import TABLES

SOURCES = frozenset({"endowment", "treasury", "revenue", "audit subsidy", PERFORMANCE_PAY})
"""Why money may come into a market: all other postings move what is there, or take it out."""

_CENT = 1e-5
"""Sums of floats may differ by so much money, beside a billionth of them."""

_MAY_BE_NO_NUMBER = {
    "rounds": {
        *("accuracy", "loss", "owner_accuracy_mean", "owner_accuracy_min", "owner_accuracy_std", "staleness_mean"),
        *("paper_owner_utility", "paper_model_owner_utility", "paper_center_utility", "paper_surplus"),
        *("redistribution_rate", "mean_field_valuation", "update_norm", "backdoor_success", "reputation_mean"),
    },
    "owners": {
        *("reported_data_size", "reported_quality", "reported_cost", "reported_gain_scale", "reported_sharing_cost"),
        *("reported_valuation", "reported_privacy_budget", "reported_emd", "reported_generation_cost"),
        *("sharing_cost", "measured_quality", "paper_utility", "contribution", "contribution_error"),
        *("revealed_intensity", "own_performance", "accuracy", "loss"),
    },
    "edges": {"dissimilarity"},
    "network": {"modularity", "edge_turnover", "dissimilarity", "reciprocity", "density"},
    "runs": {"final_accuracy", "best_accuracy", "mean_participants"},
    "events": {"value"},
    "audits": {"update_norm", "alignment", "loss_drop", "held_out_gain", "duplicates", "similarity"},
}
"""Columns in which a value may be missing (NaN) or infinite, as their meaning says."""


def close(one: float, other: float) -> bool:
    """Whether two sums are the same but for the last bits."""
    return bool(np.isclose(one, other, rtol=1e-9, atol=_CENT))


def amounts(found: Finished, *kinds: str) -> pd.DataFrame:
    """Transfers of some kinds."""
    transfers = found.table("transfers")
    return transfers[transfers["kind"].isin(kinds)]


# ---- money ----------------------------------------------------------------------------------------------------------


@AT_THE_END.register("money_has_a_source")
def money_has_a_source(found: Finished) -> None:
    """Money comes into the market as endowments, treasury, revenue, subsidies of audits and pay by the world only."""
    transfers = found.table("transfers")
    sources = set(transfers[transfers["payer"] == WORLD]["kind"])
    require(sources <= SOURCES, f"the world paid: {', '.join(sorted(sources - SOURCES))}")
    require((transfers["amount_micro"] > 0).all(), "a posting of nothing, or less")


@AT_THE_END.register("transfers_are_balances")
def transfers_are_balances(found: Finished) -> None:
    """Whatever somebody got, less what it paid, is what the ledger says that it has, account by account."""
    transfers, ledger = found.table("transfers"), found.simulation.world.ledger
    for book in Book:
        for party in found.parties:
            got = transfers[(transfers["payee"] == party) & (transfers["payee_book"] == book.name.lower())]
            paid = transfers[(transfers["payer"] == party) & (transfers["payer_book"] == book.name.lower())]
            moved = int(got["amount_micro"].sum()) - int(paid["amount_micro"].sum())
            require_equal(moved, ledger.balance(party, book), f"{book.name.lower()} of party {party}")


@AT_THE_END.register("settled_once")
def settled_once(found: Finished) -> None:
    """Nobody is paid, billed, fined or charged for training twice in a round, nor paid without an upload that came."""
    transfers, updates = found.table("transfers"), found.events("update")
    for kind in ("payment", PERFORMANCE_PAY, "slash", "server fee", "training cost", "generation cost", "endowment"):
        rows = transfers[transfers["kind"] == kind]
        twice = rows[rows.duplicated(["round", "payer", "payee"])]
        require(len(twice) == 0, f"{kind} twice in a round: {twice.head(1).to_dict('records')}")
    paid = transfers[transfers["kind"].isin(["payment"]) & (transfers["payee"] >= 0) & (transfers["payer"] < 0)]
    came = updates["owner"].value_counts()
    for owner, times in paid["payee"].value_counts().items():
        require(times <= came.get(owner, 0), f"owner {owner} was paid {times} times for {came.get(owner, 0)} uploads")


@AT_THE_END.register("rounds_say_what_was_booked")
def rounds_say_what_was_booked(found: Finished) -> None:
    """Revenue, pay, fees and costs of the rounds table are the sums of their transfers."""
    rounds = found.table("rounds")
    told = {"revenue": ("revenue",), "server_fees": ("server fee",), "audit_cost": ("audit", "appeal")}
    for column, kinds in told.items():
        booked = amounts(found, *kinds).groupby("round")["amount_micro"].sum() / 1e6
        for number, said in zip(rounds["round"], rounds[column], strict=True):
            require(abs(booked.get(number, 0.0) - said) <= 2e-6, f"{column} of round {number}: {said}")
    paid = amounts(found, "payment")
    booked = paid[paid["payer"] == MODEL_OWNER].groupby("round")["amount_micro"].sum() / 1e6
    by_world = amounts(found, PERFORMANCE_PAY).groupby("round")["amount_micro"].sum() / 1e6
    for row in rows_of(rounds):
        total = booked.get(row.round, 0.0) + by_world.get(row.round, 0.0)
        require(abs(total - row.paid) <= 1e-5, f"paid in round {row.round}: {row.paid}, booked {total}")


@AT_THE_END.register("budget_is_kept")
def budget_is_kept(found: Finished) -> None:
    """The model owner pays no more in a round than it offered, where the mechanism buys out of that budget."""
    paid = amounts(found, "payment")
    booked = paid[paid["payer"] == MODEL_OWNER].groupby("round")["amount_micro"].sum() / 1e6
    if found.simulation.scenario.round.late == "buffer":
        return  # pays for uploads that were promised their share under earlier budgets
    for row in rows_of(found.table("rounds")):
        spent = booked.get(row.round, 0.0)
        require(spent <= row.budget + 1e-5, f"round {row.round}: {spent} of {row.budget}")


# ---- utilities ------------------------------------------------------------------------------------------------------


@AT_THE_END.register("utilities_add_up")
def utilities_add_up(found: Finished) -> None:
    """What owners, stays and the run say of the owners' utility is one sum; welfare is what its parts come to."""
    summary, episodes, rounds = found.table("runs").iloc[0], found.table("episodes"), found.table("rounds")
    population = found.simulation.population
    total = float(summary["owner_utility"])
    require(close(float(population.utility_total.sum()), total), "owners' utility is not that of the run")
    require(close(float(episodes["utility"].sum()), total), "utility of stays is not that of the run")
    parts = rounds[["owner_utility", "model_owner_utility", "regulator_income", "center_income"]].sum(axis=1)
    require(np.allclose(parts, rounds["welfare"], rtol=1e-9, atol=_CENT), "welfare is not the sum of its parts")


@AT_THE_END.register("utilities_from_true_types")
def utilities_from_true_types(found: Finished) -> None:
    """Utility of a round is what came in less what went out, with privacy at the true valuation."""
    owners = found.table("owners")
    rows = owners[owners["moment"] == "round"]
    gains = rows[["payment", "model_benefit", "sharing_gain"]].sum(axis=1)
    losses = rows[
        ["training_cost", "generation_spent", "competition_loss", "penalty", "sharing_loss", "privacy_cost"]
    ].sum(axis=1)
    require(np.allclose(gains - losses, rows["utility"], rtol=1e-9, atol=_CENT), "utility is not the sum of its parts")
    privacy = rows["valuation"] * rows["epsilon_lost"]
    require(np.allclose(privacy, rows["privacy_cost"], rtol=1e-9, atol=_CENT), "privacy is not at its true valuation")
    require((rows["epsilon_lost"] >= 0).all(), "an epsilon below zero")


@AT_THE_END.register("training_at_true_cost")
def training_at_true_cost(found: Finished) -> None:
    """Nobody pays more for training than its whole data at its true cost, and who sends a forgery pays nothing."""
    owners = found.table("owners")
    rows = owners[owners["moment"] == "round"]
    most = rows["cost"] * rows["data_size"]
    require((rows["training_cost"] <= most * (1 + 1e-9) + 1e-6).all(), "training cost beyond all data at true cost")
    sent = rows[rows["upload"] != "none"]
    kinds = np.array([Upload[str(kind).upper()] for kind in sent["upload"]], dtype=np.int8)
    require((sent["training_cost"][~works(kinds)] <= 1e-6).all(), "somebody paid for training and sent a forgery")


# ---- finite ---------------------------------------------------------------------------------------------------------


@AT_THE_END.register("columns_are_finite")
def columns_are_finite(found: Finished) -> None:
    """Every number in every table is finite; only those may be missing whose meaning allows for it."""
    for name, table in TABLES.items():
        frame = found.table(name)
        for column in table.columns:
            if column.kind != "float" or column.name in _MAY_BE_NO_NUMBER.get(name, ()):
                continue
            values: FloatColumn = frame[column.name].to_numpy(dtype=np.float64)
            bad = ~np.isfinite(values)
            require(not bad.any(), f"{name}.{column.name} is {values[bad][:1]} in row {np.flatnonzero(bad)[:1]}")


@AT_THE_END.register("shares_are_shares")
def shares_are_shares(found: Finished) -> None:
    """Accuracies, standings and weights lie between 0 and 1; the weights in a model add up to 1, or to nothing."""
    owners, edges = found.table("owners"), found.table("edges")
    for name in ("weight", "accuracy", "reputation", "quality"):
        values = owners[name].dropna()
        require(((values >= -1e-9) & (values <= 1 + 1e-9)).all(), f"a {name} is not between 0 and 1")
    used = edges[edges["user"] == MODEL_OWNER].groupby("round")["weight"].sum()
    wrong = used[~(np.isclose(used, 1.0, atol=1e-6) | np.isclose(used, 0.0, atol=1e-6))]
    require(len(wrong) == 0, f"weights of round {list(wrong.index[:1])} add up to {list(wrong[:1])}")


# ---- stays ----------------------------------------------------------------------------------------------------------

CAUSES = {
    ExitKind.VOLUNTARY: {
        *("disappointed", "regret", "word_of_mouth", "strategy", "moved_away", "end_of_trace", "sold_out"),
        "new_name",
    },
    ExitKind.EXPELLED: {"expelled", "banned"},
    ExitKind.BANKRUPT: {"broke"},
    ExitKind.CENSORED: {"end_of_run"},
    ExitKind.QUIT: {"refused_bill"},
}
"""What each way out can come of."""


@AT_THE_END.register("every_stay_is_told")
def every_stay_is_told(found: Finished) -> None:
    """A stay has one join, one episode, one exit and one cause that fits it; stays of an identity do not overlap."""
    episodes, world = found.table("episodes"), found.simulation.world
    joins, exits = found.events("join"), found.events("leave")
    require_equal(len(episodes), int(found.simulation.population.stay.sum()), "episodes and stays")
    require_equal(len(joins), len(episodes), "joins and episodes")
    require_equal(world.totals.joins, len(episodes), "joins counted and episodes")
    require(not episodes.duplicated(["owner", "stay"]).any(), "a stay has two episodes")
    told = {(int(row.owner), int(row.joined_tick)) for row in rows_of(episodes)}
    logged = {(int(row.owner), int(row.tick)) for row in rows_of(joins)}
    require(told == logged, f"episodes without a join, or the other way round: {sorted(told ^ logged)[:3]}")
    ended = episodes[episodes["exit_kind"] != "censored"]
    told_exits = sorted(
        (int(r.owner), int(r.left_tick), int(ExitKind[str(r.exit_kind).upper()])) for r in rows_of(ended)
    )
    logged_exits = sorted((int(r.owner), int(r.tick), int(r.value)) for r in rows_of(exits))
    require(told_exits == logged_exits, f"exits and episodes: {sorted(set(told_exits) ^ set(logged_exits))[:3]}")
    require_equal(len(episodes) - len(ended), len(found.simulation.population.active()), "censored and active")
    for row in rows_of(episodes):
        cause, kind = str(row.exit_cause), ExitKind[str(row.exit_kind).upper()]
        require(cause.upper() in ExitCause.__members__, f"an exit for {cause}")
        require(cause in CAUSES[kind], f"owner {row.owner} left as {kind.name.lower()} for {cause}")
    require((episodes["left_tick"] >= episodes["joined_tick"]).all(), "a stay ends before it begins")
    require((episodes["left_round"] >= episodes["joined_round"]).all(), "a stay ends rounds before it begins")
    for _, stays in episodes.sort_values("stay").groupby("owner"):
        require((np.diff(stays["stay"]) == 1).all() and stays["stay"].iloc[0] == 1, "stays are not numbered 1, 2, ...")
        apart = stays["joined_tick"].to_numpy()[1:] >= stays["left_tick"].to_numpy()[:-1]
        require(apart.all(), "stays of an owner overlap")


@AT_THE_END.register("the_summary_counts")
def the_summary_counts(found: Finished) -> None:
    """The row of the run counts stays, exits, expulsions, bankruptcies, rounds and events as the tables have them."""
    summary, episodes = found.table("runs").iloc[0], found.table("episodes")
    kinds = episodes["exit_kind"].astype(str)
    require_equal(int(summary["joins"]), len(episodes), "joins")
    require_equal(int(summary["exits"]), int((kinds != "censored").sum()), "exits")
    require_equal(int(summary["expulsions"]), int((kinds == "expelled").sum()), "expulsions")
    require_equal(int(summary["bankruptcies"]), int((kinds == "bankrupt").sum()), "bankruptcies")
    require_equal(int(summary["owners"]), episodes["owner"].nunique(), "identities that joined")
    require_equal(int(summary["rounds"]), len(found.table("rounds")), "rounds")
    require_equal(int(summary["events"]), len(found.table("events")), "events")
    require_equal(int(summary["windows"]), found.simulation.scenario.horizon, "windows")
    require_equal(found.simulation.now, found.simulation.scenario.horizon * found.simulation.world.window_ticks, "time")
