import numpy as np
import pytest
import torch
from learning_samples import CPU, blobs, clean_shards

from learning.cohort_work import CohortWork
from learning.data import load_dataset
from learning.federation import Federation
from learning.models import FlatModel
from learning.poisoning import TARGET, Poisoner, trigger_places
from learning.streams import Streams
from learning.training import LocalTraining
from learning.uploads import Upload

STREAMS = Streams(11)
BLOBS = blobs(shape=(1, 6, 6), classes=4)
SHARDS = clean_shards(BLOBS, 3, STREAMS)


def work(upload: list[Upload], scale: list[float], owner: tuple[int, ...] = (5, 6, 7)) -> CohortWork:
    count = len(upload)
    return CohortWork(
        owner=np.array(owner[:count]),
        shard=np.arange(count),
        samples=SHARDS.sizes[:count],
        base_version=np.zeros(count, dtype=np.int64),
        upload=np.array(upload, dtype=np.int8),
        scale=np.array(scale),
        peer=np.full(count, -1),
    )


def part(shards, row):
    place = slice(int(shards.offsets[row]), int(shards.offsets[row + 1]))
    return shards.x[place], shards.y[place]


def test_flipped_labels_are_mirrored_and_samples_stay_as_they_are():
    falsified, rows = Poisoner(BLOBS, SHARDS, STREAMS).data(work([Upload.LABEL_FLIP], [1.0]))
    (x, y), (true_x, true_y) = part(falsified, rows[0]), part(SHARDS, 0)
    assert torch.equal(x, true_x)
    assert torch.equal(y, BLOBS.classes - 1 - true_y)


def test_the_scale_of_the_upload_is_the_share_that_is_falsified():
    def wrong(share: float) -> np.ndarray:
        falsified, rows = Poisoner(BLOBS, SHARDS, STREAMS).data(work([Upload.LABEL_FLIP], [share]))
        return (part(falsified, rows[0])[1] != part(SHARDS, 0)[1]).numpy()

    few, many = wrong(0.2), wrong(0.6)
    assert 0 < few.mean() < 0.4 < many.mean() < 0.8
    assert many[few].all(), "a larger share falsifies the same samples and more"


def test_a_backdoor_stamps_the_trigger_and_changes_the_label_to_the_target():
    falsified, rows = Poisoner(BLOBS, SHARDS, STREAMS).data(work([Upload.BACKDOOR], [0.5]))
    (x, y), (true_x, true_y) = part(falsified, rows[0]), part(SHARDS, 0)
    touched = (x != true_x).flatten(1).any(dim=1)
    assert 0.3 < touched.float().mean() < 0.7
    assert (y[touched] == TARGET).all()
    assert torch.equal(y[~touched], true_y[~touched])
    assert (x[touched][:, :, -2:, -2:] == SHARDS.x.max()).all()
    assert torch.equal(x[:, :, :-2], true_x[:, :, :-2])


def test_nobody_elses_data_change_and_nothing_is_made_where_nobody_falsifies():
    poisoner = Poisoner(BLOBS, SHARDS, STREAMS)
    honest = work([Upload.TRAINED] * 3, [1.0] * 3)
    assert poisoner.data(honest) == (SHARDS, honest.shard)
    mixed = work([Upload.TRAINED, Upload.LABEL_FLIP, Upload.SIGN_FLIP], [1.0] * 3)
    shards, rows = poisoner.data(mixed)
    assert rows.tolist() == [0, 3, 2]
    assert torch.equal(shards.x[: len(SHARDS.x)], SHARDS.x)
    assert torch.equal(shards.y[: len(SHARDS.y)], SHARDS.y)
    assert shards.sizes[rows].tolist() == SHARDS.sizes.tolist()


def test_copies_are_kept_while_the_attackers_are_the_same_and_go_with_them():
    poisoner = Poisoner(BLOBS, SHARDS, STREAMS)
    attack = work([Upload.TRAINED, Upload.LABEL_FLIP], [1.0, 0.5])
    first, again = poisoner.data(attack)[0], poisoner.data(attack)[0]
    assert first is again
    assert poisoner.held_for.tolist() == [6]
    poisoner.retain(np.array([5, 6]))
    assert poisoner.held_for.tolist() == [6]
    poisoner.retain(np.array([5]))
    assert poisoner.held_for.tolist() == []


