"""What a soak came to: counts while it goes on, and the text at the end."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from scenarios import registries
from scenarios.soak.trial import Verdict

_KINDS = {
    "mechanism": registries.mechanisms,
    "strategies": registries.strategies,
    "with": registries.strategy_transformers,
    "participation": registries.participation_rules,
    "patience": registries.patience_kinds,
    "adaptation": registries.adaptation_rules,
    "confirmation": registries.confirmation_rules,
    "arrivals": registries.arrival_processes,
    "partition": registries.partitions,
    "algorithm": registries.algorithms,
    "aggregation": registries.robust_rules,
    "server": registries.server_optimizers,
    "personalization": registries.personalization_methods,
    "contribution": registries.contribution_methods,
    "merging": registries.merging_rules,
    "staleness": registries.staleness_functions,
    "competition": registries.rivalries,
    "audit_policy": registries.audit_policies,
    "detectors": registries.detectors,
    "slashing": registries.slashing_schedules,
    "admission": registries.admissions,
    "deposits": registries.deposit_schedules,
    "ban": registries.bans,
    "appeal": registries.appeals,
    "regulation": registries.regulations,
    "faults": registries.faults,
}
"""Registries by the key under which a scenario names something of them."""


@dataclass(frozen=True)
class Failure:
    """A law that was broken: by which market or file, how, and the file that shows it."""

    name: str
    law: str
    said: str
    file: str = ""


@dataclass
class Outcome:
    """What one worker tells of one market or file."""

    number: int
    verdict: Verdict
    named: Counter[str] = field(default_factory=Counter)
    content: Any = None
    left_out: int = 0
    windows: int = 0
    peak_kib: int = 0


@dataclass
class Tally:
    """Sums over all outcomes so far."""

    started: float = field(default_factory=time.monotonic)
    tried: int = 0
    windows: int = 0
    rounds: int = 0
    events: int = 0
    transfers: int = 0
    left_out: int = 0
    peak_kib: int = 0
    named: Counter[str] = field(default_factory=Counter)
    seen: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Count one outcome."""
        verdict = outcome.verdict
        self.tried += 1
        self.windows += outcome.windows
        self.rounds += verdict.rounds
        self.events += verdict.events
        self.transfers += verdict.transfers
        self.left_out += outcome.left_out
        self.peak_kib = max(self.peak_kib, outcome.peak_kib)
        self.named.update(outcome.named)
        self.seen.update(verdict.seen)
        if verdict.refused:
            self.refused[verdict.refused[:150]] += 1

    def text(self, what: str) -> str:
        """The summary; ``what`` was tried, such as markets."""
        seconds = time.monotonic() - self.started
        lines = [
            f"{self.tried} {what} in {seconds / 60:.1f} min ({self.tried / max(seconds, 1e-9):.2f} a second), "
            f"most memory of a process {self.peak_kib / 1024:.0f} MiB",
            f"rounds {self.rounds}, events {self.events}, transfers {self.transfers}",
            *_covered(self.named),
            *_seen(self.seen),
            f"refused with one line: {sum(self.refused.values())}",
            *(f"  {count} x {line}" for line, count in self.refused.most_common(5)),
            f"failures: {len(self.failures)}",
        ]
        by_law = Counter(failure.law for failure in self.failures)
        lines += [f"  {law}: {count}" for law, count in by_law.most_common()]
        lines += [f"  {failure.file or failure.name}: {failure.law}: {failure.said}" for failure in self.failures]
        return "\n".join(line for line in lines if line)


def names_in(content: Any, key: str = "") -> Counter[str]:
    """What a scenario names, counted as ``key name``, such as ``faults lost_message``; each thing once."""
    found: set[str] = set()
    _walk(content, key, found)
    return Counter(found)


def _walk(content: Any, key: str, found: set[str]) -> None:
    if isinstance(content, Mapping):
        named = content.get("name", content.get("kind"))
        if key in _KINDS and isinstance(named, str):
            found.add(f"{key} {named}")
        for inner, part in content.items():
            _walk(part, "mechanism" if inner == "market.mechanism" else str(inner), found)
            if inner in ("late", "dataset", "model") and isinstance(part, str):
                found.add(f"{inner} {part}")
    elif isinstance(content, (list, tuple)):
        for part in content:
            _walk(part, key, found)


def _covered(named: Counter[str]) -> Iterable[str]:
    if not named:
        return
    by_key: dict[str, Counter[str]] = {}
    for entry, count in named.items():
        key, name = entry.split(" ", 1)
        by_key.setdefault(key, Counter())[name] += count
    for key in ("mechanism", "late", "dataset", "model", "faults"):
        yield f"{key}: " + ", ".join(f"{name} {count}" for name, count in by_key.get(key, Counter()).most_common())
    for key, registry in _KINDS.items():
        met, known = by_key.get(key, Counter()), list(registry())
        never = [name for name in known if name not in met]
        yield f"{key}: {len(known) - len(never)} of {len(known)} met" + (f", not {', '.join(never)}" if never else "")


def _seen(seen: Counter[str]) -> Iterable[str]:
    for word in ("event", "exit"):
        entries = [(name.split(" ", 1)[1], count) for name, count in seen.most_common() if name.startswith(f"{word} ")]
        if entries:
            yield f"markets with {word}: " + ", ".join(f"{name} {count}" for name, count in entries)
