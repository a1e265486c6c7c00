"""The benchmark measures what it says: the same models, the same work, honest rows. Peers are not needed here."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.utils import vector_to_parameters

from benchmarks.learning.environments import Absent, interpreter
from benchmarks.learning.measure import compare, memory
from benchmarks.learning.peers.architectures import build
from benchmarks.learning.results import Row, append_section, comparison
from benchmarks.learning.work import CLASSES, SHAPES, Coalitions, Shape, batch_order, write_coalitions, write_work
from learning.models import FlatModel
from learning.streams import Streams

TINY = replace(SHAPES["mlp"], sample=(1, 8, 8), owners=12, samples=13, cohort=4, batch=5)


def row(ratio: float, *, subject: str = "mlp", other: str = "pfl") -> Row:
    ratios = [ratio - 1, ratio, ratio + 1]
    return Row(subject, "ours auto", other, ratios, ratios, [300.0] * 3, [30.0] * 3, 1e-6)


# ---- the work -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SHAPES)
def test_the_peers_train_the_very_models_that_we_train(name):
    shape = SHAPES[name]
    ours = FlatModel(shape.model, shape.sample, CLASSES)
    theirs = build(shape.architecture, shape.sample, CLASSES).double()
    weights = torch.randn(ours.size, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) / 10
    vector_to_parameters(weights, theirs.parameters())
    x = torch.randn(3, *shape.sample, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(theirs(x), ours.logits(weights.unsqueeze(0), x)[0], rtol=1e-10, atol=1e-10)


def test_an_owner_does_five_steps_of_ten_and_a_cnn_has_1_6_million_weights():
    assert all(shape.steps_per_owner == 5 for shape in SHAPES.values())
    assert FlatModel("simple_cnn", SHAPES["cnn"].sample, CLASSES).size == pytest.approx(1.6e6, rel=0.02)


def test_log_normal_sizes_keep_the_mean_and_spread_as_asked():
    sizes = Shape("mlp", "mlp", owners=20_000, samples=200, spread=1.0).sizes()
    assert sizes.mean() == pytest.approx(200, rel=0.05)
    assert np.log(sizes).std() == pytest.approx(1.0, rel=0.05)
    assert sizes.min() >= 1


def test_the_pinned_order_takes_every_sample_of_every_owner_of_the_cohort_once():
    sizes = np.array([7, 3, 12, 5])
    cohort = np.array([2, 0, 1])
    order = batch_order(sizes, cohort, TINY.plan(), Streams(1))
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    for owner, rows in zip(cohort, np.split(order, np.cumsum(sizes[cohort])[:-1]), strict=True):
        assert sorted(rows) == list(range(offsets[owner], offsets[owner + 1]))
        assert len(rows) < 4 or list(rows) != sorted(rows)


# ---- sides --------------------------------------------------------------------------------------------------------


def test_ours_and_the_loop_play_the_same_round_and_are_timed(tmp_path):
    work = write_work(replace(TINY, spread=0.8), tmp_path / "work")
    (found,) = compare(
        "mlp", ["auto"], ["loop"], work, unit="steps", repeats=2, seconds=0.01, baseline=work / "initial.npy"
    )
    assert found.reason == ""
    assert found.difference < 1e-4
    for figures in (found.ratios, found.wall_ratios, found.our_rates, found.rates):
        assert len(figures) == 2
        assert all(math.isfinite(value) and value > 0 for value in figures)
    assert found.ratios[0] == pytest.approx(found.our_rates[0] / found.rates[0])
    assert re.fullmatch(r"ours auto \(linear, \d+\)", found.ours)
    assert found.versions["torch"] == torch.__version__


def test_coalitions_have_the_same_exact_values_in_batches_and_one_by_one(tmp_path):
    game = Coalitions(sample=(1, 8, 8), players=9, tests=60, few=4)
    work = write_coalitions(game, tmp_path / "work")
    (found,) = compare(
        "coalitions", ["auto"], ["loop"], work, unit="evaluations", repeats=1, seconds=0.01, suffix="_coalitions"
    )
    assert found.reason == ""
    assert found.difference < 1e-6
    assert found.ratio > 0


def test_a_larger_cohort_takes_more_memory(tmp_path):
    small, large = memory(write_work(replace(TINY, owners=4_000, samples=2), tmp_path / "work"), [1, 4_000], "cpu")
    assert (small["cohort"], large["cohort"]) == (1, 4_000)
    result = 4_000 * FlatModel("mlp", TINY.sample, CLASSES).size * 4
    assert large["peak"] - large["before"] > result


def test_a_side_that_fails_is_a_row_that_says_why(tmp_path):
    work = write_work(TINY, tmp_path / "work")
    (work / "y.npy").unlink()
    (found,) = compare("mlp", ["auto"], ["loop"], work, unit="steps", repeats=1, seconds=0.01)
    assert found.ratios == ()
    assert "KeyError: 'y'" in found.reason
    assert "KeyError: 'y'" in comparison([found], "owners", "cpu", {}, {})


def test_a_peer_that_cannot_be_installed_says_so_without_naming_a_place(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("DATAGORA_BENCH", str(tmp_path / "file"))
    with pytest.raises(Absent) as caught:
        interpreter("pfl")
    assert str(tmp_path) not in str(caught.value)


def test_a_reason_names_neither_addresses_nor_folders():
    line = str(Absent("no matching\n distribution at https://" + "user:word@index.example/simple in /some/where/else"))
    assert line == "no matching distribution at <address> in else"


# ---- results ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ratio", "verdict"), [(6.0, "at least 6: reached"), (5.9, "at least 6: missed")])
def test_a_ratio_is_held_against_its_bar(ratio, verdict):
    assert row(ratio).verdict({("mlp", "pfl"): 6.0}) == verdict
    assert row(ratio, other="fluke").verdict({("mlp", "pfl"): 6.0}) == ""


def test_the_table_tells_medians_spread_and_owners_instead_of_steps():
    text = comparison([row(10.0)], "owners", "cpu", {"mlp": 5.0}, {("mlp", "pfl"): 6.0})
    cells = [cell.strip() for cell in text.splitlines()[-1].strip("|").split("|")]
    spread = "10 (9 to 11)"
    assert cells == ["mlp", "ours auto", "pfl", spread, spread, "60", "6", "1e-06", "at least 6: reached"]
    assert len({len(line) for line in text.splitlines()}) == 1


def test_results_that_differ_are_marked():
    differing = replace(row(10.0), difference=0.01)
    assert "0.01: differs" in comparison([differing], "owners", "cpu", {}, {})


def test_a_section_is_added_and_nothing_is_lost(tmp_path):
    page = tmp_path / "RESULTS.md"
    page.write_text("# Results\n")
    append_section(page, "2026-01-01, learning, cpu", [("machine", "2 cores")], [("Rounds", "| a |")])
    append_section(page, "2026-01-02, learning, cpu", [], [])
    text = page.read_text()
    assert text.startswith("# Results\n\n## 2026-01-01, learning, cpu\n\n- machine: 2 cores\n\n### Rounds\n\n| a |\n")
    assert text.endswith("\n## 2026-01-02, learning, cpu\n\n")
