"""Stage 3: the network as a bundle that an agent can trust; trains nothing.

torch -> ONNX -> onnxruntime must answer as torch does on the golden windows, or nothing is written.
"""

import logging
import shutil
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch
from torch import Tensor, nn

from edge_agent.errors import TrainingError
from edge_agent.model import bundle
from edge_agent.model.arrays import encode_arrays
from edge_agent.model.bundle import Channel, Golden, Manifest
from edge_agent.records import Float32
from edge_trainer.bundle import card
from edge_trainer.config import Config
from edge_trainer.network.network import Network
from edge_trainer.network.quantise import to_int8
from edge_trainer.training.loop import NETWORK, load_network

FOLDER = "bundle"
INT8_FOLDER = "bundle-int8"
PRETRAINED = "pretrain"
FINETUNED = "finetune"
OPSET = 18
LARGEST_BYTES = 5_000_000
"""A gateway's link may be slow: a bundle of this family stays small."""
_TOLERANCE = 1e-4
"""Largest difference between torch and onnxruntime, relative to the array's size."""
_GOLDEN_TOLERANCE = 1e-3
_INT8_TOLERANCE, _INT8_GOLDEN_TOLERANCE = 0.1, 0.02
"""The same of int8 against torch, and of int8 on one processor against int8 on another."""
_INPUTS = ("window", "observed", "location", "scale")
_GOLDEN_WINDOWS = 6
_GOLDEN_CHANNELS = 3


@dataclass(frozen=True, slots=True)
class Identity:
    """What a manifest says besides what the network itself tells.

    Attributes:
        created: ISO 8601 time. channels, labels: empty without a head. rate_hz: None where any rate fits.
        training, measures: for reading. card: the text of CARD.md.
    """

    name: str
    version: str
    created: str
    training: Mapping[str, Any]
    measures: Mapping[str, Any]
    card: str
    channels: tuple[Channel, ...] = ()
    labels: tuple[str, ...] = ()
    rate_hz: float | None = None


class _Graph(nn.Module):
    """The network with the outputs of the contract alone."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, window: Tensor, observed: Tensor, location: Tensor, scale: Tensor
    ) -> tuple[Tensor, ...]:
        output = self.network(window, observed, location, scale)
        answers = (output.embedding, output.reconstruction)
        return answers if output.logits is None else (*answers, output.logits)


def run(config: Config) -> Path:
    """Bundle of the run's fine-tuned network, or of the pre-trained one where there is none.

    Raises:
        TrainingError: no stage before left a network, or the exported graph answers otherwise than torch.
    """
    torch.set_num_threads(config.run.threads)
    finetuned = config.run.out / FINETUNED / NETWORK
    network, facts = load_network(finetuned if finetuned.exists() else config.run.out / PRETRAINED / NETWORK)
    identity = Identity(
        name=config.run.name,
        version=config.run.version,
        created=config.run.created,
        training={"command": config.run.command, **facts["settings"]},
        measures=facts["measures"],
        card=card.write(config.run, network, facts),
        channels=tuple(Channel(name) for name in facts.get("channels", ())),
        labels=tuple(facts.get("labels", ())),
        rate_hz=facts.get("rate_hz"),
    )
    folder = config.run.out / (INT8_FOLDER if config.export.int8 else FOLDER)
    shutil.rmtree(folder, ignore_errors=True)  # a run has one bundle
    return write_bundle(folder, network, identity, seed=config.run.seed, int8=config.export.int8)


def find_bundle(out: Path) -> Path:
    """The bundle of the run in `out`.

    Raises:
        TrainingError: it was not exported yet.
    """
    found = [path for path in (out / FOLDER).glob("*") if (path / bundle.MANIFEST).exists()]
    if len(found) != 1:
        raise TrainingError(f"{out / FOLDER} holds {len(found)} bundles: run the stage export first")
    return found[0]


def write_bundle(
    parent: Path, network: Network, identity: Identity, *, seed: int, int8: bool = False
) -> Path:
    """Export, check against torch, write; returns the bundle's directory below `parent`.

    The golden answers of an int8 model are its own, after they were found near torch's.

    Raises:
        TrainingError: onnxruntime answers otherwise than torch, or the bundle is too large.
    """
    network.eval()
    model = to_onnx(network)
    golden = golden_answers(network, seed=seed)
    check_parity(model, golden, tolerance=_TOLERANCE)
    if int8:
        model = to_int8(model, window_rows=network.window_rows, seed=seed)
        check_parity(model, golden, tolerance=_INT8_TOLERANCE)
        golden = replace(golden, **_answers(model, golden))
    arrays = {name: value for name in Golden.__slots__ if (value := getattr(golden, name)) is not None}
    contents = {
        bundle.MODEL: model,
        bundle.GOLDEN: encode_arrays(arrays),
        bundle.CARD: identity.card.encode(),
    }
    if (size := sum(map(len, contents.values()))) > LARGEST_BYTES:
        raise TrainingError(f"the bundle would have {size} bytes, the limit is {LARGEST_BYTES}")
    manifest = Manifest(
        schema_version=bundle.SCHEMA_VERSION,
        name=identity.name,
        version=identity.version,
        created=identity.created,
        architecture=network.architecture,
        window_rows=network.window_rows,
        embedding_dim=network.embedding_dim,
        channels=identity.channels,
        labels=identity.labels,
        rate_hz=identity.rate_hz,
        golden_tolerance=_INT8_GOLDEN_TOLERANCE if int8 else _GOLDEN_TOLERANCE,
        training=dict(identity.training),
        measures=dict(identity.measures),
        files={},
    )
    return bundle.write(parent, manifest, contents)


def to_onnx(network: Network) -> bytes:
    """The graph with free numbers of windows and (without a head) of channels; nothing outside the bytes.

    Raises:
        TrainingError: the graph would keep weights in a file of its own.
    """
    channels = _GOLDEN_CHANNELS if network.head is None else network.head.channels
    example = (
        torch.randn(2, channels, network.window_rows),
        torch.ones(2, channels, network.window_rows),
        torch.zeros(2, channels),
        torch.ones(2, channels),
    )
    free: dict[int, Any] = {0: torch.export.Dim("windows", min=1, max=1 << 20)}
    if network.head is None:
        free[1] = torch.export.Dim("channels", min=1, max=1 << 12)
    outputs = ["embedding", "reconstruction", *([] if network.head is None else ["logits"])]
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    graph = _Graph(network).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of its own internals
        program = torch.onnx.export(
            graph,
            example,
            dynamo=True,
            opset_version=OPSET,
            input_names=list(_INPUTS),
            output_names=outputs,
            dynamic_shapes=[free, free, free, free],
            verbose=False,
        )
    if program is None:
        raise TrainingError("torch exported no graph")
    model = program.model_proto
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in model.graph.initializer):
        raise TrainingError("the exported graph keeps its weights outside")
    _forget_sources(model)
    onnx.checker.check_model(model, full_check=True)
    raw: bytes = model.SerializeToString(deterministic=True)
    return raw


def _forget_sources(model: onnx.ModelProto) -> None:
    """Without torch's notes of the source lines: the same network gives the same bytes wherever it is exported."""
    graph = model.graph
    parts: list[Any] = [graph, *graph.node, *graph.value_info, *graph.input, *graph.output]
    for part in parts:
        del part.metadata_props[:]


