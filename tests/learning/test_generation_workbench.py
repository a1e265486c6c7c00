"""Synthetic data in a federated training: made for each round, of the right labels, and really trained on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from learning.cohort_work import CohortWork
from learning.data import load_dataset
from learning.federation import Federation
from learning.generation import class_counts, generator_for
from learning.generation.workbench import Workbench, mix_of
from learning.models import FlatModel
from learning.shards import Shards
from learning.streams import Streams
from learning.training import LocalTraining
from learning.uploads import Upload

STREAMS = Streams(5)
DATA = load_dataset("digits").first(300, 100)
PARTS = [np.arange(0, 80), np.arange(80, 200), np.arange(200, 300)]


@pytest.fixture(scope="module")
def shards() -> Shards:
    noise = {"max_label_noise": 0.0, "max_feature_noise": 0.0}
    return Shards.build(DATA, PARTS, np.ones(3), **noise, streams=STREAMS, device=torch.device("cpu"))


@pytest.fixture
def bench(shards: Shards) -> Workbench:
    return Workbench(generator_for("gaussian_mixture", DATA), shards, mix_of(shards), "global", STREAMS)


def test_labels_follow_the_target_and_samples_the_round(bench: Workbench, shards: Shards) -> None:
    first, again, next_round = (bench.make(7, 1, 120, 50, counter) for counter in (0, 0, 1))
    own = np.bincount(shards.y[80:200].numpy(), minlength=10)
    wanted = class_counts("global", own, bench.global_mix, 50, own > 0)
    assert np.bincount(first.y.numpy(), minlength=10).tolist() == wanted.tolist()
    assert torch.equal(first.x, again.x)
    assert not torch.equal(first.x, next_round.x)


def test_a_generator_that_was_forgotten_comes_back_the_same(bench: Workbench) -> None:
    before = bench.make(7, 1, 120, 20, 3)
    bench.retain(np.array([1, 2]))
    assert torch.equal(bench.make(7, 1, 120, 20, 3).x, before.x)


def test_nothing_is_made_where_nothing_is_asked_for_or_known(bench: Workbench, shards: Shards) -> None:
    assert bench.make(7, 1, 120, 0, 0) is None
    assert bench.make(7, 1, 0, 20, 0) is None
    public = bench.generator.fit(shards.x[:80], shards.y[:80], 10, 99, 0, STREAMS)
    shared = replace(bench, shared=public)
    assert len(shared.make(7, 1, 0, 20, 0).y) == 20


def work(synthetic: list[int] | None) -> CohortWork:
    whole = np.array([80, 120, 100])
    return CohortWork(
        np.arange(3), np.arange(3), whole, np.zeros(3, dtype=np.int64), np.full(3, Upload.TRAINED, dtype=np.int8),
        np.ones(3), np.full(3, -1), synthetic=None if synthetic is None else np.array(synthetic),
    )  # fmt: skip


def federation(shards: Shards, bench: Workbench | None) -> Federation:
    model = FlatModel.for_dataset("softmax", DATA, frozen_seed=0)
    return Federation(
        model=model, dataset=DATA, shards=shards, plan=LocalTraining(1, 10, 0.1), streams=STREAMS,
        device=torch.device("cpu"), workbench=bench,
    )  # fmt: skip


def test_only_who_generates_trains_on_something_else(shards: Shards, bench: Workbench) -> None:
    plain = federation(shards, None).uploads(work(None), 0, float("nan"))
    mixed = federation(shards, bench).uploads(work([0, 60, 0]), 0, float("nan"))
    same = [torch.equal(one, other) for one, other in zip(plain, mixed, strict=True)]
    assert same == [True, False, True]


def test_synthetic_samples_need_something_to_be_made_with(shards: Shards) -> None:
    with pytest.raises(ValueError, match="workbench"):
        federation(shards, None).uploads(work([0, 60, 0]), 0, float("nan"))
