import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from learning_samples import clean_shards
from torch.nn.functional import cosine_similarity

from learning.models import FlatModel
from learning.personalization import (
    Anchor,
    attention_weights,
    ditto,
    fedprox,
    first_order_mix,
    first_order_weights,
    message_weights,
    mix,
    mix_changes,
    offered_to,
    prox,
)
from learning.streams import Streams
from learning.training import LocalTraining, train_cohort

SEEDS = st.integers(0, 10**6)
cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA")


def models(seed=0, count=5, size=8):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(count, size)))


def on_the_simplex(weights):
    return bool((weights >= 0).all()) and torch.allclose(weights.sum(dim=1), torch.ones(len(weights)).to(weights))


# ---- mixing ---------------------------------------------------------------------------------------------------------


def test_mixing_takes_the_weighted_sum_of_models_or_of_changes():
    weights, own, others = models(1, 3, 4), models(2, 3), models(3, 4)
    for k in range(3):
        blend = sum(weights[k, n] * others[n] for n in range(4))
        assert torch.allclose(mix(weights, others)[k], blend)
        assert torch.allclose(mix_changes(weights, own, others)[k], own[k] + blend)


def test_mixing_keeps_the_type_of_the_models():
    assert mix(models(1, 3, 4), models(3, 4).float()).dtype == torch.float32


# ---- anchors --------------------------------------------------------------------------------------------------------


def test_fedprox_starts_from_and_is_pulled_to_what_was_received():
    received = models()
    anchor = fedprox(received, 0.1)
    assert anchor.start is received
    assert anchor.centre is received
    assert anchor.pull.tolist() == [0.1] * 5


def test_ditto_starts_from_the_personal_model_and_is_pulled_to_the_global_one():
    personal, everyones = models(), models(9, 1)[0]
    anchor = ditto(personal, everyones, proximal=0.5)
    assert anchor.start is personal
    assert torch.equal(anchor.centre, everyones.expand(5, -1))
    assert anchor.pull.tolist() == [0.5] * 5


def test_the_prox_pull_is_the_penalty_over_the_step():
    # penalty / (2 step) ||w - centre||^2 = pull / 2 ||w - centre||^2
    assert prox(models(), models(1), dissimilarity_penalty=2.0, prox_step=5.0).pull.tolist() == [0.4] * 5


def test_the_trainer_pulls_personal_models_to_their_anchor(digits, streams):
    shards, model = clean_shards(digits, 4, streams), FlatModel("softmax", digits.shape, digits.classes)
    personal = torch.from_numpy(np.random.default_rng(0).normal(size=(4, model.size)))
    everyones = torch.zeros(model.size, dtype=torch.float64)
    everybody = np.arange(4)

    def distance(proximal):
        anchor = ditto(personal, everyones, proximal)
        data = shards, everybody, shards.sizes, everybody
        plan = LocalTraining(epochs=5, learning_rate=0.1)
        trained = train_cohort(model, anchor.start, *data, 0, plan, streams, terms=anchor.terms)
        return torch.linalg.vector_norm(trained - everyones, dim=1)

    assert (distance(1.0) < 0.5 * distance(0.1)).all()
    assert (distance(0.1) < distance(0.0)).all()


def test_anchors_that_do_not_fit_or_push_are_refused():
    with pytest.raises(ValueError, match=r"must be \[K, P\], \[K, P\] and \[K\]"):
        Anchor(models(), models(0, 4), np.ones(5))
    with pytest.raises(ValueError, match="pull must be a number of at least 0"):
        fedprox(models(), -0.1)
    with pytest.raises(ValueError, match="prox_step must be a number above 0"):
        prox(models(), models(), 1.0, 0.0)


# ---- FedAMP ---------------------------------------------------------------------------------------------------------


def test_fedamp_is_one_gradient_step_on_the_attention():
    # U = W - step * gradient of the sum over pairs i < j of A(||w_i - w_j||^2), Huang et al. 2021, algorithm 1.
    # Each pair's gradient in w_i is 2 A' (w_i - w_j); the paper takes the factor 2 into its step.
    own = models().requires_grad_()
    pairs = torch.triu_indices(5, 5, offset=1)
    apart = (own[pairs[0]] - own[pairs[1]]).square().sum(dim=1)
    (1 - torch.exp(-apart / 20)).sum().backward()
    expected = own.detach() - 0.5 * 3.0 * own.grad
    own = own.detach()
    assert torch.allclose(mix(message_weights(own, step=3.0, width=20.0), own), expected)


@given(seed=SEEDS, width=st.floats(0.1, 100), share=st.floats(0, 1))
def test_fedamp_weights_lie_on_the_simplex_and_are_symmetric(seed, width, share):
    weights = message_weights(models(seed), step=share * width / 4 * (1 - 1e-12), width=width)
    assert on_the_simplex(weights + 1e-15)
    assert torch.allclose(weights, weights.mT)


def test_fedamp_gives_nearer_models_more_say():
    own = torch.tensor([[0.0], [1.0], [3.0]], dtype=torch.float64)
    weights = message_weights(own, step=1.0, width=2.0)
    assert weights[0, 1] > weights[0, 2] > 0


def test_fedamp_steps_that_leave_the_simplex_are_refused_with_the_largest_possible():
    with pytest.raises(ValueError, match=r"too large for 5 models at width 2, expected at most 0\.5"):
        message_weights(models(), step=0.6, width=2.0)
    with pytest.raises(ValueError, match="width must be above 0"):
        message_weights(models(), step=0.1, width=0.0)


