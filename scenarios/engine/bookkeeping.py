"""From the state of the world to rows of the result tables. Reads columns, changes nothing but its own sums."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.population import Status
from learning.columns import FloatColumn, IntColumn
from learning.uploads import Upload
from market.graph_metrics import (
    EdgeColumns,
    communities,
    degree_gini,
    density,
    edge_turnover,
    modularity,
    reciprocity,
)
from market.ledger import Book
from market.mechanism import Edges, Recorded
from market.money import from_micro
from scenarios.buffers import Codes
from scenarios.engine.event_log import Event
from scenarios.engine.privacy import privacy_cost, privacy_offered, sold_out
from scenarios.engine.settled import Settled
from scenarios.engine.world import Tally, World
from scenarios.schema import Scenario

_STATUS = [status.name.lower() for status in Status]
_UPLOADS = ["none", *(kind.name.lower() for kind in Upload)]
_EVENTS = [kind.name.lower() for kind in Event]
_BOOKS = [book.name.lower() for book in Book]
_AS_THEY_ARE = (
    *("data_size", "reported_data_size", "quality", "reported_quality", "cost", "reported_cost", "payment"),
    *("gain_scale", "reported_gain_scale", "sharing_cost", "reported_sharing_cost", "sharing_gain", "sharing_loss"),
    *("valuation", "reported_valuation", "privacy_budget", "reported_privacy_budget", "epsilon_spent", "privacy_cost"),
    *("emd", "reported_emd", "generation_cost", "reported_generation_cost", "profitability", "competition_pressure"),
    *("generation_spent", "competition_loss"),
    *("training_cost", "model_benefit", "penalty", "utility", "believed_utility", "reputation", "strikes"),
)
"""Columns of the owners table that are population columns of the same name."""


def write_round(world: World, settled: Settled, tick: int) -> None:
    """One row of the rounds table, the owners' rows, and what was booked since the last round."""
    current, population, graph = world.round, world.population, world.graph.metrics()
    assert current is not None
    active = population.active()
    trained = settled.upload == Upload.TRAINED
    held = population.held_accuracy[active]
    held = held[~np.isnan(held)]
    there = population.status == Status.ACTIVE
    there[settled.owner] = True
    everyone = np.flatnonzero(there)
    owner_utility = float(population.utility[everyone].sum()) - world.tally.fees - world.tally.forfeited
    model_owner_utility = settled.revenue - settled.paid
    regulator_income = settled.slashed + world.tally.fees - settled.audit_cost
    regulator_income += settled.server_fees + settled.appeal_fees
    staleness = np.concatenate(world.tally.staleness) if world.tally.staleness else np.full(1, np.nan)
    audited, violation = settled.audited, settled.violation
    recorded = _recorded(world)
    row: dict[str, Any] = {
        "round": current.number,
        "opened_tick": current.opened_tick,
        "closed_tick": tick,
        "window": current.window,
        "active": len(active),
        "participants": int(current.reported.sum()),
        "selected": current.selected,
        "arrived": int(settled.arrived.sum()),
        "late": world.tally.late,
        "left_midway": world.tally.left_midway,
        "trained": int((settled.arrived & trained).sum()),
        "free_riding": int((settled.arrived & ~trained).sum()),
        "lying": int((settled.arrived & settled.lie).sum()),
        "accuracy": world.accuracy,
        "loss": world.evaluation.loss if world.evaluation is not None else np.nan,
        "owner_accuracy_mean": held.mean() if len(held) else np.nan,
        "owner_accuracy_min": held.min() if len(held) else np.nan,
        "owner_accuracy_std": held.std() if len(held) else np.nan,
        "model_version": world.training.version if world.training is not None else 0,
        "quarantined": world.tally.quarantined,
        "staleness_mean": float(staleness.mean()),
        "budget": current.terms.budget,
        "paid": settled.paid + settled.paid_by_world,
        "claimed": settled.claimed,
        "revenue": settled.revenue,
        "owner_utility": owner_utility,
        "forfeited": world.tally.forfeited,
        "model_owner_utility": model_owner_utility,
        "regulator_income": regulator_income,
        "audit_cost": settled.audit_cost,
        "center_income": settled.center_income,
        "welfare": owner_utility + model_owner_utility + regulator_income + settled.center_income,
        "synthetic_volume": float(settled.synthetic.sum()),
        "generation_spent": float(settled.generation_spent.sum()),
        "competition_loss": float(settled.competition_loss.sum()),
        "redistribution_rate": current.terms.figures.get(recorded.get("redistribution_rate", ""), np.nan),
        "paper_owner_utility": float(settled.paper_utility.sum()),
        "paper_model_owner_utility": settled.paper_model_owner,
        "paper_center_utility": settled.paper_centers,
        "paper_surplus": _paper_surplus(settled),
        "epsilon_offered": privacy_offered(world),
        "epsilon_sold": float(settled.epsilon[settled.arrived].sum()),
        "epsilon_lost": float(settled.epsilon_lost.sum()),
        "epsilon_forfeited": world.tally.epsilon_forfeited,
        "privacy_cost": float(settled.privacy_cost.sum()),
        "sold_out": sold_out(world),
        "mean_field_valuation": current.terms.figures.get(recorded.get("mean_field_valuation", ""), np.nan),
        "audited": int(audited.sum()),
        "flagged": int(settled.flagged.sum()),
        "true_positives": int((settled.flagged & violation).sum()),
        "false_positives": int((settled.flagged & ~violation).sum()),
        "false_negatives": int((audited & ~settled.flagged & violation).sum()),
        "audit_rate": world.policy.audit_rate,
        "server_fees": settled.server_fees,
        "expelled": settled.expelled,
        "reputation_mean": population.reputation[active].mean() if len(active) else np.nan,
        "deposits": float(from_micro(world.ledger.deposit.sum())),
        "update_norm": world.uploads_norm,
        "backdoor_success": world.backdoor_success,
        "graph_edges": int(graph["edges"]),
        "graph_density": graph["density"],
        "graph_reciprocity": graph["reciprocity"],
    }
    world.write("rounds", row)
    world.last_row = row
    _add_up(world, row, settled)
    if current.number % world.scenario.recording.owners_every == 0:
        write_owners(world, "round", _sample(world, everyone), settled)
    write_transfers(world)
    write_events(world)
    world.tally = Tally()


