import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learning.partition import PARTITIONS
from learning.streams import Streams

LABELS = np.arange(2000) % 10


def mixes(parts, labels=LABELS):
    classes = labels.max() + 1
    return np.array([np.bincount(labels[part], minlength=classes) / len(part) for part in parts])


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(list(PARTITIONS)),
    seed=st.integers(0, 1000),
    shards=st.integers(4, 40),
    samples=st.integers(80, 400),
    classes=st.integers(1, 12),
)
def test_every_method_deals_out_each_sample_once_and_enough_to_all(name, seed, shards, samples, classes):
    labels = Streams(seed).integers("labels", np.arange(samples), classes)
    parts = PARTITIONS[name](labels, shards, Streams(seed))
    assert len(parts) == shards
    assert min(len(part) for part in parts) >= 2
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(samples))
    assert all((np.diff(part) > 0).all() for part in parts)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", PARTITIONS)
def test_with_no_sample_to_spare_each_shard_has_exactly_the_least(name, seed):
    labels = Streams(seed).integers("labels", np.arange(80), 5)
    assert {len(part) for part in PARTITIONS[name](labels, 40, Streams(seed))} == {2}


@pytest.mark.parametrize("name", PARTITIONS)
def test_the_seed_decides_and_nothing_else(name):
    first, again, other = (PARTITIONS[name](LABELS, 8, Streams(seed)) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize("name", PARTITIONS)
def test_parameters_are_plain_keywords_with_defaults(name):
    parameters = list(inspect.signature(PARTITIONS[name]).parameters.values())
    assert [parameter.name for parameter in parameters[:3]] == ["labels", "shards", "streams"]
    for parameter in parameters[3:]:
        assert parameter.kind is inspect.Parameter.KEYWORD_ONLY
        assert type(parameter.default) in (int, float)


@pytest.mark.parametrize("name", PARTITIONS)
def test_more_shards_than_samples_is_refused_in_one_line(name):
    with pytest.raises(ValueError, match=r"^50 shards of at least 2 samples need 100, there are 60$"):
        PARTITIONS[name](np.arange(60) % 10, 50, Streams(0))


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("dirichlet", {"alpha": 0.0}),
        ("dirichlet", {"alpha": float("nan")}),
        ("label_shards", {"labels_per_owner": 0}),
        ("quantity_skew", {"sigma": -1.0}),
        ("clustered", {"clusters": 0}),
        ("clustered", {"clusters": 9}),
        ("clustered", {"alpha_within": -1.0}),
        ("iid", {"min_samples": 0}),
    ],
)
def test_parameters_out_of_range_are_refused_by_name(name, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        PARTITIONS[name](LABELS, 8, Streams(0), **wrong)


def test_iid_shards_are_equal_in_size_and_alike_in_labels():
    parts = PARTITIONS["iid"](LABELS, 10, Streams(0))
    assert {len(part) for part in parts} == {200}
    assert np.abs(mixes(parts) - 0.1).max() < 0.08


def test_small_alpha_skews_labels_and_large_alpha_does_not():
    skew = {
        alpha: np.abs(mixes(PARTITIONS["dirichlet"](LABELS, 10, Streams(0), alpha=alpha)) - 0.1).sum(axis=1).mean()
        for alpha in (0.05, 0.5, 5.0, 500.0)
    }
    assert list(skew.values()) == sorted(skew.values(), reverse=True)
    assert skew[0.05] > 1.2
    assert skew[500.0] < 0.15


def test_an_impossible_looking_dirichlet_split_ends_with_every_shard_filled():
    labels = np.zeros(1000, dtype=np.int64)
    parts = PARTITIONS["dirichlet"](labels, 400, Streams(0), alpha=1e-3)
    assert min(len(part) for part in parts) == 2


def test_label_shards_hold_few_labels_each():
    parts = PARTITIONS["label_shards"](LABELS, 10, Streams(0), labels_per_owner=2)
    assert {len(part) for part in parts} == {200}
    assert max((mix > 0).sum() for mix in mixes(parts)) <= 2


def test_quantity_skew_follows_a_log_normal_of_the_given_width():
    labels = np.zeros(400_000, dtype=np.int64)
    parts = PARTITIONS["quantity_skew"](labels, 2000, Streams(0), sigma=0.8)
    logs = np.log([len(part) - 2 for part in parts])
    assert abs(logs.std() - 0.8) < 0.05
    assert abs(np.mean((logs - logs.mean()) ** 3)) / logs.std() ** 3 < 0.2


def test_quantity_skew_without_width_is_even():
    assert {len(part) for part in PARTITIONS["quantity_skew"](LABELS, 8, Streams(0), sigma=0.0)} == {250}


def test_shards_of_a_cluster_are_more_alike_than_strangers():
    parts = PARTITIONS["clustered"](LABELS, 12, Streams(0), clusters=3, alpha_between=0.1, alpha_within=100.0)
    mix = mixes(parts)
    distance = np.abs(mix[:, None] - mix[None]).sum(axis=2)
    cluster = np.repeat(np.arange(3), 4)
    same = (cluster[:, None] == cluster[None]) & ~np.eye(12, dtype=bool)
    assert distance[same].mean() < 0.3 * distance[cluster[:, None] != cluster[None]].mean()
