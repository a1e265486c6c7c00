import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from learning.batches import LocalTraining, draw_batches
from learning.streams import Streams

sizes = st.lists(st.integers(0, 23), max_size=8).map(
    lambda found: np.array(sorted(found, reverse=True), dtype=np.int64)
)


def draw(samples, plan, counter=0, owners=None, seed=3):
    offsets = np.concatenate([[0], np.cumsum(samples)])[:-1].astype(np.int64)
    owners = np.arange(len(samples)) if owners is None else owners
    return draw_batches(offsets, samples, owners, counter, plan, Streams(seed)), offsets


def met_by(batches, owner):
    """The batches of one owner, in order of steps."""
    places = [span.start + owner for span in batches.spans if owner < span.stop - span.start]
    return [batches.index[place, : batches.counts[place]] for place in places]


@settings(deadline=None)
@given(sizes, st.integers(1, 3), st.integers(1, 9))
def test_every_epoch_passes_once_through_the_samples_of_each_owner(samples, epochs, size):
    batches, offsets = draw(samples, LocalTraining(epochs=epochs, batch_size=size))
    steps = -(-samples // size)
    for owner, count in enumerate(samples):
        met = met_by(batches, owner)
        assert len(met) == epochs * steps[owner]
        for epoch in range(epochs):
            rows = met[epoch * steps[owner] : (epoch + 1) * steps[owner]]
            assert all(len(batch) == size for batch in rows[:-1])
            assert sorted(row for batch in rows for row in batch) == list(range(offsets[owner], offsets[owner] + count))


@settings(deadline=None)
@given(sizes, st.integers(1, 3))
def test_the_active_owners_are_a_shrinking_prefix_without_idle_rows(samples, epochs):
    plan = LocalTraining(epochs=epochs, batch_size=4)
    batches, _ = draw(samples, plan)
    assert batches.active == sorted(batches.active, reverse=True)
    assert (batches.counts > 0).all()
    assert len(batches.index) == plan.steps(samples).sum()
    assert [span.stop - span.start for span in batches.spans] == batches.active


def test_epochs_differ_in_order():
    batches, _ = draw(np.array([20]), LocalTraining(epochs=2, batch_size=20))
    first, second = met_by(batches, 0)
    assert first.tolist() != second.tolist()


def test_batches_belong_to_owner_and_counter_not_to_the_company():
    plan = LocalTraining(batch_size=4)

    def local(samples, owners, counter, which):
        batches, offsets = draw(np.array(samples), plan, counter, np.array(owners))
        return [(batch - offsets[which]).tolist() for batch in met_by(batches, which)]

    alone = local([13], [30], 5, 0)
    assert local([20, 13, 9], [8, 30, 2], 5, 1) == alone
    assert local([13], [30], 6, 0) != alone
    assert local([13], [31], 5, 0) != alone


def test_shares_weigh_each_batch_to_its_mean():
    batches, _ = draw(np.array([7, 3]), LocalTraining(batch_size=5))
    share = batches.share(torch.float64, torch.device("cpu"))
    assert share[batches.spans[0]].tolist() == [[0.2] * 5, [1 / 3] * 3 + [0.0] * 2]
    assert share[batches.spans[1]].tolist() == [[0.5, 0.5, 0.0, 0.0, 0.0]]


@settings(deadline=None)
@given(sizes, st.integers(1, 3), st.integers(0, 8), st.integers(1, 8))
def test_a_part_of_a_table_is_what_its_owners_draw_alone(samples, epochs, begin, count):
    plan, owners = LocalTraining(epochs=epochs, batch_size=4), np.arange(len(samples)) * 3
    whole, offsets = draw(samples, plan, owners=owners)
    some = slice(begin, begin + count)
    alone = draw_batches(offsets[some], samples[some], owners[some], 0, plan, Streams(3))
    part = whole.part(begin, begin + count)
    assert (part.active, part.spans) == (alone.active, alone.spans)
    for name in ("index", "counts", "owners"):
        np.testing.assert_array_equal(getattr(part, name), getattr(alone, name))


def draw_steps(samples, steps, size=4, seed=3):
    samples, steps = np.array(samples, dtype=np.int64), np.array(steps, dtype=np.int64)
    offsets = np.cumsum(samples) - samples
    plan = LocalTraining(batch_size=size)
    return draw_batches(offsets, samples, np.arange(len(samples)), 0, plan, Streams(seed), steps)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 15)), max_size=6), st.integers(1, 5))
def test_owners_with_steps_of_their_own_meet_as_many_batches(wanted, size):
    wanted.sort(key=lambda pair: -pair[0] if pair[1] else 0)
    samples, steps = [count for _, count in wanted], [number for number, _ in wanted]
    batches = draw_steps(samples, steps, size)
    offsets = np.cumsum(samples) - samples
    for owner, (number, count) in enumerate(wanted):
        met = met_by(batches, owner)
        assert len(met) == (number if count else 0)
        per_epoch = -(-count // size)
        for begin in range(0, len(met) - per_epoch + 1, per_epoch or 1):
            epoch = [row - offsets[owner] for batch in met[begin : begin + per_epoch] for row in batch]
            assert sorted(epoch) == list(range(count))


def test_a_longer_training_begins_with_the_batches_of_a_shorter_one():
    short, long = ([batch.tolist() for batch in met_by(draw_steps([10], [steps]), 0)] for steps in (4, 11))
    assert long[:4] == short
    by_epochs = draw(np.array([10]), LocalTraining(batch_size=4, epochs=2))[0]
    assert [batch.tolist() for batch in met_by(by_epochs, 0)] == long[:6]


def test_owners_with_steps_out_of_order_are_refused():
    with pytest.raises(ValueError, match="sorted by steps, most first"):
        draw_steps([9, 9], [1, 2])


def test_owners_out_of_order_are_refused():
    with pytest.raises(ValueError, match="most first"):
        draw(np.array([3, 7]), LocalTraining())


@pytest.mark.parametrize(
    "wrong",
    [{"epochs": 0}, {"batch_size": 0}, {"learning_rate": 0.0}, {"learning_rate": float("nan")}, {"proximal": -0.1}],
)
def test_a_plan_out_of_range_is_refused_by_name(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        LocalTraining(**wrong)