def _recorded(world: World) -> Mapping[str, str]:
    """Which number of the mechanism stands in which column."""
    return world.mechanism.recorded if isinstance(world.mechanism, Recorded) else {}


def _paper_surplus(settled: Settled) -> float:
    """All utilities as the mechanism's source defines them; a source without centers has nothing of them."""
    return float(settled.paper_utility.sum()) + settled.paper_model_owner + float(np.nan_to_num(settled.paper_centers))


def _add_up(world: World, row: dict[str, Any], settled: Settled) -> None:
    totals = world.totals
    totals.participants += row["participants"]
    for name in ("owner_utility", "model_owner_utility", "welfare", "paid"):
        setattr(totals, name, getattr(totals, name) + float(row[name]))
    totals.slashed += settled.slashed
    totals.best_accuracy = float(np.fmax(totals.best_accuracy, row["accuracy"]))


def _sample(world: World, owners: IntColumn) -> IntColumn:
    """The recorded owners: all, or those with the lowest draw; the same ones in every round."""
    most = world.scenario.recording.owners_sample
    if most is None or len(owners) <= most:
        return owners
    order = np.argsort(world.uniform("recorded", owners, 0), kind="stable")
    return np.sort(owners[order[:most]])


def write_owners(world: World, moment: str, owners: IntColumn, settled: Settled | None = None) -> None:
    """One row per owner; what belongs to a round is left empty at other moments."""
    population = world.population
    entry = np.full(len(population), -1)  # where the settlement has an owner; -1 finds what is put behind its end
    took_part = np.zeros(len(population), dtype=np.bool_)
    strategy = population.strategy
    if settled is not None and world.round is not None:
        entry[settled.owner] = np.arange(len(settled.owner))
        took_part[world.round.invited[world.round.reported]] = True
        strategy = settled.strategy
    entry = entry[owners]

    def of_round(name: str, default: Any) -> NDArray[Any]:
        values = [getattr(settled, name)] if settled is not None else []
        return np.asarray(np.concatenate([*values, [default]])[entry])

    revealed = world.records.get(_recorded(world).get("revealed_intensity", ""), np.zeros(0))
    arrived, upload = of_round("arrived", False), of_round("upload", -1)
    world.write(
        "owners",
        {
            "round": world.rounds_closed,
            "moment": moment,
            "owner": owners,
            "person": population.person[owners],
            "status": Codes(population.status[owners], _STATUS),
            "stay": population.stay[owners],
            "strategy": Codes(strategy[owners], world.strategy_names),
            **{name: getattr(population, name)[owners] for name in _AS_THEY_ARE},
            "took_part": took_part[owners],
            "arrived": arrived,
            "trained": arrived & (upload == Upload.TRAINED),
            "upload": Codes(upload + 1, _UPLOADS),
            "weight": of_round("weight", 0.0),
            "center": population.center[owners],
            "measured_quality": population.measured_quality[owners],
            "epsilon": of_round("epsilon", 0.0),
            "epsilon_lost": of_round("epsilon_lost", 0.0),
            "net_payment": of_round("net_payment", 0.0),
            "purchases": of_round("purchases", 0),
            "sales": of_round("sales", 0),
            "revealed_intensity": np.append(revealed, np.full(len(population) - len(revealed), np.nan))[owners],
            "told_volume": of_round("told_volume", 0.0),
            "synthetic_volume": of_round("synthetic", 0),
            "own_performance": of_round("own_performance", np.nan),
            "paper_utility": of_round("paper_utility", np.nan),
            "contribution": of_round("contribution", np.nan),
            "contribution_error": of_round("contribution_error", np.nan),
            "accuracy": population.held_accuracy[owners],
            "loss": population.held_loss[owners],
            "on_probation": population.restricted[owners],
            "audited": of_round("audited", False),
            "flagged": of_round("flagged", False),
            "violation": of_round("violation", False),
            "wallet": from_micro(world.ledger.wallet[owners]),
            "deposit": from_micro(world.ledger.deposit[owners]),
        },
    )


