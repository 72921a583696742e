"""The judge of a bundle: a second, small network that says of a window "fault or not". Read and checked here, not run.

It is optional: a bundle without one is as good as ever, and its agent alarms by statistics alone. `judge.onnx` lies
beside the encoder, and `judge.npz` holds windows with the answers of the trainer's network.

Axes: B windows, C channels, F features of a channel, G features of the machine, D of these that describe the machine.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge_agent.errors import BundleError
from edge_agent.model.arrays import decode_arrays
from edge_agent.model.onnx_check import check_graph
from edge_agent.records import Float32

MODEL, GOLDEN = "judge.onnx", "judge.npz"
FILES = frozenset({MODEL, GOLDEN})
LIMITS_BYTES = {MODEL: 16 * 1024 * 1024, GOLDEN: 4 * 1024 * 1024}
INPUTS, OUTPUTS = ("channels", "machine", "present"), ("logit", "channel_logits")
FEATURES = "1"
"""Version of the features that this agent tells a judge (`detect.context_features`)."""
WIDTHS = (87, 17)
"""How many there are: of a channel, and of the machine."""
N_DESCRIPTORS = 10
"""The last features of the machine, which tell what was learnt of it."""
_GOLDEN_CELLS_LIMIT = 4096

_Finite = Annotated[float, msgspec.Meta(ge=-1e6, le=1e6)]


class JudgeEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a manifest says of the bundle's judge.

    Attributes:
        features: version of the features that it reads.
        threshold: logit from which a window alarms; set on machines that were held out of its training.
        few_rows_threshold: the same on machines that were learnt from few rows (`detect.judge`); left out: no other.
        state_threshold: the same of the newest rows alone, below which the state has ended.
        descriptors: [D] mean of the machine's descriptors over the machines that it was trained on.
        descriptor_spread: [D] their standard deviation, above 0.
        familiar: mean |z| of descriptors up to which a machine is like those; further off the judge is not heard.
        golden_tolerance: largest difference from the golden answers, relative to each array's size.
    """

    features: str
    threshold: _Finite
    few_rows_threshold: _Finite | None = None
    state_threshold: _Finite
    descriptors: tuple[_Finite, ...]
    descriptor_spread: tuple[Annotated[float, msgspec.Meta(gt=0, le=1e6)], ...]
    familiar: Annotated[float, msgspec.Meta(gt=0, le=1e6)]
    golden_tolerance: Annotated[float, msgspec.Meta(gt=0, le=1)] = 1e-3


class JudgeGolden(NamedTuple):
    """Features and what the trainer's network answered.

    Attributes:
        channels: [B, C, F]. machine: [B, G]. present: [B, C] channels that were observed.
        logit: [B]. channel_logits: [B, C].
    """

    channels: Float32
    machine: Float32
    present: NDArray[np.bool_]
    logit: Float32
    channel_logits: Float32


@dataclass(frozen=True, slots=True)
class BundledJudge:
    """A bundle's judge in memory, not yet started.

    Attributes:
        path: of its network, for messages.
        identity: of its network: what was learnt with one judge means nothing to another.
    """

    path: Path
    entry: JudgeEntry
    model: bytes
    golden: JudgeGolden
    identity: int


def read(path: Path, entry: JudgeEntry, contents: Mapping[str, bytes], *, sha256: str) -> BundledJudge:
    """The judge among a bundle's verified files; `path` is the bundle, `sha256` of its network's bytes.

    Raises:
        BundleError: it reads other features than this agent tells, or its files are not what they should be.
    """
    if entry.features != FEATURES:
        raise BundleError(
            path, f"its judge reads the features {ascii(entry.features)[:40]}, this agent tells {FEATURES!r}"
        )
    if not len(entry.descriptors) == len(entry.descriptor_spread) == N_DESCRIPTORS:
        raise BundleError(path, f"its judge must know {N_DESCRIPTORS} descriptors of machines")
    check_graph(path / MODEL, contents[MODEL])
    return BundledJudge(
        path=path / MODEL,
        entry=entry,
        model=contents[MODEL],
        golden=_decode_golden(path / GOLDEN, contents[GOLDEN]),
        identity=int(sha256[:8], 16),
    )


def _decode_golden(path: Path, raw: bytes) -> JudgeGolden:
    arrays = decode_arrays(path, raw, limit_bytes=2 * LIMITS_BYTES[GOLDEN])
    try:
        present = arrays.pop("present").astype(np.bool_)
        floats = {name: np.asarray(array, np.float32) for name, array in arrays.items()}
        golden = JudgeGolden(present=present, **floats)
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(path, f"has not the golden arrays of a judge: {error}") from error
    shape = golden.present.shape
    fits = (
        len(shape) == 2
        and 0 < math.prod(shape) <= _GOLDEN_CELLS_LIMIT
        and golden.channels.shape == (*shape, WIDTHS[0])
        and golden.machine.shape == (shape[0], WIDTHS[1])
        and golden.logit.shape == shape[:1]
        and golden.channel_logits.shape == shape
    )
    if not fits:
        raise BundleError(path, f"the golden arrays do not fit {WIDTHS[0]} and {WIDTHS[1]} features")
    return golden
