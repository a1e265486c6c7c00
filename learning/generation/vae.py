"""A conditional variational autoencoder, for images and tables."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from learning.columns import BoolColumn, IntColumn
from learning.generation.class_mixtures import ClassMixtures
from learning.generation.descent import SAMPLES, Share, check_training, descend, keyed, normal_rows
from learning.generation.generator import GENERATORS, DataRange, check_labels, check_samples, known_classes
from learning.generation.scaling import Scaling
from learning.memory import each_part, rows_in_parts
from learning.streams import Streams

LEAST_ERROR = 1e-4
"""Mean squared error, in units of the data's variance, below which reconstruction gains nothing."""
LARGEST_LOG_VARIANCE = 10.0
COMPONENTS, PRIOR = 4, 5.0
"""Of the mixtures of codes; see ``ClassMixtures.fit``."""


class Autoencoder(nn.Module):
    """Encoder to mean and log-variance of a code, decoder back; both are told the class."""

    def __init__(self, numbers: int, classes: int, hidden: int, code: int) -> None:
        super().__init__()
        self.code = code
        self.encoder = _perceptron(numbers + classes, hidden, 2 * code)
        self.decoder = _perceptron(code + classes, hidden, numbers)

    def loss(self, x: Tensor, told: Tensor, noise: Tensor) -> Tensor:
        """Negative evidence bound per sample, in nats without constants, of samples [B, F] with noise [B, code].

        The likelihood is Gaussian with the variance that fits best, F / 2 * log(mean squared error): the
        sigma-VAE (Rybkin, Daniilidis, Levine 2021, "Simple and effective VAE training with calibrated decoders").
        """
        error, divergence = self._error_and_divergence(x, told, noise)
        found: Tensor = 0.5 * x.shape[1] * torch.log(error + LEAST_ERROR) + divergence
        return found

    def shares(self, x: Tensor, told: Tensor, noise: Tensor) -> Share:
        """The same of some of the samples, by d log(mean error) = d (mean error) / (mean error)."""
        errors: list[float] = []

        def share(part: slice) -> Tensor:
            if part == slice(0, len(x)):
                return self.loss(x, told, noise)
            if not errors:
                errors.append(self._error(x, told, noise))
            error, divergence = self._error_and_divergence(x[part], told[part], noise[part])
            found: Tensor = 0.5 * x.shape[1] * error / (errors[0] + LEAST_ERROR) + divergence
            found = found * ((part.stop - part.start) / len(x))
            return found

        return share

    @torch.no_grad()
    def _error(self, x: Tensor, told: Tensor, noise: Tensor) -> float:
        """The mean squared error of all samples, in parts where memory runs out."""

        def error(part: slice) -> Tensor:
            return self._error_and_divergence(x[part], told[part], noise[part])[0]

        return mean_in_parts(error, len(x), x.device)

    def _error_and_divergence(self, x: Tensor, told: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Means over samples: of the squared error of their numbers, and of the divergence of their codes in nats."""
        mean, log_variance = self.encoder(torch.cat([x, told], dim=1)).chunk(2, dim=1)
        log_variance = log_variance.clamp(-LARGEST_LOG_VARIANCE, LARGEST_LOG_VARIANCE)
        code = mean + torch.exp(0.5 * log_variance) * noise
        error = (self.decode(code, told) - x).square().mean()
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance).sum(dim=1).mean()
        return error, divergence

    def decode(self, code: Tensor, told: Tensor) -> Tensor:
        """Samples [B, F] of codes [B, code]."""
        decoded: Tensor = self.decoder(torch.cat([code, told], dim=1))
        return decoded

    @torch.no_grad()
    def encode(self, x: Tensor, told: Tensor, noise: Tensor) -> Tensor:
        """Codes [B, code] of samples, drawn from their posteriors."""
        mean, log_variance = self.encoder(torch.cat([x, told], dim=1)).chunk(2, dim=1)
        code: Tensor = mean + torch.exp(0.5 * log_variance.clamp(-LARGEST_LOG_VARIANCE, LARGEST_LOG_VARIANCE)) * noise
        return code

    @torch.no_grad()
    def error(self, code: Tensor, told: Tensor, x: Tensor) -> float:
        """Mean squared error of what is decoded from codes [n, code] of samples [n, F]."""
        return mean_in_parts(
            lambda part: (self.decode(code[part], told[part]) - x[part]).square().mean(), len(x), x.device
        )


def mean_in_parts(mean: Callable[[slice], Tensor], rows: int, device: torch.device) -> float:
    """The mean over rows, from those over parts of them where memory runs out."""
    means: list[tuple[float, int]] = []
    each_part(lambda part: means.append((float(mean(part)), part.stop - part.start)), slice(0, rows), device, SAMPLES)
    return means[0][0] if len(means) == 1 else sum(found * count for found, count in means) / rows


def _perceptron(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    layers = [nn.Linear(inputs, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, outputs)]
    return nn.Sequential(*layers)


@GENERATORS.register("vae")
@dataclass(frozen=True)
class ConditionalVAE:
    """A conditional variational autoencoder of fully connected layers; seconds on a CPU (Sohn, Lee, Yan 2015).

    Codes to be decoded come from Gaussian mixtures, one per class, of the codes of the own samples (Ghosh et al. 2020,
    "From variational to deterministic autoencoders"): with few samples the codes of a class are far from the standard
    normal prior, and codes from the prior decode to images of other classes. Images are the decoder's mean, as is
    usual. Tables also get the noise of the likelihood: without it they would spread too little.

    Attributes:
        code: dimensions of the code.
        hidden: units of each hidden layer.
        steps, batch_size, rate: of the training with Adam.
    """

    axes: ClassVar[tuple[int, ...]] = (1, 3)
    code: int = 12
    hidden: int = 256
    steps: int = 1500
    batch_size: int = 64
    rate: float = 2e-3

    def __post_init__(self) -> None:
        if self.code < 1 or self.hidden < 1:
            raise ValueError(f"code and hidden must be at least 1, got {self.code} and {self.hidden}")
        check_training(self.steps, self.batch_size, self.rate)

    def fit(self, x: Tensor, y: Tensor, classes: int, owner: int, counter: int, streams: Streams) -> FittedVAE:
        """See ``Generator.fit``."""
        check_samples(self, x, y, classes)
        scaling = Scaling.of(x)
        flat = scaling.scaled(x).reshape(len(x), -1)
        told = one_hot(y, classes).to(flat.dtype)
        numbers = flat.shape[1]
        network = keyed(lambda: Autoencoder(numbers, classes, self.hidden, self.code), owner, counter, streams)
        network = network.to(flat.device)
        chance = streams.generator("generator training", owner, counter)

        def loss(rows: IntColumn) -> Share:
            some = torch.from_numpy(rows).to(flat.device)
            noise = normal_rows(chance, len(rows), self.code, flat)
            return network.shares(flat[some], told[some], noise)

        order = streams.generator("generator batches", owner, counter)
        trained = descend(network, loss, len(x), batch_size=self.batch_size, steps=self.steps, rate=self.rate,
                          chance=order)  # fmt: skip
        noise_of_codes = normal_rows(chance, len(x), self.code, flat)
        codes = rows_in_parts(
            lambda part: trained.encode(flat[part], told[part], noise_of_codes[part]), len(x), flat.device, SAMPLES
        )
        error = trained.error(codes, told, flat)
        points = codes.cpu().numpy().astype(np.float64)
        start = streams.generator("mixture start", owner, counter)
        mixtures = ClassMixtures.fit(points, y.cpu().numpy(), COMPONENTS, PRIOR, start)
        noise = math.sqrt(error) if x.ndim == 2 else 0.0
        return FittedVAE(trained, mixtures, noise, scaling, DataRange.of(x), known_classes(y, classes), x.shape[1:])


@dataclass(frozen=True, eq=False)
class FittedVAE:
    """A trained decoder; ``noise`` is the deviation added to what it says, in units of each feature's deviation."""

    network: Autoencoder
    codes: ClassMixtures
    noise: float
    scaling: Scaling
    limits: DataRange
    known: BoolColumn
    shape: torch.Size

    @torch.no_grad()
    def sample(self, labels: IntColumn, owner: int, counter: int, streams: Streams) -> Tensor:
        """See ``Fitted.sample``."""
        check_labels(labels, self.known)
        device, code = self.limits.low.device, self.network.code
        uniform = streams.generator("mixture component", owner, counter).random(len(labels))
        normal = streams.generator("generated sample", owner, counter).standard_normal((len(labels), code))
        points = torch.from_numpy(self.codes.points(labels, uniform, normal).astype(np.float32)).to(device)
        told = one_hot(torch.from_numpy(labels).to(device), len(self.known)).to(points.dtype)
        made = rows_in_parts(lambda part: self.network.decode(points[part], told[part]), len(points), device, SAMPLES)
        if self.noise > 0:
            chance = streams.generator("generated noise", owner, counter)
            made = made + self.noise * normal_rows(chance, len(labels), made.shape[1], made)
        return self.limits.clip(self.scaling.restored(made.reshape(-1, *self.shape)))
