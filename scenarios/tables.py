"""The result tables of a run, declared once: names, types and meanings (units included).

A run folder holds one Parquet file per table. The recorder writes by these declarations, the readers check against
them and the documentation is generated from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pyarrow as pa

Kind = Literal["int", "float", "bool", "text", "label"]
"""``text`` is any string, ``label`` one of few strings (dictionary encoded). A missing float is NaN."""

_ARROW: dict[Kind, Any] = {
    "int": pa.int64(),
    "float": pa.float64(),
    "bool": pa.bool_(),
    "text": pa.string(),
    "label": pa.dictionary(pa.int32(), pa.string()),
}
# Strings are kept as codes into a vocabulary while they wait to be written.
_NUMPY: dict[Kind, np.dtype[Any]] = {
    "int": np.dtype(np.int64),
    "float": np.dtype(np.float64),
    "bool": np.dtype(np.bool_),
    "text": np.dtype(np.int32),
    "label": np.dtype(np.int32),
}


@dataclass(frozen=True)
class Column:
    """One column: its name, what it holds, and its meaning with the unit."""

    name: str
    kind: Kind
    meaning: str

    @property
    def arrow(self) -> Any:
        """The Arrow type in the file."""
        return _ARROW[self.kind]

    @property
    def numpy(self) -> np.dtype[Any]:
        """The NumPy type in memory (codes for strings)."""
        return _NUMPY[self.kind]

    @property
    def is_string(self) -> bool:
        """Whether values are strings."""
        return self.kind in ("text", "label")


@dataclass(frozen=True)
class Table:
    """One table: what one row is, and its columns in file order."""

    name: str
    row: str
    columns: tuple[Column, ...]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Column names in file order."""
        return tuple(column.name for column in self.columns)

    @cached_property
    def schema(self) -> Any:
        """The Arrow schema; every field carries its meaning as metadata."""
        return pa.schema(
            [pa.field(c.name, c.arrow, nullable=False, metadata={"meaning": c.meaning}) for c in self.columns]
        )

    @property
    def file_name(self) -> str:
        """Name of the table's file in a run folder."""
        return f"{self.name}.parquet"

    def markdown(self) -> str:
        """The table's page section: one line per column."""
        lines = [f"### `{self.file_name}`", "", f"One row per {self.row}.", "", "| column | type | meaning |"]
        lines += ["| --- | --- | --- |", *(f"| `{c.name}` | {c.kind} | {c.meaning} |" for c in self.columns)]
        return "\n".join(lines) + "\n"


def _table(name: str, row: str, *columns: tuple[str, Kind, str]) -> Table:
    return Table(name, row, tuple(Column(*column) for column in columns))


RUNS = _table(
    "runs",
    "run",
    ("run_id", "text", "name of the run, from scenario and seed"),
    ("scenario", "text", "short name of the scenario"),
    ("title", "text", "title of the scenario"),
    ("seed", "int", "root of every random number"),
    ("device", "text", "kind of device that trained: cpu or cuda"),
    ("mechanism", "text", "name of the mechanism at the start"),
    ("windows", "int", "reporting windows played"),
    ("rounds", "int", "rounds closed"),
    ("ticks", "int", "simulated time played, in ticks"),
    ("owners", "int", "identities that ever joined"),
    ("joins", "int", "stays begun"),
    ("exits", "int", "stays ended before the end of the run, of all kinds"),
    ("expulsions", "int", "stays ended by the regulator"),
    ("bankruptcies", "int", "stays ended for want of money"),
    ("final_accuracy", "float", "test accuracy of the last global model, 0 to 1"),
    ("best_accuracy", "float", "best test accuracy of any round, 0 to 1"),
    ("mean_participants", "float", "mean over rounds of the owners whose report came in time"),
    ("owner_utility", "float", "sum of the owners' realised utility, from true types, in money"),
    ("model_owner_utility", "float", "sum of the model owner's utility, in money"),
    ("welfare", "float", "sum of the welfare of all rounds, in money"),
    ("paid", "float", "paid by the mechanism to owners in all, in money"),
    ("slashed", "float", "taken from deposits in all, in money"),
    ("events", "int", "events logged"),
)

