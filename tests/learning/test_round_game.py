"""The game that the uploads of a round play, evaluated the plain and the linear way; and what looks at uploads."""

import numpy as np
import pytest
import torch
from learning_samples import blobs
from torch.nn.functional import cross_entropy

from learning.contribution import CONTRIBUTION, Cosine, Draws, Effort, GTGShapley, LossDrop, RoundGame
from learning.contribution import mixtures as ways
from learning.contribution.mixtures import LinearMixtures, PlainMixtures, choose_mixtures
from learning.evaluation import SAMPLES_AT_ONCE, evaluate, losses
from learning.models import FlatModel
from learning.streams import Streams

DRAWS = Draws(Streams(4))
SHAPE = (1, 8, 8)
DATASET = blobs(shape=SHAPE, classes=4, test=SAMPLES_AT_ONCE + 300)
X, Y = torch.from_numpy(DATASET.x_test), torch.from_numpy(DATASET.y_test)
SOFTMAX, MLP, CNN = (FlatModel(name, SHAPE, 4) for name in ("softmax", "mlp", "cnn"))


def uploads(model, count, dtype=torch.float64, seed=0):
    """Models on their way from one random start to different ends: more or less good, and not alike."""
    base = model.initial(Streams(seed)).to(dtype)
    steps = torch.stack([model.initial(Streams(100 + k)) for k in range(count)]).to(dtype)
    weights = base + steps
    weights.requires_grad_()
    for step in range(6):
        x, y = X[40 * step : 40 * step + 40].to(dtype), Y[40 * step : 40 * step + 40]
        logits = model.logits(weights, x)
        loss = sum(cross_entropy(each, y) * (k % 5) / 5 for k, each in enumerate(logits))
        (slope,) = torch.autograd.grad(loss, weights)
        weights = (weights - 0.1 * slope).detach().requires_grad_()
    return base, weights.detach()


def coalitions(players, count=60, seed=0):
    chance = np.random.default_rng(seed)
    return chance.uniform(size=(count, players)) < chance.uniform(size=(count, 1))


def game(model, count=12, dtype=torch.float64, x=X, y=Y, **how):
    base, sent = uploads(model, count, dtype)
    weights = np.random.default_rng(1).uniform(0.1, 2.0, size=count)
    return RoundGame(model, base, sent, weights, x, y, **how), base, sent, weights


def mean_model(base, sent, weights, members):
    held = torch.from_numpy(weights * members).to(sent)
    return (held[:, None] * sent).sum(dim=0) / held.sum() if held.sum() > 0 else base


# ---- worth ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "evaluation"),
    [(SOFTMAX, "plain"), (SOFTMAX, "linear"), (MLP, "plain"), (MLP, "linear"), (CNN, "plain")],
    ids=lambda value: getattr(value, "name", value),
)
def test_a_coalition_is_worth_what_its_weighted_mean_is_worth(model, evaluation):
    members = np.vstack([coalitions(12, 12), np.zeros((1, 12), dtype=bool)])
    right, base, sent, weights = game(model, evaluation=evaluation)
    wrong = game(model, evaluation=evaluation, worth="negative_loss")[0]
    expected = [evaluate(model, mean_model(base, sent, weights, row), X, Y, 4) for row in members]
    assert right.worth(members).tolist() == [found.accuracy for found in expected]
    assert wrong.worth(members) == pytest.approx([-found.loss for found in expected], rel=1e-10)
    assert np.ptp(right.worth(members)) > 0.05


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("model", [SOFTMAX, MLP], ids=lambda model: model.name)
def test_both_ways_find_the_same_accuracies(model, dtype):
    plain, linear = (game(model, 20, dtype, evaluation=way)[0] for way in ("plain", "linear"))
    members = coalitions(20, 300)
    assert plain.worth(members).tolist() == linear.worth(members).tolist()
    assert len(np.unique(plain.worth(members))) > 50


