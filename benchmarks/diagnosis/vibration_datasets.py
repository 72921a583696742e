"""High-rate recordings cut into labelled blocks by physical unit, each seen in several ways; no method is here.

Axes: M blocks, N of them labelled and chosen, S samples of a block, A axes of the sensor, F numbers.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.diagnosis.datasets import LabelledSet, Unlabelled, View, read_index, read_rows
from benchmarks.diagnosis.spectral_views import Floats, views
from edge_agent.signals.spectrum import ENVELOPE, describe_frames

CWRU_SAMPLES, CWRU_RATE_HZ = 4096, 12_000.0
FAN_SAMPLES, FAN_RATE_HZ = 400, 200.0
FAN_TURNING_HZ = 4.0  # about; the speed was not measured
_ROCKET_SAMPLES = 2048


@dataclass(frozen=True, slots=True)
class Blocks:
    """Blocks of all recordings of a set.

    Attributes:
        samples: [M, S, A]. hand: [M, F] what `describe_frames` says of them.
        label, unit, recording: [M]; label -1 and unit -1 for a normal recording that is no class.
        chosen: [N] the labelled blocks that take part, far enough from each other.
        normal: [M] whether a block may serve as the machine's normal, labels aside.
    """

    samples: Floats
    hand: Floats
    label: NDArray[np.int64]
    unit: NDArray[np.int64]
    recording: NDArray[np.int64]
    chosen: NDArray[np.int64]
    normal: NDArray[np.bool_]

    def view(self, relative: Floats, *, given_normal: bool) -> View:
        """Of described blocks [M, F]; their normal is the machine's own recording, or the normal training blocks."""
        follows = np.flatnonzero((self.recording[:-1] == self.recording[1:]) & (self.label[:-1] >= 0))

        def unlabelled(train: NDArray[np.int64]) -> Unlabelled:
            normal = self.normal if given_normal else self.normal & np.isin(self.unit, train)
            first = follows[np.isin(self.unit[follows], train)]
            return Unlabelled(relative[normal], np.stack([relative[first], relative[first + 1]], axis=1))

        return View(relative[self.chosen], unlabelled)


def cut_blocks(samples: Floats, size: int) -> Floats:
    """Samples [R, A] as whole blocks [M, S, A]."""
    return samples[: len(samples) // size * size].reshape(-1, size, samples.shape[1])


def _standard(found: Floats, against: Floats) -> Floats:
    return (found - against.mean(axis=0)) / np.maximum(against.std(axis=0), 0.1)


def cwru(data: Path) -> LabelledSet:
    """Bearings at 12 kHz: fault kind and diameter make a unit (one bearing, whatever its load and position)."""
    index = [row for row in read_index(data / "cwru") if row["family"] == "DE12"]
    kinds = ("IR", "B", "OR")
    bearings = sorted({(row["fault"].split("@")[0], row["dia_mil"]) for row in index})
    parts = []
    for number, row in enumerate(index):
        kind = row["fault"].split("@")[0]
        blocks = cut_blocks(read_rows(data / "cwru" / row["file"])[0][:, :1], CWRU_SAMPLES)
        hand = describe_frames(blocks[:, :, 0], rate_hz=CWRU_RATE_HZ, turning_hz=float(row["rpm"]) / 60.0)
        known = kind in kinds
        label = kinds.index(kind) if known else -1
        unit = bearings.index((kind, row["dia_mil"])) if known else -1
        parts.append((blocks, hand, label, unit, number, 3 if known else 0))
    blocks = _joined(parts, normal_label=-1)
    own = _standard(blocks.hand, blocks.hand[blocks.normal])[:, ENVELOPE]
    return _labelled("cwru", kinds, blocks, own, rate_hz=CWRU_RATE_HZ, given_normal=True)


def fan(data: Path) -> LabelledSet:
    """Ceiling fan with an accelerometer at 200 Hz, balanced or not: a unit is a recording, one for each speed."""
    index = [
        row
        for row in read_index(data / "fan_accel")
        if row["speed"] != "off" and row["moving"] in ("", "0") and "deploy" not in row["file"]
    ]
    speeds = sorted({row["speed"] for row in index})
    parts = []
    for number, row in enumerate(index):
        blocks = cut_blocks(
            read_rows(data / "fan_accel" / row["file"], but=("label", "window"))[0], FAN_SAMPLES
        )
        unit = 2 * speeds.index(row["speed"]) + int(row["fault"])
        parts.append((blocks, hand_spectra(blocks), int(row["fault"]), unit, number, 6))
    blocks = _joined(parts, normal_label=0)
    own = _standard(blocks.hand, blocks.hand)
    return _labelled("fan", ("balanced", "imbalanced"), blocks, own, rate_hz=FAN_RATE_HZ, given_normal=False)


def hand_spectra(blocks: Floats) -> Floats:
    """Hand-made spectral numbers of the fan's blocks [M, S, A] -> [M, A * N_NUMBERS]."""
    seen = [
        describe_frames(blocks[:, :, axis], rate_hz=FAN_RATE_HZ, turning_hz=FAN_TURNING_HZ)
        for axis in range(blocks.shape[2])
    ]
    return np.concatenate(seen, axis=1)


def _joined(parts: list[tuple[Floats, Floats, int, int, int, int]], *, normal_label: int) -> Blocks:
    """Of (blocks, hand, label, unit, recording, every so many is chosen; 0: none) a recording."""
    sizes = [len(part[0]) for part in parts]
    label, unit, recording = (np.repeat([part[at] for part in parts], sizes) for at in (2, 3, 4))
    chosen = [
        np.arange(size) % part[5] == 0 if part[5] else np.zeros(size, np.bool_)
        for size, part in zip(sizes, parts, strict=True)
    ]
    return Blocks(
        samples=np.concatenate([part[0] for part in parts]),
        hand=np.concatenate([part[1] for part in parts]),
        label=label,
        unit=unit,
        recording=recording,
        chosen=np.flatnonzero(np.concatenate(chosen)),
        normal=label == normal_label,
    )


def _labelled(
    name: str, names: tuple[str, ...], blocks: Blocks, own: Floats, *, rate_hz: float, given_normal: bool
) -> LabelledSet:
    """The set with the hand-made numbers as its own view, and those of `spectral_views.views`.

    Where the machine's normal is known it is the reference; else all recordings are.
    """
    reference = blocks.normal if given_normal else np.ones(len(blocks.normal), np.bool_)
    main = blocks.view(own, given_normal=given_normal)
    return LabelledSet(
        name=name,
        windows=blocks.samples[blocks.chosen, :_ROCKET_SAMPLES].transpose(0, 2, 1),
        simple=blocks.hand[blocks.chosen],
        described=main.described,
        labels=blocks.label[blocks.chosen],
        names=names,
        units=blocks.unit[blocks.chosen],
        test_units=None,
        unlabelled=main.unlabelled,
        views={
            view: blocks.view(see(blocks.samples, reference, rate_hz=rate_hz), given_normal=given_normal)
            for view, see in views().items()
        },
    )


HIGH_RATE: Mapping[str, Callable[[Path], LabelledSet]] = {"cwru": cwru, "fan": fan}
