"""Recordings as blocks: what is learnt, what is good and what is faulty, with the faulty ones by condition.

No block is in two places. Where a condition is one recording, its first half is learnt and its second half judged.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benchmarks.diagnosis.datasets import read_index, read_rows
from edge_agent.records import Float32

_MOST = 120
"""Blocks of one condition that take part, evenly spread."""
_FAN_SPEEDS = ("low", "med", "high")
_BEARING_RPM = "1797"
_BEARING_SAMPLES, _FAN_SAMPLES = 4096, 400


@dataclass(frozen=True, slots=True)
class SoundSet:
    """Blocks [N, S, A] of S samples and A axes.

    Attributes:
        rate_hz: samples per second; 1 where nobody knows.
        faulty: by condition.
    """

    name: str
    rate_hz: float
    learnt: Float32
    good: Float32
    faulty: Mapping[str, Float32]


def datasets(data: Path) -> Iterator[SoundSet]:
    """All of them."""
    yield from fans(data)
    yield bearings(data)
    yield from engines(data)


def fans(data: Path) -> Iterator[SoundSet]:
    """A ceiling fan at three speeds; faulty: a weight at one blade. Each condition was mounted and recorded once."""
    for speed in _FAN_SPEEDS:
        plain, weighed = (
            _cut(
                read_rows(data / "fan_accel" / f"fan_0_{speed}_{weight}_weight.parquet")[0][:, :3],
                _FAN_SAMPLES,
            )
            for weight in (0, 1)
        )
        half = len(plain) // 2
        yield SoundSet(
            f"fan_accel {speed}", 200.0, _some(plain[:half]), _some(plain[half:]), {"weight": _some(weighed)}
        )


def bearings(data: Path) -> SoundSet:
    """Bearings of one test rig at one speed and 12 kHz: inner race, ball and outer race, each of several sizes."""
    rows = [
        row for row in read_index(data / "cwru") if row["family"] == "DE12" and row["rpm"] == _BEARING_RPM
    ]
    found: dict[str, list[Float32]] = {}
    for row in rows:
        samples = pq.read_table(data / "cwru" / row["file"])["DE_acc"].to_numpy().astype(np.float32)
        fault = row["fault"].split("@")[0]
        faulty = fault in ("IR", "B", "OR")
        found.setdefault(f"{fault} {row['dia_mil']}" if faulty else "", []).append(
            _cut(samples[:, np.newaxis], _BEARING_SAMPLES)
        )
    normal = np.concatenate(found.pop(""))
    half = len(normal) // 2
    faulty_blocks = {name: _some(np.concatenate(parts)) for name, parts in sorted(found.items())}
    return SoundSet("cwru", 12_000.0, normal[:half], normal[half:], faulty_blocks)


def engines(data: Path) -> Iterator[SoundSet]:
    """Engine noise with and without a symptom; nobody says which class is which, so each is learnt once."""
    parts = [np.load(data / "ford_a" / f"FordA_{part}.npz") for part in ("TRAIN", "TEST")]
    for normal in (-1, 1):
        train, test = (
            {label: part["X"][part["y"] == label].astype(np.float32)[..., np.newaxis] for label in (-1, 1)}
            for part in parts
        )
        yield SoundSet(
            f"ford_a {normal:+d} learnt", 1.0, _some(train[normal], 4 * _MOST), _some(test[normal], 2 * _MOST),
            {"other": _some(test[-normal], 2 * _MOST)},
        )  # fmt: skip


def _cut(samples: Float32, size: int) -> Float32:
    found: Float32 = samples[: len(samples) // size * size].reshape(-1, size, samples.shape[1])
    return found


def _some(blocks: Float32, most: int = _MOST) -> Float32:
    chosen: NDArray[np.int64] = np.unique(
        np.linspace(0, len(blocks) - 1, min(most, len(blocks))).astype(np.int64)
    )
    found: Float32 = blocks[chosen]
    return found
