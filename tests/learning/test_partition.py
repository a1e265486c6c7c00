import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learning.data import Dataset
from learning.heterogeneity import heterogeneity
from learning.partition import GIVEN_BY_THE_CALLER, PARTITIONS, deal
from learning.registry import UnknownName
from learning.streams import Streams

LABELS = np.arange(2000) % 10


def data(labels, groups=None):
    x = np.zeros((len(labels), 1), dtype=np.float32)
    return Dataset("data", x, labels, x[:1], labels[:1], int(labels.max()) + 1, groups)


def with_groups(labels, seed=0):
    """The labels as a data set whose samples belong to seven groups of different size."""
    return data(labels, np.floor(7 * Streams(seed).uniform("group", np.arange(len(labels))) ** 2).astype(np.int64))


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
    parts = deal(name, with_groups(labels, seed), shards, Streams(seed))
    assert len(parts) == shards
    assert min(len(part) for part in parts) >= 2
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(samples))
    assert all((np.diff(part) > 0).all() for part in parts)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", PARTITIONS)
def test_with_no_sample_to_spare_each_shard_has_exactly_the_least(name, seed):
    labels = Streams(seed).integers("labels", np.arange(80), 5)
    assert {len(part) for part in deal(name, with_groups(labels), 40, Streams(seed))} == {2}


