"""Pictures: what they draw is what the tables say."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from itertools import combinations, pairwise

import matplotlib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from synthetic_run import STRATEGIES, TICKS_PER_ROUND, write_run

from market.parties import MODEL_OWNER
from scenarios import analysis, palette, plots
from scenarios.plots.canvas import readable, spread
from scenarios.plots.money import MOST_LINES
from scenarios.plots.raster import MOST_OWNERS
from scenarios.plots.reports import MOST_TICKS
from scenarios.plots.tournaments import LOSES_GAINS, factor_labels, fingerprint_figure, legible_on
from scenarios.recorder import MemoryRecorder
from scenarios.tables import TABLES

Tables = dict[str, pd.DataFrame]


def tenures(tables: Tables) -> pd.DataFrame:
    """Stays on the clock of the tenure, in rounds of the made-up run."""
    episodes = tables["episodes"]
    return pd.DataFrame({
        "strategy": episodes["strategy_joined"].astype(str),
        "entry": 0.0,
        "exit": (episodes["left_tick"] - episodes["joined_tick"]) / TICKS_PER_ROUND,
        "cause": episodes["exit_kind"].astype(str),
        "joined": episodes["joined_tick"] / TICKS_PER_ROUND,
    })  # fmt: skip


def wallets(tables: Tables) -> pd.DataFrame:
    held = tables["owners"].loc[tables["owners"]["moment"] == "final", "wallet"]
    return analysis.lorenz(held) if len(held) else pd.DataFrame()


DRAW: dict[str, Callable[..., Axes]] = {
    "accuracy": lambda t, ax=None: plots.accuracy(t["rounds"], ax),
    "audit_confusion": lambda t, ax=None: plots.audit_confusion(t["rounds"], ax),
    "churn": lambda t, ax=None: plots.churn(analysis.churn_hazard(tenures(t), 5.0), ax),
    "event_raster": lambda t, ax=None: plots.event_raster(t["owners"], t["episodes"], ax),
    "exit_causes": lambda t, ax=None: plots.exit_causes(analysis.cumulative_incidence(tenures(t)), ax),
    "free_rider_share": lambda t, ax=None: plots.free_rider_share(t["rounds"], ax),
    "lorenz_curves": lambda t, ax=None: plots.lorenz_curves(wallets(t), ax),
    "money_flows": lambda t, ax=None: plots.money_flows(t["transfers"], ax),
    "network_course": lambda t, ax=None: plots.network_course(t["network"], ax),
    "network_snapshot": lambda t, ax=None: plots.network_snapshot(t["edges"], t["owners"], ax),
    "population_by_strategy": lambda t, ax=None: plots.population_by_strategy(t["owners"], ax),
    "regime_course": lambda t, ax=None: plots.regime_course(t["rounds"], analysis.regimes(t["rounds"]), ax=ax),
    "privacy_price": lambda t, ax=None: plots.privacy_price(t["rounds"], ax),
    "privacy_sold": lambda t, ax=None: plots.privacy_sold(t["rounds"], ax),
    "report_drift": lambda t, ax=None: plots.report_drift(t["owners"], ax),
    "reputation": lambda t, ax=None: plots.reputation(t["owners"], ax),
    "retention_matrix": lambda t, ax=None: plots.retention_matrix(analysis.retention(tenures(t), 40.0, 5.0), ax),
    "survival_curves": lambda t, ax=None: plots.survival_curves(analysis.kaplan_meier(tenures(t), "strategy"), ax),
    "utility_by_strategy": lambda t, ax=None: plots.utility_by_strategy(t["owners"], ax),
    "welfare_split": lambda t, ax=None: plots.welfare_split(t["rounds"], ax),
}
every_plot = pytest.mark.parametrize("name", sorted(DRAW))


def tables(**options: int) -> Tables:
    sink = MemoryRecorder()
    write_run(sink, **options)
    return {name: sink.table(name) for name in TABLES}


@pytest.fixture(scope="module")
def run() -> Tables:
    return tables()


def png(ax: Axes) -> bytes:
    assert isinstance(ax.figure, Figure)
    stream = io.BytesIO()
    ax.figure.savefig(stream, format="png", dpi=50)
    return stream.getvalue()


def line(ax: Axes, label: str) -> np.ndarray:
    (found,) = [line for line in ax.lines if line.get_label() == label]
    return np.asarray(found.get_ydata(), dtype=float)


def texts(ax: Axes) -> str:
    return " ".join(text.get_text() for text in ax.texts)


def test_every_public_plot_is_tested_here() -> None:
    assert sorted(DRAW) == sorted(plots.__all__)


@every_plot
def test_a_plot_is_the_same_picture_every_time_and_changes_no_global_setting(name: str, run: Tables) -> None:
    before = dict(matplotlib.rcParams)
    frozen = {key: frame.copy() for key, frame in run.items()}
    assert png(DRAW[name](run)) == png(DRAW[name](run))
    assert dict(matplotlib.rcParams) == before
    for key, frame in run.items():
        pd.testing.assert_frame_equal(frame, frozen[key])


@every_plot
def test_a_plot_draws_on_the_axes_it_is_given(name: str, run: Tables) -> None:
    left, right = Figure(figsize=(12, 5)).subplots(1, 2)
    assert DRAW[name](run, right) is right
    assert right.get_title(loc="left")
    assert not left.has_data()


@every_plot
def test_an_empty_table_gives_a_picture_that_says_so(name: str) -> None:
    sink = MemoryRecorder()
    ax = DRAW[name]({key: sink.table(key) for key in TABLES})
    assert texts(ax).startswith("no")
    assert png(ax)


@every_plot
def test_one_round_of_one_owner_can_be_drawn(name: str) -> None:
    assert png(DRAW[name](tables(owners=1, rounds=1, seed=3)))


def test_plots_need_neither_pyplot_nor_torch_nor_mesa() -> None:
    code = (
        "import sys, scenarios.plots;"
        "print([name for name in ('matplotlib.pyplot', 'torch', 'mesa') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_privacy_is_drawn_in_epsilon_and_at_its_price_with_gaps_where_none_was_sold(run: Tables) -> None:
    rounds = run["rounds"].head(3).assign(
        epsilon_offered=[30.0, 20.0, 0.0], epsilon_sold=[20.0, 8.0, 0.0], epsilon_lost=[15.0, 8.0, 0.0],
        epsilon_forfeited=[0.0, 2.0, 0.0], paid=[10.0, 6.0, 0.0], privacy_cost=[6.0, 4.0, 0.0],
        mean_field_valuation=[0.5, 0.6, 0.7],
    )  # fmt: skip
    sold, price = plots.privacy_sold(rounds), plots.privacy_price(rounds)
    assert line(sold, "lost").tolist() == [15.0, 10.0, 0.0]
    assert line(price, "paid") == pytest.approx([0.5, 0.75, np.nan], nan_ok=True)
    assert line(price, "cost to owners") == pytest.approx([0.4, 0.5, np.nan], nan_ok=True)
    assert "paid 0.75" in texts(price)
    assert texts(plots.privacy_price(run["rounds"])) == "no privacy was for sale"


def test_the_stack_of_strategies_adds_up_to_the_active_owners(run: Tables) -> None:
    ax = plots.population_by_strategy(run["owners"])
    tops = np.max([area.get_paths()[0].get_extents().y1 for area in ax.collections])
    assert tops == run["rounds"]["active"].max()
    legend = [text.get_text() for text in ax.get_legend().get_texts()]
    assert legend == list(STRATEGIES)[::-1]


def emptied(run: Tables, after: int) -> Tables:
    """The run as if everybody had left after a round."""
    owners, rounds, edges = run["owners"], run["rounds"], run["edges"]
    gone = rounds["round"] > after
    nobody = dict.fromkeys(("active", "participants", "arrived", "trained", "free_riding", "lying", "audited"), 0)
    return run | {
        "owners": owners[(owners["moment"] == "round") & (owners["round"] <= after)],
        "edges": edges[edges["round"] <= after],
        "transfers": run["transfers"][run["transfers"]["round"] <= after],
        "rounds": pd.concat([rounds[~gone], rounds[gone].assign(**nobody, flagged=0)]),
    }


OVER_TIME: dict[str, Callable[[Tables], Axes]] = {
    "accuracy": lambda t: plots.accuracy(t["rounds"]),
    "event_raster": lambda t: plots.event_raster(t["owners"], t["episodes"], rounds=t["rounds"]),
    "free_rider_share": lambda t: plots.free_rider_share(t["rounds"]),
    "money_flows": lambda t: plots.money_flows(t["transfers"], rounds=t["rounds"]),
    "population_by_strategy": lambda t: plots.population_by_strategy(t["owners"], rounds=t["rounds"]),
    "reputation": lambda t: plots.reputation(t["owners"], rounds=t["rounds"]),
    "welfare_split": lambda t: plots.welfare_split(t["rounds"]),
}


@pytest.mark.parametrize("name", OVER_TIME)
def test_every_axis_of_rounds_spans_the_run_even_if_the_market_emptied(name: str, run: Tables) -> None:
    ax = OVER_TIME[name](emptied(run, 24))
    assert ax.get_xlim() == pytest.approx((-0.5, 39.5), abs=0.31)


def test_an_empty_market_is_drawn_as_a_population_of_zero(run: Tables) -> None:
    ax = plots.population_by_strategy(**{name: emptied(run, 24)[name] for name in ("owners", "rounds")})
    path = np.concatenate([area.get_paths()[0].vertices for area in ax.collections])  # type: ignore[union-attr]
    assert path[path[:, 0] > 24.6][:, 1].max() == 0
    assert path[path[:, 0] < 24.4][:, 1].min() == 0
    assert path[path[:, 0] < 24.4][:, 1].max() > 20


def test_rounds_that_were_not_recorded_are_not_taken_for_an_empty_market(run: Tables) -> None:
    owners = run["owners"][run["owners"]["round"] % 10 == 0]
    ax = plots.population_by_strategy(owners, rounds=run["rounds"])
    top = np.asarray(ax.collections[-1].get_paths()[0].vertices)
    active = run["rounds"].set_index("round")["active"]
    assert max(y for x, y in top if x == 39.5) == active[30]
    assert not any(29.5 < x < 39.5 for x, _ in top)


def test_lines_that_ended_are_tied_to_their_names_by_a_dotted_line(run: Tables) -> None:
    ax = plots.free_rider_share(emptied(run, 24)["rounds"])
    dotted = [one for one in ax.lines if one.get_linestyle() == ":"]
    assert sorted(float(one.get_xdata()[0]) for one in dotted)[:2] == [24, 24]  # type: ignore[index]
    assert all(float(one.get_xdata()[1]) == ax.get_xlim()[1] for one in dotted)  # type: ignore[index]
    assert not [one for one in plots.free_rider_share(run["rounds"]).lines if one.get_linestyle() == ":"]


def test_forged_and_lying_can_be_told_apart_where_they_coincide(run: Tables) -> None:
    same = run["rounds"].assign(lying=run["rounds"]["free_riding"], participants=run["rounds"]["arrived"])
    ax = plots.free_rider_share(same)
    below, above = (one for one in ax.lines if one.get_label() in ("forged uploads", "lying reports"))
    assert below.get_ydata().tolist() == above.get_ydata().tolist()  # type: ignore[union-attr]
    assert below.get_linewidth() > 2 * above.get_linewidth()


def test_the_key_of_accuracy_lies_above_the_axes(run: Tables) -> None:
    ax = plots.accuracy(run["rounds"])
    png(ax)  # lays it out
    assert ax.get_legend().get_window_extent().y0 >= ax.get_window_extent().y1


def test_owners_that_left_are_not_counted_as_population() -> None:
    owners = tables(rounds=3)["owners"]
    gone = owners.assign(status="left")
    assert "no active owners" in texts(plots.population_by_strategy(gone))


def test_accuracy_shows_the_rounds_table_and_prints_the_last_value(run: Tables) -> None:
    ax = plots.accuracy(run["rounds"])
    assert line(ax, "global (or mean) model").tolist() == run["rounds"]["accuracy"].tolist()
    assert line(ax, "worst owner").tolist() == run["rounds"]["owner_accuracy_min"].tolist()
    assert f"{run['rounds']['accuracy'].iloc[-1]:.3f}" in texts(ax)


def test_a_market_without_training_says_that_nothing_was_trained(run: Tables) -> None:
    assert "nothing was trained" in texts(plots.accuracy(run["rounds"].assign(accuracy=np.nan)))


def test_cumulative_gains_of_the_parties_add_up_to_welfare(run: Tables) -> None:
    ax = plots.welfare_split(run["rounds"])
    parts = sum(line(ax, party) for party in ("owners", "model owner", "regulator"))
    np.testing.assert_allclose(line(ax, "all"), parts)
    assert line(ax, "all")[-1] == pytest.approx(run["runs"]["welfare"].iloc[0])


def test_centers_have_a_line_where_they_earn(run: Tables) -> None:
    assert "centers" not in [drawn.get_label() for drawn in plots.welfare_split(run["rounds"]).lines]
    earning = run["rounds"].assign(center_income=2.0)
    assert line(plots.welfare_split(earning), "centers")[-1] == 2.0 * len(earning)


def test_free_rider_share_is_forged_over_all_uploads(run: Tables) -> None:
    ax = plots.free_rider_share(run["rounds"])
    arrived = run["owners"][run["owners"]["arrived"]]
    expected = 1 - arrived.groupby("round")["trained"].mean()
    np.testing.assert_allclose(line(ax, "forged uploads"), expected.to_numpy())


def test_the_audits_line_is_the_share_found_guilty_in_the_rounds_around(run: Tables) -> None:
    ax = plots.free_rider_share(run["rounds"])
    shown = line(ax, "found guilty\nof audited")
    for middle in (0, 20, 39):
        around = run["rounds"].iloc[max(0, middle - 3) : middle + 4]
        assert shown[middle] == pytest.approx(around["flagged"].sum() / around["audited"].sum())


def test_rounds_without_audits_or_uploads_leave_gaps(run: Tables) -> None:
    quiet = run["rounds"].assign(audited=0, flagged=0, trained=0, free_riding=0)
    ax = plots.free_rider_share(quiet)
    assert np.isnan(line(ax, "forged uploads")).all()
    assert "found guilty" not in texts(ax)


def test_confusion_counts_every_audit_once(run: Tables) -> None:
    audited = run["owners"][run["owners"]["audited"]]
    counts = audited.groupby(["violation", "flagged"]).size()
    printed = texts(plots.audit_confusion(run["rounds"]))
    for count in counts:
        assert f"{count:,}" in printed.split()
    assert f"missed, {counts[True, False] / counts[True].sum():.0%}".replace("%", " %") in printed
    rows = [label.get_text() for label in plots.audit_confusion(run["rounds"]).get_yticklabels()]
    assert rows == [f"violations\n{counts[True].sum()}", f"clean rounds\n{counts[False].sum()}"]


def named(ax: Axes) -> dict[str, tuple[float, str]]:
    """Kinds of money that have a name at the right of the picture, with the printed total and the name's colour."""
    found = [text for text in ax.texts if isinstance(text, Annotation)]
    return {text.get_text().rsplit(" ", 1)[0]: (float(text.get_text().rsplit(" ", 1)[1].replace(",", "")),
                                                to_hex(text.get_color())) for text in found}  # fmt: skip


