"""A judge's form in a bundle: an ONNX graph that answers as torch does, beside the encoder. Trains nothing."""

import logging
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import torch
from torch import nn

from edge_agent.errors import TrainingError
from edge_agent.records import Float32

OPSET = 20
INPUTS = ("channels", "machine", "present")
OUTPUTS = ("logit", "channel_logits")
_TOLERANCE = 1e-4
_CHECKED = ((1, 1), (5, 11), (64, 3))
"""Windows and channels that the graph's answers are compared with torch's on."""


def to_onnx(judge: nn.Module, *, channel_features: int, machine_features: int, seed: int = 0) -> bytes:
    """The graph, of any number of windows and channels.

    Raises:
        TrainingError: onnxruntime answers otherwise than torch.
    """
    judge = judge.eval()
    example = (
        torch.randn(3, 4, channel_features),
        torch.randn(3, machine_features),
        torch.ones(3, 4, dtype=torch.bool),
    )
    free = {
        name: {0: "windows", 1: "channels"}
        if name in ("channels", "present", "channel_logits")
        else {0: "windows"}
        for name in (*INPUTS, *OUTPUTS)
    }
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")  # torch warns of its own internals
        path = Path(folder) / "judge.onnx"
        torch.onnx.export(
            judge,
            example,
            path,
            dynamo=False,
            opset_version=OPSET,
            input_names=list(INPUTS),
            output_names=list(OUTPUTS),
            dynamic_axes=free,
        )
        model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    raw: bytes = model.SerializeToString(deterministic=True)
    check_parity(raw, judge, channel_features=channel_features, machine_features=machine_features, seed=seed)
    return raw


def check_parity(
    raw: bytes, judge: nn.Module, *, channel_features: int, machine_features: int, seed: int
) -> float:
    """Largest difference between onnxruntime's answers and torch's.

    Raises:
        TrainingError: it is too large.
    """
    rng = np.random.default_rng(seed)
    session = session_of(raw)
    worst = 0.0
    for windows, channels in _CHECKED:
        present = rng.random((windows, channels)) < 0.8
        present[:, 0] = True
        seen = rng.standard_normal((windows, channels, channel_features)).astype(np.float32)
        known = rng.standard_normal((windows, machine_features)).astype(np.float32)
        answers = ask(session, seen, known, present)
        with torch.no_grad():
            expected = judge(torch.from_numpy(seen), torch.from_numpy(known), torch.from_numpy(present))
        for answer, wanted in zip(answers, expected, strict=True):
            worst = max(worst, float(np.abs(answer - wanted.numpy()).max()))
    if not worst <= _TOLERANCE:
        raise TrainingError(f"onnxruntime's logits are {worst:.2g} off from torch's, more than {_TOLERANCE}")
    return worst


def ask(
    session: ort.InferenceSession, channels: Float32, machine: Float32, present: npt.NDArray[np.bool_]
) -> tuple[Float32, Float32]:
    """Logits of windows [B] and of their channels [B, C]."""
    given = dict(zip(INPUTS, (channels, machine, present), strict=True))
    logit, channel_logits = session.run(list(OUTPUTS), given)
    return logit, channel_logits


def session_of(raw: bytes) -> ort.InferenceSession:
    """A graph ready to be asked, on one thread."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(raw, options, providers=["CPUExecutionProvider"])
