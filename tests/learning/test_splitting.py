"""Shards divided among several holders: parts without a sample in common, that are the shard together."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from learning.data import load_dataset
from learning.shards import Shards
from learning.splitting import Split, in_order, parts_of, pieces_of, sizes_of
from learning.streams import Streams

FAULTS = {"max_label_noise": 0.5, "max_feature_noise": 0.5, "max_duplicates": 0.3}


@given(count=st.integers(1, 60), parts=st.integers(1, 60))
def test_parts_have_nothing_in_common_and_are_everything_together(count: int, parts: int) -> None:
    samples = np.arange(1000, 1000 + count)
    pieces = parts_of(in_order(samples, 3, Streams(1)), parts)
    assert sorted(np.concatenate(pieces).tolist()) == samples.tolist()
    sizes = [len(piece) for piece in pieces]
    assert max(sizes) - min(sizes) <= 1


def test_rows_of_parts_lie_behind_the_dealt_shards() -> None:
    pieces, parents = pieces_of([Split(2, 3), Split(0, 2)], dealt=4)
    assert parents.tolist() == [0, 1, 2, 3, 2, 2, 2, 0, 0]
    assert [row for row, _ in pieces[2]] == [4, 5, 6]
    assert [row for row, _ in pieces[0]] == [7, 8]


def test_a_part_without_a_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="a part of a shard must hold at least one sample"):
        sizes_of([np.arange(3)], [Split(0, 4)])


def test_a_divided_shard_keeps_its_samples_and_its_faults() -> None:
    dataset = load_dataset("digits").first(200, 50)
    indices = [np.arange(0, 70), np.arange(70, 200)]
    common = {"streams": Streams(5), "device": torch.device("cpu"), **FAULTS}
    plain = Shards.build(dataset, indices, np.array([0.3, 0.8]), **common)
    split = Shards.build(dataset, indices, np.array([0.3, 0.8]), split=[Split(1, 4)], **common)
    whole = slice(70, 200)
    assert torch.equal(split.x[:200], plain.x)
    assert torch.equal(split.y[:200], plain.y)
    for part in range(4):
        own = slice(int(split.offsets[2 + part]), int(split.offsets[3 + part]))
        assert torch.equal(split.x[own], plain.x[whole][part::4])
        assert torch.equal(split.y[own], plain.y[whole][part::4])
    assert split.sizes.tolist() == [70, 130, 33, 33, 32, 32]
    assert split.quality.tolist() == [0.3, 0.8, 0.8, 0.8, 0.8, 0.8]
    assert split.dealt == 2
    shares = split.sizes[2:] / 130
    for column in (split.class_mix, split.label_noise, split.duplicates):
        np.testing.assert_allclose(shares @ column[2:], column[1], err_msg="the parts are the whole")
