import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from learning.models import FlatModel
from learning.privacy.gradient_inversion import ExactInversion, Victims, invert_first_layer, sample_gradients
from learning.privacy.gradient_matching import DISTANCES, GradientMatching, labels_of
from learning.privacy.mechanisms import NoiseLaw
from learning.privacy.terms import PrivacyTerms
from learning.streams import Streams

STREAMS = Streams(7)


def victims(dataset, model="softmax", count=4, clip=1.0, law=NoiseLaw.GAUSSIAN, dtype=torch.float64) -> Victims:
    flat = FlatModel.for_dataset(model, dataset)
    x, y = torch.from_numpy(dataset.x_train[:count]), torch.from_numpy(dataset.y_train[:count])
    return Victims(flat, flat.initial(STREAMS).to(dtype), x, y, clip, law)


def matching(attacked: Victims, **how) -> GradientMatching:
    limits = (float(attacked.x.min()), float(attacked.x.max()))
    return GradientMatching(attacked.model, attacked.weights, STREAMS, clip=attacked.clip, limits=limits, **how)


def test_gradients_of_single_samples_are_those_of_backward(digits):
    attacked = victims(digits, "mlp", dtype=torch.float32)
    found = sample_gradients(attacked.model, attacked.weights, attacked.x, attacked.y)
    for row in range(4):
        weights = attacked.weights.clone().requires_grad_()
        logits = attacked.model.logits(weights.unsqueeze(0), attacked.x[row : row + 1])[0]
        cross_entropy(logits, attacked.y[row : row + 1]).backward()
        assert torch.allclose(found[row], weights.grad, atol=1e-6)


@pytest.mark.parametrize("model", ["softmax", "mlp"])
def test_without_noise_a_linear_first_layer_gives_the_sample_away(digits, model):
    attacked = victims(digits, model)
    curve = attacked.inversion(ExactInversion(attacked.model), 0.0, 1, STREAMS)
    assert curve.mse[0] < 1e-10
    gradients = sample_gradients(attacked.model, attacked.weights, attacked.x.double(), attacked.y)
    # Each row of the first layer alone says the same; clipping only scales.
    first = attacked.model.linear_layers[0]
    rows = gradients[:, first.weight].view(4, first.outputs, -1) / gradients[:, first.bias].unsqueeze(2)
    largest = gradients[:, first.bias].abs().argmax(dim=1)
    assert torch.allclose(rows[torch.arange(4), largest], attacked.x.double().flatten(1), atol=1e-10)
    assert torch.allclose(invert_first_layer(attacked.model, 0.01 * gradients), attacked.x.double(), atol=1e-10)


def test_the_exact_probe_fails_more_the_more_noise_there_is(digits):
    attacked = victims(digits)
    levels = [1e-4, 1e-3, 1e-2, 3e-2, 1e-1]
    curve = attacked.inversion(ExactInversion(attacked.model), levels, 200, STREAMS)
    assert (np.diff(curve.mse) > 0).all()
    assert curve.mse[1] == pytest.approx(100 * curve.mse[0], rel=0.1), "first by the variance of the noise"
    peak = float(attacked.x.max() - attacked.x.min())
    assert curve.psnr == pytest.approx(10 * np.log10(peak**2 / curve.mse))
    assert curve.noise_std.tolist() == levels
    assert np.isnan(curve.epsilon).all()
    assert curve.mse[0] < curve.guess_mse < curve.mse[-1]


@pytest.mark.parametrize("law", NoiseLaw)
def test_the_exact_probe_does_not_fail_more_the_more_privacy_is_sold(digits, law):
    attacked = victims(digits, law=law)
    terms = PrivacyTerms(1.0, noise_mechanism={"gaussian": "gaussian_analytic", "laplace": "laplace"}[law])
    epsilon = np.array([0.5, 1, 2.5, 5, 50, 1e3, 1e6])
    curve = attacked.inversion_against_epsilon(ExactInversion(attacked.model), epsilon, terms, 200, STREAMS)
    assert (curve.mse[1:] <= 1.05 * curve.mse[:-1]).all()
    assert curve.noise_std == pytest.approx(terms.noise_std(epsilon))
    # What is sold in practice lies on the plateau: a guess is better than the attack.
    assert curve.mse[:4] == pytest.approx(curve.mse[0], rel=0.05)
    assert (curve.mse[:4] > curve.guess_mse).all()
    assert curve.mse[-1] < 0.1 * curve.guess_mse


