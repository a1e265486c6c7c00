"""Group detectors on runs in which rings are on record."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from market_runs import merged, play, small

from market.enforcement.groups import BidComovement
from market.mechanism import CLAIMS, COST, DATA_SIZE, PROFITABILITY
from scenarios.detecting import detect, show
from scenarios.errors import BadInput
from scenarios.group_detecting import MEMBERS, OTHERS, judge, market_record, measure_groups
from scenarios.schema import Scenario

BIDS: dict[str, Any] = {
    "horizon": 22,
    "learning": {"enabled": False},
    "population": {
        "initial": 12,
        "arrival_rate": 0.0,
        "departure_rate": 0.0,
        "strategies": [
            "honest",
            {"name": "bid_rotation", "factor": 1.5},
            {"name": "misreport_random", "claim": "cost"},
        ],
        "assignment": [1, 1, 1, 1, 0, 0, 0, 0, 2, 2, 2, 2],
        "types": {"outside_option": -100.0, "wealth": 1000.0},
        "participation": {"name": "strict", "patience": 100},
        "adaptation": "none",
    },
    "market": {"mechanism": {"name": "fixed_price", "price": 0.5}, "budget": 500.0, "treasury": 10000.0},
}


def bids(**change: Any) -> Scenario:
    return small(**merged(BIDS, change))


def test_rings_are_counted_beside_those_that_bid_alone() -> None:
    found = {(one.detector, one.cases): one for one in measure_groups(bids(), [1, 2], "cpu")}
    ring, others = found["bid_comovement", MEMBERS], found["bid_comovement", OTHERS]
    assert (ring.flagged.hits, ring.flagged.count, others.flagged.count) == (8, 8, 16)
    assert others.flagged.hits <= 1
    assert ring.area > 0.95
    assert found["bid_comovement", "ring: bid_rotation"].flagged == ring.flagged
    assert found["reciprocal_trade", MEMBERS].flagged.hits == 0, "nobody trades models here"


def test_verdicts_have_no_consequence_while_groups_are_watched() -> None:
    judged = judge(bids(enforcement={"audit_rate": 1.0, "expel_after": 1}), [1], "cpu", [BidComovement()])
    assert judged.ring.count("bid_rotation") == 4
    assert len(judged.ring) == 12
    assert (judged.scores["bid_comovement"][:4] > 2.0).all(), "nobody was expelled after the first round"


def test_a_record_holds_what_was_claimed_and_who_used_whose_model() -> None:
    run = play(bids(horizon=3))
    owners = run.table("owners").query("moment == 'round'")
    edges = run.table("edges").iloc[:2].copy()
    edges["round"], edges["user"], edges["source"], edges["dissimilarity"] = [1, 2], [3, 0], [0, 3], [0.2, 0.4]
    record = market_record(owners, edges, np.arange(12))
    assert record.claims[COST].shape == (3, 12)
    last = owners[(owners["round"] == 2) & owners["took_part"]]
    np.testing.assert_array_equal(record.claims[DATA_SIZE][2, last["owner"]], last["reported_data_size"])
    assert set(record.claims) == set(CLAIMS) - {PROFITABILITY}, "what is taken for known is not reported"
    assert np.argwhere(record.bought).tolist() == [[1, 3, 0], [2, 0, 3]]
    assert record.dissimilarity[0, 3] == record.dissimilarity[3, 0] == pytest.approx(0.3)


def test_the_command_shows_groups_where_nothing_is_trained_too(capsys: pytest.CaptureFixture[str]) -> None:
    show(detect(bids(), 2, "cpu", false_alarms=0.1), 0.1)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:7]] == ["bid_comovement"] * 3 + ["reciprocal_trade"] * 3
    why = "keeps its parameters, whatever its false alarms: detectors of groups are not calibrated"
    assert lines[7:] == [f"bid_comovement {why}", f"reciprocal_trade {why}"]


def test_a_market_with_too_many_pairs_is_refused_before_it_is_played(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(BadInput, match=r"^population: 20,000 owners in 22 rounds are too many pairs for detectors of "):
        detect(bids(population={"initial": 20_000, "assignment": ()}), 1, "cpu")
    assert capsys.readouterr() == ("", "")
