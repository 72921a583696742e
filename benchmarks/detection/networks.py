"""The agent with other networks in it, random weights or none: what the shipped one is worth shows beside them.

A switch that methods are built with, `judge`, names one: "shipped", "none", "random:SEED". It stands in for the judge
at the bundle's threshold and with what a machine's own normal windows ask for on top; where a bundle has no judge, no
network decides, and random weights cannot stand in.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.detect.scorer import Scorer
from edge_agent.model import bundle

AGENT = "edge-agent"
LEFT_OUT = f"{AGENT}, kind left out"
NO_NETWORK, RANDOM = f"{AGENT}, no network", f"{AGENT}, random weights"
ALONE = f"{AGENT}, network trained on the machine alone"
SHIPPED, NONE = "shipped", "none"
RANDOM_DRAWS = 3
_SCALES = ("mean", "_spread", "scale", "least", "most")
"""Endings of what a judge's inputs are normalised by."""
_FIRST, _BIAS = "of_channel", "of_machine_bias"
"""Of the first layer: what channels are multiplied by, [J, 1, F, H], and what is added to all, [J, 1, H]."""


def judged(scorer: Scorer, judge: str = SHIPPED) -> Scorer:
    """The scorer with the network that `judge` names."""
    if judge == SHIPPED:
        return scorer
    if judge == NONE:
        return WithoutNetwork(scorer.session, expecting=scorer.expecting)
    return with_judge(scorer, model=_scrambled, seed=int(judge.removeprefix("random:")))


STAND_INS = {NO_NETWORK: NONE, **{f"{RANDOM} {seed}": f"random:{seed}" for seed in range(RANDOM_DRAWS)}}
"""Name of a method, each draw by itself -> the switch."""
REPLACED: Mapping[str, Sequence[Callable[[Scorer], Scorer]]] = {
    NO_NETWORK: [partial(judged, judge=NONE)],
    RANDOM: [partial(judged, judge=f"random:{seed}") for seed in range(RANDOM_DRAWS)],
}
"""Name of a method -> what stands in for the shipped network, a draw each."""


def decides(scorer: Scorer) -> bool:
    """Whether a network has a say in what alarms; where none has, the agent is the statistics alone."""
    return getattr(scorer, "judge", None) is not None


class WithoutNetwork(Scorer):
    """Learns and scores by statistics alone, whatever the bundle holds."""

    judge = None


def with_judge(scorer: Scorer, *, model: Callable[..., bytes], seed: int) -> Scorer:
    """The scorer with `model(the judge's graph, seed=...)` in the place of the judge that it has."""
    known: Any = scorer.judge
    found = Scorer(scorer.session, expecting=scorer.expecting)
    found.judge = replace(  # what was learnt with one judge means nothing to another
        known, ask=_asked(model(scorer.bundle.judge.model, seed=seed)), identity=seed
    )
    return found


def _asked(graph: bytes) -> Callable[..., tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """A judge's graph as the agent asks it."""
    import onnxruntime as ort  # noqa: PLC0415  only where another network is asked for

    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    def ask(
        channels: NDArray[np.float32], machine: NDArray[np.float32], present: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        given = {"channels": channels, "machine": machine, "present": present}
        logit, of_channels = session.run(["logit", "channel_logits"], given)
        return logit, of_channels

    return ask


def _scrambled(graph: bytes, *, seed: int) -> bytes:
    """The graph with the numbers of each weight in random order: nothing learnt is left but how large they are.

    The scales of its inputs stay: they belong to the features. Those of channels are in the first layer (`JointJudge`)
    and are taken out of it before and put back after.
    """
    import onnx  # noqa: PLC0415  only where the ablation is asked for
    from onnx import numpy_helper  # noqa: PLC0415

    model, rng = onnx.load_from_string(graph), np.random.default_rng(seed)
    known = {weight.name: numpy_helper.to_array(weight) for weight in model.graph.initializer}
    mean, spread = _channel_scales(known)
    if _FIRST in known:
        known[_BIAS] = known[_BIAS] + (mean @ known[_FIRST])[:, 0]
        known[_FIRST] = known[_FIRST] * np.swapaxes(spread, 2, 3)
    for name, values in known.items():
        if values.dtype == np.float32 and values.size > 1 and not name.endswith(_SCALES):
            known[name] = rng.permutation(values.ravel()).reshape(values.shape)
    if _FIRST in known:
        known[_FIRST] = known[_FIRST] / np.swapaxes(spread, 2, 3)
        known[_BIAS] = known[_BIAS] - (mean @ known[_FIRST])[:, 0]
    for weight in model.graph.initializer:
        weight.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(known[weight.name]), weight.name))
    written: bytes = model.SerializeToString(deterministic=True)
    return written


def _channel_scales(known: Mapping[str, NDArray[Any]]) -> tuple[NDArray[Any], NDArray[Any]]:
    """What the first layer normalises channels by, up to a factor, [J, 1, 1, F] each; 0 and 1 where it does not."""
    if _FIRST not in known:
        return np.zeros((1, 1, 1, 1), np.float32), np.ones((1, 1, 1, 1), np.float32)
    return (known["least"] + known["most"]) / 2, (known["most"] - known["least"]) / 2


def untrained(scorer: Scorer, *, seed: int = 0) -> Scorer:
    """A model of the same shape with random weights, exported as any other."""
    import torch  # noqa: PLC0415  only where the ablation is asked for
    from edge_trainer.bundle.export import Identity, write_bundle  # noqa: PLC0415
    from edge_trainer.network.network import Network  # noqa: PLC0415

    manifest = scorer.bundle.manifest
    torch.manual_seed(seed)
    network = Network(
        architecture=manifest.architecture,
        window_rows=manifest.window_rows,
        embedding_dim=manifest.embedding_dim,
    )
    identity = Identity(name="untrained", version="0", created="", training={}, measures={}, card="untrained")
    with tempfile.TemporaryDirectory() as parent:
        written = write_bundle(Path(parent), network, identity, seed=seed)
        return Scorer.load(bundle.read(written), provider="cpu")
