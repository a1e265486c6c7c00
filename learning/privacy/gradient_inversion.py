"""What an honest but curious server reads out of an upload: reconstruction error against noise and against epsilon.

The victim made one step on one sample, the worst case for it, so its update is the gradient of that sample's loss, up
to the learning rate. Both attacks know the model and the clipping norm.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torch.func import grad, vmap
from torch.nn.functional import cross_entropy

from learning.columns import FloatColumn
from learning.models import FlatModel
from learning.privacy.mechanisms import NoiseLaw
from learning.privacy.terms import PrivacyTerms
from learning.privacy_hook import clipping_factor
from learning.streams import Streams

Attack = Callable[[Tensor, int], Tensor]
"""Reconstructions [M, *shape] from noisy gradients [M, P]; the number keys what the attack itself draws."""


@dataclass(frozen=True, eq=False)
class InversionCurve:
    """How far reconstructions are from the samples, for S levels of noise.

    Attributes:
        epsilon: [S], privacy loss of one release; NaN where only the noise was given.
        noise_std: [S], standard deviation of the noise on each weight.
        mse: [S], median over samples and draws of the mean squared error of a sample's numbers, in units of the data.
        psnr: [S], peak signal-to-noise ratio in dB, 10 log10(peak^2 / mse); peak is the range of the samples.
        guess_mse: the same median for an attacker without an upload, who always says the mean of the samples.
    """

    epsilon: FloatColumn
    noise_std: FloatColumn
    mse: FloatColumn
    psnr: FloatColumn
    guess_mse: float


def sample_gradients(model: FlatModel, weights: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Gradients [M, P] of the cross-entropy of single samples x [M, *shape] with labels y [M], at weights [P]."""

    def loss(at: Tensor, sample: Tensor, label: Tensor) -> Tensor:
        return cross_entropy(model.forward(model.unflatten(at), sample.unsqueeze(0)), label.unsqueeze(0))

    gradients: Tensor = vmap(grad(loss), in_dims=(None, 0, 0))(weights, x, y)
    return gradients


def invert_first_layer(model: FlatModel, gradients: Tensor) -> Tensor:
    """The samples [M, *shape] that single-sample gradients [M, P] are of; exact without noise.

    For a linear layer with bias dL/dW_k = (dL/db_k) x, so x = SUM_k db_k dW_k / SUM_k db_k^2: least squares over the
    layer's outputs k. Scaling the gradient changes nothing. NaN where no output has a bias gradient. Raises
    ``ValueError`` for a model that is not made of linear layers.
    """
    if model.linear_layers is None:
        raise ValueError(f"the first layer of the model '{model.name}' is not linear")
    first = model.linear_layers[0]
    weight = gradients[:, first.weight].view(-1, first.outputs, first.inputs)
    bias = gradients[:, first.bias]
    found = (bias.unsqueeze(1) @ weight).squeeze(1) / bias.square().sum(dim=1, keepdim=True)
    return found.view(-1, *model.shape)


@dataclass(frozen=True, eq=False)
class ExactInversion:
    """The attack on a model whose first layer is linear with bias: one formula, no search."""

    model: FlatModel

    def __call__(self, gradients: Tensor, draw: int) -> Tensor:
        return invert_first_layer(self.model, gradients)


@dataclass(frozen=True, eq=False)
class Victims:
    """Samples x [M, *shape] with labels y [M], each sent alone as a gradient at ``weights`` [P], clipped to ``clip``.

    Computes in the type of ``weights``. ``law`` is that of the noise, and decides the norm of the clipping.
    """

    model: FlatModel
    weights: Tensor
    x: Tensor
    y: Tensor
    clip: float
    law: NoiseLaw = NoiseLaw.GAUSSIAN

    def inversion(self, attack: Attack, noise_std: ArrayLike, draws: int, streams: Streams) -> InversionCurve:
        """The error of an attack at each of the noise levels [S], over so many draws of the noise.

        Every level has the same draws, scaled, so levels differ by nothing else.
        """
        levels = np.atleast_1d(np.asarray(noise_std, dtype=np.float64))
        x = self.x.to(self.weights)
        gradients = sample_gradients(self.model, self.weights, x, self.y.to(x.device))
        factor = clipping_factor(gradients, np.full(len(x), self.clip), self.law.norm)
        sent = gradients * factor.to(gradients).unsqueeze(1)
        errors = np.empty((len(levels), draws, len(x)))
        for draw in range(draws):
            unit = np.stack(
                [
                    self.law.draw(streams.generator("probe noise", place, draw), self.model.size)
                    for place in range(len(x))
                ]
            )
            noise = torch.from_numpy(unit).to(sent)
            for level, std in enumerate(levels):
                found = attack(sent + float(std) * noise, draw)
                errors[level, draw] = _mse(found, x)
        mse = np.median(errors, axis=(1, 2))
        peak = float(x.max() - x.min())
        with np.errstate(divide="ignore"):
            psnr = 10 * np.log10(peak**2 / mse)
        guess = float(np.median(_mse(x.mean(dim=0).expand_as(x), x)))
        return InversionCurve(np.full(len(levels), np.nan), levels, mse, psnr, guess)

    def inversion_against_epsilon(
        self, attack: Attack, epsilon: ArrayLike, terms: PrivacyTerms, draws: int, streams: Streams
    ) -> InversionCurve:
        """The error of an attack at each privacy loss [S], above 0, of one release under these terms.

        Raises ``ValueError`` if the terms are for another clipping norm or law than the victims'.
        """
        if terms.clip_norm != self.clip or terms.mechanism.law is not self.law:
            raise ValueError("the terms of privacy do not belong to these victims: clipping norm or law differs")
        losses = np.atleast_1d(np.asarray(epsilon, dtype=np.float64))
        curve = self.inversion(attack, terms.noise_std(losses), draws, streams)
        return InversionCurve(losses, curve.noise_std, curve.mse, curve.psnr, curve.guess_mse)


def _mse(found: Tensor, x: Tensor) -> FloatColumn:
    """Mean squared error [M] of each sample, in float64."""
    return np.asarray((found.double() - x.double()).square().flatten(1).mean(dim=1).cpu().numpy())