def golden_answers(network: Network, *, seed: int) -> Golden:
    """Windows of awkward sizes, levels and gaps, and what torch answers."""
    rng = np.random.default_rng(seed)
    B, C = _GOLDEN_WINDOWS, _GOLDEN_CHANNELS if network.head is None else network.head.channels
    T = network.window_rows
    location = rng.normal(0.0, 50.0, (B, C)).astype(np.float32)
    scale = np.exp(rng.normal(0.0, 2.0, (B, C))).astype(np.float32)
    walk = np.cumsum(rng.normal(0.0, 0.3, (B, C, T)), axis=2) + rng.normal(0.0, 2.0, (B, C, 1))
    waves = np.sin(np.arange(T) * rng.uniform(0.05, 1.0, (B, C, 1)))
    window = location[..., None] + scale[..., None] * (walk + waves)
    observed = np.ones((B, C, T), np.float32)
    observed[1] = rng.random((C, T)) > 0.3
    observed[2, 0] = 0.0  # a channel that was never seen
    window[3] = location[3][:, None]  # a machine at rest
    window[4] += 100.0 * scale[4][:, None]  # far outside
    given = {
        "window": window.astype(np.float32), "observed": observed, "location": location, "scale": scale,
    }  # fmt: skip
    with torch.no_grad():
        output = network(*(torch.from_numpy(given[name]) for name in _INPUTS))
    return Golden(
        **given,
        embedding=output.embedding.numpy(),
        reconstruction=output.reconstruction.numpy(),
        logits=None if output.logits is None else output.logits.numpy(),
    )


def check_parity(model: bytes, golden: Golden, *, tolerance: float) -> float:
    """Largest difference between onnxruntime and the golden answers, relative to each array's size.

    Raises:
        TrainingError: more than the tolerance.
    """
    worst = 0.0
    for name, answer in _answers(model, golden).items():
        expected = getattr(golden, name)
        off = float(np.max(np.abs(answer - expected)) / (1.0 + np.max(np.abs(expected))))
        if not off <= tolerance:
            raise TrainingError(f"onnxruntime's {name} is {off:.2g} off from torch's, more than {tolerance}")
        worst = max(worst, off)
    return worst


def _answers(model: bytes, golden: Golden) -> dict[str, Float32]:
    """What onnxruntime answers to the golden windows, by output."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    names = [node.name for node in session.get_outputs()]
    answers = session.run(names, {name: getattr(golden, name) for name in _INPUTS})
    return dict(zip(names, answers, strict=True))
