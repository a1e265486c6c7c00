"""Privacy sold is privacy spent: each owner's own noise, from the epsilon it sold to the update it sends."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from learning_samples import CPU, blobs, clean_shards

from learning.cohort_work import CohortWork
from learning.federation import Federation
from learning.local_terms import LocalTerms
from learning.models import FlatModel
from learning.partition import PARTITIONS
from learning.privacy.ledger import PrivacyLedger
from learning.privacy.mechanisms import NoiseLaw
from learning.privacy.terms import PrivacyTerms
from learning.privacy_hook import ClipAndNoise, clipping_factor, privatise
from learning.shards import Shards
from learning.streams import Streams
from learning.training import LocalTraining, train_cohort
from learning.uploads import Upload

DATASET = blobs(shape=(1, 8, 8), train=240)
SHARDS = clean_shards(DATASET, 6, Streams(4))
PLAN = LocalTraining(batch_size=8)
MODEL = FlatModel("mlp", DATASET.shape, DATASET.classes)
TERMS = PrivacyTerms(clip_norm=0.1)


def federation(seed: int = 4, privacy: ClipAndNoise | None = None) -> Federation:
    return Federation(
        model=MODEL,
        dataset=DATASET,
        shards=SHARDS,
        plan=PLAN,
        streams=Streams(seed),
        device=CPU,
        privacy=privacy or ClipAndNoise(clip=TERMS.clip_norm),
    )


def work(places: list[int], noise_std: np.ndarray | None, kinds: list[Upload] | None = None) -> CohortWork:
    """Owners 10, 11, ... at these places, who train on all samples of their shards."""
    rows, count = np.array(places), len(places)
    return CohortWork(
        owner=10 + rows,
        shard=rows,
        samples=SHARDS.sizes[rows],
        base_version=np.zeros(count, dtype=np.int64),
        upload=np.array(kinds or [Upload.TRAINED] * count, dtype=np.int8),
        scale=np.ones(count),
        peer=np.full(count, -1),
        noise_std=noise_std,
    )


def noise_of(places: list[int], noise_std: np.ndarray, counter: int = 3, seed: int = 4) -> torch.Tensor:
    """What noise adds to the uploads of a round: the same round with it and without."""
    with_noise = federation(seed).uploads(work(places, noise_std), counter, 0.5)
    return with_noise - federation(seed).uploads(work(places, None), counter, 0.5)


# ---- noise of each owner ------------------------------------------------------------------------------------------


def test_each_upload_has_the_noise_that_its_owner_sold():
    epsilon = np.array([0.5, 1.0, 2.0, 5.0, 20.0])
    added = noise_of([0, 1, 2, 3, 4], TERMS.noise_std(epsilon))
    measured = added.double().std(dim=1).numpy()
    # A deviation estimated from P numbers is off by 1 / sqrt(2 P) of itself, one time in three.
    assert measured == pytest.approx(TERMS.noise_std(epsilon), rel=4 / np.sqrt(2 * MODEL.size))
    assert TERMS.epsilon(measured) == pytest.approx(epsilon, rel=0.1)
    assert TERMS.noise_std(1.0) == pytest.approx(3.7306 * 2 * 0.1, rel=1e-4)


def test_an_owners_noise_depends_on_seed_owner_and_counter_only():
    std = np.array([0.5, 1.0, 2.0])
    together = noise_of([0, 1, 2], std)
    alone, turned = noise_of([1], std[[1]]), noise_of([2, 0, 1], std[[2, 0, 1]])
    assert torch.allclose(alone[0], together[1], atol=1e-6)
    assert torch.allclose(turned, together[[2, 0, 1]], atol=1e-6)
    assert torch.allclose(noise_of([1], np.array([3.0]))[0], 3 * together[1], atol=1e-5), "only scaled"
    drawn = Streams(4).generator("update noise", 11, 3).standard_normal(MODEL.size)
    assert together[1].numpy() == pytest.approx(drawn, abs=1e-5)
    for other in (noise_of([1], std[[1]], counter=4), noise_of([1], std[[1]], seed=5)):
        assert abs(np.corrcoef(other[0], together[1])[0, 1]) < 5 / np.sqrt(MODEL.size)


def test_two_owners_noise_is_independent():
    added = noise_of([0, 1], np.ones(2)).numpy()
    assert abs(np.corrcoef(added)[0, 1]) < 5 / np.sqrt(MODEL.size)


def test_own_noise_stands_in_place_of_the_common_one_and_forged_uploads_have_none():
    loud = ClipAndNoise(clip=0.1, noise_multiplier=1000.0)
    kinds = [Upload.TRAINED, Upload.GLOBAL_COPY]
    running = federation(privacy=loud)
    sent = running.uploads(work([0, 1], np.array([0.01, np.inf]), kinds), 0, 0.5)
    assert (sent[0] - running.weights).norm().item() < 0.1 + 0.02 * np.sqrt(MODEL.size)
    assert torch.equal(sent[1], running.weights)
    common = running.uploads(work([0, 1], None, kinds), 0, 0.5)
    assert (common[0] - running.weights).std().item() == pytest.approx(100, rel=0.1)


def test_an_owner_that_sold_nothing_cannot_send_what_it_trained():
    noise = TERMS.noise_std(np.array([1.0, 0.0]))
    with pytest.raises(ValueError, match="noise must be at least 0 for every owner"):
        federation().uploads(work([0, 1], noise), 0, 0.5)
    with pytest.raises(ValueError, match="noise must be"):
        federation().uploads(work([0, 1], np.array([1.0, np.nan])), 0, 0.5)


def test_noise_without_a_clipping_norm_is_refused():
    with pytest.raises(ValueError, match="clip must be given"):
        federation(privacy=ClipAndNoise()).uploads(work([0], np.ones(1)), 0, 0.5)


def test_a_cohort_with_too_few_noise_levels_is_refused():
    with pytest.raises(ValueError, match="differ in length"):
        work([0, 1], np.ones(3))


def test_an_owner_cannot_send_twice_under_one_draw_of_its_noise():
    """Two uploads with the same noise are bare in their difference."""
    with pytest.raises(ValueError, match="an owner sends twice with noise of its own"):
        work([0, 1, 0], np.ones(3))


def test_what_the_ledger_says_was_spent_is_what_the_noise_gives():
    ledger = PrivacyLedger(TERMS, np.full(4, 9.0))
    sold = np.array([0.5, 1.0, 2.0, 4.0])
    rounds, squares = 3, np.zeros(4)
    for counter in range(rounds):
        ledger.spend(np.arange(4), TERMS.noise_std(sold))
        squares += 1 / noise_of([0, 1, 2, 3], TERMS.noise_std(sold), counter).double().var(dim=1).numpy()
    # From the noise that was found on the uploads alone: one release with the sum of 1 / variance.
    assert ledger.spent == pytest.approx(TERMS.epsilon(1 / np.sqrt(squares)), rel=0.05)
    assert (ledger.spent < rounds * sold).all()


# ---- clipping, both laws ------------------------------------------------------------------------------------------

rows = st.lists(st.lists(st.floats(-1e3, 1e3, width=32), min_size=5, max_size=5), min_size=2, max_size=2)


@pytest.mark.parametrize("law", NoiseLaw)
@given(rows, st.floats(1e-2, 10))
def test_clipped_updates_have_the_norm_and_any_two_differ_by_twice_that(law, numbers, clip):
    updates = torch.tensor(numbers, dtype=torch.float64)
    clipped = updates * clipping_factor(updates, np.full(2, clip), law.norm).unsqueeze(1)
    norms = torch.linalg.vector_norm(clipped, ord=law.norm, dim=1)
    assert (norms <= clip * (1 + 1e-6)).all()
    assert torch.linalg.vector_norm(clipped[0] - clipped[1], ord=law.norm) <= 2 * clip * (1 + 1e-6)
    within = torch.linalg.vector_norm(updates, ord=law.norm, dim=1) <= clip
    assert torch.equal(clipped[within], updates[within])


@pytest.mark.parametrize("law", NoiseLaw)
def test_the_zero_update_is_clipped_to_itself(law):
    start = torch.ones(2, 4)
    assert torch.equal(privatise(start, start, np.arange(2), 0, np.full(2, 0.1), None, Streams(1), law), start)


def test_laplace_noise_goes_with_clipping_in_the_sum_of_absolute_values():
    terms = PrivacyTerms(0.2, noise_mechanism="laplace")
    start = torch.zeros(3, 200_000, dtype=torch.float64)
    trained = torch.randn(3, 200_000, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    clip, std = np.full(3, 0.2), terms.noise_std(np.array([0.5, 1.0, 2.0]))
    clipped = privatise(start, trained, np.arange(3), 0, clip, None, Streams(1), NoiseLaw.LAPLACE)
    assert clipped.abs().sum(dim=1).numpy() == pytest.approx(0.2)
    noise = privatise(start, trained, np.arange(3), 0, clip, std, Streams(1), NoiseLaw.LAPLACE) - clipped
    assert noise.var(dim=1).numpy() == pytest.approx(2 * (2 * 0.2 / np.array([0.5, 1.0, 2.0])) ** 2, rel=0.02)
    assert (noise**4).mean(dim=1).numpy() == pytest.approx(6 * std**4, rel=0.1)


def test_the_law_of_the_noise_reaches_the_owners_training():
    terms = LocalTerms(clip=np.full(2, 0.1), noise=np.full(2, 1.0), law=NoiseLaw.LAPLACE)
    base = MODEL.initial(Streams(4))
    arguments = (MODEL, base, SHARDS, np.arange(2), SHARDS.sizes[:2], np.arange(2), 0, PLAN, Streams(4))
    sent = train_cohort(*arguments, terms=terms) - base
    drawn = Streams(4).generator("update noise", 1, 0).laplace(scale=np.sqrt(0.5), size=MODEL.size)
    assert sent[1].numpy() == pytest.approx(drawn, abs=0.11)
    privacy = ClipAndNoise(clip=0.1, noise_multiplier=10.0, law=NoiseLaw.LAPLACE)
    upload = federation(privacy=privacy).uploads(work([0], None), 0, 0.5)[0] - federation().weights
    drawn = Streams(4).generator("update noise", 10, 0).laplace(scale=np.sqrt(0.5), size=MODEL.size)
    assert upload.numpy() == pytest.approx(drawn, abs=0.11)


# ---- what noise does to learning ----------------------------------------------------------------------------------


def test_the_norm_of_the_noise_grows_with_the_root_of_the_model_and_shrinks_by_averaging():
    size, std = 20_000, 1.634
    start = torch.zeros(10, size, dtype=torch.float64)
    noise = privatise(start, start, np.arange(10), 0, np.ones(10), np.full(10, std), Streams(1))
    assert noise.norm(dim=1).numpy() == pytest.approx(std * np.sqrt(size), rel=0.02)
    assert noise.mean(dim=0).norm().item() == pytest.approx(std * np.sqrt(size / 10), rel=0.02)


def accuracy(digits, seed: int, epsilon: float | None, privacy: ClipAndNoise) -> float:
    """After ten rounds of a hundred owners with softmax regression."""
    streams, owners = Streams(seed), np.arange(100)
    indices = PARTITIONS["iid"](digits.y_train, 100, streams)
    shards = Shards.build(
        digits, indices, np.ones(100), max_label_noise=0.0, max_feature_noise=0.0, streams=streams, device=CPU
    )
    running = Federation(
        model=FlatModel.for_dataset("softmax", digits),
        dataset=digits,
        shards=shards,
        plan=LocalTraining(epochs=2, batch_size=5, learning_rate=0.5),
        streams=streams,
        device=CPU,
        privacy=privacy,
        copying=False,
    )
    noise = None if epsilon is None else PrivacyTerms(0.5).noise_std(np.full(100, epsilon))
    for counter in range(10):
        cohort = CohortWork(
            owner=owners,
            shard=owners,
            samples=shards.sizes,
            base_version=np.full(100, running.version),
            upload=np.full(100, Upload.TRAINED, dtype=np.int8),
            scale=np.ones(100),
            peer=np.full(100, -1),
            noise_std=noise,
        )
        running.aggregate(running.uploads(cohort, counter, float("nan")), cohort, np.ones(100))
    return running.evaluate().accuracy


def test_more_epsilon_never_learns_worse_and_the_control_without_noise_learns(digits):
    def sample(epsilon, clip=0.5):
        return np.array([accuracy(digits, seed, epsilon, ClipAndNoise(clip=clip)) for seed in range(5)])

    levels = [sample(epsilon) for epsilon in (0.5, 2.0, 5.0, 20.0, 1e6, None)]
    # Half the width of a 95 % interval of the mean of five: 2.776 standard errors.
    half = [2.776 * level.std(ddof=1) / np.sqrt(5) for level in levels]
    for lower, higher, near, far in zip(levels, levels[1:], half, half[1:], strict=False):
        assert higher.mean() >= lower.mean() - near - far
    assert levels[0].mean() < 0.3
    assert levels[-1].mean() > levels[1].mean() + 0.3
    assert levels[-2].mean() == pytest.approx(levels[-1].mean(), abs=0.02)
    assert levels[-1].mean() > 0.8
    assert sample(None, clip=None).mean() > 0.85
