"""The agent with other networks in it, random weights or none: what the shipped one is worth shows beside them.

A switch that methods are built with, `judge`, names one: "shipped", "none", "random:SEED".
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from edge_agent.detect.scorer import Scorer
from edge_agent.model import bundle

AGENT = "edge-agent"
LEFT_OUT = f"{AGENT}, kind left out"
NO_NETWORK, RANDOM = f"{AGENT}, no network", f"{AGENT}, random weights"
SHIPPED, NONE = "shipped", "none"
RANDOM_DRAWS = 3


def judged(scorer: Scorer, judge: str = SHIPPED) -> Scorer:
    """The scorer with the network that `judge` names."""
    if judge == SHIPPED:
        return scorer
    if judge == NONE:
        return WithoutNetwork(scorer.session, ranking=scorer.ranking, expecting=scorer.expecting)
    return untrained(scorer, seed=int(judge.removeprefix("random:")))


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
