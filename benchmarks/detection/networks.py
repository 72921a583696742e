"""The agent with other networks in it, random weights or none: what the shipped one is worth shows beside them.

A switch that methods are built with, `judge`, names one: "shipped", "none", "random:SEED". A bundle may hold two
networks: the judge, which decides, and the encoder. Where there is a judge, it is the one that is replaced, at the
bundle's threshold and with what a machine's own normal windows ask for on top.
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
SHIPPED, NONE = "shipped", "none"
RANDOM_DRAWS = 3
_SCALES = ("_mean", "_spread")
"""Endings of what a judge's inputs are normalised by."""


def judged(scorer: Scorer, judge: str = SHIPPED) -> Scorer:
    """The scorer with the network that `judge` names."""
    if judge == SHIPPED:
        return scorer
    if judge == NONE:
        return WithoutNetwork(scorer.session, expecting=scorer.expecting)
    seed = int(judge.removeprefix("random:"))
    return (
        with_judge(scorer, model=_scrambled, seed=seed) if decides(scorer) else untrained(scorer, seed=seed)
    )


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

    encode = None  # type: ignore[assignment]
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

    The scales of its inputs stay: they belong to the features.
    """
    import onnx  # noqa: PLC0415  only where the ablation is asked for
    from onnx import numpy_helper  # noqa: PLC0415

    model, rng = onnx.load_from_string(graph), np.random.default_rng(seed)
    for weight in model.graph.initializer:
        values = numpy_helper.to_array(weight)
        if values.dtype == np.float32 and values.size > 1 and not weight.name.endswith(_SCALES):
            mixed = rng.permutation(values.ravel()).reshape(values.shape)
            weight.CopyFrom(numpy_helper.from_array(mixed, weight.name))
    written: bytes = model.SerializeToString(deterministic=True)
    return written


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
