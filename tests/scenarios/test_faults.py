"""Faults inside the world: what each kind does, and the laws that no mix of them may break."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from market_runs import Played, merged, play
from test_market_laws import Inspector

from learning.streams import Streams
from scenarios.engine.clock import TICKS_PER_SECOND, Happening, Kind
from scenarios.engine.fault_list import done_at, over
from scenarios.errors import BadInput
from scenarios.faults.base import Journey, Message
from scenarios.faults.messages import LateMessage, LostMessage, NetworkPartition, failed_tries
from scenarios.faults.outages import CenterOutage
from scenarios.faults.windows import Windows
from scenarios.loading import load_scenario
from scenarios.schema import Scenario
from scenarios.simulation import Simulation
from scenarios.soak.invariants import Finished, check_tables

CALM: dict[str, Any] = {
    "name": "calm",
    "horizon": 4,
    "population": {"initial": 7, "regions": 2, "types": {"think_time": 1.0, "link_time": 4.0, "outside_option": 0.0}},
    "learning": {"enabled": False},
    "data": {"train_limit": 200, "test_limit": 50},
    "market": {"mechanism": "proportional"},
}


def market(*faults: dict[str, Any], **change: Any) -> Scenario:
    return Scenario.model_validate(merged({**CALM, "faults": list(faults)}, change))


def events(run: Played, kind: str) -> pd.DataFrame:
    table = run.table("events")
    return table[table["kind"] == kind]


def seconds(table: pd.DataFrame) -> np.ndarray:
    return table["tick"].to_numpy() / TICKS_PER_SECOND


# ---- windows and draws --------------------------------------------------------------------------------------------


@given(
    start=st.integers(0, 30),
    length=st.integers(1, 9),
    gap=st.integers(0, 9),
    tick=st.integers(0, 80),
)
def test_windows_are_what_a_list_of_them_says(start: int, length: int, gap: int, tick: int) -> None:
    windows = Windows(start, length, length + gap if gap else 0)
    begins = [start + k * (length + gap) for k in range(200 if gap else 1)]
    inside = [begin for begin in begins if begin <= tick < begin + length]
    assert bool(windows.contain(np.array([tick]))[0]) == bool(inside)
    assert windows.end(np.array([tick]))[0] == (inside[0] + length if inside else tick)
    assert windows.next_start(tick) == min((begin for begin in begins if begin >= tick), default=2**60)


@given(rate=st.sampled_from([0.0, 0.1, 0.5, 0.99, 1.0]), draw=st.floats(1e-9, 1 - 1e-9), most=st.integers(1, 8))
@example(rate=0.1, draw=0.001, most=3)  # just below 0.1^3 as it is rounded, where logarithms are a unit too short
def test_tries_that_fail_are_geometric(rate: float, draw: float, most: int) -> None:
    counted = sum(draw < rate**k for k in range(1, most + 1))
    assert failed_tries(np.array([draw]), rate, most)[0] == counted


def journey(count: int, arrival: int = 10_000_000) -> Journey:
    luck = np.arange(count)
    ticks = np.full(count, arrival)
    lost = np.zeros(count, dtype=np.bool_)
    return Journey(Message.UPLOAD, np.zeros(count, int), luck, luck % 2, ticks - 1, ticks, lost, [])


def test_as_many_messages_are_lost_and_tried_again_as_the_rate_says() -> None:
    sent = journey(20_000)
    LostMessage(rate=0.3, retries=1, timeout=2.0).befall(sent, Streams(5), 0)
    share = np.array([sent.lost.mean(), (sent.arrival[~sent.lost] == 12_000_000).mean()])
    assert share == pytest.approx([0.09, 0.21 / 0.91], abs=0.012)  # four standard errors


def test_late_messages_take_as_much_longer_as_the_rate_and_the_mean_say() -> None:
    sent = journey(20_000)
    LateMessage(rate=0.25, mean_delay=8.0).befall(sent, Streams(5), 0)
    delay = (sent.arrival - 10_000_000) / TICKS_PER_SECOND
    assert (delay > 0).mean() == pytest.approx(0.25, abs=0.013)
    assert delay[delay > 0].mean() == pytest.approx(8.0, abs=0.5)


@pytest.mark.parametrize(("retries", "lost"), [(0, True), (3, True), (4, False)])
def test_a_cut_off_region_gets_through_by_the_first_try_after_the_end(retries: int, lost: bool) -> None:
    cut = NetworkPartition(region=1, start=5.0, duration=12.0, messages="lost", retries=retries, timeout=2.0)
    sent = journey(2)
    cut.befall(sent, Streams(1), 0)
    assert (sent.lost.tolist(), int(sent.arrival[0])) == ([False, lost], 10_000_000)
    if not lost:
        assert sent.arrival[1] == 18_000_000


def half_seconds(outages: list[CenterOutage], begin: int, work: int) -> int:
    """When work is done, half second by half second, for times that are whole numbers of these; -1: not in an hour."""
    for tick in range(begin, 7200):
        work -= not any(one.windows.contain(np.array([tick * HALF]))[0] for one in outages)
        if work == 0:
            return (tick + 1) * HALF
    return -1


HALF = TICKS_PER_SECOND // 2


@settings(max_examples=40)
@given(
    times=st.lists(
        st.tuples(st.integers(0, 12), st.integers(1, 6), st.one_of(st.none(), st.integers(2, 9))), max_size=2
    ),
    work=st.integers(1, 60),
)
def test_paused_work_is_done_when_the_half_seconds_without_an_outage_are_enough(
    times: list[tuple[int, int, int | None]], work: int
) -> None:
    outages = [
        CenterOutage(start=start / 2, duration=length / 2, every=None if gap is None else (length + gap) / 2)
        for start, length, gap in times
    ]
    begin = int(over(outages, np.array([0]))[0]) // HALF
    expected = half_seconds(outages, begin, work)
    assert expected == -1 or done_at(outages, begin * HALF, work * HALF) == (expected, False)


def test_an_outage_every_second_is_reckoned_with_at_once() -> None:
    flicker = CenterOutage(start=0.0, duration=0.5, every=1.0)
    assert done_at([flicker], HALF, 10**6 * HALF) == ((2 * 10**6) * HALF, False)


# ---- each kind in a market ----------------------------------------------------------------------------------------


def test_a_device_that_crashes_costs_its_owner_the_round_and_is_not_invited_before_it_is_repaired() -> None:
    run = play(market({"name": "client_crash", "rate": 0.5, "repair": 90.0}), Inspector())
    crashes, reports = events(run, "crash"), events(run, "report")
    assert len(crashes) > 3
    updates, paid = events(run, "update"), run.table("owners")
    for owner, number, moment, repair in zip(
        crashes["owner"], crashes["round"], seconds(crashes), crashes["value"], strict=True
    ):
        assert not ((updates["owner"] == owner) & (updates["round"] == number)).any()
        row = paid[(paid["owner"] == owner) & (paid["round"] == number) & (paid["moment"] == "round")].iloc[0]
        assert (row["payment"], row["training_cost"] > 0) == (0.0, True)
        opened = 60 * np.ceil(moment / 60)
        told = seconds(reports[reports["owner"] == owner])
        assert not ((told > moment) & (told < 60 * np.ceil((moment + repair) / 60))).any()
        assert opened >= moment
    assert len(events(run, "late")) == 0, "who crashed is not late"


@pytest.mark.parametrize("late", ["drop", "wait", "buffer"])
def test_where_centers_train_a_device_crashes_before_it_has_handed_over_its_data(late: str) -> None:
    centers = {"count": 1, "slots": 2, "rate": 20.0}
    crash = {"name": "client_crash", "rate": 0.5, "repair": 90.0}
    rules = {"late": late, "buffer_size": 2}
    run = play(market(crash, centers=centers, round=rules, horizon=6), Inspector())
    crashes = events(run, "crash")
    assert len(crashes) > 3
    failed = set(zip(crashes["owner"], crashes["round"], strict=True))
    for kind in ("start", "update"):
        came = events(run, kind)
        assert len(came) > 3
        assert failed.isdisjoint(zip(came["owner"], came["round"], strict=True)), "nothing of it is trained"
    owners = run.table("owners").query("moment == 'round'").set_index(["owner", "round"])
    settled = [pair for pair in failed if pair in owners.index]
    assert settled
    assert (owners.loc[settled, "payment"] == 0.0).all()
    invited = events(run, "start")
    for owner, moment, repair in zip(crashes["owner"], seconds(crashes), crashes["value"], strict=True):
        told = seconds(invited[invited["owner"] == owner])
        assert not ((told > moment) & (told < moment + repair)).any(), "it is not invited before it is repaired"


def test_a_device_whose_place_at_a_center_is_given_back_lets_the_next_one_in_at_once() -> None:
    """One place, and nobody ever keeps it: the whole line passes in the moment in which the first one's turn comes."""
    crash = {"name": "client_crash", "rate": 1.0}
    run = play(market(crash, centers={"count": 1, "slots": 1, "rate": 20.0}, horizon=1), Inspector())
    crashes = events(run, "crash")
    assert len(crashes) == 7
    assert crashes["tick"].nunique() == 1
    assert len(events(run, "start")) == 0