@pytest.mark.parametrize("name", PARTITIONS)
def test_the_seed_decides_and_nothing_else(name):
    first, again, other = (deal(name, with_groups(LABELS), 8, Streams(seed)) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize("name", PARTITIONS)
def test_parameters_are_plain_keywords_with_defaults(name):
    parameters = list(inspect.signature(PARTITIONS[name]).parameters.values())
    assert [parameter.name for parameter in parameters[:3]] == ["labels", "shards", "streams"]
    for parameter in parameters[3:]:
        if parameter.name in GIVEN_BY_THE_CALLER:
            continue
        assert parameter.kind is inspect.Parameter.KEYWORD_ONLY
        assert type(parameter.default) in (int, float, type(None))


@pytest.mark.parametrize("name", PARTITIONS)
def test_more_shards_than_samples_is_refused_in_one_line(name):
    with pytest.raises(ValueError, match=r"^50 shards of at least 2 samples need 100, there are 60$"):
        deal(name, with_groups(np.arange(60) % 10), 50, Streams(0))


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
        ("class_clusters", {"clusters": 0}),
        ("class_clusters", {"clusters": 9}),
        ("inner_dirichlet", {"alpha": 0.0}),
        ("inner_dirichlet", {"sigma": -1.0}),
        ("log_normal", {"sigma": float("inf")}),
        ("geometric", {"ratio": 0.0}),
        ("geometric", {"ratio": 1.1}),
        ("geometric", {"ratio": float("nan")}),
        ("power_law", {"exponent": -0.5}),
        ("iid", {"min_samples": 0}),
    ],
)
def test_parameters_out_of_range_are_refused_by_name(name, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        deal(name, data(LABELS), 8, Streams(0), **wrong)


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


def test_quantity_skew_and_log_normal_are_two_names_of_one_method():
    assert PARTITIONS["quantity_skew"] is PARTITIONS["log_normal"]


def largest_first(name, shards, samples=100_000, **parameters):
    parts = PARTITIONS[name](np.zeros(samples, dtype=np.int64), shards, Streams(0), min_samples=1, **parameters)
    sizes = [len(part) for part in parts]
    assert sizes != sorted(sizes, reverse=True), "which shard has which size is drawn by lot"
    return np.array(sorted(sizes, reverse=True)) - 1


def test_geometric_shards_shrink_by_the_ratio():
    sizes = largest_first("geometric", 10, ratio=0.8)
    assert np.allclose(sizes[1:] / sizes[:-1], 0.8, atol=1e-3)


def test_power_law_shards_follow_zipf():
    sizes = largest_first("power_law", 20, exponent=1.5)
    slope = np.polyfit(np.log(np.arange(1, 21)), np.log(sizes), 1)[0]
    assert slope == pytest.approx(-1.5, abs=0.01)


@pytest.mark.parametrize(("name", "even"), [("geometric", {"ratio": 1.0}), ("power_law", {"exponent": 0.0})])
def test_without_skew_the_sizes_are_even(name, even):
    assert {len(part) for part in PARTITIONS[name](LABELS, 8, Streams(0), **even)} == {250}


def test_inner_dirichlet_keeps_the_sizes_even_and_skews_the_labels():
    parts = PARTITIONS["inner_dirichlet"](LABELS, 10, Streams(0), alpha=0.1)
    assert {len(part) for part in parts} == {200}
    assert heterogeneity(parts, LABELS, 10).emd.mean() > 1.0


def test_inner_dirichlet_mixes_are_spread_as_a_dirichlet_while_stocks_last():
    alpha, classes = 2.0, 4
    labels = np.arange(400_000) % classes
    # Many shards ask for little of each class at even average, so hardly any class runs out before the end.
    mix = mixes(PARTITIONS["inner_dirichlet"](labels, 400, Streams(0), alpha=alpha), labels)
    variance = (1 / classes) * (1 - 1 / classes) / (classes * alpha + 1)
    assert np.allclose(mix.mean(axis=0), 0.25, atol=1e-9)
    assert mix.var(axis=0).mean() == pytest.approx(variance, rel=0.15)


def test_inner_dirichlet_can_have_log_normal_sizes():
    labels = np.arange(200_000) % 5
    parts = PARTITIONS["inner_dirichlet"](labels, 1000, Streams(0), sigma=0.6)
    assert np.log([len(part) - 2 for part in parts]).std() == pytest.approx(0.6, abs=0.05)


def test_inner_dirichlet_ends_when_every_shard_wants_the_same_rare_class():
    labels = np.where(np.arange(1000) < 5, 0, 1)
    parts = PARTITIONS["inner_dirichlet"](labels, 100, Streams(0), alpha=1e-3)
    assert {len(part) for part in parts} == {10}


def test_natural_shards_are_whole_groups_where_groups_are_many():
    groups = np.arange(2000) % 50
    parts = deal("natural", data(LABELS, groups), 20, Streams(0))
    held = [set(groups[part].tolist()) for part in parts]
    assert sorted(len(names) for names in held) == [2] * 10 + [3] * 10
    assert sorted(name for names in held for name in names) == list(range(50))


def test_natural_shards_are_equal_pieces_of_one_group_where_shards_are_many():
    groups = np.repeat([3, 8, 9], [1200, 500, 300])
    parts = deal("natural", data(LABELS, groups), 20, Streams(0))
    assert all(len(set(groups[part].tolist())) == 1 for part in parts)
    owners = [int(groups[part[0]]) for part in parts]
    assert {group: owners.count(group) for group in (3, 8, 9)} == {3: 12, 8: 5, 9: 3}
    assert {len(part) for part in parts} == {100}


def test_natural_shards_need_groups():
    with pytest.raises(ValueError, match="'natural' needs data with natural groups, this data set has none"):
        deal("natural", data(LABELS), 8, Streams(0))


def test_dealing_by_an_unknown_method_suggests_the_nearest():
    with pytest.raises(UnknownName, match="unknown partition 'dirichlt', did you mean 'dirichlet'"):
        deal("dirichlt", data(LABELS), 8, Streams(0))


def test_class_clusters_have_classes_of_their_own_and_shards_of_one_size():
    parts = deal("class_clusters", data(LABELS), 10, Streams(0), clusters=2)
    assert {len(part) for part in parts} == {200}
    held = [set(LABELS[part].tolist()) for part in parts]
    assert all(one == held[0] for one in held[:5])
    assert all(one == held[5] for one in held[5:])
    assert held[0] | held[5] == set(range(10))
    assert not held[0] & held[5]


def test_clusters_beyond_the_classes_share_a_class():
    parts = deal("class_clusters", data(np.arange(600) % 2), 6, Streams(0), clusters=3)
    assert [len({*(np.arange(600) % 2)[part].tolist()}) for part in parts] == [1] * 6
    assert sorted(len(part) for part in parts) == [75, 75, 75, 75, 150, 150]


def test_pieces_of_natural_groups_differ_in_their_labels_inside_a_group():
    groups = np.arange(2000) // 500
    skewed, alike = (
        deal("natural_dirichlet", data(LABELS, groups), 8, Streams(0), alpha=alpha) for alpha in (0.1, 1000.0)
    )
    for parts in (skewed, alike):
        assert [set(groups[part].tolist()) for part in parts] == [{0}, {0}, {1}, {1}, {2}, {2}, {3}, {3}]
    assert np.abs(mixes(alike) - 0.1).max() < 0.03
    assert np.abs(mixes(skewed) - 0.1).max() > 0.2


def test_fewer_shards_than_natural_groups_hold_whole_groups():
    groups = np.arange(2000) // 400
    parts = deal("natural_dirichlet", data(LABELS, groups), 2, Streams(0))
    assert [sorted(set(groups[part].tolist())) for part in parts] == [[0, 2, 4], [1, 3]]


def test_natural_pieces_need_groups():
    with pytest.raises(ValueError, match=r"^the partition 'natural_dirichlet' needs data with natural groups"):
        deal("natural_dirichlet", data(LABELS), 8, Streams(0))
