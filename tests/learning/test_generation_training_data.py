"""Real plus synthetic data to train on, and what it takes to make them."""

import numpy as np
import pytest
import torch
from learning_samples import blobs, clean_shards

from learning.batches import LocalTraining
from learning.generation import GENERATORS, GenerationSpeed, Synthetic, compute_energy, measured_speed, with_synthetic
from learning.models import FlatModel
from learning.training import train_cohort


def made(count: int, label: int) -> Synthetic:
    return Synthetic(torch.full((count, 5), 0.5), torch.full((count,), label, dtype=torch.int64))


def test_a_shard_holds_its_first_real_samples_and_then_what_was_added(streams):
    shards = clean_shards(blobs(), 4, streams)
    rows, samples = np.array([2, 0]), np.array([6, 3])
    more = with_synthetic(shards, rows, samples, [made(4, 1), None])
    begin = int(shards.offsets[2])
    assert more.sizes.tolist() == [10, 3]
    assert torch.equal(more.x[:6], shards.x[begin : begin + 6])
    assert (more.x[6:10] == 0.5).all()
    assert more.y[6:10].tolist() == [1] * 4
    assert torch.equal(more.x[10:], shards.x[:3])
    assert more.class_mix[0] == pytest.approx((6 * shards.class_mix[2] + [0, 4, 0]) / 10)
    assert more.class_mix[1].tolist() == shards.class_mix[0].tolist()
    assert more.quality.tolist() == shards.quality[rows].tolist()


def test_owners_train_on_real_and_synthetic_samples_as_on_any(streams):
    shards = clean_shards(blobs(), 3, streams)
    rows = np.arange(3)
    more = with_synthetic(shards, rows, shards.sizes, [made(5, 0), None, made(0, 0)])
    model, plan = FlatModel("softmax", (5,), 3), LocalTraining(epochs=2, batch_size=8)
    base = model.initial(streams)
    plain = train_cohort(model, base, shards, rows, shards.sizes, rows, 0, plan, streams)
    mixed = train_cohort(model, base, more, rows, more.sizes, rows, 0, plan, streams)
    assert not torch.equal(mixed[0], plain[0])
    assert torch.equal(mixed[1:], plain[1:]), "who adds nothing trains as before"


def test_an_owner_may_train_on_synthetic_samples_alone_or_on_none(streams):
    shards = clean_shards(blobs(), 2, streams)
    more = with_synthetic(shards, np.arange(2), np.zeros(2, int), [made(3, 2), None])
    assert more.sizes.tolist() == [3, 0]
    assert more.class_mix[0].tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("samples", "added", "problem"),
    [
        ([1], [None], "differ in length"),
        ([1, 10_000], [None, None], "0 up to all samples"),
        ([1, 1], [Synthetic(torch.zeros(2, 4), torch.zeros(2, dtype=torch.int64)), None], "do not fit"),
    ],
)
def test_columns_that_do_not_fit_are_refused(samples, added, problem, streams):
    shards = clean_shards(blobs(), 2, streams)
    with pytest.raises(ValueError, match=problem):
        with_synthetic(shards, np.arange(2), np.array(samples), added)


# ---- time and energy ----------------------------------------------------------------------------------------------


def test_generation_takes_the_training_of_the_generator_and_a_time_per_sample():
    speed = GenerationSpeed(fit_seconds=10.0, seconds_per_sample=0.01)
    took = speed.seconds(np.array([0.0, 100.0, 1000.0]), np.array([1.0, 1.0, 2.0]))
    assert took.tolist() == [0.0, 11.0, 10.0]


@pytest.mark.parametrize(("volume", "machine"), [(-1.0, 1.0), (1.0, 0.0), (1.0, float("nan"))])
def test_negative_volumes_and_machines_that_do_not_move_are_refused(volume, machine):
    with pytest.raises(ValueError, match="at least 0 and speeds above 0"):
        GenerationSpeed().seconds(np.array([volume]), np.array([machine]))


@pytest.mark.parametrize("value", [-1.0, float("inf")])
def test_a_speed_must_be_a_number_of_at_least_zero(value):
    with pytest.raises(ValueError, match="seconds_per_sample must be"):
        GenerationSpeed(seconds_per_sample=value)


def test_energy_goes_with_the_square_of_the_frequency_and_with_the_epochs():
    numbers = {"capacitance": 1e-28, "cycles_per_generated_sample": 2e6, "cycles_per_training_sample": 1e6}
    volume = np.array([1000.0])
    once = compute_energy(volume, frequency=np.array([1e9]), local_epochs=1, **numbers)
    assert once == pytest.approx(1000 * 1e-28 * 1e18 * 3e6)
    assert compute_energy(volume, frequency=np.array([2e9]), local_epochs=1, **numbers) == pytest.approx(4 * once)
    assert compute_energy(volume, frequency=np.array([1e9]), local_epochs=4, **numbers) == pytest.approx(2 * once)


def test_a_measured_speed_counts_fitting_and_sampling_apart(streams):
    dataset = blobs()
    x, y = torch.from_numpy(dataset.x_train), torch.from_numpy(dataset.y_train)
    measured_speed(GENERATORS["vae"](steps=1), x, y, 3, streams)  # the first training of a process starts slowly
    quick, slow = (measured_speed(GENERATORS["vae"](steps=steps), x, y, 3, streams) for steps in (5, 200))
    assert slow.fit_seconds > 3 * quick.fit_seconds > 0
    assert 0 < slow.seconds_per_sample < slow.fit_seconds