@pytest.mark.parametrize(
    ("shape", "numbers"), [((1, 28, 28), 16), ((3, 32, 32), 48), ((1, 8, 8), 4), ((13,), 1), ((32,), 4)]
)
def test_the_trigger_is_a_small_square_of_an_image_or_the_last_few_numbers(shape, numbers):
    places = trigger_places(shape)
    assert places.sum() == numbers
    assert places.reshape(-1)[-1]


def federation(dataset, shards) -> Federation:
    return Federation(
        model=FlatModel.for_dataset("mlp", dataset, frozen_seed=1),
        dataset=dataset,
        shards=shards,
        plan=LocalTraining(epochs=6, batch_size=16, learning_rate=0.1),
        streams=STREAMS,
        device=CPU,
    )


def after(upload: Upload, scale: float, rounds: int = 2) -> tuple[float, float]:
    """Accuracy and attack success of the model that three owners have made, of whom the last sends ``upload``."""
    dataset = load_dataset("digits").first(400, 150)
    shards = clean_shards(dataset, 3, STREAMS, partition="iid")
    made = federation(dataset, shards)
    for number in range(rounds):
        cohort = CohortWork(
            np.arange(3), np.arange(3), shards.sizes, np.full(3, made.version),
            np.array([0, 0, upload], dtype=np.int8), np.array([1.0, 1.0, scale]), np.full(3, -1),
        )  # fmt: skip
        made.aggregate(made.uploads(cohort, number, 1.0), cohort, np.ones(3))
    return made.evaluate().accuracy, made.backdoor_success()


def test_a_backdoor_is_obeyed_while_accuracy_on_clean_samples_stays():
    honest, chance_hits = after(Upload.TRAINED, 1.0)
    accuracy, success = after(Upload.REPLACEMENT, 3.0)
    assert honest > 0.8
    assert accuracy > honest - 0.15
    assert chance_hits < 0.2 < 0.8 < success


def test_the_success_rate_counts_stamped_samples_of_other_classes_that_are_taken_for_the_target():
    dataset = load_dataset("digits").first(100, 60)
    made = federation(dataset, clean_shards(dataset, 2, STREAMS, partition="iid"))
    other = dataset.x_test[dataset.y_test != TARGET].copy()
    other[:, :, -2:, -2:] = dataset.x_train.max()
    logits = made.model.logits(made.weights.unsqueeze(0), torch.from_numpy(other))[0]
    assert made.backdoor_success() == pytest.approx(float((logits.argmax(dim=1) == TARGET).float().mean()))


def test_training_on_flipped_labels_unlearns_what_the_owner_would_have_learnt():
    dataset = load_dataset("digits").first(400, 200)
    shards = clean_shards(dataset, 2, STREAMS, partition="iid")
    made = federation(dataset, shards)
    cohort = CohortWork(
        np.arange(2), np.arange(2), shards.sizes, np.zeros(2, dtype=np.int64),
        np.array([Upload.TRAINED, Upload.LABEL_FLIP], dtype=np.int8), np.ones(2), np.full(2, -1),
    )  # fmt: skip
    honest, poisoned = made.uploads(cohort, 0, 1.0)
    x, y = torch.from_numpy(dataset.x_test), dataset.y_test
    guesses = [made.model.logits(one.unsqueeze(0), x)[0].argmax(dim=1).numpy() for one in (honest, poisoned)]
    assert np.mean(guesses[0] == y) > 0.6
    assert np.mean(guesses[1] == 9 - y) > 0.6
    assert np.mean(guesses[1] == y) < 0.1
    assert made.data_quality(cohort, 0)[1] > 0  # it falls on the labels that it trains on


def test_labels_of_prompts_with_answers_are_refused():
    dataset = load_dataset("mix_finance_offline")
    with pytest.raises(ValueError, match="answers cannot be falsified"):
        Poisoner(dataset, SHARDS, STREAMS)
