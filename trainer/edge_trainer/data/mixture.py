"""What pre-training draws from: recordings as a stream, simulated signals in memory, and what of both is held out.

Whole signals are held out, of recordings those of whole pieces (`edge_trainer.data.pieces`).
"""

from dataclasses import dataclass

import numpy as np

import simulator
from edge_agent.errors import TrainingError
from edge_agent.signals.spectrum import SpectralFrames
from edge_trainer.config import Config, PretrainSection
from edge_trainer.data import pieces, shuffle_buffer, synthetic, windows
from edge_trainer.data.manifest import DataManifest
from edge_trainer.data.shuffle_buffer import Stream
from edge_trainer.data.windows import Signals
from edge_trainer.training import parallel

_HELD_OUT_SHARE = 0.1
_PLANT_RATES_HZ = (0.2, 0.5, 1.0, 2.0)
_CHUNK_SIGNALS = 2000

# At a rate of 1: what is simulated is in shares of the sampling rate.
_VIBRATION_FRAMES = tuple(
    SpectralFrames.of_blocks(block_samples, rate_hz=1.0, rows=32) for block_samples in (4096, 4096, 1024, 400)
)
_VIBRATION_ROWS = 320

Sources = list[tuple[float, Signals]]
"""Signals with their shares of a batch."""


@dataclass(frozen=True, slots=True)
class Material:
    """All of it.

    Attributes:
        recordings: (share, stream), or None.
        generated: simulated signals to train on.
        held_out: of both.
        manifest: of the recordings' files.
    """

    recordings: tuple[float, Stream] | None
    generated: Sources
    held_out: Sources
    manifest: DataManifest

    def at(self, step: int) -> Sources:
        """What a step draws from.

        Raises:
            RecordingError: a recording cannot be read (any more).
        """
        if self.recordings is None:
            return self.generated
        share, streamed = self.recordings
        there = streamed.signals_at(step)
        total = sum(len(signals.values) for signals in there)
        return [*((share * len(signals.values) / total, signals) for signals in there), *self.generated]

    def told(self) -> list[str]:
        """What is trained on, a line a source."""
        lines = [
            f"{len(signals)} signals: {', '.join(np.unique(signals.kind))}" for _, signals in self.generated
        ]
        if self.recordings is None:
            return lines
        return [self.recordings[1].told(), self.manifest.told(), *lines]


def gather(config: Config) -> Material:
    """Look through the recordings, simulate the rest, and hold a part of each out.

    Raises:
        TrainingError: nothing to train on. RecordingError: a recording cannot be used.
    """
    settings, seed = config.pretrain, config.run.seed
    pairs = [
        (share, windows.split_signals(signals, held_out_share=_HELD_OUT_SHARE, seed=seed))
        for share, signals in _generated(settings, seed=seed)
    ]
    generated = [(share, pair[0]) for share, pair in pairs]
    held_out = [(share, pair[1]) for share, pair in pairs]
    share = settings.recordings_share
    if not settings.recordings or share == 0:
        if not generated:
            raise TrainingError("there is nothing to train on: no recordings, and all other shares are 0")
        return Material(None, generated, held_out, DataManifest({}))
    manifest = DataManifest.of(windows.find_all(config.run.data, settings.recordings), root=config.run.data)
    plan = shuffle_buffer.plan(config, held_out_share=_HELD_OUT_SHARE)
    of_all = share / (share + sum(other for other, _ in generated))
    values_a_step = settings.batch_windows * settings.window_rows * of_all
    streamed = Stream(
        plan,
        seed=seed,
        rank=parallel.rank(),
        steps_a_slice=max(1, round(plan.slice_values / values_a_step)),
        readers=settings.readers,
    )
    held_out = [(share, pieces.signals(plan.held_out)), *held_out]
    return Material((share, streamed), generated, held_out, manifest)


def _generated(settings: PretrainSection, *, seed: int) -> Sources:
    sources: Sources = []
    if settings.synthetic_share > 0:
        sources.append((settings.synthetic_share, _synthetic(settings, seed=seed)))
    if settings.plant_share > 0:
        sources.append((settings.plant_share, _plant(settings, seed=seed)))
    if settings.vibration_share > 0:
        sources.append((settings.vibration_share, _vibration(settings, seed=seed)))
    return sources


def _synthetic(settings: PretrainSection, *, seed: int) -> Signals:
    rng = np.random.default_rng([seed, 1])
    counts = [
        min(_CHUNK_SIGNALS, settings.synthetic_signals - at)
        for at in range(0, settings.synthetic_signals, _CHUNK_SIGNALS)
    ]
    rows = [synthetic.windows(rng, count=count, length=settings.signal_rows) for count in counts]
    if settings.drift:
        rows = [synthetic.laid_under(rng, part) for part in rows]
    return windows.signals_of_rows(np.concatenate(rows), kind="synthetic")


def _plant(settings: PretrainSection, *, seed: int) -> Signals:
    """Every channel of faultless runs of every kind of machine, at several sampling rates."""
    parts = []
    for name in simulator.MEASURED_KINDS:
        for number in range(settings.plant_runs):
            made = simulator.simulate(
                name,
                rows=settings.plant_rows,
                seed=1000 * seed + number,
                rate_hz=_PLANT_RATES_HZ[number % len(_PLANT_RATES_HZ)],
            )
            moving = made.values.std(axis=0) > 0
            parts.append(windows.signals_of_rows(made.values.T[moving], kind=name))
    return windows.joined(parts)


def _vibration(settings: PretrainSection, *, seed: int) -> Signals:
    """Every band of the spectral frames of simulated machines, at several lengths of frame."""
    rng = np.random.default_rng([seed, 2])
    parts = []
    for number in range(settings.vibration_runs):
        frames = _VIBRATION_FRAMES[number % len(_VIBRATION_FRAMES)]
        n_samples = frames.frame_samples + (_VIBRATION_ROWS - 1) * frames.hop_samples
        samples = synthetic.vibration(rng, n_samples=n_samples)
        parts.append(windows.signals_of_rows(frames.rows(samples[:, None]).T, kind="vibration"))
    return windows.joined(parts)
