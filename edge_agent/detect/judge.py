"""The judge that a bundle may have, and how what it says becomes a score: 1 is the threshold, as of all scores.

A pre-trained network says of a window "fault or not" as a logit (`detectors.in_context`). The number from which that
alarms comes with the network, set on machines that it never saw; what a machine's own normal windows ask for may only
raise it. On a machine that is unlike all that the network was trained on it is not heard: the statistics decide.

Axes: B windows, C channels, F features of a channel, G features of the machine, D descriptors of the machine.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_agent.model.judge import BundledJudge
from edge_agent.model.lazy_arrays import Lazy, held
from edge_agent.signals.features import Float32

Ask = Callable[[Float32, Float32, NDArray[np.bool_]], tuple[Float32, Float32]]
"""(channels [B, C, F], machine [B, G], present [B, C]) -> (logits of windows [B], of their channels [B, C])."""


class Objection(NamedTuple):
    """How the statistics object to a network that hears a fault: what hardly differs from normal is hardly one.

    They hardly speak for an alarm: a machine that wanders off in peace is far above their threshold, and the
    network has learnt to tell the two apart.

    Attributes:
        weight: logits that each e-fold below takes away.
        below: logarithm of what the statistics come to, in their threshold, below which they object.
        loud: times their threshold from which they alarm whatever the network says.
        steps: logits below the alarm's threshold from which a plain step of a channel (`jump`) counts by itself; where
            the network says less, it is one of those that machines make in peace.
        bound: logits that they add at most, half a logit for each e-fold above their threshold.
        lift: logits that an alarm takes more than the bundle's threshold says.
        sink: logits that each e-fold below e times their threshold takes away besides where nothing alarms: no alarm
            changes by that, but the order in which the other windows stand.
    """

    weight: float
    below: float
    loud: float
    steps: float
    bound: float
    lift: float
    sink: float


LOGIT, STRANGENESS = "in_context", "in_context_strangeness"
"""Raw scores of the judge's detector: what it says, and how unlike its own machines this one is (1: too far)."""
DESCRIPTORS = "in_context_descriptors"
"""Array of a machine: what it is like, [D]."""
THRESHOLD = "in_context_threshold"
"""Array of a machine: the alarm's threshold that it was found to need, and the judge that it is of, [2]."""
MANY_ROWS = 1000
"""Normal rows from which a network is believed sooner: of fewer it knows little of how a machine wanders."""
STATISTICS_FROM_ROWS = 3000
"""Normal rows from which the statistics know a machine: of fewer, their own threshold is too low by far."""
OBJECTIONS = (
    Objection(weight=1.0, below=0.5, loud=np.inf, steps=0.5, bound=0.0, lift=0.2, sink=1.0),
    Objection(weight=2.0, below=1.0, loud=np.inf, steps=0.5, bound=0.0, lift=0.0, sink=0.0),
    Objection(weight=1.0, below=0.0, loud=20.0, steps=1.0, bound=0.5, lift=0.0, sink=2.0),
)
"""Of the statistics, on machines that were learnt from less than `MANY_ROWS`, from less than `STATISTICS_FROM_ROWS` and
from more. Chosen on simulated machines that no network saw and on unscored recordings of other domains."""
SHY_FROM, SHYNESS = 0.5, 3.0
"""Strangeness of a machine from which its threshold is lower, and logits a unit of it: a network is shy of what it
hardly knows, in calm hours and in faults alike."""
FAR, FAR_STEPS = 20.0, 0.8
"""Times their threshold that is far above it: a plain step is then heard so many logits lower still."""
STATE_WEIGHT = 2.0
"""Of the logarithm of the newest rows' Mahalanobis distance, in what ends a state."""
UNKNOWN = 1e6
"""Strangeness of what cannot be judged at all."""
LEAST_VALUE = 1e-3
"""Below this the statistics say no less: a logarithm has no end."""
_FOR = 0.5
"""Logits that the statistics add for each e-fold above their threshold, up to the bound."""
_NEAR = 1.0
"""Logarithm of what the statistics come to, in their threshold, below which a window that does not alarm sinks."""
_LEAST_EXCESS = 0.05
_LOGITS_A_FOLD = 3.0
"""So many logits more are a score e times as large."""
_LARGEST_LOGIT = 30.0


