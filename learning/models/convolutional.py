"""Plain stacks of convolutions, max-pooling and linear layers, for images of at least 8 x 8."""

from __future__ import annotations

from torch import nn

from learning.models.families import MODELS, image_shape

BLOCKS = (32, 64, 64)


@MODELS.register("cnn")
def cnn(shape: tuple[int, ...], classes: int) -> nn.Module:
    """Two convolutions with max-pooling and a hidden layer of 84, after LeNet-5 (LeCun et al. 1998).

    The convolutions are padded, so images from 8 x 8 on will do. Raises ``ValueError`` for anything else.
    """
    channels, height, width = image_shape("cnn", shape)
    return nn.Sequential(
        nn.Conv2d(channels, 6, kernel_size=5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, kernel_size=5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * (height // 4) * (width // 4), 84),
        nn.ReLU(),
        nn.Linear(84, classes),
    )


@MODELS.register("cnn3")
def cnn3(shape: tuple[int, ...], classes: int) -> nn.Module:
    """Three blocks of 3 x 3 convolution (32, 64, 64 filters) and max-pooling, and a hidden layer of 64.

    Raises ``ValueError`` unless the samples are images of at least 8 x 8.
    """
    channels, height, width = image_shape("cnn3", shape)
    layers: list[nn.Module] = []
    for filters in BLOCKS:
        layers += [nn.Conv2d(channels, filters, kernel_size=3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        channels = filters
    features = channels * (height // 8) * (width // 8)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(features, 64), nn.ReLU(), nn.Linear(64, classes))


@MODELS.register("simple_cnn")
def simple_cnn(shape: tuple[int, ...], classes: int) -> nn.Module:
    """Two 3 x 3 convolutions (32, 64 filters), one max-pooling and a hidden layer of 128; wide: 1.6 M weights on CIFAR.

    The shape of the CNN in the CIFAR-10 benchmark of pfl-research (Granqvist et al. 2024, arXiv 2404.06430), without
    its dropout and with PyTorch's own initialisation. Raises ``ValueError`` unless the samples are images of at least
    8 x 8.
    """
    channels, height, width = image_shape("simple_cnn", shape)
    return nn.Sequential(
        nn.Conv2d(channels, 32, kernel_size=3),
        nn.ReLU(),
        nn.Conv2d(32, 64, kernel_size=3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(64 * ((height - 4) // 2) * ((width - 4) // 2), 128),
        nn.ReLU(),
        nn.Linear(128, classes),
    )