@pytest.mark.parametrize("late", ["drop", "wait", "buffer"])
def test_lost_messages_end_no_round_and_are_not_paid(late: str) -> None:
    faults = {"name": "lost_message", "rate": 0.5, "of": "uploads"}
    run = play(market(faults, round={"late": late, "buffer_size": 2}, horizon=5), Inspector())
    assert set(events(run, "lost")["value"]) == {1.0}
    assert len(run.table("rounds")) == 5
    if late != "buffer":
        lost = events(run, "lost")[["owner", "round"]].apply(tuple, axis=1)
        owners = run.table("owners").set_index(["owner", "round"]).sort_index()
        in_round = owners[owners["moment"] == "round"]
        assert all(in_round.loc[pair, "payment"] == 0 for pair in lost)


def test_a_report_that_is_lost_is_an_owner_that_sits_the_round_out() -> None:
    run = play(market({"name": "lost_message", "rate": 1.0, "of": "reports"}), Inspector())
    assert (run.table("rounds")["participants"] == 0).all()
    assert len(events(run, "lost")) > 0
    assert len(events(run, "report")) == 0


def test_a_late_report_is_heard_no_more() -> None:
    run = play(market({"name": "late_message", "rate": 0.5, "mean_delay": 40.0, "of": "reports"}), Inspector())
    overdue, heard = events(run, "overdue"), events(run, "report")
    assert len(overdue) > 3
    assert ((seconds(heard) % 60) <= 10).all()
    assert set(events(run, "delay")["owner"]) >= set(overdue["owner"])