def write_network(world: World, used: Edges) -> None:
    """One row of the network table: key figures of who used whose model in this round, among owners."""
    owners = world.population.active()
    among = np.isin(used.user, owners) & np.isin(used.source, owners)
    pairs = np.unique(np.stack([used.user[among], used.source[among]]), axis=1)
    edges = EdgeColumns(pairs[0], pairs[1])
    group = communities(edges, owners)
    before, world.network = world.network, edges
    world.write(
        "network",
        {
            "round": world.rounds_closed,
            "owners": len(owners),
            "edges": len(edges.user),
            "density": density(edges, owners),
            "reciprocity": reciprocity(edges),
            "communities": len(np.unique(group)),
            "modularity": modularity(edges, owners, group),
            "degree_gini": degree_gini(edges, owners),
            "edge_turnover": edge_turnover(before, edges),
            "dissimilarity": _mean(used.dissimilarity[among]) if used.dissimilarity is not None else np.nan,
            "payment": float(used.payment[among].sum()),
        },
    )


def _mean(column: FloatColumn) -> float:
    known = column[~np.isnan(column)]
    return float(known.mean()) if len(known) else np.nan


def write_transfers(world: World) -> None:
    """What the ledger has booked since the last time."""
    batches = world.ledger.drain()
    if not batches:
        return
    lengths = [len(batch.amount) for batch in batches]
    kinds = list(dict.fromkeys(batch.kind for batch in batches))
    number = {kind: code for code, kind in enumerate(kinds)}

    def over_rows(values: list[int]) -> IntColumn:
        return np.repeat(np.array(values, dtype=np.int64), lengths)

    world.write(
        "transfers",
        {
            "tick": np.concatenate([np.broadcast_to(batch.tick, len(batch)) for batch in batches]),
            "round": over_rows([batch.round for batch in batches]),
            "kind": Codes(over_rows([number[batch.kind] for batch in batches]), kinds),
            "payer": np.concatenate([batch.payer for batch in batches]),
            "payer_book": Codes(over_rows([batch.payer_book for batch in batches]), _BOOKS),
            "payee": np.concatenate([batch.payee for batch in batches]),
            "payee_book": Codes(over_rows([batch.payee_book for batch in batches]), _BOOKS),
            "amount_micro": np.concatenate([batch.amount for batch in batches]),
        },
    )


def write_events(world: World) -> None:
    """What was logged since the last time."""
    columns = world.log.drain()
    world.write("events", {**columns, "kind": Codes(np.asarray(columns["kind"], dtype=np.int64), _EVENTS)})


def book_the_tail(world: World) -> None:
    """What was spent since the last settlement, and training under way at the end, is somebody's loss too."""
    spent, owners = world.flights.spent + privacy_cost(world, world.flights), world.flights.owner
    for column in (world.population.utility_total, world.population.stay_utility):
        np.subtract.at(column, owners, spent)
    lost = float(spent.sum()) + world.tally.forfeited
    world.totals.owner_utility -= lost + world.tally.fees
    world.totals.welfare -= lost  # fees only change hands
    world.tally = Tally()


def write_run(world: World, scenario: Scenario, device: str, ticks: int, windows: int) -> None:
    """The one row of the runs table; ``scenario`` as the run began with it."""
    totals = world.totals
    rounds = world.rounds_closed
    world.write(
        "runs",
        {
            "run_id": f"{scenario.name}-seed{scenario.seed}",
            "scenario": scenario.name,
            "title": scenario.title,
            "seed": scenario.seed,
            "device": device,
            "mechanism": scenario.market.mechanism.name,
            "windows": windows,
            "rounds": rounds,
            "ticks": ticks,
            "owners": int((world.population.stay > 0).sum()),
            "joins": totals.joins,
            "exits": totals.exits,
            "expulsions": totals.expulsions,
            "bankruptcies": totals.bankruptcies,
            "final_accuracy": world.accuracy,
            "best_accuracy": totals.best_accuracy,
            "mean_participants": totals.participants / rounds if rounds else 0.0,
            "owner_utility": totals.owner_utility,
            "model_owner_utility": totals.model_owner_utility,
            "welfare": totals.welfare,
            "paid": totals.paid,
            "slashed": totals.slashed,
            "events": world.log.count,
        },
    )