def postings(**amounts: list[float]) -> pd.DataFrame:
    """One posting per round (from 0, a second after its start) of each kind, in money; nothing where it is 0."""
    sink = MemoryRecorder()
    for kind, values in amounts.items():
        for number, amount in enumerate(values):
            sink.write("transfers", {
                "tick": 1 + number * 60, "round": number, "kind": kind.replace("_", " "), "payer": -1,
                "payer_book": "wallet", "payee": -2, "payee_book": "wallet",
                "amount_micro": np.full(int(amount > 0), round(amount * 1e6)),
            })  # fmt: skip
    return sink.table("transfers")


def test_every_kind_of_money_has_a_line_in_the_colour_of_its_name_or_is_named_below(run: Tables) -> None:
    ax = plots.money_flows(run["transfers"])
    totals = run["transfers"].groupby("kind", observed=True)["amount_micro"].sum() / 1e6
    names = named(ax)
    (below,) = [text.get_text() for text in ax.texts if not isinstance(text, Annotation)]
    assert below == f"only before the first round: endowment {totals['endowment']:,.0f}, treasury 1,000"
    assert set(names) == set(totals.index) - {"endowment", "treasury"}
    for kind, (total, colour) in names.items():
        assert total == pytest.approx(totals[kind], abs=0.5)
        (drawn,) = [one for one in ax.lines if one.get_label() == kind]
        assert np.isfinite(np.asarray(drawn.get_ydata(), dtype=float)).any()
        assert to_hex(drawn.get_color()) == colour
    assert ax.get_yscale() == "log"


