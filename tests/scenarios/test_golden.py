"""Golden runs: the whole course of small markets, event for event, as it was when it was last looked at.

A change here is a change of behaviour. Refresh on purpose with ``make golden`` and say why in the commit.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from market_runs import Played, play, small

GOLDEN = Path(__file__).parents[1] / "golden"
MARKETS: dict[str, dict[str, Any]] = {
    "untrained": {"learning": {"enabled": False}},
    "trained": {},
    "asynchronous": {"round": {"late": "buffer", "buffer_size": 4}, "population": {"types": {"link_time": 25.0}}},
    "waiting_at_centers": {"round": {"late": "wait"}, "centers": {"count": 2, "slots": 1, "rate": 20.0}},
    "fixed_price": {"market": {"mechanism": {"name": "fixed_price", "price": 0.03}}},
}


def machine() -> str:
    """What trained numbers depend on in their last bits: the kernels of torch."""
    return f"torch {torch.__version__.split('+')[0]}, {torch.backends.cpu.get_cpu_capability()}"


def portrait(run: Played) -> dict[str, Any]:
    """What a golden file keeps: exact whole numbers (events and money by hash), and rounded floats of each round."""
    events, transfers, rounds = run.table("events"), run.table("transfers"), run.table("rounds")
    exact = hashlib.sha256()
    for column in (events["tick"], events["round"], events["owner"], transfers["amount_micro"]):
        exact.update(np.ascontiguousarray(column.to_numpy(dtype=np.int64)).tobytes())
    exact.update("|".join([*events["kind"], *transfers["kind"]]).encode())
    return {
        "machine": machine(),
        "events": len(events),
        "kinds": events["kind"].value_counts().sort_index().to_dict(),
        "sha256": exact.hexdigest(),
        "accuracy": [None if np.isnan(value) else round(value, 6) for value in rounds["accuracy"]],
        "welfare": [round(value, 6) for value in rounds["welfare"]],
        "active": rounds["active"].tolist(),
    }


@pytest.mark.parametrize("name", MARKETS)
def test_a_golden_market_runs_as_it_did(name: str) -> None:
    expected = json.loads((GOLDEN / f"{name}.json").read_text())
    found = portrait(play(small(**MARKETS[name])))
    if found["machine"] != expected["machine"] and name != "untrained":
        # Other kernels round otherwise, and money follows accuracy: the same story, not the same bytes.
        assert found["accuracy"] == pytest.approx(expected["accuracy"], abs=0.1)
        return
    # Whole numbers first: they say where two runs part. Accuracy is a count of test samples, so it is exact too.
    for figure in ("kinds", "active", "events", "accuracy", "sha256"):
        assert found[figure] == expected[figure], figure
    assert found["welfare"] == pytest.approx(expected["welfare"], abs=1e-6)


def refresh() -> None:
    """Write the golden files anew."""
    GOLDEN.mkdir(exist_ok=True)
    for name, change in MARKETS.items():
        text = json.dumps(portrait(play(small(**change))), indent=1) + "\n"
        (GOLDEN / f"{name}.json").write_text(text)


if __name__ == "__main__":
    sys.exit(refresh())
