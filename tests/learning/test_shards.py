import numpy as np
import pytest
import torch
from learning_samples import CPU, blobs

from learning.corruption import add_noise, copied_from, flip_labels, lost_classes, noise_level, usable_samples
from learning.data import load_dataset
from learning.shards import Shards
from learning.streams import Streams


def build(dataset, indices, quality, label_noise=0.8, feature_noise=2.0, streams=None, **faults):
    return Shards.build(
        dataset,
        indices,
        np.asarray(quality, dtype=float),
        max_label_noise=label_noise,
        max_feature_noise=feature_noise,
        **faults,
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


def test_feature_noise_is_measured():
    dataset = blobs(train=9000)
    dataset.x_train[:, 2] *= 50.0
    dataset.x_train[:, 3] = 1.0  # no spread, so no noise to count
    shards = build(dataset, [np.arange(6000), np.arange(6000, 9000)], [0.5, 1.0], feature_noise=0.6)
    assert shards.feature_noise == pytest.approx([0.3, 0.0], rel=0.02)


def test_the_noise_level_is_a_root_mean_square_over_features_that_vary():
    clean = np.zeros((2, 3), dtype=np.float32)
    noisy = np.array([[3.0, 4.0, 0.0], [0.0, 4.0, 0.0]], dtype=np.float32)
    expected = np.sqrt((1.5**2 + 4**2 + 0 + 4**2) / 4)
    assert noise_level(noisy, clean, np.array([2.0, 1.0, 0.0])) == pytest.approx(expected)
    assert noise_level(noisy, clean, np.zeros(3)) == 0.0


def test_feature_noise_replaces_tokens_of_text():
    text = load_dataset("markov_text")
    noisy, clean = (
        build(text, [np.arange(1000)], [quality], label_noise=0.0, feature_noise=0.4) for quality in (0.5, 1)
    )
    changed = (noisy.x != clean.x).double().mean().item()
    assert changed == pytest.approx(0.5 * 0.4, abs=0.02)
    assert noisy.feature_noise[0] == pytest.approx(changed, abs=1e-12)
    assert torch.equal(noisy.x, noisy.x.floor())
    assert noisy.x.min() >= 0
    assert noisy.x.max() < text.vocabulary


def test_noise_beyond_measure_replaces_every_token_and_no_more():
    text = load_dataset("markov_text")
    assert build(text, [np.arange(50)], [0.0], feature_noise=7.0).feature_noise.tolist() == [1.0]


def test_poor_quality_loses_whole_classes_and_their_samples():
    dataset = blobs(classes=5)
    shards = build(dataset, halves(dataset), [0.25, 1.0], 0.0, 0.0, max_class_loss=0.8)
    assert shards.class_loss == pytest.approx([0.6, 0.0])
    assert (shards.class_mix[0] > 0).sum() == 2
    assert shards.sizes.tolist() == [80, 100]
    assert shards.offsets.tolist() == [0, 80, 180]
    assert len(shards.y) == 180
    kept = set(shards.y[rows(shards, 0)].tolist())
    assert kept == set(np.flatnonzero(shards.class_mix[0]).tolist())


def test_what_is_usable_can_be_told_without_building_shards(streams):
    dataset = blobs(classes=5)
    quality = np.array([0.3, 0.6])
    shards = build(dataset, halves(dataset), quality, 0.0, 0.0, streams=streams, max_class_loss=0.8)
    usable = usable_samples(halves(dataset), dataset.y_train, quality, 0.8, streams)
    assert [len(part) for part in usable] == shards.sizes.tolist()


def test_one_class_always_stays():
    labels = np.arange(12) % 3
    assert len(lost_classes(labels, 1.0, np.random.default_rng(0))) == 2
    assert len(lost_classes(np.zeros(5, dtype=np.int64), 1.0, np.random.default_rng(0))) == 0


def test_lower_quality_loses_the_same_classes_and_more():
    labels = np.arange(100) % 10
    few, many = (lost_classes(labels, share, Streams(0).generator("class loss")) for share in (0.3, 0.7))
    assert (len(few), len(many)) == (3, 7)
    assert set(few.tolist()) < set(many.tolist())


def test_poor_quality_holds_copies_noise_and_label_included():
    dataset = blobs()
    shards = build(dataset, halves(dataset), [0.5, 1.0], 0.5, 0.5, max_duplicates=0.6)
    assert shards.duplicates == pytest.approx([0.3, 0.0])
    assert shards.sizes.tolist() == [200, 100]
    both = torch.cat([shards.x, shards.y[:, None]], dim=1)
    unique = [len(torch.unique(both[rows(shards, shard)], dim=0)) for shard in (0, 1)]
    assert unique == [140, 100]


def test_copies_are_copies_of_originals():
    source = copied_from(100, 0.3, np.random.default_rng(0))
    copies = np.flatnonzero(source != np.arange(100))
    assert len(copies) == 30
    assert not set(source[copies].tolist()) & set(copies.tolist())
    assert len(np.unique(copied_from(100, 1.0, np.random.default_rng(0)))) == 1
    assert copied_from(1, 1.0, np.random.default_rng(0)).tolist() == [0]


def test_measured_label_noise_and_mix_count_the_copies():
    dataset = blobs(train=3000)
    shards = build(dataset, [np.arange(3000)], [0.0], 0.5, 0.0, max_duplicates=0.9)
    truth = {sample.tobytes(): label for sample, label in zip(dataset.x_train, dataset.y_train, strict=True)}
    true = np.array([truth[sample.tobytes()] for sample in shards.x.numpy()])
    assert shards.label_noise[0] == pytest.approx((true != shards.y.numpy()).mean(), abs=1e-12)
    assert shards.class_mix[0] == pytest.approx(np.bincount(true, minlength=3) / 3000)


def test_faults_that_are_not_asked_for_change_nothing():
    dataset = blobs()
    plain = build(dataset, halves(dataset), [0.3, 0.4])
    named = build(dataset, halves(dataset), [0.3, 0.4], max_class_loss=0.0, max_duplicates=0.0)
    assert torch.equal(plain.x, named.x)
    assert torch.equal(plain.y, named.y)
    assert named.class_loss.tolist() == named.duplicates.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("fault", ["max_class_loss", "max_duplicates"])
def test_shares_of_faults_out_of_range_are_refused(fault):
    with pytest.raises(ValueError, match=rf"{fault} must be in \[0, 1\], got 1.5"):
        build(blobs(), [np.arange(5)], [1.0], **{fault: 1.5})


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