def test_clocks_that_are_off_make_owners_send_too_late_or_not_at_all() -> None:
    calm = play(market(population={"types": {"think_time": 8.0}}))
    run = play(market({"name": "clock_skew", "sd": 10.0}, population={"types": {"think_time": 8.0}}), Inspector())
    misled = events(run, "skew")
    slow, fast = misled[misled["value"] < 0], misled[misled["value"] > 0]
    assert min(len(slow), len(fast)) > 0
    assert len(events(run, "overdue")) == len(slow), "a slow clock thinks that there is time left"
    first = lambda played: set(events(played, "report").query("round == 0")["owner"])  # noqa: E731
    assert first(calm) - first(run) == set(fast[fast["round"] == 0]["owner"])


@pytest.mark.parametrize("messages", ["held", "lost"])
def test_nothing_arrives_from_a_region_that_is_cut_off(messages: str) -> None:
    cut = {"name": "network_partition", "region": 1, "start": 55.0, "duration": 70.0, "messages": messages}
    run = play(market(cut), Inspector())
    there = np.flatnonzero(run.simulation.population.region == 1)
    assert 0 < len(there) < 7
    table = run.table("events")
    came = table[table["kind"].isin(["report", "update"]) & (table["tick"] >= 55e6) & (table["tick"] < 125e6)]
    assert len(came) > 0
    assert not came["owner"].isin(there).any()
    assert events(run, "lost")["owner"].isin(there).all()
    assert (len(events(run, "lost")) > 0) == (messages == "lost")
    assert seconds(events(run, "outage")).tolist() == [55.0]
    assert seconds(events(run, "recovery")).tolist() == [125.0]


CENTERS = {"count": 1, "slots": 2, "rate": 20.0}