def test_all_kinds_of_money_that_every_market_has_look_different() -> None:
    kinds = "payment,revenue,training cost,slash,deposit,deposit back,admission fee,audit,audit subsidy,endowment"
    kinds += ",new identity,treasury,fee of a center,tax"
    colours = palette.flow_colours(kinds.split(","))
    assert len(set(colours.values())) == 14
    assert [readable(colour) for colour in colours.values()] == list(colours.values())


def test_crumbs_do_not_stretch_the_axis_and_are_named_where_they_are_all(run: Tables) -> None:
    ax = plots.money_flows(postings(payment=[20.0, 20.0, 0.0, 1e-6], tip=[1e-6, 1e-6, 0.0, 0.0]))
    assert ax.get_ylim()[0] > 1e-4
    assert list(named(ax)) == ["payment"]
    assert texts(ax).endswith("too small to draw: tip 0.00")


def test_the_smallest_of_very_many_kinds_of_money_share_one_line() -> None:
    many = postings(**{f"kind_{number}": [100.0 - number] for number in range(MOST_LINES + 3)})
    names = named(plots.money_flows(many))
    assert len(names) == MOST_LINES
    assert names["4 smaller kinds"][0] == sum(100 - number for number in range(MOST_LINES - 1, MOST_LINES + 3))