def test_both_ways_agree_on_deep_stacks_of_linear_layers():
    model = FlatModel("tabular", SHAPE, 4)
    assert len(model.linear_layers) == 3
    plain, linear = (game(model, 15, torch.float32, evaluation=way)[0] for way in ("plain", "linear"))
    assert plain.worth(coalitions(15)).tolist() == linear.worth(coalitions(15)).tolist()


def test_ties_between_classes_are_broken_alike():
    """Models with equal rows for two classes: rounding decides which logit is larger, or none is."""
    base, sent = uploads(SOFTMAX, 10, torch.float32)
    for weights in (base[None], sent):
        matrix, bias = weights[:, : 4 * 64].view(-1, 4, 64), weights[:, 4 * 64 :]
        matrix[:, 2], bias[:, 2] = matrix[:, 1], bias[:, 1]
        matrix[:, 3], bias[:, 3] = matrix[:, 1] * (1 + 1e-7), bias[:, 1]
    members = coalitions(10)
    found = [RoundGame(SOFTMAX, base, sent, np.ones(10), X, Y, evaluation=way) for way in ("plain", "linear")]
    assert found[0].worth(members).tolist() == found[1].worth(members).tolist()
    zeros = torch.zeros_like(base), torch.zeros_like(sent)
    nothing = RoundGame(SOFTMAX, *zeros, np.ones(10), X, Y, evaluation="linear")
    assert nothing.worth(members).tolist() == [float((Y == 0).double().mean())] * len(members)


def test_doubtful_samples_are_rare_and_settled_the_plain_way(monkeypatch):
    settled = []
    settle = LinearMixtures._settle

    def watched(self, mix, right, doubtful):
        settled.append(doubtful.float().mean().item())
        settle(self, mix, right, doubtful)

    monkeypatch.setattr(LinearMixtures, "_settle", watched)
    game(MLP, 20, torch.float32, evaluation="linear")[0].worth(coalitions(20, 100))
    assert np.mean(settled) < 0.05
    settled.clear()
    monkeypatch.setattr(ways, "CAUTION", 1e9)  # doubt everything: then everything is settled the plain way
    plain, doubting = (game(MLP, 20, torch.float32, evaluation=way)[0] for way in ("plain", "linear"))
    assert doubting.worth(coalitions(20)).tolist() == plain.worth(coalitions(20)).tolist()
    assert np.mean(settled) == 1.0


def test_uploads_that_overflow_count_alike():
    base, sent = uploads(MLP, 6, torch.float32)
    sent[2] = 1e38
    worths = [
        RoundGame(MLP, base, sent, np.ones(6), X, Y, evaluation=way).worth(coalitions(6)) for way in ways.MIXTURES
    ]
    assert worths[0].tolist() == worths[1].tolist()


@pytest.mark.parametrize("piece", [2**10, 2**14, 2**30])
def test_the_size_of_the_pieces_does_not_matter(piece, monkeypatch):
    expected = game(MLP, evaluation="plain")[0].worth(coalitions(12))
    monkeypatch.setattr(ways, "PIECE", piece)
    monkeypatch.setattr(ways, "NUMBERS_AT_ONCE", 3 * MLP.size)
    assert game(MLP, evaluation="linear")[0].worth(coalitions(12)).tolist() == expected.tolist()


def test_the_linear_way_is_taken_where_it_is_cheaper_and_fits():
    row = torch.zeros(20, MLP.size)
    assert choose_mixtures(MLP, row, 1000) == "linear"
    assert choose_mixtures(MLP, row, 10**9) == "plain"
    assert choose_mixtures(MLP, torch.zeros(65, MLP.size), 1000) == "plain"
    assert choose_mixtures(CNN, torch.zeros(5, CNN.size), 1000) == "plain"
    assert game(MLP)[0].evaluation == "linear"
    with pytest.raises(ValueError, match="'cnn' is no stack of linear layers"):
        game(CNN, evaluation="linear")[0].worth(coalitions(12))