ROUNDS = _table(
    "rounds",
    "closed round",
    ("round", "int", "number of the round, from 0"),
    ("opened_tick", "int", "tick at which the round opened"),
    ("closed_tick", "int", "tick at which the round was settled"),
    ("window", "int", "reporting window in which the round opened"),
    ("active", "int", "owners in the market when the round closed"),
    ("participants", "int", "owners whose report came in time"),
    ("selected", "int", "owners that the mechanism selected"),
    ("arrived", "int", "uploads that came in time"),
    ("late", "int", "uploads that came too late"),
    ("left_midway", "int", "selected owners that left before the round was settled"),
    ("trained", "int", "uploads that were really trained (truth)"),
    ("free_riding", "int", "uploads that were forged (truth)"),
    ("lying", "int", "reports with a claim further from the truth than the tolerance (truth)"),
    ("accuracy", "float", "test accuracy of the global model after the round, 0 to 1"),
    ("loss", "float", "test cross-entropy of the global model after the round, in nats"),
    ("owner_accuracy_mean", "float", "mean over active owners of the accuracy on their own class mix, 0 to 1"),
    ("owner_accuracy_min", "float", "lowest of these accuracies, 0 to 1"),
    ("owner_accuracy_std", "float", "standard deviation of these accuracies"),
    ("model_version", "int", "version of the global model after the round"),
    ("quarantined", "int", "uploads put aside since the last round was settled: no numbers, or diverged"),
    ("staleness_mean", "float", "mean number of versions by which the aggregated uploads were old"),
    ("budget", "float", "offered by the model owner for the round, in money"),
    ("paid", "float", "paid by the mechanism to owners, in money"),
    ("claimed", "float", "claim units that shared the reward, as the mechanism weighs them"),
    ("revenue", "float", "earned by the model owner from the model, in money"),
    ("owner_utility", "float", "sum of the owners' realised utility, from true types, in money"),
    (
        "forfeited",
        "float",
        "taken off it: training paid and privacy lost by owners that left before the settlement, in money",
    ),
    ("model_owner_utility", "float", "the model owner's utility, in money"),
    ("regulator_income", "float", "fees and slashed deposits less the cost of audits and appeals, in money"),
    ("audit_cost", "float", "spent on audits and appeals, in money"),
    ("center_income", "float", "what computing centers were paid less what training cost them, in money"),
    ("welfare", "float", "utility of owners and model owner + income of regulator and computing centers, in money"),
    ("synthetic_volume", "float", "synthetic samples that were really trained on"),
    ("generation_spent", "float", "spent on synthetic data by the owners, in money"),
    ("competition_loss", "float", "sum of what owners lost to rivals with better models, in money"),
    ("redistribution_rate", "float", "money per synthetic sample and unit of competition, as announced, or NaN"),
    ("paper_owner_utility", "float", "sum of the owners' utility as the mechanism's source defines it, on true types"),
    ("paper_model_owner_utility", "float", "the model owner's, in the same way; NaN if the source defines none"),
    ("paper_center_utility", "float", "the sum of the computing centers', in the same way"),
    ("paper_surplus", "float", "the sum of these three: total surplus as the source counts it; NaN if it defines none"),
    ("epsilon_offered", "float", "privacy loss that the reports in time offered, as they said; 0 where none is sold"),
    ("epsilon_sold", "float", "privacy loss bought of owners whose upload came in time"),
    ("epsilon_lost", "float", "privacy loss of what was really sent and settled (truth)"),
    (
        "epsilon_forfeited",
        "float",
        "privacy loss of what was merged before its owner left, ahead of the settlement (truth)",
    ),
    ("privacy_cost", "float", "what epsilon_lost costs the owners, at true valuations, in money"),
    ("sold_out", "int", "active owners that have no privacy left to sell (truth)"),
    (
        "mean_field_valuation",
        "float",
        "moving average of the mean valuation claimed by who offers epsilon, money per epsilon; NaN if none",
    ),
    ("audited", "int", "owners audited"),
    ("flagged", "int", "audited owners found guilty"),
    ("true_positives", "int", "audited violators found guilty"),
    ("false_positives", "int", "audited owners found guilty without a violation"),
    ("false_negatives", "int", "audited violators not found guilty"),
    ("audit_rate", "float", "chance of an audit that the regulator announced, 0 to 1"),
    ("server_fees", "float", "share of the owners' earnings that went to the regulator, in money"),
    ("expelled", "int", "owners expelled"),
    ("reputation_mean", "float", "mean public standing of the active owners, 0 to 1"),
    ("deposits", "float", "held as deposits after the round, in money"),
    ("update_norm", "float", "median L2 norm of the uploads (upload less its base model)"),
    ("backdoor_success", "float", "share of triggered test samples that a backdoor catches; NaN where none is tried"),
    ("graph_edges", "int", "owner-to-owner edges of the collaboration graph"),
    ("graph_density", "float", "share of the possible owner-to-owner edges that exist, 0 to 1"),
    ("graph_reciprocity", "float", "share of the owner-to-owner edges that go both ways, 0 to 1"),
)

