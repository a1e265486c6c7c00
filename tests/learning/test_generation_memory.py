"""Memory that runs out while generators are trained and asked, and while models are compared: split, and the same."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch

from learning.data import load_dataset
from learning.generation import generator_for
from learning.generation.descent import add_gradients
from learning.generation.unet import UNet
from learning.generation.vae import Autoencoder
from learning.memory import OutOfMemory, tell_halving
from learning.pairwise import cosines, products, squared_distances, squared_norms
from learning.personalization.dissimilarity import update_dissimilarity
from learning.streams import Streams

DIGITS = load_dataset("digits")
X, Y = torch.from_numpy(DIGITS.x_train[:90]), torch.from_numpy(DIGITS.y_train[:90])
SMALL = {"vae": {"steps": 3, "hidden": 16, "batch_size": 32}, "diffusion": {"steps": 2, "width": 4, "batch_size": 32}}


def room_for(most: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let networks run out of memory, as a GPU does, when they meet more than ``most`` samples; what they got."""
    given: list[int] = []

    def limited(real):
        def forward(self, x, *rest):
            given.append(len(x))
            if len(x) > most:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
            return real(self, x, *rest)

        return forward

    for kind, name in ((UNet, "forward"), (Autoencoder, "decode")):
        monkeypatch.setattr(kind, name, limited(getattr(kind, name)))
    return given


@pytest.mark.parametrize("name", SMALL)
def test_a_generator_short_of_memory_trains_and_makes_the_same(name, monkeypatch, caplog):
    generator, labels = generator_for(name, DIGITS, **SMALL[name]), np.arange(40) % 10

    def made():
        fitted = generator.fit(X, Y, 10, 3, 0, Streams(1))
        return [*fitted.network.parameters()], fitted.sample(labels, 3, 1, Streams(1))

    weights, samples = made()
    tell_halving.cache_clear()
    with monkeypatch.context() as patched, caplog.at_level(logging.WARNING):
        given = room_for(12, patched)
        same_weights, same_samples = made()
    assert max(given) >= 32, "it did run out of memory"
    assert "samples that a generator is trained on, 32 at once; trying again with 16" in caplog.text
    assert "samples of a generator, 40 at once; trying again with 20" in caplog.text
    for one, other in zip(weights, same_weights, strict=True):
        # Adam steps by its rate where a gradient is 0 but for rounding, as that of a bias that is normalised away.
        assert torch.allclose(one, other, atol=1e-5 if name == "vae" else 1e-3)
    assert torch.allclose(samples, same_samples, atol=1e-4)


@pytest.mark.parametrize("name", SMALL)
def test_one_sample_that_does_not_fit_a_generator_is_told_in_one_line(name, monkeypatch):
    room_for(0, monkeypatch)
    with pytest.raises(OutOfMemory, match=r"^out of memory: not even one of the samples [^\n]* fits on this device$"):
        generator_for(name, DIGITS, **SMALL[name]).fit(X, Y, 10, 3, 0, Streams(1))


def test_gradients_of_the_parts_of_a_batch_sum_to_those_of_its_loss():
    chance = torch.Generator().manual_seed(1)
    network = Autoencoder(6, 2, 5, 3).double()
    parameters = [*network.parameters()]
    x, noise = (torch.randn(9, size, generator=chance, dtype=torch.float64) for size in (6, 3))
    told = torch.eye(2, dtype=torch.float64)[torch.arange(9) % 2]
    expected = torch.autograd.grad(network.loss(x, told, noise), parameters)
    share, tries = network.shares(x, told, noise), []

    def short(part: slice) -> torch.Tensor:
        tries.append((part.start, part.stop))
        found = share(part)
        if part.stop - part.start > 3:
            found.backward()  # gradients of an attempt that fails later must not stay
            raise torch.OutOfMemoryError("CUDA out of memory")
        return found

    add_gradients(short, 9, parameters)
    assert tries[:3] == [(0, 9), (0, 5), (0, 3)]
    for parameter, gradient in zip(parameters, expected, strict=True):
        assert torch.allclose(parameter.grad, gradient, rtol=1e-10, atol=1e-12)


def test_models_are_compared_by_fewer_numbers_at_once_where_memory_runs_out(monkeypatch, caplog):
    models = torch.randn(5, 1000, generator=torch.Generator().manual_seed(2))
    initial = models.mean(dim=0) + 0.1

    def compared():
        return update_dissimilarity(models, initial), squared_distances(models, models[:2]), cosines(models)

    expected, real, widths = compared(), torch.Tensor.double, []

    def double(self):
        widths.append(self.shape[-1])
        if self.shape[-1] > 130:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(self)

    tell_halving.cache_clear()
    with monkeypatch.context() as patched, caplog.at_level(logging.WARNING):
        patched.setattr(torch.Tensor, "double", double)
        found = compared()
    assert max(widths) == 1000
    assert "numbers of each model that models are compared by, 1000 at once; trying again with 500" in caplog.text
    for one, other in zip(expected, found, strict=True):
        assert torch.allclose(one, other, rtol=1e-12, atol=1e-12)


def test_what_models_have_moved_is_never_as_large_as_the_models(monkeypatch):
    """Seen from an origin block by block they give the bits of the difference as a whole."""
    models = torch.randn(4, 3000, generator=torch.Generator().manual_seed(3))
    initial, real, sizes = models[0] / 2, torch.Tensor.__sub__, []

    def minus(self, other):
        sizes.append(self.numel())
        return real(self, other)

    monkeypatch.setattr("learning.pairwise.NUMBERS_AT_ONCE", 400)
    whole = products(models - initial)
    monkeypatch.setattr(torch.Tensor, "__sub__", minus)
    assert torch.equal(products(models, origin=initial), whole)
    assert max(sizes) == 400
    assert torch.equal(squared_norms(models[:1]), products(models[:1])[0])