def test_a_whole_gtg_shapley_has_the_same_values_either_way():
    found = [
        GTGShapley(sweeps=2, tolerance=0.01).measure(game(MLP, 20, torch.float32, evaluation=way)[0], DRAWS)
        for way in ("plain", "linear")
    ]
    assert found[0].values.tolist() == found[1].values.tolist()
    assert found[0].evaluations == found[1].evaluations
    assert np.ptp(found[0].values) > 0.005


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("model", [SOFTMAX, MLP, CNN], ids=lambda model: model.name)
def test_accuracies_on_the_gpu_are_those_of_the_cpu_in_double_precision(model):
    base, sent = uploads(model, 8)
    weights, members = np.ones(8), coalitions(8)
    expected = RoundGame(model, base, sent, weights, X, Y).worth(members)
    moved = [tensor.cuda() for tensor in (base, sent, X, Y)]
    assert RoundGame(model, *moved[:2], weights, *moved[2:]).worth(members).tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"worth": "acuracy"}, "unknown worth 'acuracy'"),
        ({"evaluation": "magic"}, "unknown evaluation of mixtures 'magic'"),
        ({"x": X[:0], "y": Y[:0]}, "without test samples"),
    ],
)
def test_a_game_that_makes_no_sense_is_refused(change, message):
    with pytest.raises((ValueError, KeyError), match=message):
        game(MLP, **change)


# ---- methods that look at uploads -----------------------------------------------------------------------------------


def test_the_cosine_is_that_between_unit_updates_and_their_weighted_sum():
    played, base, sent, weights = game(MLP, 7)
    updates = (sent - base).numpy()
    unit = updates / np.linalg.norm(updates, axis=1, keepdims=True)
    together = sum(weight * update for weight, update in zip(weights, unit, strict=True))
    expected = [update @ together / np.linalg.norm(update) / np.linalg.norm(together) for update in updates]
    assert Cosine().measure(played, DRAWS).values == pytest.approx(expected, abs=1e-12)


def test_an_opposed_update_has_a_negative_cosine_and_none_has_zero():
    base, sent = uploads(MLP, 5)
    sent[:3] = base + (sent[0] - base)
    sent[3], sent[4] = base - (sent[0] - base), base
    values = Cosine().measure(RoundGame(MLP, base, sent, np.ones(5), X, Y), DRAWS).values
    assert values == pytest.approx([1, 1, 1, -1, 0])


def test_the_loss_drop_is_the_loss_of_the_base_less_that_of_the_upload_alone():
    played, base, sent, _ = game(MLP, 4)
    sent[3] = base
    found = LossDrop().measure(RoundGame(MLP, base, sent, np.array([1.0, 0.0, 2.0, 1.0]), X, Y), DRAWS)
    before = evaluate(MLP, base, X, Y, 4).loss
    assert found.values == pytest.approx([before - evaluate(MLP, row, X, Y, 4).loss for row in sent], abs=1e-12)
    assert found.values[3] == pytest.approx(0.0, abs=1e-15)
    assert found.evaluations == 5
    with pytest.raises(ValueError, match="needs 5 evaluations"):
        LossDrop().measure(played, DRAWS, Effort(max_evaluations=4))


@pytest.mark.parametrize("model", [MLP, CNN], ids=lambda model: model.name)
def test_losses_of_many_models_equal_those_one_by_one(model):
    _, sent = uploads(model, 5)
    assert losses(model, sent, X, Y) == pytest.approx([evaluate(model, row, X, Y, 4).loss for row in sent], rel=1e-12)


@pytest.mark.parametrize("name", CONTRIBUTION)
def test_every_method_values_a_round_of_real_uploads(name):
    played = game(MLP, 6)[0]
    found = CONTRIBUTION[name]().measure(played, DRAWS, Effort(max_evaluations=400))
    assert found.values.shape == (6,)
    assert np.isfinite(found.values).all()
    assert np.ptp(found.values) > 0.001


def test_plain_mixtures_of_no_coalitions_are_no_numbers():
    base, sent = uploads(MLP, 3)
    for kind in (PlainMixtures, LinearMixtures):
        mixtures = kind(MLP, torch.cat([sent, base[None]]), X, Y)
        assert mixtures.accuracy(np.empty((0, 4))).shape == mixtures.loss(np.empty((0, 4))).shape == (0,)