def test_a_steady_payment_is_a_flat_line_and_opening_money_is_not_smeared_over_rounds(run: Tables) -> None:
    ax = plots.money_flows(run["transfers"])
    np.testing.assert_allclose(line(ax, "payment"), 20.0, rtol=1e-6)
    assert not [one for one in ax.lines if one.get_label() == "treasury"]


def test_reputation_is_the_mean_of_the_active_owners(run: Tables) -> None:
    ax = plots.reputation(run["owners"])
    rows = run["owners"].query("moment == 'round' and status == 'active' and strategy == 'honest'")
    np.testing.assert_allclose(line(ax, "honest"), rows.groupby("round")["reputation"].mean())


def test_utility_prints_the_mean_over_owners_of_their_mean_per_round(run: Tables) -> None:
    printed = texts(plots.utility_by_strategy(run["owners"])).split()
    rows = run["owners"].query("moment == 'round'")
    rows = rows[(rows["status"] == "active") | rows["took_part"]]
    for name in STRATEGIES:
        mine = rows[rows["strategy"] == name]
        assert f"{np.mean([part['utility'].mean() for _, part in mine.groupby('owner')]):.3g}" in printed


def raster_rows(ax: Axes) -> np.ndarray:
    return np.asarray(ax.images[0].get_array())


