import numpy as np
import pytest
import torch
from learning_samples import CPU, blobs, clean_shards

from learning.contribution import Effort, ExactShapley, GTGShapley, Shapley
from learning.contribution.cosine import Cosine
from learning.contribution.loss_drop import LossDrop
from learning.federation import CohortWork, Federation
from learning.local_terms import LocalTerms
from learning.models import FlatModel
from learning.privacy_hook import ClipAndNoise
from learning.robust import Krum
from learning.server_rules import ServerRules
from learning.streams import Streams
from learning.training import Choice, LocalTraining, train_cohort
from learning.uploads import Upload

STREAMS = Streams(4)
DATASET = blobs()
SHARDS = clean_shards(DATASET, 6, STREAMS)
PLAN = LocalTraining(batch_size=8)
NO_NORM = float("nan")


def federation(model="mlp", **how) -> Federation:
    flat = FlatModel(model, DATASET.shape, DATASET.classes)
    return Federation(model=flat, dataset=DATASET, shards=SHARDS, plan=PLAN, streams=STREAMS, device=CPU, **how)


def work(kinds, version=0, peers=None, scale=1.0) -> CohortWork:
    """Owners 10, 11, ... with shards 0, 1, ... and all their samples."""
    count = len(kinds)
    return CohortWork(
        owner=np.arange(10, 10 + count),
        shard=np.arange(count),
        samples=SHARDS.sizes[:count],
        base_version=np.broadcast_to(np.asarray(version), (count,)).astype(np.int64),
        upload=np.array(kinds, dtype=np.int8),
        scale=np.full(count, scale),
        peer=np.full(count, -1) if peers is None else np.asarray(peers),
    )


def play(running: Federation, rounds: int, kinds=(Upload.TRAINED,) * 6) -> None:
    for _ in range(rounds):
        cohort = work(kinds, running.version, peers=[12] * len(kinds))
        sent = running.uploads(cohort, running.version, reference_norm=0.5)
        running.aggregate(sent, cohort, cohort.samples.astype(float))


def test_rounds_of_training_make_the_model_better():
    running = federation()
    before = running.evaluate()
    play(running, 8)
    after = running.evaluate()
    assert running.version == 8
    assert after.accuracy > before.accuracy + 0.2
    assert after.loss < before.loss


def test_a_cohort_is_trained_and_forged_in_one_call():
    running = federation()
    play(running, 2)
    previous, current = running._versions.at(1), running.weights
    cohort = work(
        [Upload.GLOBAL_COPY, Upload.TRAINED, Upload.REPLAY, Upload.NOISE, Upload.PEER_COPY, Upload.TRAINED],
        version=2,
        peers=[-1, -1, -1, -1, 11, -1],
        scale=3.0,
    )
    last_of_11 = running._memory.recall(np.array([11]))[0][0].clone()
    sent = running.uploads(cohort, 2, reference_norm=0.5)
    assert torch.equal(sent[0], current)
    alone = train_cohort(
        running.model, current, SHARDS, np.array([5]), SHARDS.sizes[[5]], np.array([15]), 2, PLAN, STREAMS
    )
    assert torch.allclose(sent[5], alone[0], atol=1e-5)
    assert torch.equal(sent[2], current + (current - previous))
    assert torch.equal(sent[4], last_of_11)
    norms = running.norms(sent, cohort)
    assert norms[0] == 0.0
    assert norms[3] == pytest.approx(1.5, rel=1e-4)
    assert norms[1] == pytest.approx((sent[1] - current).norm().item(), rel=1e-5)


def test_a_scaled_replay_is_a_multiple_of_the_last_change():
    running = federation()
    play(running, 2)
    change = running.weights - running._versions.at(1)
    sent = running.uploads(work([Upload.SCALED_REPLAY, Upload.REPLAY], version=2, scale=0.8), 2, NO_NORM)
    assert torch.allclose(sent, running.weights + torch.tensor([[0.8], [1.0]]) * change, atol=1e-6)


def test_in_the_first_round_nothing_can_be_forged_but_the_base():
    running = federation()
    forgeries = [Upload.GLOBAL_COPY, Upload.REPLAY, Upload.NOISE, Upload.PEER_COPY]
    sent = running.uploads(work(forgeries, peers=[11] * 4), 0, NO_NORM)
    assert torch.equal(sent, running.weights.expand(4, -1))


def test_aggregation_is_the_mean_weighted_as_told():
    running = federation()
    cohort = work([Upload.TRAINED] * 3)
    sent = running.uploads(cohort, 0, NO_NORM)
    running.aggregate(sent, cohort, np.array([1.0, 0.0, 3.0]))
    assert torch.allclose(running.weights, 0.25 * sent[0] + 0.75 * sent[2], atol=1e-6)


def test_owners_start_from_the_version_they_received():
    running = federation()
    running.hold(0)
    initial = running.weights.clone()
    play(running, 3)
    cohort = work([Upload.GLOBAL_COPY, Upload.GLOBAL_COPY], version=[0, 3])
    sent = running.uploads(cohort, 3, NO_NORM)
    assert torch.equal(sent[0], initial)
    assert torch.equal(sent[1], running.weights)
    assert running.norms(sent, cohort).tolist() == [0.0, 0.0]


