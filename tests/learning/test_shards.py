import numpy as np
import pytest
import torch
from learning_samples import CPU, blobs

from learning.corruption import add_noise, flip_labels
from learning.shards import Shards
from learning.streams import Streams


def build(dataset, indices, quality, label_noise=0.8, feature_noise=2.0, streams=None):
    return Shards.build(
        dataset,
        indices,
        np.asarray(quality, dtype=float),
        max_label_noise=label_noise,
        max_feature_noise=feature_noise,
        streams=streams or Streams(7),
        device=CPU,
    )


def halves(dataset):
    return [np.arange(0, 200), np.arange(200, 300)]


def rows(shards, shard):
    return slice(int(shards.offsets[shard]), int(shards.offsets[shard + 1]))


def test_perfect_quality_leaves_data_as_it_is_in_a_fixed_random_order():
    dataset = blobs()
    shards = build(dataset, halves(dataset), [1.0, 1.0])
    assert shards.sizes.tolist() == [200, 100]
    assert len(shards) == 2
    held = shards.x[rows(shards, 1)].numpy()
    assert not np.array_equal(held, dataset.x_train[200:])
    assert {tuple(row) for row in held.tolist()} == {tuple(row) for row in dataset.x_train[200:].tolist()}
    assert shards.label_noise.tolist() == [0.0, 0.0]


def test_features_and_labels_stay_together():
    dataset = blobs()
    shards = build(dataset, halves(dataset), [1.0, 1.0])
    label_of = {sample.tobytes(): label for sample, label in zip(dataset.x_train, dataset.y_train, strict=True)}
    for sample, label in zip(shards.x.numpy(), shards.y.tolist(), strict=True):
        assert label_of[sample.tobytes()] == label


def test_the_first_samples_of_a_shard_are_no_biased_choice():
    dataset = blobs()
    by_label = np.argsort(dataset.y_train, kind="stable")
    shards = build(dataset, [by_label], [1.0])
    assert np.bincount(shards.y[:90].numpy(), minlength=3).min() > 15


def test_label_noise_is_the_realised_share_of_wrong_labels_near_its_rate():
    dataset = blobs(train=9000)
    shards = build(dataset, [np.arange(9000)], [0.25], label_noise=0.8, feature_noise=0.0)
    clean = build(dataset, [np.arange(9000)], [1.0])
    assert torch.equal(shards.x, clean.x)
    wrong = (shards.y != clean.y).double().mean().item()
    assert shards.label_noise[0] == pytest.approx(wrong, abs=1e-12)
    assert wrong == pytest.approx(0.75 * 0.8, abs=0.02)


def test_feature_noise_is_in_units_of_each_features_spread():
    dataset = blobs(train=9000)
    dataset.x_train[:, 2] *= 50.0
    noisy = build(dataset, [np.arange(9000)], [0.5], label_noise=0.0, feature_noise=0.6)
    clean = build(dataset, [np.arange(9000)], [1.0])
    added = (noisy.x - clean.x).numpy().std(axis=0)
    assert np.allclose(added / dataset.x_train.std(axis=0), 0.5 * 0.6, rtol=0.05)


def test_the_class_mix_counts_true_labels():
    dataset = blobs()
    shards = build(dataset, halves(dataset), [0.0, 0.0], label_noise=1.0)
    expected = [np.bincount(dataset.y_train[part], minlength=3) / len(part) for part in halves(dataset)]
    assert np.allclose(shards.class_mix, expected)
    assert shards.label_noise.tolist() == [1.0, 1.0]


def test_a_shard_does_not_depend_on_the_others():
    dataset = blobs()
    both = build(dataset, halves(dataset), [0.3, 0.4])
    other = build(dataset, [np.arange(5), np.arange(200, 300)], [0.9, 0.4])
    assert torch.equal(both.x[rows(both, 1)], other.x[rows(other, 1)])
    assert torch.equal(both.y[rows(both, 1)], other.y[rows(other, 1)])


def test_lower_quality_spoils_the_same_labels_and_more():
    labels = np.arange(1000) % 5
    few, many = (flip_labels(labels, rate, 5, Streams(0).generator("label noise")) for rate in (0.2, 0.6))
    assert ((few != labels) <= (many != labels)).all()
    assert (many[few != labels] == few[few != labels]).all()


def test_a_flipped_label_is_any_other_class_with_equal_chance():
    flipped = flip_labels(np.full(30_000, 2), 1.0, 4, np.random.default_rng(0))
    counts = np.bincount(flipped, minlength=4)
    assert counts[2] == 0
    assert np.allclose(counts[[0, 1, 3]] / 30_000, 1 / 3, atol=0.02)


def test_noise_adds_nothing_to_a_feature_without_spread():
    samples = np.ones((50, 2), dtype=np.float32)
    noisy = add_noise(samples, np.array([0.0, 3.0], dtype=np.float32), np.random.default_rng(0))
    assert (noisy[:, 0] == 1.0).all()
    assert noisy[:, 1].std() == pytest.approx(3.0, rel=0.3)


@pytest.mark.parametrize(
    ("indices", "quality", "noise", "problem"),
    [
        ([np.arange(5)], [1.5], (0.5, 0.5), "quality must be in"),
        ([np.arange(5)], [float("nan")], (0.5, 0.5), "quality must be in"),
        ([np.arange(5)], [1.0, 1.0], (0.5, 0.5), "1 shards need as many qualities"),
        ([np.arange(5), np.arange(0)], [1.0, 1.0], (0.5, 0.5), "at least one sample"),
        ([], [], (0.5, 0.5), "0 shards need"),
        ([np.arange(5)], [1.0], (1.5, 0.5), "max_label_noise"),
        ([np.arange(5)], [1.0], (0.5, -1.0), "max_feature_noise"),
    ],
)
def test_values_out_of_range_are_refused(indices, quality, noise, problem):
    with pytest.raises(ValueError, match=problem):
        build(blobs(), indices, quality, *noise)