def test_heuristic_fedamp_follows_its_definition():
    own = models()
    weights = attention_weights(own, sharpness=10.0, self_weight=0.3)
    for i in range(5):
        alike = {j: np.exp(10 * float(cosine_similarity(own[i], own[j], dim=0))) for j in range(5) if j != i}
        expected = [0.3 if j == i else 0.7 * alike[j] / sum(alike.values()) for j in range(5)]
        assert np.allclose(weights[i], expected)


@given(seed=SEEDS, sharpness=st.floats(-50, 50), self_weight=st.floats(0, 1))
def test_heuristic_fedamp_weights_lie_on_the_simplex(seed, sharpness, self_weight):
    assert on_the_simplex(attention_weights(models(seed), sharpness=sharpness, self_weight=self_weight))


def test_a_lone_owner_keeps_its_model():
    assert attention_weights(models(0, 1)).tolist() == [[1.0]]
    assert message_weights(models(0, 1), step=1.0, width=0.5).tolist() == [[1.0]]


@pytest.mark.parametrize("weigh", [lambda own: message_weights(own, step=1.0, width=20.0), attention_weights])
@given(seed=SEEDS)
def test_who_stands_where_in_the_list_changes_nothing(weigh, seed):
    own, order = models(seed), np.random.default_rng(seed).permutation(5)
    assert torch.allclose(weigh(own[order]), weigh(own)[order][:, order], atol=1e-12)


# ---- FedFomo --------------------------------------------------------------------------------------------------------


def losses(seed=0, count=5, offers=6):
    chance = np.random.default_rng(seed)
    return chance.uniform(size=count), chance.uniform(size=(count, offers))


def test_fedfomo_weighs_the_fall_of_the_loss_by_distance():
    own, offered = models(0), models(1, 6)
    before, after = losses()
    before += 0.5
    weights = first_order_weights(own, offered, before, after)
    for k in range(5):
        fall = [max(before[k] - after[k, n], 0) / float((offered[n] - own[k]).norm()) for n in range(6)]
        assert np.allclose(weights[k], np.array(fall) / sum(fall))


def test_fedfomo_moves_towards_what_helps():
    own, offered = models(0), models(1, 6)
    weights = first_order_weights(own, offered, *losses())
    expected = [own[k] + sum(weights[k, n] * (offered[n] - own[k]) for n in range(6)) for k in range(5)]
    assert torch.allclose(first_order_mix(weights, own, offered), torch.stack(expected))


@given(seed=SEEDS)
def test_fedfomo_weights_lie_on_the_simplex_where_something_helps(seed):
    before, after = losses(seed)
    weights = first_order_weights(models(seed), models(seed + 1, 6), before, after)
    helped = torch.from_numpy((after < before[:, None]).any(axis=1))
    assert on_the_simplex(weights[helped])
    assert (weights[~helped] == 0).all()


def test_an_owner_that_nothing_helps_keeps_its_model():
    own = models()
    before, after = np.zeros(5), np.ones((5, 6))
    assert torch.equal(first_order_mix(first_order_weights(own, models(1, 6), before, after), own, models(1, 6)), own)


def test_models_that_were_not_received_and_ones_own_have_no_weight():
    own = models()
    before, after = np.ones(5), np.zeros((5, 5))
    after[0, 1:] = np.nan
    weights = first_order_weights(own, own, before, after)
    assert weights[0].tolist() == [0.0] * 5  # what is left is its own model, at distance 0
    assert weights[1, 1] == 0
    assert weights[1].sum() == pytest.approx(1)


def test_losses_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"losses must be \[5\] and \[5, 6\]"):
        first_order_weights(models(), models(1, 6), np.ones(5), np.ones((6, 5)))


def test_owners_are_offered_the_models_they_liked_most():
    affinity = np.random.default_rng(0).uniform(size=(6, 6))
    offered = offered_to(affinity, 2, 0.0, Streams(3), counter=0)
    for k in range(6):
        others = [n for n in np.argsort(-affinity[k]) if n != k]
        assert np.flatnonzero(offered[k]).tolist() == sorted(others[:2])


def test_exploring_owners_are_offered_others_each_round_and_never_their_own():
    affinity = np.tile(np.arange(20.0), (20, 1))
    rounds = [offered_to(affinity, 6, 1.0, Streams(3), counter=counter) for counter in range(50)]
    often = sum(offered.astype(int) for offered in rounds)
    assert (often.sum(axis=1) == 50 * 6).all()
    assert (np.diag(often) == 0).all()
    # 50 draws of probability 6/19 each: mean 15.8, standard deviation 3.3.
    assert often[~np.eye(20, dtype=bool)].min() > 2
    assert often[~np.eye(20, dtype=bool)].max() < 31


def test_the_share_of_owners_that_explore_is_as_told():
    affinity = np.tile(np.arange(100.0), (100, 1))
    loyal = [offered_to(affinity, 1, 0.3, Streams(3), counter=counter)[:99, 99].mean() for counter in range(20)]
    assert np.mean(loyal) == pytest.approx(0.7, abs=0.05)


def test_more_models_than_others_are_all_others():
    assert (offered_to(np.zeros((4, 4)), 9, 0.0, Streams(3), 0) == ~np.eye(4, dtype=bool)).all()
    with pytest.raises(ValueError, match=r"explore in \[0, 1\]"):
        offered_to(np.zeros((4, 4)), 9, 1.5, Streams(3), 0)


@cuda
def test_a_gpu_finds_the_same_weights():
    own = models()
    before, after = losses(0, 5, 5)
    for weigh in (
        attention_weights,
        lambda rows: message_weights(rows, step=1.0, width=20.0),
        lambda rows: first_order_weights(rows, rows.flip(0), before, after),
    ):
        there = weigh(own.cuda())
        assert there.is_cuda
        assert torch.allclose(there.cpu(), weigh(own))