def one_owner(**changes: object) -> pd.DataFrame:
    """An honest owner that trains in rounds 0 to 3, but for the changes."""
    sink = MemoryRecorder()
    empty = {"int": 0, "float": 0.0, "bool": False, "text": "", "label": ""}
    row: dict[str, object] = {column.name: empty[column.kind] for column in TABLES["owners"].columns}
    row |= {"moment": "round", "status": "active", "strategy": "honest", "upload": "trained", "stay": 1}
    row |= {"took_part": True, "arrived": True, "trained": True, "round": np.arange(4)}
    sink.write("owners", row | changes)
    return sink.table("owners")


def no_episodes() -> pd.DataFrame:
    return MemoryRecorder().table("episodes")


@pytest.mark.parametrize(
    ("changes", "middle", "foot"),
    [
        ({}, palette.BLUE, palette.BLUE),
        ({"trained": False}, palette.PAPER, palette.BLUE),
        ({"arrived": False, "trained": False}, palette.mix(palette.BLUE, palette.PAPER, 0.6), None),
        (
            {"took_part": False, "arrived": False, "trained": False},
            palette.mix(palette.BLUE, palette.PAPER, 0.86),
            None,
        ),
        ({"on_probation": True}, palette.BLUE, palette.INK),
        ({"strategy": "free_rider_noise", "trained": False}, palette.PAPER, palette.PURPLE),
    ],
)
def test_a_raster_cell_shows_what_the_owner_did(changes: dict[str, object], middle: str, foot: str | None) -> None:
    cells = raster_rows(plots.event_raster(one_owner(**changes), no_episodes()))
    height = len(cells)
    assert to_hex(cells[height // 2, 0]).upper() == middle
    assert to_hex(cells[-1, 0]).upper() == (foot or middle)
    assert to_hex(cells[0, 0]).upper() == palette.PAPER


def marks(ax: Axes, marker: str) -> list[tuple[float, float]]:
    found = [mark for mark in ax.lines if mark.get_marker() == marker]
    return [point for mark in found for point in zip(mark.get_xdata(), mark.get_ydata(), strict=True)]  # type: ignore[arg-type]


def test_the_raster_marks_an_expulsion_after_the_last_round_played(run: Tables) -> None:
    ax = plots.event_raster(run["owners"], run["episodes"])
    expelled = run["episodes"].query("exit_kind == 'expelled'")
    assert len(marks(ax, "X")) == len(expelled) > 0
    assert sorted(x for x, _ in marks(ax, "X")) == sorted(expelled["left_round"] - 0.5)
    episode = pd.DataFrame([{"owner": 0, "person": 0, "stay": 1, "strategy_joined": "honest", "strategy_left": "honest",
                             "joined_tick": 0, "joined_round": 0, "left_tick": 9, "left_round": 3,
                             "exit_kind": "expelled", "rounds_taken": 4, "utility": 0.0}])  # fmt: skip
    within = plots.event_raster(one_owner(), episode)
    assert marks(within, "X") == [(3.5, 0)]


def test_the_raster_groups_owners_by_the_strategy_they_came_with(run: Tables) -> None:
    ax = plots.event_raster(run["owners"], run["episodes"])
    came = run["episodes"].drop_duplicates("owner")["strategy_joined"].value_counts()
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == [f"{name}  ({came[name]})" for name in STRATEGIES]


def test_a_raster_of_very_many_owners_shows_an_even_part_of_them() -> None:
    many = pd.concat([one_owner(owner=owner).iloc[:1] for owner in range(MOST_OWNERS + 300)])
    ax = plots.event_raster(many, no_episodes())
    assert ax.get_title(loc="right") == f"{MOST_OWNERS} of {MOST_OWNERS + 300} owners"


def test_rounds_between_recorded_ones_are_filled() -> None:
    rows = one_owner()
    every_fifth = rows.assign(round=rows["round"] * 5)
    assert np.allclose(raster_rows(plots.event_raster(every_fifth, no_episodes()))[-1], palette.rgb(palette.BLUE))


def test_the_network_has_a_spoke_per_upload_used_and_an_arrow_per_copied_model(run: Tables) -> None:
    ax = plots.network_snapshot(run["edges"], run["owners"])
    last = run["edges"][run["edges"]["round"] == run["edges"]["round"].max()]
    spokes = ax.collections[0].get_segments()  # type: ignore[attr-defined]
    assert len(spokes) == (last["user"] == MODEL_OWNER).sum()
    assert len(ax.patches) == ((last["user"] >= 0) & (last["source"] >= 0)).sum() > 0
    people = np.asarray(ax.collections[1].get_offsets())
    apart = np.linalg.norm(people[:, None] - people[None], axis=2) + 9 * np.eye(len(people))
    assert apart.min() > 0.05


def test_owners_of_a_small_network_have_their_numbers_and_arrows_their_direction(run: Tables) -> None:
    ax = plots.network_snapshot(run["edges"], run["owners"])
    written = {text.get_text() for text in ax.texts}
    assert {text for text in written if text.isdigit()} == written - {"model\nowner"} != set()
    sold = run["edges"].assign(payment=1.0)
    said = [[text.get_text() for text in plots.network_snapshot(e, run["owners"]).get_legend().get_texts()]
            for e in (run["edges"], sold)]  # fmt: skip
    assert "model used: owner to user" in said[0]
    assert "model sold: seller to buyer" in said[1]


def claimed(*factors: float) -> pd.DataFrame:
    """Three rounds of owners that claim their data size times these factors."""
    count = len(factors)
    return pd.DataFrame({
        "moment": "round", "round": np.repeat(np.arange(3), count), "owner": np.tile(np.arange(count), 3),
        "data_size": 100.0, "reported_data_size": np.tile(100.0 * np.array(factors), 3),
        "sharing_cost": 1.0, "reported_sharing_cost": 1.0,
    })  # fmt: skip


def test_one_liar_among_many_shows_in_the_picture_of_claims() -> None:
    ax = plots.report_drift(claimed(*[1.0] * 30, 8.0))
    heights = np.concatenate([area.get_paths()[0].vertices[:, 1] for area in ax.collections])
    assert heights.max() == 8.0


@pytest.mark.parametrize("factor", [1e-300, 1e-3, 0.5, 8.0, 1e300])
def test_whatever_is_claimed_the_picture_has_few_ticks(factor: float) -> None:
    ax = plots.report_drift(claimed(1.0, 1.0, factor))
    low, high = ax.get_ylim()
    ticks = ax.get_yticks()
    assert low <= min(factor, 1.0)
    assert min(max(factor, 1.0), 1e250) <= high
    assert 2 <= len(ticks) <= MOST_TICKS
    assert 1.0 in ticks
    assert len(ax.get_yticks(minor=True)) == 0


def network_words(ax: Axes) -> str:
    return " ".join(ax.get_legend().get_title().get_text().split())


def two_uploads_per_round(run: Tables) -> pd.DataFrame:
    """The uploads of two owners that stayed to the end."""
    used = run["edges"][run["edges"]["user"] == MODEL_OWNER]
    staying = used.loc[used["round"] == used["round"].max(), "source"].iloc[:2]
    return used[used["source"].isin(staying)]


def test_the_network_is_that_of_the_last_round_with_enough_owners(run: Tables) -> None:
    edges, owners = run["edges"], run["owners"]
    assert network_words(plots.network_snapshot(edges, owners)) == "round 39"
    few = two_uploads_per_round(run)
    ax = plots.network_snapshot(pd.concat([edges[edges["round"] <= 20], few[few["round"] > 20]]), owners)
    assert network_words(ax) == "round 20, the last with 5 owners or more"
    spokes = ax.collections[0].get_segments()  # type: ignore[attr-defined]
    assert len(spokes) == ((edges["round"] == 20) & (edges["user"] == MODEL_OWNER)).sum()


def test_a_network_that_was_always_small_is_a_small_picture(run: Tables) -> None:
    few = two_uploads_per_round(run)
    ax = plots.network_snapshot(few, run["owners"][run["owners"]["owner"].isin(few["source"])])
    assert network_words(ax) == "round 39"
    assert ax.figure.get_size_inches()[1] < 3.5  # type: ignore[union-attr]


def test_a_strategy_keeps_its_colour_whoever_else_is_there() -> None:
    alone = palette.strategy_colours(["my_own"], {"my_own": "free_rider"})
    crowd = palette.strategy_colours(["honest", "my_own", "misreport_size"], {"my_own": "free_rider"})
    assert alone["my_own"] == crowd["my_own"]
    assert alone["my_own"] != palette.strategy_colours(["my_own"], {"my_own": "honest"})["my_own"]
    assert list(crowd) == ["honest", "misreport_size", "my_own"]


# Machado, Oliveira and Fernandes (2009), severity 1.0, on linear RGB.
VISION = {
    "usual": np.eye(3),
    "protan": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deutan": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]]
    ),
    "tritan": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]]
    ),
}