def test_terms_of_another_clipping_norm_or_law_are_refused(digits):
    attacked = victims(digits)
    for terms in (PrivacyTerms(0.5), PrivacyTerms(1.0, noise_mechanism="laplace")):
        with pytest.raises(ValueError, match="clipping norm or law differs"):
            attacked.inversion_against_epsilon(ExactInversion(attacked.model), [1.0], terms, 1, STREAMS)


def test_the_exact_probe_needs_linear_layers(digits):
    attacked = victims(digits, "cnn")
    with pytest.raises(ValueError, match="first layer of the model 'cnn' is not linear"):
        attacked.inversion(ExactInversion(attacked.model), 0.0, 1, STREAMS)


# ---- matching -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("distance", DISTANCES)
def test_matching_gradients_finds_the_samples_of_a_small_network(digits, distance):
    attacked = victims(digits, "mlp")
    curve = attacked.inversion(matching(attacked, distance=distance), [0.0, 1e-2, 1.0], 1, STREAMS)
    assert curve.mse[0] < 1e-4 < curve.guess_mse
    assert (np.diff(curve.mse) > 0).all()
    assert curve.mse[2] > curve.guess_mse


def test_matching_gradients_sees_through_convolutions(digits):
    attacked = victims(digits, "simple_cnn", count=3, dtype=torch.float32)
    curve = attacked.inversion(matching(attacked, steps=200), 0.0, 1, STREAMS)
    assert curve.mse[0] < 0.05 * curve.guess_mse


def test_matching_is_as_good_as_the_exact_formula_where_there_is_one(digits):
    attacked = victims(digits, "mlp")
    search, formula = (
        attacked.inversion(attack, 1e-2, 3, STREAMS) for attack in (matching(attacked), ExactInversion(attacked.model))
    )
    assert search.mse[0] <= 1.2 * formula.mse[0]


def test_matching_is_a_function_of_streams_draw_and_gradient_alone(digits):
    attacked = victims(digits, "mlp", count=2)
    sent = sample_gradients(attacked.model, attacked.weights, attacked.x.double(), attacked.y)
    attack = matching(attacked, steps=20)
    state = torch.random.get_rng_state()
    first = attack(sent, 0)
    assert torch.equal(first, attack(sent, 0))
    assert not torch.equal(first, attack(sent, 1))
    assert torch.allclose(first[:1], attack(sent[:1], 0), atol=1e-8), "the others play no part"
    assert torch.equal(state, torch.random.get_rng_state())
    assert first.min() >= attacked.x.min()
    assert first.max() <= attacked.x.max()


def test_smoothness_draws_guesses_to_smooth_pictures(digits):
    attacked = victims(digits, "mlp", count=2)
    sent = sample_gradients(attacked.model, attacked.weights, attacked.x.double(), attacked.y)
    rough, smooth = (matching(attacked, steps=60, total_variation=weight)(sent, 0) for weight in (0.0, 10.0))

    def roughness(pictures):
        return float(pictures.diff(dim=-1).abs().mean() + pictures.diff(dim=-2).abs().mean())

    assert roughness(smooth) < 0.5 * roughness(rough)


def test_noise_on_the_last_bias_hides_the_label_unless_it_is_known(digits):
    attacked = victims(digits, "mlp", count=2)
    sent = sample_gradients(attacked.model, attacked.weights, attacked.x.double(), attacked.y)
    sent[:, -1] = -10.0  # as noise could: now the last class looks like the label
    assert labels_of(attacked.model, sent).tolist() == [9, 9]
    known, fooled = (matching(attacked, labels=labels)(sent, 0) for labels in (attacked.y, None))
    errors = [float((found - attacked.x.double()).square().mean()) for found in (known, fooled)]
    assert errors[0] < 0.5 * errors[1]


@pytest.mark.parametrize("model", ["softmax", "cnn"])
def test_the_gradient_of_the_last_bias_tells_the_label(digits, model):
    attacked = victims(digits, model, count=20, dtype=torch.float32)
    gradients = sample_gradients(attacked.model, attacked.weights, attacked.x, attacked.y)
    assert torch.equal(labels_of(attacked.model, gradients), attacked.y)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"distance": "cosinus"}, "did you mean 'cosine'"),
        ({"steps": 0}, "must be above 0"),
        ({"learning_rate": 0.0}, "must be above 0"),
        ({"total_variation": -1.0}, "must be above 0"),
    ],
)
def test_attacks_without_a_meaning_are_refused(digits, wrong, message):
    with pytest.raises((ValueError, KeyError), match=message):
        matching(victims(digits, "mlp"), **wrong)
