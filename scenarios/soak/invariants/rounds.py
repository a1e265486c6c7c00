"""What must hold of rounds: the events, the rounds table and the owners table tell the same story."""

from __future__ import annotations

import numpy as np
import pandas as pd

from scenarios.engine.clock import TICKS_PER_SECOND
from scenarios.soak.invariants.base import AT_THE_END, Finished, require, require_equal, rows_of

_CENT = 1e-5


@AT_THE_END.register("events_in_order")
def events_in_order(found: Finished) -> None:
    """Events are numbered without a gap, never go back in time, and lie within the run."""
    events = found.table("events")
    require((events["seq"].to_numpy() == np.arange(len(events))).all(), "events are not numbered 0, 1, 2, ...")
    require((np.diff(events["tick"]) >= 0).all(), "events go back in time")
    told = events[events["kind"] != "start"]  # which tells the round of the upload; in buffered rounds it may be over
    require((np.diff(told["round"]) >= 0).all(), "events go back in rounds")
    require(((events["tick"] >= 0) & (events["tick"] <= found.simulation.now)).all(), "an event lies outside the run")


@AT_THE_END.register("rounds_are_logged")
def rounds_are_logged(found: Finished) -> None:
    """Each round opens, is planned and closes once, in this order, and the log counts what the table counts."""
    rounds = found.table("rounds")
    require((rounds["round"].to_numpy() == np.arange(len(rounds))).all(), "rounds are not numbered 0, 1, 2, ...")
    opened, planned, closed = (found.events(kind).groupby("round") for kind in ("open", "plan", "close"))
    counts = {kind: found.events(kind).groupby("round").size() for kind in ("open", "plan", "close")}
    for kind, per_round in counts.items():
        require((per_round <= 1).all(), f"a round has two events '{kind}'")
    for row in rows_of(rounds):
        number = row.round
        require_equal(int(opened.get_group(number)["tick"].iloc[0]), row.opened_tick, f"opening of round {number}")
        require_equal(int(closed.get_group(number)["tick"].iloc[0]), row.closed_tick, f"closing of round {number}")
        require(row.opened_tick <= row.closed_tick, f"round {number} closes before it opens")
        offered = opened.get_group(number)["value"].iloc[0]
        require(row.budget <= offered + _CENT, f"round {number} offers {row.budget} out of {offered}")
        if number in planned.groups:
            require_equal(int(planned.get_group(number)["value"].iloc[0]), row.selected, f"selected in round {number}")
        else:
            require_equal(row.selected, 0, f"selected in round {number}, which was never planned")


_COUNTED = {"audited": "audit", "flagged": "guilty", "late": "late"}


@AT_THE_END.register("counts_are_events")
def counts_are_events(found: Finished) -> None:
    """Audits, verdicts, late uploads and expulsions of a round are as many as were logged in it."""
    rounds = found.table("rounds")
    exits = found.events("leave")
    for column, kind in _COUNTED.items():
        logged = found.events(kind).groupby("round").size()
        for number, count in zip(rounds["round"], rounds[column], strict=True):
            require_equal(count, int(logged.get(number, 0)), f"{column} in round {number}")
    expelled = exits[exits["value"] == 1].groupby("round").size()
    for number, count in zip(rounds["round"], rounds["expelled"], strict=True):
        require(count <= int(expelled.get(number, 0)), f"expelled in round {number}: {count}")
    require((rounds["arrived"] <= rounds["selected"]).all() or _buffered(found), "more uploads came than were selected")
    require((rounds["selected"] <= rounds["participants"]).all(), "more were selected than answered")
    require((rounds["trained"] + rounds["free_riding"] == rounds["arrived"]).all(), "trained and forged are not all")
    require((rounds["flagged"] <= rounds["audited"]).all(), "more were found guilty than audited")
    found_out = rounds["true_positives"] + rounds["false_positives"]
    require((found_out == rounds["flagged"]).all(), "true and false verdicts are not all verdicts")


def _buffered(found: Finished) -> bool:
    return found.simulation.scenario.round.late == "buffer"


@AT_THE_END.register("uploads_are_accounted_for")
def uploads_are_accounted_for(found: Finished) -> None:
    """Every upload that was selected came, was late, was lost, was forfeited, or is still on its way at the end."""
    if _buffered(found):
        return
    rounds, current = found.table("rounds"), found.simulation.world
    for row in rows_of(rounds):
        settled = row.arrived + row.late + row.left_midway
        require(settled <= row.selected + row.left_midway, f"round {row.round}: {settled} uploads of {row.selected}")
    require(len(current.flights) <= len(current.population), "more uploads on the way than owners")