def test_buffered_aggregation_discounts_stale_updates():
    running = federation()
    running.hold(0)
    initial = running.weights.clone()
    play(running, 3)
    current = running.weights.clone()
    cohort = work([Upload.TRAINED, Upload.TRAINED], version=[0, 3])
    sent = running.uploads(cohort, 3, NO_NORM)
    running.aggregate_buffered(sent, cohort, np.array([1.0, 1.0]))
    expected = current + 0.5 * (0.5 * (sent[0] - initial) + (sent[1] - current))
    assert torch.allclose(running.weights, expected, atol=1e-6)
    assert running.version == 4


def test_versions_live_while_held_and_the_last_two_always():
    running = federation()
    running.hold(0)
    running.hold(0)
    play(running, 3)
    assert sorted(running._versions) == [0, 2, 3]
    running.release(0)
    assert sorted(running._versions) == [0, 2, 3]
    running.release(0)
    assert sorted(running._versions) == [2, 3]
    with pytest.raises(ValueError, match="version 0 is not kept"):
        running.hold(0)
    with pytest.raises(ValueError, match="version 0 is not kept"):
        running.uploads(work([Upload.TRAINED], version=0), 3, NO_NORM)
    with pytest.raises(ValueError, match="released but was not held"):
        running.release(2)


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
@pytest.mark.parametrize("mode", ["aggregate", "aggregate_buffered"])
def test_a_poisoned_upload_shows_and_is_refused_without_a_trace(poison, mode):
    running = federation()
    cohort = work([Upload.TRAINED] * 3)
    sent = running.uploads(cohort, 0, NO_NORM)
    sent[1, 4] = poison
    assert running.finite(sent).tolist() == [True, False, True]
    assert not np.isfinite(running.norms(sent, cohort)[1])
    before = running.weights.clone()
    with pytest.raises(ValueError, match=r"NaN or infinite weights, of owners \[11\]"):
        getattr(running, mode)(sent, cohort, np.ones(3))
    assert running.version == 0
    assert torch.equal(running.weights, before)
    assert not running._memory.recall(np.array([10]))[1].any()


def test_a_mean_that_overflows_is_refused():
    running = federation()
    cohort = work([Upload.TRAINED] * 2)
    sent = torch.full((2, running.model.size), 3e38)
    running.aggregate(sent, cohort, np.ones(2))
    with pytest.raises(ValueError, match="overflows"):
        running.aggregate_buffered(sent, work([Upload.TRAINED] * 2, version=0), np.ones(2))


@pytest.mark.parametrize("mode", ["aggregate", "aggregate_buffered"])
def test_a_round_in_which_nothing_counts_leaves_the_model_as_it_is(mode):
    running = federation()
    before = running.weights.clone()
    nobody = work([])
    sent = running.uploads(nobody, 0, NO_NORM)
    assert running.norms(sent, nobody).shape == (0,)
    getattr(running, mode)(sent, nobody, np.empty(0))
    weightless = work([Upload.TRAINED] * 2, version=1)
    getattr(running, mode)(running.uploads(weightless, 1, NO_NORM), weightless, np.zeros(2))
    assert running.version == 2
    assert torch.equal(running.weights, before)


def test_an_owner_expects_the_accuracy_of_its_own_mix_of_classes():
    running = federation()
    class_accuracy = np.array([0.1, 0.5, 0.9])
    found = running.owner_mean(class_accuracy, np.array([4, 1]))
    for shard, accuracy in zip((4, 1), found, strict=True):
        rows = SHARDS.y[int(SHARDS.offsets[shard]) : int(SHARDS.offsets[shard + 1])].numpy()
        assert accuracy == pytest.approx(class_accuracy[rows].mean())


def test_contributions_sum_to_the_gain_of_the_round():
    running = federation()
    cohort = work([Upload.TRAINED] * 3 + [Upload.GLOBAL_COPY])
    weights = cohort.samples.astype(float)
    sent = running.uploads(cohort, 0, NO_NORM)
    found = running.contribution(sent, cohort, weights, Shapley(10, 0.0), counter=0)
    before = running.evaluate().accuracy
    running.aggregate(sent, cohort, weights)
    assert found.values.sum() == pytest.approx(running.evaluate().accuracy - before, abs=1e-9)
    few = running.contribution(sent, cohort, weights, Shapley(10, 0.0), counter=0, samples=30)
    assert few.values.tolist() != found.values.tolist()


def test_an_old_upload_is_valued_by_what_it_changed_as_it_is_merged():
    running = federation()
    play(running, 3)
    cohort = work([Upload.TRAINED] * 3 + [Upload.GLOBAL_COPY], version=[3, 3, 2, 2])
    weights = cohort.samples.astype(float)
    sent = running.uploads(cohort, 3, NO_NORM)
    values = {
        method: running.contribution(sent, cohort, weights, method, counter=3, worth="negative_loss").values
        for method in (Cosine(), LossDrop(), ExactShapley())
    }
    assert values[Cosine()][3] == 0.0, "it changed nothing"
    assert values[LossDrop()][3] == 0.0
    before = running.evaluate().loss
    running.aggregate_buffered(sent, cohort, weights)
    assert values[ExactShapley()].sum() == pytest.approx(before - running.evaluate().loss, abs=1e-5)


