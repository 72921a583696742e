"""What turns pixels into patches: the shipped network, the same untrained, and features that were made by hand."""

from collections.abc import Callable

import numpy as np
import onnxruntime as ort
from edge_trainer.pictures import backbone, export
from numpy.typing import NDArray
from scipy import ndimage

from edge_agent.config.sections import SHIPPED_PICTURES
from edge_agent.model import picture
from edge_agent.model.session import PictureSession
from edge_agent.records import Float32

Look = Callable[[NDArray[np.uint8]], Float32]
SHIPPED, UNTRAINED, HAND_MADE = "shipped network", "the same, random weights", "hand-made features"
_SCALES = (1.0, 2.0, 4.0, 8.0)
_CELL = 8


def looks(seed: int) -> dict[str, Look]:
    """By name; all give a patch of each 8 x 8 pixels."""
    return {
        SHIPPED: PictureSession(picture.read(SHIPPED_PICTURES)).look,
        UNTRAINED: untrained(seed),
        HAND_MADE: hand_made,
    }


def untrained(seed: int) -> Look:
    """The shipped network's shape with random weights."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    raw = export.to_onnx(backbone.untrained(seed), halved=False)
    session = ort.InferenceSession(raw, options, providers=["CPUExecutionProvider"])

    def look(pixels: NDArray[np.uint8]) -> Float32:
        found: Float32 = session.run(["patches"], {"pixels": pixels})[0]
        return found

    return look


def hand_made(pixels: NDArray[np.uint8]) -> Float32:
    """Means and spreads of a patch, of blurs, gradients and Laplacians at four scales."""
    return np.stack([_described(one.astype(np.float32).mean(axis=2) / 255.0) for one in pixels])


def _described(grey: Float32) -> Float32:
    layers = []
    for scale in _SCALES:
        blurred = ndimage.gaussian_filter(grey, scale)
        down, right = np.gradient(blurred)
        layers += [blurred, np.abs(down), np.abs(right), np.abs(down + right), np.abs(down - right)]
        layers.append(np.abs(ndimage.gaussian_laplace(grey, scale)))
    grid = grey.shape[0] // _CELL
    blocks = np.stack(layers).reshape(len(layers), grid, _CELL, grid, _CELL)
    both = np.concatenate([blocks.mean(axis=(2, 4)), blocks.std(axis=(2, 4))])
    found: Float32 = both.transpose(1, 2, 0).astype(np.float32)
    return found