@AT_THE_END.register("owners_are_the_rounds")
def owners_are_the_rounds(found: Finished) -> None:
    """The owners of a round, added up, are the row of the round."""
    if not found.all_recorded:
        return
    owners, rounds = found.table("owners"), found.table("rounds")
    rows = owners[owners["moment"] == "round"]
    require(not rows.duplicated(["round", "owner"]).any(), "an owner has two rows in a round")
    per_round = rows.groupby("round")
    for row in rows_of(rounds):
        there = per_round.get_group(row.round) if row.round in per_round.groups else rows.iloc[:0]
        for column in ("arrived", "audited", "flagged"):
            require_equal(int(there[column].sum()), getattr(row, column), f"{column} in round {row.round}")
        require(int(there["took_part"].sum()) <= row.participants, f"participants in round {row.round}")
        require_equal(int(there["trained"].sum()), row.trained, f"trained in round {row.round}")
        for column in ("privacy_cost", "generation_spent", "competition_loss", "epsilon_lost"):
            _same_sum(there[column], getattr(row, column), f"{column} in round {row.round}")
        _same_sum(there["synthetic_volume"], row.synthetic_volume, f"synthetic_volume in round {row.round}")
    final = owners[owners["moment"] == "final"]
    require_equal(len(final), len(found.simulation.population), "final rows and identities")
    _same_sum(final["wallet"] * 1e6, float(found.simulation.world.ledger.wallet.sum()), "wallets at the end")
    _same_sum(final["deposit"] * 1e6, float(found.simulation.world.ledger.deposit.sum()), "deposits at the end")


def _same_sum(column: pd.Series, said: float, what: str) -> None:
    require(np.isclose(float(column.sum()), said, rtol=1e-9, atol=_CENT), f"{what}: {float(column.sum())} and {said}")


@AT_THE_END.register("edges_are_payments")
def edges_are_payments(found: Finished) -> None:
    """Who uses a model was there, nobody buys its own, and what the model owner pays along edges is what it paid."""
    if found.simulation.scenario.recording.edges_every != 1:
        return
    edges, transfers = found.table("edges"), found.table("transfers")
    last = len(found.simulation.population)
    require(((edges["user"] < last) & (edges["source"] < last)).all(), "an edge of somebody who never came")
    require((edges["user"] != edges["source"]).all(), "somebody uses its own model")
    require((edges["payment"] >= 0).all(), "a negative payment on an edge")
    paid = transfers[(transfers["kind"] == "payment") & (transfers["payer"] == -2)]
    booked = paid.groupby("round")["amount_micro"].sum() / 1e6
    along = edges[edges["user"] == -2].groupby("round")["payment"].sum()
    for number in sorted(set(booked.index) | set(along.index)):
        one, other = float(booked.get(number, 0.0)), float(along.get(number, 0.0))
        require(abs(one - other) <= 1e-4, f"round {number}: {one} was paid, {other} along edges")


@AT_THE_END.register("audits_are_the_rounds")
def audits_are_the_rounds(found: Finished) -> None:
    """The table of audits counts what the rounds count, and fines are what was slashed for good."""
    audits, rounds = found.table("audits"), found.table("rounds")
    per_round = audits.groupby("round")
    for row in rows_of(rounds):
        seen = per_round.get_group(row.round) if row.round in per_round.groups else audits.iloc[:0]
        require_equal(len(seen), row.audited, f"audits of round {row.round}")
        require_equal(int(seen["guilty"].sum()), row.flagged, f"verdicts of round {row.round}")
        require_equal(int((seen["guilty"] & seen["violation"]).sum()), row.true_positives, f"hits of round {row.round}")
    require(not audits.duplicated(["round", "owner"]).any(), "an owner is audited twice in a round")
    require((audits["guilty"] <= audits["found_guilty"]).all(), "an appeal made somebody guilty")
    require((audits["overturned"] <= audits["appealed"]).all(), "a verdict fell without an appeal")
    transfers = found.table("transfers")
    slashed = transfers[transfers["kind"] == "slash"]["amount_micro"].sum()
    refunds = transfers[transfers["kind"] == "refund"]["amount_micro"].sum()
    _same_sum(audits["slashed"] * 1e6, float(slashed - refunds), "fines")


@AT_THE_END.register("rounds_fit_in_time")
def rounds_fit_in_time(found: Finished) -> None:
    """Rounds do not overlap, and without waiting, restarts and other deadlines each closes in its own window."""
    rounds, scenario = found.table("rounds"), found.simulation.scenario
    opened, closed = rounds["opened_tick"].to_numpy(), rounds["closed_tick"].to_numpy()
    require((opened[1:] >= closed[:-1]).all(), "a round opens before the last one is over")
    turned = {path.split(".")[0] for intervention in scenario.interventions for path in intervention.set}
    restarts = any(fault.name == "server_restart" for fault in scenario.faults)
    if scenario.round.late != "wait" and not restarts and not turned & {"round", "faults"}:
        length = round((scenario.round.report_deadline + scenario.round.train_deadline) * TICKS_PER_SECOND)
        require((np.abs(closed - opened - length) <= 2).all(), "a round did not close at its deadline")
        require_equal(len(rounds), scenario.horizon, "rounds and windows")