OWNERS = _table(
    "owners",
    "recorded owner and round, and per recorded owner at the end",
    ("round", "int", "number of the round, from 0"),
    ("moment", "label", "round (after a settlement) or final (state at the end of the run)"),
    ("owner", "int", "identity"),
    ("person", "int", "person behind the identity (truth)"),
    ("status", "label", "outside, active, left, expelled or bankrupt"),
    ("stay", "int", "number of the current or last stay, counted from 1"),
    ("strategy", "label", "strategy followed in the round"),
    ("data_size", "float", "samples held (truth)"),
    ("reported_data_size", "float", "samples claimed"),
    ("quality", "float", "data quality, 0 to 1 (truth)"),
    ("reported_quality", "float", "quality claimed"),
    ("cost", "float", "money per trained sample (truth)"),
    ("reported_cost", "float", "money per trained sample claimed"),
    ("gain_scale", "float", "K in sqrt(K / n): how much data of others is worth to it (truth)"),
    ("reported_gain_scale", "float", "gain scale claimed"),
    (
        "sharing_cost",
        "float",
        "lost each time that another owner imports its model, in money (truth; inf: never sells)",
    ),
    ("reported_sharing_cost", "float", "sharing cost claimed"),
    ("valuation", "float", "money that a unit of privacy loss costs it (truth)"),
    ("reported_valuation", "float", "valuation claimed"),
    ("privacy_budget", "float", "most epsilon that it can sell next: its cap per round, and what is left (truth)"),
    ("reported_privacy_budget", "float", "most epsilon that it claimed to sell"),
    ("epsilon", "float", "privacy loss sold in the round"),
    ("epsilon_lost", "float", "privacy loss of what it sent in the round (truth)"),
    ("epsilon_spent", "float", "privacy lost so far by its person, by the ledger, in epsilon at the run's delta"),
    ("emd", "float", "L1 distance of its label mix from that of all shards, 0 to 2 (truth)"),
    ("reported_emd", "float", "distance claimed"),
    ("generation_cost", "float", "money per synthetic sample (truth)"),
    ("reported_generation_cost", "float", "money per synthetic sample claimed"),
    ("profitability", "float", "money per round that a model of accuracy 1 earns it among rivals"),
    ("competition_pressure", "float", "rivals' profitability times what it feels of each, in money (truth)"),
    (
        "revealed_intensity",
        "float",
        "mean competition that its offers gave away so far, as the server reads it, or NaN",
    ),
    ("told_volume", "float", "synthetic samples that the mechanism asked for"),
    ("synthetic_volume", "int", "synthetic samples that it really made (truth)"),
    ("own_performance", "float", "performance of the new model on its own labels, where the mechanism asks; or NaN"),
    ("generation_spent", "float", "spent on synthetic data, in money"),
    ("competition_loss", "float", "lost to rivals with better models, in money; negative if its own is better"),
    ("took_part", "bool", "its report came in time"),
    ("arrived", "bool", "its upload came in time"),
    ("trained", "bool", "its upload was really trained (truth)"),
    ("upload", "label", "kind of upload: none, trained, or the name of a forgery (truth)"),
    ("weight", "float", "share of its upload in the aggregate, 0 to 1"),
    ("center", "int", "computing center that the mechanism matched it with, -1 for none"),
    ("measured_quality", "float", "quality of its data as last measured, in the mechanism's unit; NaN if never"),
    ("paper_utility", "float", "utility in the round as the mechanism's source defines it, on true types, or NaN"),
    ("contribution", "float", "its upload's measured contribution, in the method's unit; NaN if none was measured"),
    ("contribution_error", "float", "standard error of that from sampling: 0 if exact, infinite if it cannot be told"),
    ("purchases", "int", "owners whose personal models it used in the round"),
    ("sales", "int", "owners that used its personal model in the round"),
    ("net_payment", "float", "paid to other owners less what it got from them, in money"),
    ("sharing_gain", "float", "worth of the data really behind the models that it used, in money"),
    ("sharing_loss", "float", "lost as others used its model, in money"),
    ("payment", "float", "received from the mechanism, net, in money"),
    ("training_cost", "float", "spent on training, in money"),
    ("model_benefit", "float", "worth of the model held, in money"),
    ("privacy_cost", "float", "worth of the privacy lost in the round at the true valuation, in money"),
    ("penalty", "float", "slashed or charged, in money"),
    ("utility", "float", "realised utility of the round, from true types, in money"),
    ("believed_utility", "float", "smoothed utility per round that the owner believes in, in money"),
    ("accuracy", "float", "accuracy of the model it holds on its own class mix, 0 to 1"),
    ("loss", "float", "cross-entropy of that model on its own class mix, in nats"),
    ("reputation", "float", "public standing, 0 to 1"),
    ("strikes", "int", "audits that found it guilty so far"),
    ("on_probation", "bool", "excluded from sharing after a guilty audit"),
    ("audited", "bool", "audited in the round"),
    ("flagged", "bool", "found guilty in the round, after an appeal if there was one"),
    ("violation", "bool", "lied beyond the tolerance or forged its upload in the round (truth)"),
    ("wallet", "float", "money at hand"),
    ("deposit", "float", "money locked as deposit"),
)