def test_an_effort_too_small_for_a_single_sample_is_refused():
    running = federation()
    cohort = work([Upload.TRAINED] * 6)
    sent = running.uploads(cohort, 0, NO_NORM)
    with pytest.raises(ValueError, match="3 evaluations are too few to value 6 uploads"):
        running.contribution(sent, cohort, np.ones(6), GTGShapley(), counter=0, effort=Effort(max_evaluations=3))


def test_data_quality_is_measured_with_the_owners_own_optimizer():
    cohort = work([Upload.TRAINED] * 6)
    plain = federation().data_quality(cohort, 0)
    heavy = federation(terms=LocalTerms(momentum=0.9)).data_quality(cohort, 0)
    assert (plain != heavy).all()


def test_two_trainings_of_the_same_seed_agree_in_every_bit():
    first, second = federation(), federation()
    kinds = [Upload.TRAINED, Upload.NOISE, Upload.PEER_COPY, Upload.TRAINED, Upload.REPLAY, Upload.TRAINED]
    for running in (first, second):
        play(running, 5, kinds)
    assert torch.equal(first.weights, second.weights)


def test_a_resumed_training_goes_on_in_the_same_bits(tmp_path):
    kinds = [Upload.TRAINED, Upload.NOISE, Upload.PEER_COPY, Upload.TRAINED, Upload.REPLAY, Upload.TRAINED]
    straight = federation()
    straight.hold(0)
    play(straight, 3, kinds)
    torch.save(straight.state(), tmp_path / "state.pt")
    play(straight, 3, kinds)
    resumed = federation()
    resumed.load_state(torch.load(tmp_path / "state.pt"))
    assert resumed.version == 3
    play(resumed, 3, kinds)
    ours, theirs = resumed.state(), straight.state()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    resumed.release(0)
    with pytest.raises(ValueError, match="not held"):
        resumed.release(0)


def test_a_state_does_not_change_with_the_training_that_goes_on():
    running = federation()
    play(running, 1)
    state = running.state()
    copies = {name: part.clone() for name, part in state.items()}
    play(running, 2)
    assert all(torch.equal(state[name], copies[name]) for name in state)


def test_the_state_of_another_model_is_refused():
    with pytest.raises(ValueError, match="the state has 18 weights"):
        federation("mlp").load_state(federation("softmax").state())


def test_columns_of_different_length_are_refused():
    with pytest.raises(ValueError, match="differ in length"):
        CohortWork(*(np.zeros(2, dtype=np.int64) for _ in range(6)), peer=np.zeros(3, dtype=np.int64))


def test_trained_updates_are_clipped_and_noised_and_forged_ones_are_not():
    kinds = [Upload.TRAINED, Upload.NOISE, Upload.TRAINED]
    free, clipped = federation(), federation(privacy=ClipAndNoise(clip=0.1))
    noised = federation(privacy=ClipAndNoise(clip=0.1, noise_multiplier=2.0))
    cohort = work(kinds)
    plain, near, loud = (running.uploads(cohort, 0, reference_norm=0.5) for running in (free, clipped, noised))
    assert clipped.norms(near, cohort) == pytest.approx([0.1, 0.5, 0.1], rel=1e-4)
    assert torch.equal(plain[1], near[1])
    assert torch.equal(plain[1], loud[1])
    spread = (loud[[0, 2]] - near[[0, 2]]).std().item()
    assert spread == pytest.approx(0.2, rel=0.1)


def test_without_copiers_no_upload_is_kept():
    running = federation(copying=False)
    play(running, 2)
    assert not any(name.startswith("upload_") for name in running.state())
    with pytest.raises(ValueError, match="kept to be copied"):
        running.uploads(work([Upload.PEER_COPY], version=2), 2, NO_NORM)


def test_the_upload_of_an_owner_that_is_gone_is_forgotten():
    running = federation()
    play(running, 1)
    running.retain(np.array([11, 12]))
    assert running.state()["upload_owners"].tolist() == [11, 12]
    sent = running.uploads(work([Upload.PEER_COPY], version=1, peers=[10]), 1, NO_NORM)
    assert torch.equal(sent[0], running.weights)


def test_the_given_choice_trains():
    running = federation(choice=Choice("loop", 4))
    play(running, 1)
    assert (running.report.backend, running.report.chunk) == ("loop", 4)


def test_too_few_uploads_for_the_rule_leave_the_model_as_it_is():
    running = federation(rules=ServerRules(aggregation=Krum(byzantine=2)))
    before = running.weights.clone()
    for mode in (running.aggregate, running.aggregate_buffered):
        cohort = work([Upload.TRAINED] * 3, version=running.version)
        mode(running.uploads(cohort, 0, NO_NORM), cohort, np.ones(3))
    assert running.version == 2
    assert torch.equal(running.weights, before)
