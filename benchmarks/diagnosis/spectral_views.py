"""Blocks of fast samples as the spectral encoder describes them, and what it is compared with; no set is known here.

The encoder is what `make spectral` left in `runs/spectral`; the untrained one has its shape and random weights.

Axes: M blocks, S samples of a block, A axes, C channels of the spectral frames, T frames, F numbers.
"""

import functools
from collections.abc import Callable, Mapping

import numpy as np
from edge_trainer.bundle.export import FOLDER, find_bundle
from numpy.typing import NDArray

from benchmarks import ROOT
from benchmarks.detection.networks import untrained
from edge_agent.detect.scorer import Scorer
from edge_agent.model import bundle
from edge_agent.signals.features import scales, signed_log
from edge_agent.signals.spectrum import SpectralFrames

Floats = NDArray[np.float32]
See = Callable[..., Floats]
ROWS = 32
RUN = ROOT / "runs/spectral"
_LEAST_SPREAD = 0.05
_STEP = 256


@functools.cache
def encoder(*, trained: bool) -> Scorer:
    """The spectral encoder, or one of its shape with random weights.

    Raises:
        TrainingError: `make spectral` was not run.
    """
    scorer = Scorer.load(bundle.read(find_bundle(RUN)), provider="cpu")
    return scorer if trained else untrained(scorer)


def frames_of(samples: Floats, *, rate_hz: float) -> Floats:
    """Blocks [M, S, A] -> spectral frames [M, C, T]."""
    frames = SpectralFrames.of_blocks(samples.shape[1], rate_hz=rate_hz, rows=ROWS)
    return np.stack([frames.rows(block)[:ROWS].T for block in samples])


def embeddings(samples: Floats, reference: NDArray[np.bool_], *, rate_hz: float, trained: bool) -> Floats:
    """What the encoder says of blocks [M, S, A], [M, C * D], relative to those of `reference` [M]."""
    frames = frames_of(samples, rate_hz=rate_hz)
    place = scales(frames[reference].transpose(0, 2, 1).reshape(-1, frames.shape[1]))
    scorer = encoder(trained=trained)
    parts = [
        scorer.encode(frames[at : at + _STEP], place["location"], place["scale"]).embedding
        for at in range(0, len(frames), _STEP)
    ]
    return _relative(np.concatenate(parts).reshape(len(frames), -1), reference)


def frame_means(samples: Floats, reference: NDArray[np.bool_], *, rate_hz: float) -> Floats:
    """Mean and spread of each band's frames [M, 2 * C]: the same input without an encoder."""
    frames = frames_of(samples, rate_hz=rate_hz)
    return _relative(np.concatenate([frames.mean(axis=2), frames.std(axis=2)], axis=1), reference)


def _relative(found: Floats, reference: NDArray[np.bool_]) -> Floats:
    normal = found[reference]
    spread = np.maximum(normal.std(axis=0), _LEAST_SPREAD)
    return signed_log(((found - normal.mean(axis=0)) / spread).astype(np.float32))


VIEWS: Mapping[str, See] = {
    "spectral frames, no encoder": frame_means,
    "spectral frames, untrained encoder": functools.partial(embeddings, trained=False),
    "spectral frames, pre-trained encoder": functools.partial(embeddings, trained=True),
}


def views() -> Mapping[str, See]:
    """`VIEWS`, without the encoders' where `make spectral` was not run."""
    made = any((RUN / FOLDER).glob(f"*/{bundle.MANIFEST}"))
    return {name: see for name, see in VIEWS.items() if made or see is frame_means}
