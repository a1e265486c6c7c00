"""Algorithms against their papers, on softmax regression with full batches: then every step has a closed form."""

import numpy as np
import pytest
import torch
from learning_samples import CPU, blobs, clean_shards

from learning.algorithms import ALGORITHMS, FedAvg, FedNova, FedProx, Scaffold
from learning.cohort_work import CohortWork
from learning.federation import Federation
from learning.local_terms import LocalTerms
from learning.models import FlatModel
from learning.owner_rows import OwnerRows
from learning.privacy_hook import ClipAndNoise
from learning.server_rules import ServerRules
from learning.streams import Streams
from learning.training import LocalTraining, train_cohort
from learning.uploads import Upload

STREAMS = Streams(4)
DATASET = blobs()
COUNT = 5
SHARDS = clean_shards(DATASET, COUNT, STREAMS, "dirichlet")
MODEL = FlatModel("softmax", DATASET.shape, DATASET.classes)
STEPS, RATE = 6, 0.2
PLAN = LocalTraining(epochs=STEPS, batch_size=300, learning_rate=RATE)  # one batch is all that an owner has
EVERYBODY = np.arange(COUNT)
ONES = np.ones(COUNT)


def federation(algorithm, plan=PLAN, **how):
    rules = ServerRules(algorithm=algorithm)
    return Federation(
        model=MODEL, dataset=DATASET, shards=SHARDS, plan=plan, streams=STREAMS, device=CPU, rules=rules, **how
    )


def cohort(running, rows=EVERYBODY, kinds=None):
    """Owners of these shards, with all their data."""
    count = len(rows)
    return CohortWork(
        owner=rows,
        shard=rows,
        samples=SHARDS.sizes[rows],
        base_version=np.full(count, running.version),
        upload=np.full(count, Upload.TRAINED, dtype=np.int8) if kinds is None else np.array(kinds, dtype=np.int8),
        scale=np.ones(count),
        peer=np.full(count, -1),
    )


def play_round(running, rows=EVERYBODY, weights=None, kinds=None):
    work = cohort(running, rows, kinds)
    sent = running.uploads(work, running.version, 0.5)
    running.aggregate(sent, work, np.ones(len(rows)) if weights is None else weights)
    return sent


def gradient(weights, row):
    """Of the mean cross-entropy of a shard, in float64."""
    held = slice(int(SHARDS.offsets[row]), int(SHARDS.offsets[row + 1]))
    leaf = weights.clone().requires_grad_()
    parts = MODEL.unflatten(leaf[None])
    matrix, bias = (part[0] for part in parts.values())
    logits = SHARDS.x[held].double() @ matrix.T + bias
    loss = torch.nn.functional.cross_entropy(logits, SHARDS.y[held])
    return torch.autograd.grad(loss, leaf)[0]


def test_fedprox_trains_with_the_penalty():
    running = federation(FedProx(mu=0.7))
    sent = play_round(running)
    penalised = LocalTraining(PLAN.epochs, PLAN.batch_size, PLAN.learning_rate, proximal=0.7)
    start = MODEL.initial(STREAMS)
    alone = train_cohort(MODEL, start, SHARDS, EVERYBODY, SHARDS.sizes, EVERYBODY, 0, penalised, STREAMS)
    assert torch.equal(sent, alone)
    plain = train_cohort(MODEL, start, SHARDS, EVERYBODY, SHARDS.sizes, EVERYBODY, 0, PLAN, STREAMS)
    assert (sent - start).norm() < (plain - start).norm()


def test_fednova_divides_each_update_by_the_steps_that_were_claimed():
    plan = LocalTraining(epochs=2, batch_size=10, learning_rate=RATE)
    running = federation(FedNova(), plan)
    start = running.weights.clone()
    claimed = np.array([10.0, 25.0, 100.0, 40.0, 0.0])
    sent = play_round(running, weights=claimed)
    steps = np.array([2, 6, 20, 8, 2])
    share = claimed / claimed.sum()
    expected = start + float(share @ steps) * sum(share[k] * (sent[k] - start) / steps[k] for k in range(COUNT))
    assert torch.allclose(running.weights, expected, atol=1e-6)


def test_scaffold_is_algorithm_1_with_option_2_when_everybody_takes_part():
    running = federation(Scaffold())
    x = running.weights.double()
    own, server = torch.zeros(COUNT, MODEL.size, dtype=torch.float64), torch.zeros(MODEL.size, dtype=torch.float64)
    for _ in range(4):
        play_round(running)
        local = x.repeat(COUNT, 1)
        for _ in range(STEPS):
            slope = torch.stack([gradient(local[k], k) for k in range(COUNT)])
            local -= RATE * (slope - own + server)
        fresh = own - server + (x - local) / (STEPS * RATE)
        x = x + (local - x).mean(dim=0)
        server = server + (fresh - own).mean(dim=0)
        own = fresh
        assert torch.allclose(running.weights.double(), x, atol=1e-4)
    assert torch.allclose(running._controls.mean().double(), server, atol=1e-4)


