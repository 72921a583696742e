"""The networks of the judge in a bundle, read from its graph: a bundle keeps no other form of the weights.

The graph names its constants as `JointJudge` does. What was read is believed only if it answers as the bundle's golden
answers say.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from edge_agent.errors import TrainingError
from edge_agent.model import bundle
from edge_agent.model.judge import BundledJudge
from edge_trainer.in_context.network import JointJudge, JudgeNetwork, parted
from edge_trainer.in_context.threshold import Limits


@dataclass(frozen=True, slots=True)
class Shipped:
    """A bundle's judge, ready to go on learning.

    Attributes:
        bundled: as it lies in the bundle.
        networks: that it is the mean of.
    """

    bundled: BundledJudge
    networks: tuple[JudgeNetwork, ...]

    @property
    def limits(self) -> Limits:
        """Its thresholds."""
        entry = self.bundled.entry
        few = entry.threshold if entry.few_rows_threshold is None else entry.few_rows_threshold
        return Limits(few, entry.threshold)


def read(path: Path, *, dropout: float) -> Shipped:
    """The judge of the bundle in `path`; `dropout` is that of its further training.

    Raises:
        BundleError: there is no bundle. TrainingError: it has no judge, or one that was not written by this trainer.
    """
    bundled = bundle.read(path).judge
    if bundled is None:
        raise TrainingError(f"{path} has no judge that could learn from a site: name a bundle that has one")
    try:
        networks = parted(_constants(bundled.model), dropout=dropout)
    except (KeyError, RuntimeError, IndexError) as error:
        raise TrainingError(f"{path}: its judge was not written by this trainer: {error}") from error
    _check(bundled, networks)
    return Shipped(bundled, tuple(networks))


def _constants(raw: bytes) -> dict[str, torch.Tensor]:
    """By their names; one that an output of the graph has as well was numbered, and one of two equal ones kept."""
    graph = onnx.load_from_string(raw).graph
    known = {each.name.partition(".")[0]: numpy_helper.to_array(each) for each in graph.initializer}
    for node in graph.node:
        if node.op_type == "Identity" and node.input[0] in known:
            known[node.output[0]] = known[node.input[0]]
    return {name: torch.tensor(array) for name, array in known.items() if array.ndim > 1}


@torch.no_grad()
def _check(bundled: BundledJudge, networks: Sequence[JudgeNetwork]) -> None:
    """Answer the bundle's golden windows.

    Raises:
        TrainingError: the answers differ by more than the bundle allows.
    """
    golden = bundled.golden
    given = (golden.channels, golden.machine, golden.present)
    answers = JointJudge(networks)(*(torch.from_numpy(array) for array in given))
    for answer, wanted in zip(answers, (golden.logit, golden.channel_logits), strict=True):
        off = float(np.abs(answer.numpy() - wanted).max())
        if not off <= bundled.entry.golden_tolerance * max(1.0, float(np.abs(wanted).max())):
            raise TrainingError(
                f"{bundled.path}: what was read from it answers otherwise than it, by {off:.2g}"
            )