def lab(colour: str, vision: np.ndarray) -> np.ndarray:
    """CIE L*a*b* of a colour as somebody sees it."""
    srgb = np.array(palette.rgb(colour))
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = to_xyz @ np.clip(vision @ linear, 0, 1) / np.array([0.95047, 1.0, 1.08883])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("vision", VISION)
def test_colour_blind_readers_tell_the_strategies_apart(vision: str) -> None:
    names = ["honest", "misreport_size", "misreport_quality", "misreport_cost", "free_rider_global"]
    names += ["free_rider_replay", "free_rider_noise", "free_rider_copy"]
    seen = {name: lab(colour, VISION[vision]) for name, colour in palette.strategy_colours(names).items()}
    assert len(seen) == 8
    for one, two in combinations(names, 2):
        assert np.linalg.norm(seen[one] - seen[two]) > 15, (one, two)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12).map(sorted))
def test_labels_are_moved_apart_in_order_and_stay_below_the_top(wanted: list[float]) -> None:
    got = spread(wanted, 0.07, 1.0)
    assert max(got) <= 1.0
    assert all(second - first >= 0.07 - 1e-9 for first, second in pairwise(got))
    free = all(second - first >= 0.07 for first, second in pairwise(wanted))
    assert not free or got == pytest.approx(wanted, abs=1e-12)


