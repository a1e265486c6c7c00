import numpy as np
import pytest
import torch
from learning_samples import blobs, clean_shards

from learning.models import FlatModel
from learning.privacy_hook import ClipAndNoise, privatise
from learning.streams import Streams
from learning.training import LocalTerms, LocalTraining, train_cohort

STREAMS = Streams(7)
SHARDS = clean_shards(blobs(shape=(1, 8, 8), train=240), 8, STREAMS)
MODEL = FlatModel("mlp", (1, 8, 8), 3)
BASE = MODEL.initial(STREAMS)
ROWS = np.arange(8)


def updates(terms=LocalTerms(), backend="auto", samples=SHARDS.sizes, rows=ROWS, counter=1):  # noqa: B008 (frozen)
    plan = LocalTraining(batch_size=7)
    trained = train_cohort(MODEL, BASE, SHARDS, rows, samples, rows, counter, plan, STREAMS, backend, terms=terms)
    return trained - BASE


def test_a_clipped_update_keeps_its_direction_and_loses_its_excess():
    free = updates()
    norms = free.norm(dim=1)
    limit = float(norms.median())
    clipped = updates(LocalTerms(clip=np.full(8, limit)))
    assert torch.allclose(clipped.norm(dim=1), norms.clamp(max=limit), rtol=1e-5)
    cosine = torch.nn.functional.cosine_similarity(free, clipped, dim=1)
    assert torch.allclose(cosine, torch.ones(8), atol=1e-5)
    within = norms < limit
    assert within.any()
    assert torch.equal(clipped[within], free[within])


def test_noise_has_the_deviation_asked_for_and_belongs_to_owner_and_counter():
    sd = np.array([0.0, 0.1, 0.5, 0.0, 0.02, 0.0, 0.0, 1.0])
    added = updates(LocalTerms(noise=sd)) - updates()
    assert np.allclose(added.std(dim=1).numpy(), sd, rtol=0.05, atol=1e-7)
    assert (added.mean(dim=1).abs().numpy() <= 5 * sd / np.sqrt(MODEL.size) + 1e-7).all()
    alone = updates(LocalTerms(noise=sd[[2]]), rows=np.array([2]), samples=SHARDS.sizes[[2]])
    assert torch.allclose(alone[0], updates(LocalTerms(noise=sd))[2], atol=1e-6)
    drawn = STREAMS.generator("update noise", 2, 1).standard_normal(MODEL.size) * 0.5
    assert np.allclose(added[2].numpy(), drawn, atol=1e-5)
    later = updates(LocalTerms(noise=sd), counter=2) - updates(counter=2)
    assert not torch.allclose(later[2], added[2], atol=0.1)


def test_noise_comes_after_clipping_and_also_to_an_owner_without_samples():
    terms = LocalTerms(clip=np.full(2, 1e-6), noise=np.full(2, 0.3))
    sent = updates(terms, rows=ROWS[:2], samples=np.array([5, 0]))
    assert np.allclose(sent.std(dim=1).numpy(), 0.3, rtol=0.1)


def test_every_back_end_clips_and_noises():
    terms = LocalTerms(clip=np.full(8, 0.05), noise=np.full(8, 0.01))
    one, *others = (updates(terms, backend) for backend in ("loop", "linear", "vmap"))
    assert all(torch.allclose(other, one, atol=1e-5) for other in others)


def test_a_poisoned_update_stays_visible():
    start = torch.zeros(3, 4)
    trained = torch.ones(3, 4)
    trained[0, 1], trained[1, 2] = float("nan"), float("inf")
    sent = privatise(start, trained, np.arange(3), 0, np.full(3, 0.5), np.full(3, 0.1), STREAMS)
    assert torch.isfinite(sent).all(dim=1).tolist() == [False, False, True]


def test_without_clip_and_noise_nothing_is_copied_or_changed():
    start, trained = torch.zeros(1, 4), torch.ones(1, 4)
    assert privatise(start, trained, np.arange(1), 0, None, None, STREAMS) is trained
    privatise(start, trained, np.arange(1), 0, np.ones(1), np.ones(1), STREAMS)
    assert torch.equal(trained, torch.ones(1, 4))


def test_the_same_limits_for_everybody_are_columns_of_the_terms():
    columns = ClipAndNoise(clip=2.0, noise_multiplier=0.25).columns(3)
    assert columns["clip"].tolist() == [2.0] * 3
    assert columns["noise"].tolist() == [0.5] * 3
    assert ClipAndNoise(clip=2.0).columns(3)["noise"] is None
    assert ClipAndNoise().columns(3) == {"clip": None, "noise": None, "law": "gaussian"}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"clip": 0.0}, "clip must be"),
        ({"clip": float("inf")}, "clip must be"),
        ({"clip": 1.0, "noise_multiplier": -1.0}, "noise_multiplier must be"),
        ({"noise_multiplier": 1.0}, "clip must be given"),
    ],
)
def test_limits_without_a_meaning_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        ClipAndNoise(**wrong)