def test_scaffold_finds_the_optimum_that_drift_hides_from_fedavg():
    slopes = {}
    for algorithm in (FedAvg(), Scaffold()):
        running = federation(algorithm)
        for _ in range(400):
            play_round(running)
        model = running.weights.double()
        slopes[type(algorithm)] = float(sum(gradient(model, k) for k in range(COUNT)).norm())
    assert slopes[Scaffold] < 0.3 * slopes[FedAvg]


def test_a_newcomer_trains_without_correction_the_first_time():
    running = federation(Scaffold())
    play_round(running, EVERYBODY[:3])
    drift = running.rules.algorithm.drift(np.array([4, 0]), running._controls)
    assert not drift[0].any()
    assert drift[1].any()


def test_what_is_forged_changes_no_control():
    kinds = [Upload.TRAINED, Upload.NOISE, Upload.GLOBAL_COPY, Upload.REPLAY, Upload.TRAINED]
    running, without = federation(Scaffold()), federation(Scaffold())
    play_round(running, kinds=kinds)
    play_round(without, rows=np.array([0, 4]))
    assert running._controls.recall(EVERYBODY)[1].tolist() == [True, False, False, False, True]
    assert torch.equal(running._controls.mean(), without._controls.mean())


def test_an_owner_without_data_has_no_control():
    running = federation(Scaffold())
    work = cohort(running)
    work.samples[2] = 0
    sent = running.uploads(work, 0, 0.5)
    running.aggregate(sent, work, ONES)
    assert running._controls.recall(EVERYBODY)[1].tolist() == [True, True, False, True, True]


def test_the_control_of_an_owner_that_is_gone_is_forgotten():
    running = federation(Scaffold())
    play_round(running)
    kept = running._controls.recall(np.array([0, 3]))[0]
    running.retain(np.array([3, 0]))
    assert len(running._controls) == 2
    assert torch.equal(running._controls.mean(), kept.mean(dim=0))


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_resumed_training_goes_on_in_the_same_bits(name):
    straight = federation(ALGORITHMS[name]())
    for _ in range(3):
        play_round(straight)
    resumed = federation(ALGORITHMS[name]())
    resumed.load_state(straight.state())
    for _ in range(2):
        play_round(straight)
        play_round(resumed)
    assert torch.equal(straight.weights, resumed.weights)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_algorithm_makes_the_model_better(name):
    running = federation(ALGORITHMS[name]())
    before = running.evaluate().loss
    for _ in range(5):
        play_round(running, weights=SHARDS.sizes.astype(float))
    assert running.evaluate().loss < 0.9 * before


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"terms": LocalTerms(momentum=0.9)}, "momentum and weight_decay must be 0"),
        ({"terms": LocalTerms(weight_decay=0.1)}, "momentum and weight_decay must be 0"),
        ({"privacy": ClipAndNoise(clip=1.0)}, "cannot be clipped"),
    ],
)
def test_scaffold_refuses_training_from_which_gradients_cannot_be_read(how, message):
    with pytest.raises(ValueError, match=message):
        federation(Scaffold(), **how)


def test_scaffold_refuses_uploads_from_older_models():
    running = federation(Scaffold())
    work = cohort(running)
    with pytest.raises(ValueError, match="synchronous rounds"):
        running.aggregate_buffered(running.uploads(work, 0, 0.5), work, ONES)
    assert running.version == 0


def test_numbers_without_a_meaning_are_refused():
    for kind in (FedProx, FedNova):
        with pytest.raises(ValueError, match="mu must be"):
            kind(mu=-1.0)
    with pytest.raises(ValueError, match=r"below 1 to count local steps, got 1\.2"):
        federation(FedNova(mu=6.0))


def test_scaffolds_controls_stay_finite_whatever_is_sent():
    """What would overflow, alone or in the mean of all, is not learnt; whoever sent it keeps the control it had."""
    plan, rows = LocalTraining(epochs=1, batch_size=10, learning_rate=0.01), OwnerRows(2, torch.float32, CPU)
    base, owners, samples = torch.zeros(1, 2), np.arange(5), np.full(5, 10)
    scaffold = Scaffold()
    scaffold.learn(torch.full((5, 2), 0.5), base, owners, samples, plan, rows)
    before = rows.recall(owners)[0].clone()
    largest = torch.finfo(torch.float32).max
    extreme = torch.tensor([[largest, 0.0], [0.0, -largest], [1e36, 1e36], [1e36, 1e36], [1.0, 1.0]])
    scaffold.learn(extreme, base, owners, samples, plan, rows)
    after = rows.recall(owners)[0]
    assert torch.equal(after[:4], before[:4])
    assert not torch.equal(after[4], before[4])
    drift = scaffold.drift(owners, rows)
    assert drift is not None
    assert torch.isfinite(drift).all()
