"""What an auditor can read in uploads, on uploads whose history is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from learning_samples import CPU, blobs, clean_shards
from personal_samples import personal, play
from personal_samples import work as personal_work
from torch.nn.functional import cross_entropy

from learning.federation import CohortWork, Federation
from learning.inspection_names import ALIGNMENT, DUPLICATES, HELD_OUT_GAIN, LOSS_DROP, SIGNALS, SIMILARITY, UPDATE_NORM
from learning.models import FlatModel
from learning.streams import Streams
from learning.training import LocalTraining
from learning.uploads import Upload

STREAMS = Streams(4)
DATASET = blobs()
SHARDS = clean_shards(DATASET, 6, STREAMS)
HONEST = [Upload.TRAINED] * 6


def cohort(kinds: list[Upload], version: int, scale: float = 1.0) -> CohortWork:
    """Owners 10, 11, ... with a shard each; whoever copies a peer copies owner 10."""
    count = len(kinds)
    return CohortWork(
        owner=np.arange(10, 10 + count),
        shard=np.arange(count),
        samples=SHARDS.sizes[:count],
        base_version=np.full(count, version),
        upload=np.array(kinds, dtype=np.int8),
        scale=np.full(count, scale),
        peer=np.full(count, 10),
    )


@pytest.fixture
def federation() -> Federation:
    """After two honest rounds."""
    flat = FlatModel("softmax", DATASET.shape, DATASET.classes)
    plan = LocalTraining(batch_size=8)
    running = Federation(model=flat, dataset=DATASET, shards=SHARDS, plan=plan, streams=STREAMS, device=CPU)
    for _ in range(2):
        work = cohort(HONEST, running.version)
        running.aggregate(running.uploads(work, running.version, 0.5), work, work.samples.astype(float))
    return running


def seen(running: Federation, kinds: list[Upload], scale: float = 1.0):
    work = cohort(kinds, running.version, scale)
    uploads = running.uploads(work, running.version, 0.5)
    return uploads, work, running.signals(uploads, work, SIGNALS)


def test_norms_and_directions_are_those_of_the_changes(federation: Federation) -> None:
    uploads, _, signals = seen(federation, HONEST)
    change = (uploads - federation.weights).double().numpy()
    np.testing.assert_allclose(signals[UPDATE_NORM], np.linalg.norm(change, axis=1), rtol=1e-6)
    unit = change / np.linalg.norm(change, axis=1, keepdims=True)
    for row in range(6):
        others = np.delete(unit, row, axis=0).sum(axis=0)
        assert signals[ALIGNMENT][row] == pytest.approx(unit[row] @ others / np.linalg.norm(others), abs=1e-6)


def test_drops_of_the_loss_are_those_of_the_model_on_own_and_on_held_out_data(federation: Federation) -> None:
    uploads, work, signals = seen(federation, [*HONEST[:5], Upload.SIGN_FLIP])
    x, y = torch.from_numpy(DATASET.x_test), torch.from_numpy(DATASET.y_test)

    def loss(weights: torch.Tensor, samples: torch.Tensor, labels: torch.Tensor) -> float:
        logits = federation.model.logits(weights.unsqueeze(0), samples)[0]
        return float(cross_entropy(logits.double(), labels))

    for row in range(6):
        begin = int(SHARDS.offsets[row])
        own = slice(begin, begin + int(SHARDS.sizes[row]))
        mine = SHARDS.x[own], SHARDS.y[own]
        drop = loss(federation.weights, *mine) - loss(uploads[row], *mine)
        assert signals[LOSS_DROP][row] == pytest.approx(drop, abs=1e-6)
        gain = loss(federation.weights, x, y) - loss(uploads[row], x, y)
        assert signals[HELD_OUT_GAIN][row] == pytest.approx(gain, abs=1e-6)
    assert (signals[LOSS_DROP][:5] > 0).all()
    assert signals[LOSS_DROP][5] < 0
    assert len(work) == 6


def test_copies_are_recognised_whatever_they_copy(federation: Federation) -> None:
    kinds = [Upload.TRAINED, Upload.TRAINED, Upload.GLOBAL_COPY, Upload.REPLAY, Upload.PEER_COPY, Upload.PEER_COPY]
    _, _, signals = seen(federation, kinds)
    # The model itself; the model moved by its last change; owner 10's last upload, sent by two.
    assert signals[DUPLICATES].tolist() == [0, 0, 1, 1, 2, 2]
    assert (signals[SIMILARITY][3:] > 1 - 1e-6).all()
    assert signals[SIMILARITY][2] == 0.0, "what has not moved has no direction"
    assert signals[UPDATE_NORM][2] == 0.0


def test_a_copy_in_a_little_noise_is_near_and_no_duplicate(federation: Federation) -> None:
    _, _, signals = seen(federation, [*HONEST[:5], Upload.OWN_LAST], scale=0.02)
    assert signals[DUPLICATES].tolist() == [0.0] * 6
    assert signals[SIMILARITY][5] > 0.99


def test_similarity_is_the_largest_cosine_with_anything_else(federation: Federation) -> None:
    uploads, _, signals = seen(federation, HONEST)
    previous = federation._versions.previous()
    known = torch.cat([uploads, federation._memory.rows, (2 * federation.weights - previous).unsqueeze(0)])
    moved = (known - federation.weights).double().numpy()
    cosine = moved @ moved[:6].T / np.outer(np.linalg.norm(moved, axis=1), np.linalg.norm(moved[:6], axis=1))
    np.fill_diagonal(cosine[:6], -1.0)
    np.testing.assert_allclose(signals[SIMILARITY], cosine.max(axis=0), atol=1e-6)


def test_only_what_is_wanted_is_measured_and_nothing_changes(federation: Federation) -> None:
    before = {name: part.clone() for name, part in federation.state().items()}
    work = cohort(HONEST, federation.version)
    uploads = federation.uploads(work, federation.version, 0.5)
    assert set(federation.signals(uploads, work, {LOSS_DROP})) == {LOSS_DROP}
    federation.signals(uploads, work, SIGNALS)
    assert all(torch.equal(part, before[name]) for name, part in federation.state().items())


def test_personal_models_are_seen_from_what_their_owners_started_from() -> None:
    running = personal("proximal_centre")
    play(running, 2)
    sent = running.uploads(personal_work([Upload.TRAINED, Upload.TRAINED, Upload.GLOBAL_COPY, Upload.REPLAY]), 2, 0.5)
    signals = running.signals(sent, personal_work([Upload.TRAINED] * 4), SIGNALS)
    np.testing.assert_allclose(
        signals[UPDATE_NORM], running.norms(sent, personal_work([Upload.TRAINED] * 4)), rtol=1e-6
    )
    assert signals[UPDATE_NORM][2] == 0.0
    assert (signals[LOSS_DROP][:2] > 0.0).all()
    assert signals[LOSS_DROP][2] == 0.0
    assert (signals[DUPLICATES] > 0).tolist() == [False, False, True, True]


def test_in_the_first_round_there_is_nothing_to_copy_but_the_model() -> None:
    flat = FlatModel("softmax", DATASET.shape, DATASET.classes)
    plan = LocalTraining(batch_size=8)
    fresh = Federation(
        model=flat, dataset=DATASET, shards=SHARDS, plan=plan, streams=STREAMS, device=CPU, copying=False
    )
    _, _, signals = seen(fresh, [Upload.GLOBAL_COPY, Upload.TRAINED])
    assert signals[DUPLICATES].tolist() == [1.0, 0.0]
    # Beside somebody that moved not at all, there is nobody to move along with.
    assert signals[ALIGNMENT][0] == 0.0
    assert np.isnan(signals[ALIGNMENT][1])