TRANSFERS = _table(
    "transfers",
    "posting of the ledger",
    ("tick", "int", "tick of the posting"),
    ("round", "int", "number of the round, from 0"),
    ("kind", "label", "why the money moved"),
    ("payer", "int", "party that paid: an owner, or a negative number (-1 world, -2 model owner, -3 regulator)"),
    ("payer_book", "label", "account of the payer: wallet or deposit"),
    ("payee", "int", "party that was paid"),
    ("payee_book", "label", "account of the payee: wallet or deposit"),
    ("amount_micro", "int", "amount in millionths of money"),
)

EPISODES = _table(
    "episodes",
    "stay of an owner",
    ("owner", "int", "identity"),
    ("person", "int", "person behind the identity (truth)"),
    ("stay", "int", "number of the stay, counted from 1"),
    ("strategy_joined", "label", "strategy when it joined"),
    ("strategy_left", "label", "strategy when the stay ended"),
    ("joined_tick", "int", "tick of the join"),
    ("joined_round", "int", "rounds closed before the join"),
    ("left_tick", "int", "tick at which the stay ended"),
    ("left_round", "int", "rounds closed before the stay ended"),
    (
        "exit_kind",
        "label",
        "voluntary, expelled, bankrupt, quit (refused its bill) or censored (there at the end)",
    ),
    ("exit_cause", "label", "what it came of: disappointed, regret, word_of_mouth, strategy, ..., end_of_run"),
    ("rounds_taken", "int", "rounds of the stay in which an upload arrived"),
    ("utility", "float", "sum of the realised utility of the stay, in money"),
)