@dataclass(frozen=True, slots=True)
class Judge:
    """A pre-trained network, and what its bundle says of it.

    Attributes:
        ask: the network.
        threshold, few_rows_threshold: logits from which a window alarms on machines that were learnt from many rows and
            from few (`MANY_ROWS`). state_threshold: from which its newest rows do.
        descriptors, descriptor_spread: [D] mean and standard deviation of the machines that it was trained on.
        familiar: mean |z| of descriptors up to which a machine is like them.
        identity: of the network.
    """

    ask: Ask
    threshold: float
    few_rows_threshold: float
    state_threshold: float
    descriptors: Float32
    descriptor_spread: Float32
    familiar: float
    identity: int

    @classmethod
    def of(cls, bundled: BundledJudge, ask: Ask) -> "Judge":
        """The judge of a bundle, asked by `ask`."""
        entry = bundled.entry
        return cls(
            ask=ask,
            threshold=entry.threshold,
            few_rows_threshold=entry.threshold
            if entry.few_rows_threshold is None
            else entry.few_rows_threshold,
            state_threshold=entry.state_threshold,
            descriptors=np.array(entry.descriptors, np.float32),
            descriptor_spread=np.array(entry.descriptor_spread, np.float32),
            familiar=entry.familiar,
            identity=bundled.identity,
        )

    def strangeness(self, descriptors: Float32, present: NDArray[np.bool_]) -> Float32:
        """How unlike the judge's own machines those of windows are [B], 1 being the most that is familiar.

        Args:
            descriptors: [B, D].
            present: [B, C]; where no channel was observed there is nothing to judge.
        """
        return np.where(present.any(axis=-1), self._strange(descriptors), np.float32(UNKNOWN))

    def _strange(self, descriptors: Float32) -> Float32:
        """The same where all is there, descriptors [..., D] -> [...]."""
        z = np.abs((descriptors - self.descriptors) / self.descriptor_spread)
        return np.asarray(z.sum(axis=-1) * np.float32(1.0 / (z.shape[-1] * self.familiar)), np.float32)

    def limits(self, arrays: Mapping[str, NDArray[Any] | Lazy], *, rows: float) -> Float32:
        """Threshold of alarm and state, and the statistics' objection, of a machine learnt from so many rows, [9].

        The alarm's is lower on a machine that is hardly like those of the training. The state's is raised with the
        alarm's; one that was learnt with another judge means nothing.
        """
        least = self.threshold if rows >= MANY_ROWS else self.few_rows_threshold
        if (described := arrays.get(DESCRIPTORS)) is not None:
            strange = float(self._strange(np.asarray(held(described), np.float32)))
            least -= SHYNESS * min(max(strange - SHY_FROM, 0.0), 1.0 - SHY_FROM)
        alarm = least
        if (known := arrays.get(THRESHOLD)) is not None:
            raised, identity = held(known).tolist()
            alarm = max(alarm, raised) if int(identity) == self.identity else alarm
        state = self.state_threshold + (alarm - least)
        return np.array([alarm, state, *objection(rows)], np.float32)


def objection(rows: float) -> Objection:
    """That of the statistics on a machine that was learnt from so many rows."""
    return OBJECTIONS[(rows >= MANY_ROWS) + (rows >= STATISTICS_FROM_ROWS)]


def alarm_logit(logit: Float32, value: Float32, *, objection: Float32) -> Float32:
    """What is held against the alarm's threshold: logits [B] and what the statistics come to [B], 1 their threshold.

    `objection` is the statistics', [7] or [B, 7].
    """
    told = np.log(np.maximum(value, np.float32(LEAST_VALUE)))
    weight, below, bound, lift = (objection[..., at] for at in (0, 1, 4, 5))
    against = weight * np.minimum(told - below, np.float32(0.0))
    in_favour = np.clip(np.float32(_FOR) * told, np.float32(0.0), bound)
    return np.asarray(_bounded(logit) + against + in_favour - lift, np.float32)


def ordered(alarm: Float32, threshold: Float32, value: Float32, *, objection: Float32) -> Float32:
    """The alarm's logits [B], those below the threshold by what the statistics come to, too."""
    told = np.log(np.maximum(value, np.float32(LEAST_VALUE))) - np.float32(_NEAR)
    sunk = alarm + objection[..., 6] * np.minimum(told, np.float32(0.0))
    return np.asarray(np.where(alarm < threshold, sunk, alarm), np.float32)


def state_logit(logit: Float32, shape: Float32) -> Float32:
    """The same of the newest rows alone: `shape` is their Mahalanobis distance, 0 the normal median, 1 the 99 % point.

    A window remembers a fault until its last row has left it, so the state ends by what sees 16 rows only.
    """
    least = np.maximum(shape, np.float32(_LEAST_EXCESS))
    return np.asarray(_bounded(logit) + np.float32(STATE_WEIGHT) * np.log(least), np.float32)


def value_of(logit: Float32, threshold: Float32) -> Float32:
    """A logit as a score, 1 at the threshold."""
    found: Float32 = np.exp((logit - threshold) / np.float32(_LOGITS_A_FOLD)).astype(np.float32)
    return found


def _bounded(logit: Float32) -> Float32:
    found: Float32 = np.clip(logit, -_LARGEST_LOGIT, _LARGEST_LOGIT).astype(np.float32)
    return found
