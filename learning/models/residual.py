"""Small residual networks with group normalisation, which keeps no running statistics to average."""

from __future__ import annotations

from torch import Tensor, nn

from learning.models.families import MODELS, image_shape

WIDTHS = (16, 32, 64)
GROUPS = 8


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions [B, inputs, h, w] to [B, outputs, h / stride, w / stride] and a shortcut around them.

    The shortcut is the identity, or a 1 x 1 convolution where the shape changes (He et al. 2016, option B).
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, kernel_size=3, stride=stride, padding=1, bias=False),
            nn.GroupNorm(GROUPS, outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, kernel_size=3, padding=1, bias=False),
            nn.GroupNorm(GROUPS, outputs),
        )
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if same else nn.Conv2d(inputs, outputs, kernel_size=1, stride=stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = (self.body(x) + self.shortcut(x)).relu()
        return features


class MeanOverPixels(nn.Module):
    """[B, channels, h, w] to [B, channels]; unlike adaptive pooling its gradient repeats its bits on a GPU."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(dim=(2, 3))


def residual_network(channels: int, classes: int, blocks: int) -> nn.Module:
    """``6 * blocks + 2`` layers in three stages of 16, 32 and 64 filters (He et al. 2016, section 4.2)."""
    layers: list[nn.Module] = [
        nn.Conv2d(channels, WIDTHS[0], kernel_size=3, padding=1, bias=False),
        nn.GroupNorm(GROUPS, WIDTHS[0]),
        nn.ReLU(),
    ]
    inputs = WIDTHS[0]
    for stage, outputs in enumerate(WIDTHS):
        for block in range(blocks):
            layers.append(ResidualBlock(inputs, outputs, stride=2 if stage > 0 and block == 0 else 1))
            inputs = outputs
    return nn.Sequential(*layers, MeanOverPixels(), nn.Linear(inputs, classes))


@MODELS.register("resnet")
def resnet(shape: tuple[int, ...], classes: int) -> nn.Module:
    """ResNet-8 for small images (He et al. 2016) with group normalisation (Wu, He 2018).

    Raises ``ValueError`` unless the samples are images of at least 8 x 8.
    """
    return residual_network(image_shape("resnet", shape)[0], classes, blocks=1)


@MODELS.register("resnet20")
def resnet20(shape: tuple[int, ...], classes: int) -> nn.Module:
    """ResNet-20 for small images (He et al. 2016) with group normalisation (Wu, He 2018).

    Raises ``ValueError`` unless the samples are images of at least 8 x 8.
    """
    return residual_network(image_shape("resnet20", shape)[0], classes, blocks=3)
