"""One model handed from owner to owner, kept where its test accuracy rose: the aggregation of QD-RDFL's code."""

import numpy as np
import pytest
import torch
from learning_samples import CPU, blobs, clean_shards

from learning.algorithms import SequentialAccept
from learning.asynchronous import FedBuff
from learning.cohort_work import CohortWork
from learning.evaluation import evaluate
from learning.federation import Federation
from learning.models import FlatModel
from learning.server_rules import ServerRules
from learning.streams import Streams
from learning.training import LocalTraining, train_cohort
from learning.uploads import Upload

STREAMS = Streams(4)
DATASET = blobs()
COUNT = 6
SHARDS = clean_shards(DATASET, COUNT, STREAMS, "dirichlet")
MODEL = FlatModel("softmax", DATASET.shape, DATASET.classes)
PLAN = LocalTraining(epochs=1, batch_size=10, learning_rate=0.05)


def federation() -> Federation:
    rules = ServerRules(algorithm=SequentialAccept())
    return Federation(model=MODEL, dataset=DATASET, shards=SHARDS, plan=PLAN, streams=STREAMS, device=CPU, rules=rules)


def everybody(running: Federation, kinds: list[Upload]) -> CohortWork:
    rows = np.arange(COUNT)
    return CohortWork(
        owner=rows,
        shard=rows,
        samples=SHARDS.sizes[rows],
        base_version=np.full(COUNT, running.version),
        upload=np.array(kinds, dtype=np.int8),
        scale=np.full(COUNT, 1e6),
        peer=np.full(COUNT, -1),
    )


def play_round(running: Federation, kinds: list[Upload]) -> torch.Tensor:
    work = everybody(running, kinds)
    sent = running.uploads(work, running.version, 0.5)
    running.aggregate(sent, work, SHARDS.sizes.astype(float))
    return sent


def accuracy(weights: torch.Tensor) -> float:
    x, y = torch.from_numpy(DATASET.x_test), torch.from_numpy(DATASET.y_test)
    return evaluate(MODEL, weights, x, y, DATASET.classes).accuracy


def test_each_owner_trains_on_what_the_ones_before_it_left_and_only_what_rose_is_kept() -> None:
    running = federation()
    kept, accepted = running.weights, []
    for owner in range(COUNT):
        one = np.array([owner])
        tried = train_cohort(
            MODEL, kept.unsqueeze(0), SHARDS, one, SHARDS.sizes[one], one, 0, PLAN, STREAMS, running.choice.backend
        )[0]
        accepted.append(accuracy(tried) > accuracy(kept))
        kept = tried if accepted[-1] else kept
    assert any(accepted)
    assert not all(accepted), "otherwise this example shows nothing"
    sent = play_round(running, [Upload.TRAINED] * COUNT)
    torch.testing.assert_close(sent[-1], kept, rtol=0, atol=0)
    torch.testing.assert_close(running.weights, kept)


def test_test_accuracy_never_falls() -> None:
    running = federation()
    course = [accuracy(running.weights)]
    for _ in range(5):
        play_round(running, [Upload.TRAINED] * COUNT)
        course.append(running.evaluate().accuracy)
    assert (np.diff(course) >= 0).all()
    assert course[-1] > course[0]


def test_noise_in_place_of_a_model_is_not_kept() -> None:
    running = federation()
    for _ in range(3):
        play_round(running, [Upload.TRAINED] * COUNT)
    before = running.weights.clone()
    play_round(running, [Upload.NOISE] * COUNT)
    torch.testing.assert_close(running.weights, before)


def test_asynchronous_rounds_are_refused() -> None:
    with pytest.raises(ValueError, match="synchronous"):
        ServerRules(algorithm=SequentialAccept(), merging=FedBuff()).check_asynchronous()
