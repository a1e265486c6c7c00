"""A made-up but plausible run, written through a recorder: for tests and for looking at plots without a simulation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from market.parties import MODEL_OWNER, REGULATOR, WORLD
from scenarios.recorder import Codes, Recorder, TableSink

STRATEGIES = ("honest", "misreport_size", "misreport_cost", "free_rider_global", "free_rider_noise")
SHARES = (0.5, 0.15, 0.1, 0.15, 0.1)
CAUSES = {"voluntary": "disappointed", "expelled": "expelled", "bankrupt": "broke", "censored": "end_of_run"}
STATUS = ("outside", "active", "left", "expelled", "bankrupt")
UPLOADS = ("none", "trained", "global_copy", "noise")
TICKS_PER_ROUND = 60_000_000
SCENARIO = "name: synthetic\ntitle: A made-up market\ndescription: Sixty owners of five strategies.\nseed: 7\n"
INFO = {"versions": {"python": "3.11", "numpy": "2"}, "seed": 7, "command": "datagora run synthetic"}


@dataclass
class Stay:
    owner: int
    person: int
    stay: int
    strategy: int
    joined: int
    left: int | None = None
    kind: str = "censored"
    rounds: int = 0
    utility: float = 0.0


def write_run(sink: TableSink, *, owners: int = 60, rounds: int = 40, seed: int = 7) -> TableSink:
    """Write all tables of a run (without closing it)."""
    Synthetic(sink, owners, rounds, seed).play()
    return sink


def make_folder(folder: Path, **options: Any) -> Path:
    """A finished run folder."""
    recorder = Recorder(folder)
    write_run(recorder, **options)
    return recorder.close(SCENARIO, INFO)


class Synthetic:
    def __init__(self, sink: TableSink, owners: int, rounds: int, seed: int) -> None:
        self.sink, self.rounds, self.rng = sink, rounds, np.random.default_rng(seed)
        self.strategy = self.rng.choice(len(STRATEGIES), owners, p=SHARES)
        self.data_size = np.round(self.rng.lognormal(3.5, 0.5, owners))
        self.quality = self.rng.uniform(0.6, 1.0, owners)
        self.cost = self.rng.lognormal(-4.6, 0.3, owners)
        self.status = np.zeros(owners, dtype=np.int64)
        self.reputation = np.full(owners, 0.5)
        self.strikes = np.zeros(owners, dtype=np.int64)
        self.probation = np.zeros(owners, dtype=np.int64)
        self.wallet = np.full(owners, 20.0)
        self.stay_number = np.zeros(owners, dtype=np.int64)
        self.believed = np.zeros(owners)
        self.arrival = np.where(self.rng.random(owners) < 0.6, 0, self.rng.integers(0, rounds * 2 // 3 + 1, owners))
        self.stays: dict[int, Stay] = {}
        self.ended: list[Stay] = []
        self.events = 0
        self.totals = dict.fromkeys(("owner", "model_owner", "welfare", "paid", "slashed", "participants"), 0.0)
        self.accuracies: list[float] = []

    def play(self) -> None:
        everybody = np.arange(len(self.strategy))
        self.post(0, "endowment", WORLD, everybody, 20.0)
        self.post(0, "treasury", WORLD, np.array([MODEL_OWNER]), 1000.0)
        for number in range(self.rounds):
            self.join(number)
            self.play_round(number)
        for stay in list(self.stays.values()):
            self.end(stay, self.rounds, "censored")
        self.write_final()

    def join(self, number: int) -> None:
        returning = (self.status == 2) & (self.rng.random(len(self.status)) < 0.03)
        for owner in np.flatnonzero(((self.status == 0) & (self.arrival <= number)) | returning).tolist():
            before = [stay for stay in self.ended if stay.owner == owner]
            self.stays[owner] = Stay(owner, owner, len(before) + 1, int(self.strategy[owner]), number)
            self.status[owner] = 1
            self.stay_number[owner] = len(before) + 1
            self.log(number, "join", owner, 2.0)
            self.post(number * TICKS_PER_ROUND, "deposit", owner, np.array([owner]), 2.0, payee_book="deposit")

    def play_round(self, number: int) -> None:
        rng, active = self.rng, np.flatnonzero(self.status == 1)
        strategy, size = self.strategy[active], self.data_size[active]
        riding = strategy >= 3
        took = rng.random(len(active)) < 0.93
        arrived = took & (rng.random(len(active)) < np.where(riding, 1.0, 0.92))
        trained, forged = arrived & ~riding, arrived & riding
        claimed = size * np.where(strategy == 1, 2.0, np.where(riding, 1.5, 1.0))
        units = claimed * arrived
        payment = 20.0 * units / max(units.sum(), 1.0)
        training = np.where(took & ~riding, self.cost[active] * size, 0.0)
        share = trained.sum() / max(1, arrived.sum())
        accuracy = 0.1 + 0.85 * (1 - np.exp(-(number + 1) / 8)) * (0.6 + 0.4 * share) + rng.normal(0, 0.008)
        own = np.clip(accuracy + rng.normal(0, 0.06, len(active)), 0, 1)
        benefit = 0.5 * np.clip((accuracy - 0.1) / 0.9, 0, 1) * np.ones(len(active))
        violation = took & ((strategy == 1) | (strategy == 2) | riding)
        audited = took & (rng.random(len(active)) < 0.15)
        flagged = audited & (rng.random(len(active)) < np.where(violation, 0.85, 0.05))
        penalty = 2.0 * flagged
        utility = payment - training + benefit - penalty
        self.believed[active] = 0.5 * self.believed[active] + 0.5 * utility
        self.reputation[active] += np.where(flagged, -0.5 * self.reputation[active], 0.0)
        self.reputation[active] += np.where(flagged, 0.0, 0.05 * (1 - self.reputation[active]))
        self.strikes[active] += flagged
        self.probation[active[flagged]] = number + 5
        self.wallet[active] += payment - training - penalty
        tick = number * TICKS_PER_ROUND
        closing = tick + 50_000_000
        self.post(closing, "payment", MODEL_OWNER, active, payment)
        self.post(closing, "training cost", active, np.array([WORLD]), training)
        self.post(closing, "slash", active, np.array([REGULATOR]), penalty, payer_book="deposit")
        revenue = 30.0 * float(np.clip((accuracy - 0.1) / 0.9, 0, 1))
        self.post(closing, "revenue", WORLD, np.array([MODEL_OWNER]), revenue)
        if audited.any():
            self.post(closing, "audit cost", REGULATOR, np.array([WORLD]), 0.05 * audited.sum())
        for owner, lied in zip(active[audited].tolist(), violation[audited].tolist(), strict=True):
            self.log(number, "audit", owner, float(lied), closing)
        for owner in active[flagged].tolist():
            self.log(number, "guilty", owner, 2.0, closing)
        for owner, stay in self.stays.items():
            stay.utility += float(utility[active == owner].sum())
            stay.rounds += int(arrived[active == owner].sum())
        self.leave(number, active, flagged)
        weight = units / max(units.sum(), 1.0)
        self.write_owners(
            number, active, took_part=took, arrived=arrived, trained=trained, weight=weight, payment=payment,
            training_cost=training, model_benefit=benefit, penalty=penalty, utility=utility, accuracy=own,
            audited=audited, flagged=flagged, violation=violation, reported_data_size=claimed,
            upload=np.where(trained, 1, np.where(forged, strategy - 1, 0)),
        )  # fmt: skip
        self.write_edges(number, active, arrived, forged, weight, payment)
        income = float(penalty.sum() - 0.05 * audited.sum())
        gains = {"owner": float(utility.sum()), "model_owner": revenue - float(payment.sum())}
        gains["welfare"] = gains["owner"] + gains["model_owner"] + income
        for name, gain in gains.items():
            self.totals[name] += gain
        self.totals["paid"] += float(payment.sum())
        self.totals["slashed"] += float(penalty.sum())
        self.totals["participants"] += int(took.sum())
        self.accuracies.append(float(accuracy))
        self.sink.write(
            "rounds",
            {
                "round": number, "opened_tick": tick, "closed_tick": closing, "window": number,
                "active": int((self.status[active] == 1).sum()), "participants": int(took.sum()),
                "selected": int(took.sum()),
                "arrived": int(arrived.sum()), "late": int((took & ~arrived).sum()), "left_midway": 0,
                "trained": int(trained.sum()), "free_riding": int(forged.sum()), "lying": int(violation.sum()),
                "accuracy": accuracy, "loss": 2.3 * (1 - accuracy), "owner_accuracy_mean": own.mean(),
                "owner_accuracy_min": own.min(), "owner_accuracy_std": own.std(), "model_version": number + 1,
                "quarantined": 0, "staleness_mean": 0.0, "budget": 20.0, "paid": payment.sum(), "claimed": units.sum(),
                "revenue": revenue, "owner_utility": gains["owner"], "model_owner_utility": gains["model_owner"],
                "regulator_income": income, "center_income": 0.0, "paper_owner_utility": np.nan,
                "paper_model_owner_utility": np.nan, "paper_center_utility": np.nan, "paper_surplus": np.nan,
                "epsilon_offered": 0.0, "epsilon_sold": 0.0, "epsilon_lost": 0.0, "privacy_cost": 0.0, "sold_out": 0,
                "epsilon_forfeited": 0.0, "forfeited": 0.0,
                "mean_field_valuation": np.nan,
                "audit_cost": 0.05 * audited.sum(), "welfare": gains["welfare"],
                **dict.fromkeys(("synthetic_volume", "generation_spent", "competition_loss"), 0.0),
                "redistribution_rate": np.nan,
                "audited": int(audited.sum()), "flagged": int(flagged.sum()),
                "true_positives": int((flagged & violation).sum()),
                "false_positives": int((flagged & ~violation).sum()),
                "false_negatives": int((audited & violation & ~flagged).sum()),
                "audit_rate": 0.3, "server_fees": 0.0,
                "expelled": int((self.status[active] == 3).sum()), "reputation_mean": self.reputation[active].mean(),
                "deposits": 2.0 * len(active), "update_norm": 1.0 / (number + 1), "backdoor_success": np.nan,
                "graph_edges": 4 * len(active),
                "graph_density": 4 / max(1, len(active) - 1), "graph_reciprocity": 1.0,
            },
        )  # fmt: skip
        self.log(number, "close", -1, float(accuracy))

    def leave(self, number: int, active: np.ndarray, flagged: np.ndarray) -> None:
        for owner in active.tolist():
            if self.strikes[owner] >= 3:
                self.end(self.stays[owner], number + 1, "expelled")
            elif self.believed[owner] < 0.55 and number > 3 and self.rng.random() < 0.08:
                self.end(self.stays[owner], number + 1, "voluntary")
            elif flagged[active == owner].any() and self.rng.random() < 0.04:
                self.end(self.stays[owner], number + 1, "bankrupt")

    def end(self, stay: Stay, rounds_closed: int, kind: str) -> None:
        stay.left, stay.kind = rounds_closed, kind
        self.ended.append(self.stays.pop(stay.owner))
        names = {"voluntary": 2, "expelled": 3, "bankrupt": 4, "censored": 1}
        self.status[stay.owner] = names[kind]
        self.sink.write(
            "episodes",
            {
                "owner": stay.owner, "person": stay.person, "stay": stay.stay,
                "strategy_joined": STRATEGIES[stay.strategy], "strategy_left": STRATEGIES[stay.strategy],
                "joined_tick": stay.joined * TICKS_PER_ROUND, "joined_round": stay.joined,
                "left_tick": rounds_closed * TICKS_PER_ROUND, "left_round": rounds_closed, "exit_kind": kind,
                "exit_cause": CAUSES[kind],
                "rounds_taken": stay.rounds, "utility": stay.utility,
            },
        )  # fmt: skip

    def write_owners(self, number: int, ids: np.ndarray, *, moment: str = "round", **columns: np.ndarray) -> None:
        nothing = np.zeros(len(ids), dtype=np.bool_)
        given: dict[str, object] = {
            "round": number, "moment": moment, "owner": ids, "person": ids,
            "status": Codes(self.status[ids], STATUS), "stay": self.stay_number[ids],
            "strategy": Codes(self.strategy[ids], STRATEGIES), "data_size": self.data_size[ids],
            "reported_data_size": np.nan, "quality": self.quality[ids], "reported_quality": self.quality[ids],
            "cost": self.cost[ids], "reported_cost": self.cost[ids], "reputation": self.reputation[ids],
            "strikes": self.strikes[ids], "on_probation": self.probation[ids] > number, "wallet": self.wallet[ids],
            "deposit": 2.0, "believed_utility": self.believed[ids],
        }  # fmt: skip
        given |= dict.fromkeys(("took_part", "arrived", "trained", "audited", "flagged", "violation"), nothing)
        money = ("payment", "training_cost", "model_benefit", "penalty", "utility", "weight", "accuracy", "loss")
        given |= dict.fromkeys(money, 0.0)
        given |= {"contribution": np.nan, "contribution_error": np.nan}
        sharing = ("gain_scale", "sharing_cost", "sharing_gain", "sharing_loss", "net_payment", "purchases", "sales")
        given |= dict.fromkeys((*sharing, "reported_gain_scale", "reported_sharing_cost"), 0)
        sold = (
            "valuation",
            "reported_valuation",
            "privacy_budget",
            "reported_privacy_budget",
            "epsilon",
            "epsilon_lost",
        )
        given |= dict.fromkeys((*sold, "epsilon_spent", "privacy_cost"), 0.0)
        rivals = ("emd", "generation_cost", "profitability", "competition_pressure", "generation_spent")
        given |= dict.fromkeys((*rivals, "reported_emd", "reported_generation_cost", "competition_loss"), 0.0)
        given |= {"told_volume": 0.0, "synthetic_volume": 0, "own_performance": np.nan, "revealed_intensity": np.nan}
        given |= {"center": -1, "measured_quality": np.nan, "paper_utility": np.nan}
        upload = columns.pop("upload", np.zeros(len(ids), dtype=np.int64))
        self.sink.write("owners", given | columns | {"upload": Codes(upload, UPLOADS)})

    def write_edges(
        self, number: int, ids: np.ndarray, arrived: np.ndarray, forged: np.ndarray, weight: np.ndarray,
        payment: np.ndarray,
    ) -> None:  # fmt: skip
        used = ids[arrived]
        to_hub = {"round": number, "user": MODEL_OWNER, "source": used, "weight": weight[arrived]}
        to_hub["dissimilarity"] = np.nan
        self.sink.write("edges", to_hub | {"payment": payment[arrived]})
        self.sink.write("edges", {"round": number, "user": used, "source": MODEL_OWNER, "weight": 1.0, "payment": 0.0,
                                  "dissimilarity": np.nan})  # fmt: skip
        copied = self.rng.choice(ids[~forged], int(forged.sum()))
        self.sink.write(
            "edges",
            {
                "round": number,
                "user": ids[forged],
                "source": copied,
                "weight": 1.0,
                "payment": 0.0,
                "dissimilarity": np.nan,
            },
        )

    def write_final(self) -> None:
        self.write_owners(self.rounds - 1, np.arange(len(self.status)), moment="final")
        kinds = [stay.kind for stay in self.ended]
        self.sink.write(
            "runs",
            {
                "run_id": "synthetic-7", "scenario": "synthetic", "title": "A made-up market", "seed": 7,
                "device": "cpu", "mechanism": "proportional", "windows": self.rounds, "rounds": self.rounds,
                "ticks": self.rounds * TICKS_PER_ROUND, "owners": len(self.status), "joins": len(self.ended),
                "exits": len(kinds) - kinds.count("censored"), "expulsions": kinds.count("expelled"),
                "bankruptcies": kinds.count("bankrupt"), "final_accuracy": self.accuracies[-1],
                "best_accuracy": max(self.accuracies),
                "mean_participants": self.totals["participants"] / self.rounds,
                "owner_utility": self.totals["owner"], "model_owner_utility": self.totals["model_owner"],
                "welfare": self.totals["welfare"], "paid": self.totals["paid"], "slashed": self.totals["slashed"],
                "events": self.events,
            },
        )  # fmt: skip

    def log(self, number: int, kind: str, owner: int, value: float, tick: int | None = None) -> None:
        tick = number * TICKS_PER_ROUND if tick is None else tick
        row = {"seq": self.events, "tick": tick, "round": number, "kind": kind, "owner": owner, "value": value}
        self.sink.write("events", row)
        self.events += 1

    def post(
        self, tick: int, kind: str, payer: Any, payee: Any, amount: Any, *, payer_book: str = "wallet",
        payee_book: str = "wallet",
    ) -> None:  # fmt: skip
        columns = np.broadcast_arrays(payer, payee, np.rint(np.asarray(amount) * 1e6).astype(np.int64))
        payers, payees, micro = (column[columns[2] > 0] for column in columns)
        self.sink.write(
            "transfers",
            {
                "tick": tick, "round": tick // TICKS_PER_ROUND, "kind": kind, "payer": payers,
                "payer_book": payer_book, "payee": payees, "payee_book": payee_book, "amount_micro": micro,
            },
        )  # fmt: skip