def test_a_center_that_stands_still_pauses_its_work() -> None:
    outage = {"name": "center_outage", "center": 0, "start": 12.0, "duration": 300.0}
    calm = play(market(centers=CENTERS, round={"late": "wait"}, horizon=10))
    run = play(market(outage, centers=CENTERS, round={"late": "wait"}, horizon=10), Inspector())
    starts, calm_starts = seconds(events(run, "start")), seconds(events(calm, "start"))
    assert not ((starts >= 12) & (starts < 312)).any()
    waiting = calm_starts < calm.table("rounds")["closed_tick"][0] / 1e6
    expected = np.where(calm_starts[waiting] < 12, calm_starts[waiting], calm_starts[waiting] + 300)
    assert starts[: waiting.sum()] == pytest.approx(expected)


def test_or_loses_what_runs_there() -> None:
    outage = {"name": "center_outage", "start": 12.0, "duration": 5.0, "work": "lost"}
    run = play(market(outage, centers=CENTERS, round={"late": "wait"}), Inspector())
    assert seconds(events(run, "lost")).tolist() == [12.0, 12.0]
    first = run.table("rounds").iloc[0]
    assert first["selected"] - first["arrived"] == 2


def test_a_server_that_is_away_resumes_its_round_when_it_is_back() -> None:
    run = play(market({"name": "server_restart", "start": 5.0, "duration": 20.0}), Inspector())
    first = run.table("rounds").iloc[0]
    assert (seconds(events(run, "plan"))[0], first["closed_tick"]) == (25.0, 65_000_000)
    assert first["arrived"] == first["selected"] > 0
    assert seconds(events(run, "open")).tolist() == [0.0, 120.0, 180.0], "one window passed meanwhile"


@pytest.mark.parametrize("late", ["drop", "wait", "buffer"])
def test_or_abandons_it_and_nobody_is_paid(late: str) -> None:
    restart = {"name": "server_restart", "start": 14.0, "duration": 3.0, "open_round": "abandoned"}
    rules = {"late": late, "buffer_size": 2}
    run = play(market(restart, population={"types": {"compute_rate": 2.0}}, round=rules), Inspector())
    abandoned, rounds = events(run, "abandon"), run.table("rounds")
    assert abandoned["value"].tolist() == [rounds["selected"][0]]
    assert (rounds["closed_tick"][0], rounds["arrived"][0], rounds["paid"][0]) == (14_000_000, 0, 0.0)
    cost = run.table("transfers").query("kind == 'training cost' and round == 0")["amount_micro"].sum() / 1e6
    assert rounds["forfeited"][0] == pytest.approx(cost)
    assert (rounds["paid"][1:] > 0).any()


def test_what_an_abandoned_round_has_locked_of_an_owner_is_its_own_again() -> None:
    """CoCoGen+ locks what redistribution may take; of a round that nobody settles it takes nothing."""
    changes = ["horizon=2", "population.initial=6", "market.mechanism.redistribution_rate=0.02"]
    scenario = load_scenario("cocogen_market", overrides=changes)
    plain = play(scenario).table("transfers").query("round == 0")
    locked = plain[plain["kind"] == "redistribution deposit"].groupby("payer")["amount_micro"].sum()
    assert (locked > 0).any()
    planned = int(plain[plain["kind"] == "redistribution deposit"]["tick"].iloc[0]) / 1e6
    restart = {"name": "server_restart", "start": planned + 0.5, "duration": 1.0, "open_round": "abandoned"}
    broken = play(Scenario.model_validate({**scenario.model_dump(mode="json"), "faults": [restart]}), Inspector())
    transfers = broken.table("transfers").query("round == 0")
    back = transfers[transfers["kind"] == "redistribution deposit back"].groupby("payee")["amount_micro"].sum()
    assert len(events(broken, "abandon")) == 1
    assert back.to_dict() == locked.to_dict()


# ---- laws ---------------------------------------------------------------------------------------------------------

