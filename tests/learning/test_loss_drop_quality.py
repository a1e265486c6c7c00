"""Quality as real training shows it: clean data is learnt, and the probe leaves no trace."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from learning.batches import LocalTraining
from learning.data import load_dataset
from learning.loss_drop_quality import loss_drop_quality, own_losses
from learning.models import FlatModel
from learning.partition import deal
from learning.shards import Shards
from learning.streams import Streams
from learning.training import Choice, train_cohort

STREAMS = Streams(7)
PLAN = LocalTraining(epochs=1, batch_size=10, learning_rate=0.1)


@pytest.fixture(scope="module")
def digits():
    return load_dataset("digits")


def shards_of(dataset, quality, **faults):
    indices = deal("iid", dataset, len(quality), STREAMS)
    faults = {"max_label_noise": 0.0, "max_feature_noise": 0.0, **faults}
    return Shards.build(dataset, indices, np.array(quality), streams=STREAMS, device=torch.device("cpu"), **faults)


def test_own_loss_is_the_cross_entropy_of_each_model_on_its_own_samples(digits):
    shards = shards_of(digits, [1.0, 1.0, 1.0])
    model = FlatModel.for_dataset("softmax", digits)
    weights = torch.randn(2, model.size, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) / 10
    found = own_losses(model, weights, shards, np.array([2, 0]), np.array([17, 400]))
    for place, (row, count) in enumerate([(2, 17), (0, 400)]):
        begin = shards.offsets[row]
        x, y = shards.x[begin : begin + count], shards.y[begin : begin + count]
        matrix, bias = weights[place, : 64 * 10].view(10, 64), weights[place, 64 * 10 :]
        expected = cross_entropy(x.flatten(1).double() @ matrix.T + bias, y)
        assert found[place] == pytest.approx(float(expected), rel=1e-12)


def test_an_owner_without_samples_has_no_loss_and_quality_zero(digits):
    shards = shards_of(digits, [1.0, 1.0])
    model = FlatModel.for_dataset("softmax", digits)
    base, nobody = model.initial(STREAMS), np.array([0])
    assert np.isnan(own_losses(model, base.unsqueeze(0), shards, nobody, nobody)).all()
    assert loss_drop_quality(model, base, shards, nobody, nobody, nobody, 0, PLAN, STREAMS).tolist() == [0.0]


def test_the_measure_is_the_fall_of_the_own_loss_per_sample(digits):
    shards = shards_of(digits, [1.0, 1.0, 1.0])
    model = FlatModel.for_dataset("mlp", digits)
    base, rows, samples = model.initial(STREAMS), np.arange(3), np.array([30, 60, 90])
    found = loss_drop_quality(
        model, base, shards, rows, samples, rows, 4, PLAN, STREAMS, epochs=3, choice=Choice("loop", 10)
    )
    after = []
    for epochs in (1, 3):
        plan = LocalTraining(epochs=epochs, batch_size=10, learning_rate=0.1)
        weights = train_cohort(model, base, shards, rows, samples, rows, 4, plan, STREAMS, "loop")
        after.append(own_losses(model, weights, shards, rows, samples))
    np.testing.assert_allclose(found, (after[0] - after[1]) / samples, rtol=1e-12)


def test_wrong_labels_are_learnt_more_slowly_than_right_ones(digits):
    qualities = np.tile([1.0, 0.0], 6)
    shards = shards_of(digits, qualities, max_label_noise=0.8)
    model = FlatModel.for_dataset("softmax", digits)
    rows, samples = np.arange(12), np.full(12, 100)
    found = loss_drop_quality(model, model.initial(STREAMS), shards, rows, samples, rows, 0, PLAN, STREAMS)
    assert found[::2].min() > found[1::2].max()


def test_small_owners_are_favoured(digits):
    """Trap 12 of the method: the drop is divided by the number of samples."""
    shards = shards_of(digits, [1.0, 1.0])
    model = FlatModel.for_dataset("softmax", digits)
    rows = np.arange(2)
    small, large = loss_drop_quality(
        model, model.initial(STREAMS), shards, rows, np.array([20, 400]), rows, 0, PLAN, STREAMS
    )
    assert small > large


def test_one_epoch_is_too_few(digits):
    shards = shards_of(digits, [1.0])
    model = FlatModel.for_dataset("softmax", digits)
    one = np.array([0])
    with pytest.raises(ValueError, match="epochs must be at least 2"):
        loss_drop_quality(model, model.initial(STREAMS), shards, one, one, one, 0, PLAN, STREAMS, epochs=1)