EDGES = _table(
    "edges",
    "use of a model in a round",
    ("round", "int", "number of the round, from 0"),
    ("user", "int", "party that used the model (-2: model owner)"),
    ("source", "int", "party whose model was used (-2: the global model)"),
    ("weight", "float", "weight of the source's model in what the user made of it, 0 to 1"),
    ("payment", "float", "paid by the user to the source, in money"),
    ("dissimilarity", "float", "distance of the two models as the mechanism measures it, NaN if it does not"),
)

NETWORK = _table(
    "network",
    "look at the graph of personal models (every ``recording.network_every`` rounds)",
    ("round", "int", "number of the round, from 0"),
    ("owners", "int", "owners in the market"),
    ("edges", "int", "pairs of owners of which one used the other's model in the round"),
    ("density", "float", "edges per ordered pair of owners, 0 to 1"),
    ("reciprocity", "float", "share of edges whose reverse is there too, 0 to 1"),
    ("communities", "int", "communities by greedy modularity"),
    ("modularity", "float", "share of edges within communities less what it would be by chance, at most 1"),
    ("degree_gini", "float", "Gini coefficient of the number of edges per owner, 0 to 1"),
    ("edge_turnover", "float", "share of the edges now or at the last look that are not in both, 0 to 1; first NaN"),
    ("dissimilarity", "float", "mean distance of the two models of an edge"),
    ("payment", "float", "paid along the edges, in money"),
)

EVENTS = _table(
    "events",
    "logged event",
    ("seq", "int", "number of the event"),
    ("tick", "int", "tick at which it happened"),
    ("round", "int", "number of the round, from 0"),
    ("kind", "label", "what happened"),
    ("owner", "int", "owner concerned, or a negative party number"),
    ("value", "float", "a number that belongs to the kind of event, or NaN"),
)

IMAGES = _table(
    "images",
    "image kept to be looked at, of the first round with generated ones",
    ("round", "int", "number of the round, from 0"),
    ("owner", "int", "owner that generated it, or whose it is"),
    ("label", "int", "its class"),
    ("generated", "bool", "generated, not real"),
    ("channels", "int", "1 (grey) or 3 (red, green, blue)"),
    ("height", "int", "pixels"),
    ("width", "int", "pixels"),
    ("levels", "text", "from 0 (lowest value of the data) to 255, two hexadecimal digits each, by channel and row"),
)

AUDITS = _table(
    "audits",
    "audit",
    ("round", "int", "number of the round, from 0"),
    ("owner", "int", "identity that was audited"),
    ("person", "int", "person behind the identity (truth)"),
    ("strategy", "label", "strategy followed in the round (truth)"),
    ("upload", "label", "kind of upload: trained, or the name of a forgery (truth)"),
    ("lie", "bool", "a claim further from the truth than the tolerance (truth)"),
    ("violation", "bool", "lied beyond the tolerance or forged its upload in the round (truth)"),
    ("chance", "float", "probability of this audit, 0 to 1"),
    ("claimed", "float", "samples claimed and offered, times the quality claimed"),
    ("update_norm", "float", "L2 norm of its update; like all signals NaN where nothing reads it"),
    ("alignment", "float", "cosine of its update with the mean direction of the others, -1 to 1"),
    ("loss_drop", "float", "fall of the loss on its own data by its update, in nats per sample"),
    ("held_out_gain", "float", "fall of the loss on the test set by its update, in nats per sample"),
    ("duplicates", "float", "other uploads, earlier ones and known models that its upload equals bit for bit"),
    ("similarity", "float", "largest cosine of its update with another one or an earlier one, -1 to 1"),
    ("found_by", "int", "detectors that flagged it: powers of two by their place in the scenario, added up"),
    ("found_guilty", "bool", "verdict of the audit"),
    ("appealed", "bool", "the owner appealed against it"),
    ("overturned", "bool", "the second audit cleared the owner"),
    ("guilty", "bool", "verdict that stands"),
    ("slashed", "float", "taken from the deposit for good, in money"),
    ("appeal_fee", "float", "lost with an appeal that was turned down, in money"),
)

TABLES: Mapping[str, Table] = {
    table.name: table for table in (RUNS, ROUNDS, OWNERS, TRANSFERS, EPISODES, EDGES, NETWORK, EVENTS, IMAGES, AUDITS)
}