rate = st.sampled_from([0.1, 0.6])
window = {
    "start": st.sampled_from([0.0, 33.0]),
    "duration": st.sampled_from([4.0, 45.0]),
    "every": st.sampled_from([None, 70.0]),
}
faults = st.lists(
    st.one_of(
        st.fixed_dictionaries({"name": st.just("client_crash"), "rate": rate, "repair": st.just(50.0)}),
        st.fixed_dictionaries({"name": st.just("lost_message"), "rate": rate, "retries": st.integers(0, 2)}),
        st.fixed_dictionaries({"name": st.just("late_message"), "rate": rate, "mean_delay": st.just(20.0)}),
        st.fixed_dictionaries({"name": st.just("duplicated_message"), "rate": rate}),
        st.fixed_dictionaries({"name": st.just("clock_skew"), "sd": st.just(4.0)}),
        st.fixed_dictionaries(
            {"name": st.just("network_partition"), "messages": st.sampled_from(["held", "lost"]), **window}
        ),
        st.fixed_dictionaries(
            {"name": st.just("center_outage"), "work": st.sampled_from(["paused", "lost"]), **window}
        ),
        st.fixed_dictionaries(
            {"name": st.just("server_restart"), "open_round": st.sampled_from(["resumed", "abandoned"]), **window}
        ),
    ),
    min_size=1,
    max_size=4,
)


def fitting(chosen: list[dict[str, Any]], centers: int) -> list[dict[str, Any]]:
    """Those that a market with, or without, computing centers can have."""
    return [fault for fault in chosen if centers or fault["name"] != "center_outage"]


@settings(max_examples=8)
@given(
    chosen=faults,
    seed=st.integers(0, 2**40),
    late=st.sampled_from(["drop", "wait", "buffer"]),
    centers=st.sampled_from([0, 2]),
    mechanism=st.sampled_from(["free", "fixed_price", "proportional"]),
    link=st.sampled_from([2.0, 30.0]),
)
def test_no_mix_of_faults_moves_money_that_is_not_there(
    chosen: list[dict[str, Any]], seed: int, late: str, centers: int, mechanism: str, link: float
) -> None:
    scenario = market(
        *fitting(chosen, centers),
        seed=seed,
        round={"late": late, "buffer_size": 2},
        centers={"count": centers, "slots": 1, "rate": 5.0},
        market={"mechanism": mechanism},
        population={"arrival_rate": 1.0, "departure_rate": 0.1, "types": {"link_time": link}},
        enforcement={"deposit": 2.0, "audit_rate": 0.3, "false_alarm_rate": 0.2, "expel_after": 1},
    )
    check_laws(scenario)


def check_laws(scenario: Scenario) -> Played:
    """Books that close after every event (by the inspector), sums, nobody paid twice, and the same run again."""
    run = play(scenario, Inspector())
    check_tables(Finished(run.simulation, run.recorder))
    assert run.table("events").equals(play(scenario).table("events"))
    return run


EVERYTHING = [
    {"name": "client_crash", "rate": 0.15, "repair": 70.0},
    {"name": "lost_message", "rate": 0.3, "retries": 1},
    {"name": "late_message", "rate": 0.3, "mean_delay": 15.0},
    {"name": "duplicated_message", "rate": 0.5},
    {"name": "clock_skew", "sd": 3.0},
    {"name": "network_partition", "region": 0, "start": 70.0, "duration": 50.0, "every": 150.0},
    {"name": "center_outage", "start": 20.0, "duration": 30.0, "every": 120.0, "work": "lost"},
    {"name": "server_restart", "start": 100.0, "duration": 40.0, "every": 130.0, "open_round": "abandoned"},
]


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("qd_rdfl_market", ["horizon=3", "population.initial=5", "data.train_limit=300", "centers.count=5"]),
        ("ipfl_market", ["horizon=4", "population.initial=6"]),
        ("cocogen_market", ["horizon=4", "population.initial=6"]),
        ("privacy_auction_market", ["horizon=4", "population.initial=8"]),
        ("mnist_market", ["horizon=3", "population.initial=6", "data.dataset=digits", "market.mechanism=shapley"]),
    ],
)
def test_the_markets_of_all_mechanisms_keep_their_books_under_every_fault(name: str, change: list[str]) -> None:
    scenario = load_scenario(name, overrides=change)
    chosen = fitting(EVERYTHING, scenario.centers.count)
    check_laws(Scenario.model_validate({**scenario.model_dump(mode="json"), "faults": chosen}))