# ---- fingerprints ----------------------------------------------------------------------------------------------------


def lies(unit: float) -> pd.DataFrame:
    """Claims of twice the data that gain 1 of money, and less work that loses 0.5."""
    about = {
        "lie": ["misreport_size:factor=2", "withhold_data"],
        "kind": ["data_size", "deed"],
        "factor": [2.0, np.nan],
    }
    amounts = {"gain": [1.0, -0.5], "gain_low": [0.8, -0.6], "gain_high": [1.2, -0.4]}
    market = {f"welfare{end}": [0.0, 0.0] for end in ("", "_low", "_high")}
    return pd.DataFrame({**about, "factor": [2.0, np.nan], **amounts, **market, "unit": unit})


@pytest.mark.parametrize(
    ("unit", "title", "top"),
    [(4.0, "% of what an honest owner earns", 0.25), (-4.0, "in money", 1.0)],
)
def test_gains_are_in_percent_of_what_is_earned_and_in_money_where_honest_owners_lose(
    unit: float, title: str, top: float
) -> None:
    figure = fingerprint_figure(lies(unit), "fixed_price")
    assert title in figure.get_suptitle()
    panel, deeds = figure.axes[:2]
    dots = [float(np.max(line.get_ydata())) for line in panel.lines if line.get_marker() == "o"]
    assert max(dots) == top
    assert min(float(np.min(line.get_ydata())) for line in deeds.lines) < 0.0, "who loses is below, whatever the unit"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "gains",
        "loses",
        "neither for certain (95 %)",
    ]


def test_labels_of_factors_keep_clear_of_each_other() -> None:
    assert factor_labels([0.25, 0.5, 0.8, 1.0, 1.25, 2.0, 4.0]) == ["0.25", "0.5", "", "1", "", "2", "4"]
    assert factor_labels([0.5, 1.0, 2.0]) == ["0.5", "1", "2"]
    assert factor_labels([0.8, 1.0, 1.25]) == ["0.8", "1", "1.25"]
    assert factor_labels([1.0]) == ["1"]


def test_figures_on_coloured_cells_can_be_read() -> None:
    """Contrast by WCAG 2.2: of the two, the better one leaves at least the root of their own, 3.8, on any ground."""

    def light(colour: str) -> float:
        channels = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
        return float(np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4) @ weights)

    weights = [0.2126, 0.7152, 0.0722]
    assert legible_on("#ffffff") == palette.INK
    assert legible_on("#000000") == palette.PAPER
    for place in np.linspace(0.0, 1.0, 41):
        ground = to_hex(LOSES_GAINS(place))
        low, high = sorted((light(ground), light(legible_on(ground))))
        assert (high + 0.05) / (low + 0.05) >= 3.8
