"""Enforcement at work in small markets: detectors, aimed audits, schedules, bans, appeals, fees, the regulator."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import yaml
from market_runs import Played, play, small
from sharing_runs import shared
from test_market_laws import Inspector

from market.enforcement.detectors import DETECTORS, LossDropDetector
from scenarios.detecting import calibrate, detect, labelled, measure, record, score, show
from scenarios.enforcement_checks import policy_of
from scenarios.errors import BadInput
from scenarios.schema import Scenario

UNTRAINED = {"learning": {"enabled": False}}
STEADY = {"departure_rate": 0.0, "arrival_rate": 0.0, "adaptation": "none", "participation": "strict"}


CHOOSING = {"name": "bandit", "budget": 0.4, "harm": 2.0, "options": [{"deposit": 1.0}, {"deposit": 4.0}]}


def market(enforcement: dict[str, Any], population: dict[str, Any] | None = None, **change: Any) -> Scenario:
    """The small market with these rules on top of its own; nobody comes or goes by chance."""
    people = {**STEADY, "types": {"outside_option": -10.0, "wealth": 100.0}, **(population or {})}
    return small(**{"horizon": 4, **change}, population=people, enforcement=enforcement)


def books(run: Played, kind: str) -> float:
    transfers = run.table("transfers")
    return float(transfers[transfers["kind"] == kind]["amount_micro"].sum() / 1e6)


# ---- detectors ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def watched() -> Played:
    detectors = [{"name": name} for name in DETECTORS]
    rules = {"audit_rate": 0.7, "detectors": detectors, "votes": 2, "expel_after": 0}
    return play(market(rules, {"initial": 10}, horizon=3), Inspector())


def test_detectors_judge_by_their_signals_and_the_truth_stands_beside_the_verdict(watched: Played) -> None:
    audits = watched.table("audits")
    assert 0.4 < len(audits) / watched.table("rounds")["arrived"].sum() < 0.95
    policy = watched.simulation.world.policy
    votes = np.array([[found >> place & 1 for place in range(len(policy.detectors))] for found in audits["found_by"]])
    assert (audits["found_guilty"] == (votes.sum(axis=1) >= 2)).all()
    upload = audits["upload"].astype(str)
    assert (audits["violation"] == ((upload != "trained") | audits["lie"])).all()
    near = [detector.name for detector in policy.detectors].index("near_copy")
    assert (votes[:, near] == (audits["similarity"] > policy.detectors[near].limit)).all()
    assert votes[(upload == "peer_copy") & (audits["round"] > 0), near].all()
    owners = watched.table("owners").query("moment == 'round' and audited")
    assert owners["flagged"].sum() == audits["guilty"].sum()
    assert watched.table("rounds")["flagged"].sum() == audits["guilty"].sum()


def test_signals_are_measured_only_where_something_reads_them() -> None:
    audits = play(market({"audit_rate": 1.0, "detectors": [{"name": "loss_drop"}]}, horizon=1)).table("audits")
    assert audits["loss_drop"].notna().all()
    assert audits[["update_norm", "alignment", "held_out_gain", "duplicates", "similarity"]].isna().all(axis=None)


def test_labelled_runs_measure_what_an_audit_would_have_found() -> None:
    scenario = market({"audit_rate": 0.1}, {"initial": 10}, horizon=2)
    audits = record(scenario, [1], "cpu")
    detectors = policy_of(labelled(scenario).enforcement).detectors
    for place, detector in enumerate(detectors):
        assert (detector.flagged(score(audits, detector)) == (audits["found_by"].to_numpy() >> place & 1)).all(), (
            detector.name
        )
    found = {(one.detector, one.cases): one for one in measure(audits, detectors)}
    clean = found["near_copy", "clean rounds (false alarms)"].flagged
    assert clean.count == (~audits["violation"]).sum()
    assert found["near_copy", "all violations"].flagged.count == audits["violation"].sum()
    assert not audits["slashed"].any()


def test_calibrated_detectors_are_measured_on_other_runs_and_written_for_the_scenario(capsys) -> None:
    people = {"initial": 10, "strategies": ["honest", "free_rider_noise"], "assignment": [0, 0, 0, 0, 1] * 2}
    rules = {"detectors": ["loss_drop", "update_norm", "duplicate"], "votes": 2}
    scenario = market(rules, people, horizon=2)
    trial = detect(scenario, seeds=3, device="cpu", false_alarms=0.2)
    first, others = record(scenario, [1], "cpu"), record(scenario, [2, 3], "cpu")
    drop = next(one for one in trial.chosen if one.name == "loss_drop")
    clean = score(first, drop)[~first["violation"]]
    assert trial.calibrated_on == (16, 8)
    # A fifth of nine owners, of whom one is still to come, is 1.8: the highest 0.8 owners' rounds may lie beyond.
    assert drop.limit == pytest.approx(np.sort(clean)[-2], rel=1e-4)
    panel = trial.table[trial.table["detector"] == "audit: 2 of 3"].set_index("cases")
    votes = sum(detector.flagged(score(others, detector)).astype(int) for detector in trial.chosen)
    found = panel.loc[["all violations", "clean rounds (false alarms)"], "flagged"].tolist()
    guilty = others["violation"].to_numpy()
    assert found == [((votes >= 2) & guilty).sum(), ((votes >= 2) & ~guilty).sum()]
    assert trial.left == {"duplicate": "it has no limit that could be set"}
    show(trial, 0.2)
    text = capsys.readouterr().out
    assert "set to false alarms of 0.2 by 16 clean rounds of 8 owners" in text
    written = yaml.safe_load(text[text.index("enforcement:") :])["enforcement"]
    assert policy_of(market({**rules, **written}, people).enforcement).detectors == trial.chosen
    assert written["detection_rate"] == round(panel.loc["all violations", "rate"], 3)
    kept, left = calibrate(first, [LossDropDetector()], 0.1)
    assert kept == (LossDropDetector(),)
    assert left == {"loss_drop": "8 clean owners, 9 or more are needed for a share of 0.1"}, "16 rounds of 8 owners"


def test_there_is_nothing_to_measure_with_where_nothing_arrives() -> None:
    late = {"think_time": {"name": "constant", "value": 1000.0}}
    with pytest.raises(BadInput, match="no upload ever arrived"):
        detect(market({"audit_rate": 0.1}, {"initial": 2, "types": late}, horizon=1), 1, "cpu")
    with pytest.raises(BadInput, match="--seeds: 1: expected 2 or more with --false-alarms"):
        detect(market({"audit_rate": 0.1}), 1, "cpu", false_alarms=0.1)


def test_detectors_read_personal_models_too() -> None:
    people = {"strategies": ["honest", "free_rider_replay"], "assignment": [0, 0, 0, 0, 0, 1]}
    rules = {"audit_rate": 1.0, "detectors": [{"name": "duplicate"}]}
    audits = play(shared(horizon=3, population=people, enforcement=rules), Inspector()).table("audits")
    assert (audits["owner"] == 5).sum() == 3
    for verdict in ("guilty", "violation"):
        assert (audits[verdict] == (audits["owner"] == 5)).all()


def test_where_a_sample_is_trained_it_takes_the_audits_of_all() -> None:
    rules = {"audit_rate": 0.25, "detectors": ["held_out_gain"], "expel_after": 0, "probation_rounds": 0}
    run = play(market(rules, {"initial": 12}, horizon=8, learning={"trained_sample": 6}))
    audits, arrived = run.table("audits"), run.table("rounds")["arrived"]
    assert (arrived > 6).all()
    assert audits["held_out_gain"].notna().all(), "nobody is judged of whom nothing is known"
    assert (audits["chance"] == 0.25 * arrived[audits["round"]].to_numpy() / 6).all()
    assert (audits["guilty"] == (audits["held_out_gain"] <= 0)).all()
    assert audits["owner"].nunique() > 6


def test_what_trains_nothing_cannot_be_looked_at() -> None:
    with pytest.raises(BadInput, match="learning must be enabled"):
        labelled(small(**UNTRAINED))


# ---- who is audited -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["reputation", "contribution_anomaly", "report_gap"])
def test_aimed_audits_are_as_many_as_random_ones(policy: str) -> None:
    rules = {"audit_rate": 0.3, "audit_policy": policy, "expel_after": 0, "probation_rounds": 0}
    audits = play(market(rules, {"initial": 12})).table("audits")
    assert audits["chance"].nunique() > 2
    assert ((audits["chance"] > 0) & (audits["chance"] <= 1)).all()


def test_audits_aimed_by_gain_find_more_violations_than_random_ones() -> None:
    def share(policy: str) -> float:
        people = {"initial": 20, "strategies": ["honest", "attack_sign_flip"], "assignment": [0, 0, 0, 1] * 5}
        rules = {"audit_rate": 0.25, "audit_policy": policy, "expel_after": 0, "slash_share": 0.0}
        audits = play(market(rules, people, horizon=6)).table("audits")
        assert len(audits) > 12
        return audits["violation"].mean()

    assert share("contribution_anomaly") > share("random") + 0.1


# ---- money --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slashing", [{"name": "flat", "amount": 0.5}, {"name": "escalating", "first_share": 0.25}])
@pytest.mark.parametrize("deposits", ["flat", {"name": "proportional", "per_sample": 0.05}, "escalating"])
def test_books_close_under_every_schedule(slashing: dict[str, Any], deposits: Any) -> None:
    rules = {"audit_rate": 0.6, "slashing": slashing, "deposits": deposits, "expel_after": 3, "server_fee": 0.1}
    run = play(market(rules, **UNTRAINED), Inspector())
    assert books(run, "slash") == pytest.approx(run.table("audits")["slashed"].sum())
    assert run.table("runs")["slashed"].iloc[0] == pytest.approx(books(run, "slash"))


def test_each_further_strike_costs_more_and_asks_for_a_higher_deposit() -> None:
    rules = {"audit_rate": 1.0, "false_alarm_rate": 0.0, "expel_after": 0, "deposit": 4.0}
    rules |= {"slashing": {"name": "escalating", "first_share": 0.25}, "deposits": {"name": "escalating", "most": 2.0}}
    people = {"initial": 1, "strategies": ["free_rider_noise"]}
    audits = play(market(rules, people, **UNTRAINED)).table("audits")
    # 1/4 of 4; then 1/2 and all of 8: the deposit doubles once.
    assert audits["slashed"].tolist() == [1.0, 4.0, 8.0, 8.0]


def test_an_owner_expects_the_fine_that_its_own_deposit_means() -> None:
    people = {"strategies": ["honest", "free_rider_noise"], "types": {"outside_option": -10.0, "wealth": 1000.0}}

    def joined(per_sample: float) -> set[str]:
        rules = {"audit_rate": 1.0, "deposit": 0.0, "deposits": {"name": "proportional", "per_sample": per_sample}}
        run = play(market(rules, people, horizon=1, **UNTRAINED))
        strategies = run.table("owners").query("moment == 'round' and status == 'active'")["strategy"]
        return set(strategies.astype(str))

    assert joined(0.0) == {"honest", "free_rider_noise"}
    assert joined(15.0) == {"honest"}, "though the deposit that all have in common is nothing"


def test_who_claims_more_locks_more() -> None:
    rules = {"audit_rate": 0.0, "deposit": 1.0, "deposits": {"name": "proportional", "per_sample": 0.01}}
    run = play(market(rules, horizon=1, **UNTRAINED))
    owners = run.table("owners").query("moment == 'round' and status == 'active'")
    np.testing.assert_allclose(owners["deposit"], 1.0 + 0.01 * owners["reported_data_size"], atol=2e-6)


def test_the_server_takes_its_share_of_what_owners_earn() -> None:
    free, dear = (play(market({"audit_rate": 0.0, "server_fee": fee}, **UNTRAINED), Inspector()) for fee in (0.0, 0.2))
    rounds = dear.table("rounds")
    assert books(free, "server fee") == 0.0
    assert (
        books(dear, "server fee")
        == pytest.approx(rounds["server_fees"].sum())
        == pytest.approx(0.2 * rounds["paid"].sum(), abs=1e-3)
    )
    owners = dear.table("owners").query("moment == 'round'")
    assert owners["payment"].sum() == pytest.approx(0.8 * rounds["paid"].sum(), abs=1e-3)
    assert rounds["welfare"].tolist() == pytest.approx(free.table("rounds")["welfare"].tolist(), abs=1e-5)


def test_who_comes_late_pays_for_the_rounds_missed() -> None:
    waves = {"name": "cohorts", "times": [2.5], "sizes": [3]}
    rules = {"audit_rate": 0.0, "admission_fee": 1.0, "admission": {"name": "missed_rounds", "per_round": 0.25}}
    run = play(market(rules, {"initial": 2, "arrivals": [waves]}, **UNTRAINED), Inspector())
    transfers = run.table("transfers").query("kind == 'admission fee'")
    assert transfers["amount_micro"].tolist() == [1_000_000] * 2 + [1_750_000] * 3  # rounds 0, 1 and 2 are missed
    assert run.table("rounds")["regulator_income"].sum() == pytest.approx(books(run, "admission fee"))


# ---- appeals ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def appealed() -> Played:
    rules = {"audit_rate": 0.8, "false_alarm_rate": 0.5, "expel_after": 2, "deposit": 3.0, "server_fee": 0.1}
    rules |= {"appeal": {"name": "rational", "fee": 0.25, "cost": 1.5, "detection_rate": 0.7, "false_alarm_rate": 0.2}}
    return play(market(rules, {"initial": 20}, horizon=6, **UNTRAINED), Inspector())


def test_an_overturned_verdict_leaves_no_trace_but_the_record(appealed: Played) -> None:
    audits = appealed.table("audits")
    overturned, lost = audits[audits["overturned"]], audits[audits["appealed"] & ~audits["overturned"]]
    assert len(overturned) > 3 < len(lost)
    assert (overturned["found_guilty"] & overturned["appealed"] & ~overturned["guilty"]).all()
    assert not overturned[["slashed", "appeal_fee"]].any(axis=None)
    assert lost["guilty"].all()
    assert (lost["appeal_fee"] == 0.25).all()
    assert (audits["guilty"] == (audits["found_guilty"] & ~audits["overturned"])).all()
    owners = appealed.table("owners").query("moment == 'final'").set_index("owner")
    strikes = audits.groupby("owner")["guilty"].sum()
    assert (owners.loc[strikes.index, "strikes"] == strikes).all()


def test_the_money_of_appeals_comes_back_or_goes_to_the_regulator(appealed: Played) -> None:
    audits, rounds = appealed.table("audits"), appealed.table("rounds")
    assert books(appealed, "refund") == pytest.approx(3.0 * audits["overturned"].sum())
    assert books(appealed, "slash") - books(appealed, "refund") == pytest.approx(audits["slashed"].sum())
    assert books(appealed, "appeal fee") - books(appealed, "appeal fee back") == pytest.approx(
        audits["appeal_fee"].sum()
    )
    assert books(appealed, "appeal") == pytest.approx(1.5 * audits["appealed"].sum())
    assert rounds["audit_cost"].sum() == pytest.approx(books(appealed, "audit") + books(appealed, "appeal"))
    income = books(appealed, "admission fee") + audits["slashed"].sum() + audits["appeal_fee"].sum()
    income += books(appealed, "server fee")
    assert rounds["regulator_income"].sum() == pytest.approx(income - rounds["audit_cost"].sum())


def test_fines_fees_and_appeals_change_hands_and_only_looking_costs(appealed: Played) -> None:
    run, rounds, owners = (appealed.table(name) for name in ("runs", "rounds", "owners"))
    summary, recorded = run.iloc[0], owners[owners["moment"] == "round"]
    assert appealed.table("episodes")["utility"].sum() == pytest.approx(summary["owner_utility"], abs=1e-6)
    used_up = books(appealed, "training cost") + books(appealed, "audit") + books(appealed, "appeal")
    earned = rounds["revenue"].sum() + recorded["model_benefit"].sum()
    assert summary["welfare"] == pytest.approx(earned - used_up, abs=1e-5)


# ---- bans ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ban", "cause", "new_names", "comes_back"),
    [
        ({"name": "identity"}, "expelled", True, False),
        ({"name": "person"}, "banned", False, False),
        ({"name": "person", "rounds": 2}, "banned", False, True),
    ],
)
def test_a_ban_keeps_out_whom_it_says_as_long_as_it_says(
    ban: dict[str, Any], cause: str, new_names: bool, comes_back: bool
) -> None:
    people = {"initial": 6, "strategies": ["free_rider_noise"]}
    people["participation"] = {"name": "strict", "whitewash": 1.0, "return_delay": 1.0}
    rules = {"audit_rate": 1.0, "expel_after": 1, "ban": ban}
    run = play(market(rules, people, horizon=6, **UNTRAINED), Inspector())
    episodes = run.table("episodes")
    thrown_out = episodes[episodes["exit_kind"] == "expelled"]
    assert set(thrown_out["exit_cause"]) == {cause}
    assert (episodes["owner"] != episodes["person"]).any() == new_names
    assert (episodes["stay"] > 1).any() == comes_back
    if comes_back:
        for _, stays in episodes.groupby("owner"):
            away = stays["joined_round"].to_numpy()[1:] - stays["left_round"].to_numpy()[:-1]
            assert (away >= 2).all()


def test_a_banned_person_goes_with_all_of_its_names_and_stays_away() -> None:
    sybil = {"name": "sybil", "identities": 3, "plays": "free_rider_noise", "leaving": "separately"}
    people = {"initial": 6, "strategies": ["honest", sybil], "assignment": [0, 1] * 3}
    people["participation"] = {"name": "strict", "whitewash": 1.0, "return_delay": 1.0}
    rules = {"audit_rate": 0.3, "expel_after": 1, "false_alarm_rate": 0.0, "ban": {"name": "person"}}
    run = play(market(rules, people, horizon=5, **UNTRAINED), Inspector())
    banned = run.table("episodes").query("exit_kind == 'expelled'")
    assert len(banned) > 3
    assert (banned.groupby("person")["left_round"].nunique() == 1).all()
    assert (banned.groupby("person").size() == 3).all(), "one audit was enough for three names"
    assert run.table("runs")["expulsions"].iloc[0] == len(banned)
    final = run.table("owners").query("moment == 'final'")
    assert not (final["person"].isin(banned["person"]) & (final["status"] == "active")).any()


# ---- the regulator ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rule", [{"name": "budget", "budget": 0.4}, {"name": "deterrence", "budget": 0.4, "harm": 2.0}]
)
def test_a_regulator_announces_the_rate_that_it_sets_and_keeps_to_its_budget(rule: dict[str, Any]) -> None:
    rules = {"audit_rate": 0.1, "audit_cost": 0.1, "expel_after": 0, "regulation": rule}
    run = play(market(rules, {"initial": 20}, horizon=12, **UNTRAINED), Inspector(), seed=0)
    rounds, audits = run.table("rounds"), run.table("audits")
    assert (rounds["audit_cost"].cumsum() <= 0.4 * np.arange(1, len(rounds) + 1) + 1e-9).all()
    rates = rounds.set_index("round")["audit_rate"]
    assert rates.nunique() > 2
    assert (audits["chance"] == rates.loc[audits["round"]].to_numpy()).all()
    assert rounds["audit_cost"].sum() > 0.0


def test_appeals_come_out_of_the_budget_and_it_is_never_exceeded() -> None:
    appeal = {"name": "rational", "cost": 0.5, "false_alarm_rate": 0.2}
    rules = {"audit_rate": 0.1, "audit_cost": 0.1, "false_alarm_rate": 0.6, "expel_after": 0, "appeal": appeal}
    rules["regulation"] = {"name": "budget", "budget": 0.7}
    run = play(market(rules, {"initial": 20}, horizon=10, **UNTRAINED), Inspector())
    rounds, audits = run.table("rounds"), run.table("audits")
    assert audits["appealed"].sum() > 5
    spent = rounds["audit_cost"].to_numpy()
    np.testing.assert_allclose(spent.sum(), 0.1 * len(audits) + 0.5 * audits["appealed"].sum())
    assert (np.cumsum(spent) <= 0.7 * np.arange(1, len(spent) + 1) + 1e-9).all()
    assert spent.max() <= 1.4 + 1e-9, "nor is more than the reserve spent at once"


def test_a_regulator_plays_one_set_of_rules_after_another_and_everybody_is_told(tmp_path) -> None:
    options = [{"deposit": 1.0}, {"deposit": 4.0, "audit_rate": 0.5}, {"detectors": ["duplicate"], "audit_rate": 1.0}]
    rule = {"name": "bandit", "budget": 2.0, "harm": 2.0, "hold": 2, "options": options}
    rules = {"audit_rate": 0.2, "expel_after": 0, "regulation": rule}
    run = play(market(rules, {"initial": 6}, horizon=6), Inspector())
    rounds, owners = run.table("rounds"), run.table("owners").query("moment == 'round'")
    assert rounds["audit_rate"].tolist() == [0.2, 0.2, 0.5, 0.5, 1.0, 1.0]
    locked = owners.groupby("round")["deposit"].agg(["min", "max"])
    assert (locked["min"] == locked["max"]).all(), "what is over goes back"
    assert locked["max"].tolist() == [1.0, 1.0, 4.0, 4.0, 2.0, 2.0]
    audits = run.table("audits").set_index("round")
    assert audits["duplicates"].loc[4:].notna().all()
    assert audits["duplicates"].loc[:3].isna().all()
    assert (audits["found_guilty"].loc[4:] == (audits["duplicates"].loc[4:] > 0)).all()
    again = run.simulation.regulator.memory
    np.testing.assert_array_equal(again, play(run.simulation.scenario).simulation.regulator.memory)


def test_the_same_regulator_in_the_same_market_does_the_same_again() -> None:
    rules = {"audit_cost": 0.1, "regulation": {"name": "deterrence", "budget": 1.0, "harm": 2.0}}
    first, second = (play(market(rules, **UNTRAINED)).table("rounds") for _ in range(2))
    assert first.equals(second)


# ---- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"enforcement": {"detectors": [{"name": "near_copi"}]}}, "enforcement.detectors.0.name: near_copi: unknown"),
        ({"enforcement": {"detectors": [{"name": "near_copy", "similarity": 3.0}]}}, "similarity: expected a cosine"),
        ({"enforcement": {"votes": 2}}, "enforcement.votes: 2: at most 1"),
        (
            {"enforcement": {"slash_share": 0.5, "slashing": {"name": "flat", "amount": 1.0}}},
            "slash_share: 0.5: expected 1.0",
        ),
        (
            {"enforcement": {"audit_rate": 0.0, "audit_policy": "reputation"}},
            "audit_policy: reputation: nobody is ever",
        ),
        ({"enforcement": {"audit_rate": 0.0, "appeal": "rational"}}, "appeal: rational: nobody is ever audited"),
        ({"enforcement": {"deposit": 0.0, "deposits": "escalating"}}, "deposits: escalating: nothing is ever locked"),
        ({"enforcement": {"expel_after": 0, "ban": "person"}}, "ban: person: nobody is ever expelled"),
        (
            {"enforcement": {"audit_cost": 0.0, "regulation": {"name": "budget", "budget": 1.0}}},
            "regulation.name: budget: a budget is for audits that cost something",
        ),
        (
            {**UNTRAINED, "enforcement": {"detectors": [{"name": "loss_drop"}]}},
            "enforcement.detectors.0.name: loss_drop: loss_drop is read from uploads, so learning must be enabled",
        ),
        (
            {"enforcement": {"regulation": {**CHOOSING, "options": [{"deposit": 1.0}, {"depositt": 2.0}]}}},
            "enforcement.regulation.options.1.depositt: 2.0: nothing that an option can set",
        ),
        (
            {"enforcement": {"regulation": {**CHOOSING, "options": [{"deposit": 1.0}, {"deposit": -2.0}]}}},
            "enforcement.regulation.options.1.deposit: -2.0: expected",
        ),
        (
            {"enforcement": {"regulation": {**CHOOSING, "options": [{"deposit": 1.0}, {"votes": 2}]}}},
            "enforcement.regulation.options.1.votes: 2: at most 1",
        ),
        (
            {"enforcement": {"regulation": {**CHOOSING, "budget": 0.01}}},
            "enforcement.regulation.budget: 0.01: never enough for an audit",
        ),
        (
            {
                "enforcement": {"regulation": CHOOSING},
                "interventions": [{"round": 1, "set": {"enforcement.deposit": 4.0}}],
            },
            "enforcement.regulation.name: bandit: it sets deposit itself, and so does an intervention",
        ),
        (
            {"enforcement": {"audit_policy": {"name": "report_gap", "measurement": "contribution"}}},
            "audit_policy.measurement: contribution: proportional has no contribution measured",
        ),
        (
            {"interventions": [{"round": 1, "set": {"enforcement.detectors": [{"name": "duplicate"}]}}]},
            "needs duplicates, for which uploads must be kept from the start",
        ),
        ({"population": {"arrivals": ["self_excitin"]}}, "population.arrivals.0: self_excitin: unknown"),
        (
            {"population": {"arrivals": [{"name": "trace", "file": "no.csv"}]}},
            "population.arrivals.0.file: no.csv: file",
        ),
        ({"population": {"patience": "endless"}}, "population.patience: endless: unknown patience"),
    ],
)
def test_rules_without_meaning_are_refused_in_one_line(change: dict[str, Any], line: str, tmp_path) -> None:
    from market_runs import SMALL, merged

    from scenarios.loading import load_scenario

    file = tmp_path / "market.yaml"
    file.write_text(yaml.safe_dump(merged(SMALL, change)))
    with pytest.raises(BadInput) as refused:
        load_scenario(file)
    assert line in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_rule_that_a_later_intervention_brings_to_life_is_welcome() -> None:
    turned = [{"round": 2, "set": {"enforcement.audit_rate": 1.0}}]
    rules = {"audit_rate": 0.0, "appeal": "rational", "false_alarm_rate": 1.0}
    audits = play(market(rules, interventions=turned, **UNTRAINED)).table("audits")
    assert audits["round"].min() == 2
    assert audits["overturned"].any()