@settings(max_examples=4)
@given(
    seed=st.integers(0, 2**40), late=st.sampled_from(["drop", "wait", "buffer"]), restart=st.sampled_from([20.0, 58.0])
)
def test_duplicates_change_nothing_but_the_event_log(seed: int, late: str, restart: float) -> None:
    others = [
        {"name": "late_message", "rate": 0.3},
        {"name": "server_restart", "start": restart, "duration": 9.0},
    ]
    rules = {"seed": seed, "round": {"late": late, "buffer_size": 3}, "learning": {"enabled": True}}
    double = {"name": "duplicated_message", "rate": 0.8, "mean_delay": 9.0}
    plain, doubled = play(market(*others, **rules)), play(market(*others, double, **rules))
    log = doubled.table("events")
    assert (log["kind"] == "duplicate").sum() > 0
    rest = log[log["kind"] != "duplicate"].drop(columns="seq").reset_index(drop=True)
    assert rest.astype({"kind": str}).equals(plain.table("events").drop(columns="seq").astype({"kind": str}))
    for name in ("rounds", "owners", "transfers", "edges", "episodes"):
        pd.testing.assert_frame_equal(doubled.table(name), plain.table(name))


def test_every_entry_for_copies_brings_a_copy_of_its_own() -> None:
    double = [{"name": "duplicated_message", "rate": 1.0, "mean_delay": delay, "of": "uploads"} for delay in (1.0, 3.0)]
    run = play(market(*double, horizon=2), Inspector())
    assert len(events(run, "update")) > 0
    assert (events(run, "duplicate").groupby("owner").size() % 2 == 0).all()
    assert len(events(run, "duplicate")) == 2 * len(events(run, "update"))


def test_an_upload_that_is_delivered_again_at_any_moment_is_not_counted_again() -> None:
    """The law is not vacuous: the receiver itself sees to it, whatever the network does."""

    def again(simulation: Simulation, happening: Happening) -> None:
        if happening.kind is Kind.UPDATE and (happening.refs >= 0).all():
            for tick, owner, serial in zip(happening.ticks, happening.owners, happening.refs, strict=True):
                stay = int(simulation.population.stay[owner])
                simulation.world.clock.at(Kind.UPDATE, max(int(tick), simulation.now), int(owner), stay, int(serial))
                break

    rules = {"round": {"late": "wait"}}
    quiet = {"name": "clock_skew", "sd": 0.0}
    delivered: list[int] = []

    def once(simulation: Simulation, happening: Happening) -> None:
        if happening.kind is Kind.UPDATE and not delivered:
            delivered.append(1)
            again(simulation, happening)

    plain, twice = play(market(quiet, **rules)), play(market(quiet, **rules), once)
    assert len(events(twice, "duplicate")) == 1
    pd.testing.assert_frame_equal(plain.table("transfers"), twice.table("transfers"))


def test_a_fault_that_never_acts_changes_no_bit() -> None:
    idle = [
        {"name": "client_crash", "rate": 0.0},
        {"name": "lost_message", "rate": 0.0},
        {"name": "late_message", "rate": 0.0},
        {"name": "duplicated_message", "rate": 0.0},
        {"name": "clock_skew", "sd": 0.0},
        {"name": "server_restart", "start": 1e6, "duration": 1.0},
    ]
    assert play(market(*idle)).table("events").equals(play(market()).table("events"))


# ---- bad input ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        ("{name: lost_mesage, rate: 0.1}", "did you mean 'lost_message'"),
        ("{name: lost_message, rate: 1.5}", "rate is 1.5, expected a finite number at least 0 and at most 1"),
        ("{name: server_restart, start: 5.0}", "duration is missing"),
        ("{name: server_restart, duration: 5.0, every: 4.0}", "every is 4.0, expected more than the duration"),
        ("{name: network_partition, duration: 5.0, region: 1}", "below 1, the number of population.regions"),
        ("{name: center_outage, duration: 5.0}", "there are no computing centers"),
    ],
)
def test_a_fault_that_cannot_be_gets_one_line(fault: str, line: str) -> None:
    with pytest.raises(BadInput) as caught:
        load_scenario("quickstart", overrides=[f"faults=[{fault}]"])
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)
