"""A pre-trained network's judgement of a window relative to the machine's own normal rows.

It was trained on thousands of other machines, with injected faults and benign changes, to tell the two apart by
`context_features`; of this machine it is told only what those say. Listed after nearest neighbours and Mahalanobis,
whose raw scores it reads. What it says has a scale of its own, see `judge`.

Axes: B windows, C channels, W normal windows.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge_agent.detect.context_features import (
    DESCRIPTORS,
    Context,
    features,
    features_of_normal,
    learn,
    masked,
)
from edge_agent.detect.detector import Detector, DueWindows, NormalWindows, RawScore
from edge_agent.detect.judge import LOGIT, STRANGENESS, UNKNOWN, Judge
from edge_agent.signals.features import Float32

_SILENT = -1e30
"""Logit of a channel that was not observed, so that it takes no share."""


class InContext(Detector[Context]):
    """The logit that a window is of a fault, and how unlike the network's own machines this one is."""

    name = "in_context"
    scores = (LOGIT, STRANGENESS)
    memory = Context
    sums_over_channels = False

    def fit(self, normal: NormalWindows) -> tuple[Context, dict[str, Float32]] | None:
        """Remember the machine; None for windows of other lengths than the network reads.

        Each normal window is judged by memories without its own rows, of those beyond a thousand every n-th; the
        windows after one that is judged count as it does.
        """
        learnt = learn(normal)
        if learnt is None:
            return None
        memory, found, looked_at = learnt
        if normal.judge is None:
            return memory, {}
        channels, machine = features_of_normal(memory, found)
        present = normal.present(normal.scales.lengths[-1])[looked_at]
        logit, _, strange = _judged(normal.judge, channels, machine, present)
        latest = np.searchsorted(looked_at, np.arange(len(normal.ends)), side="right") - 1
        return memory, {LOGIT: logit[latest], STRANGENESS: strange[latest]}

    def score(self, memories: Sequence[Context], windows: DueWindows) -> dict[str, RawScore]:
        """The logit with the channels' shares in it; nothing without a network."""
        if windows.judge is None:
            return {}
        channels, machine = features(memories, windows)
        logit, shares, strange = _judged(windows.judge, channels, machine, windows.present)
        return {LOGIT: RawScore(logit, shares), STRANGENESS: RawScore(strange, np.zeros_like(shares))}

    def compact(self, memory: Context) -> Context:
        """The remembered windows packed into bytes."""
        return memory.packed()

    def mask(self, memory: Context, channels: NDArray[np.int64], *, n_channels: int) -> Context:
        """The channels that can be seen."""
        return masked(memory, channels, n_channels=n_channels)

    def numbers(self, memory: Context) -> int:
        """A distance to each remembered window of each channel in each view."""
        return int(memory.square.size)


def _judged(
    judge: Judge, channels: Float32, machine: Float32, present: NDArray[np.bool_]
) -> tuple[Float32, Float32, Float32]:
    """(logits [B], the channels' shares [B, C], strangeness [B]); an answer that is no number is no answer."""
    logit, of_channels = judge.ask(channels, machine, present)
    strange = judge.strangeness(machine[:, DESCRIPTORS], present)
    told = np.isfinite(logit)
    if not told.all():
        strange, logit = np.where(told, strange, np.float32(UNKNOWN)), np.where(told, logit, np.float32(0.0))
    heard = np.where(present, np.nan_to_num(of_channels), np.float32(_SILENT))
    raised = np.exp(heard - heard.max(axis=1, keepdims=True)) * present
    shares = raised / np.maximum(raised.sum(axis=1, keepdims=True), np.float32(1e-30))
    return logit, shares.astype(np.float32, copy=False), strange
