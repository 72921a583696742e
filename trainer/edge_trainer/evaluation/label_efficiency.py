"""How many labelled windows a class the pre-trained embeddings need, before any fine-tuning. Trains nothing.

Windows are named by the nearest labelled one, features in units of their spread over all training windows, which needs
no label. It is what labels are worth with the encoder as it came; the head has them all.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_agent.records import Float32
from edge_trainer.evaluation import measures

COUNTS = (1, 2, 4, 8, 16, 32)
"""Labelled windows of each class."""
_DRAWS = 20


@dataclass(frozen=True, slots=True)
class Point:
    """Macro-F1 on held-out windows with so many labels: the mean of the draws, the worst and the best."""

    labels_per_class: int
    macro_f1: float
    lowest: float
    highest: float


@dataclass(frozen=True, slots=True)
class Embedded:
    """Windows as the encoder sees them: embedding [N, D] and class [N]."""

    embedding: Float32
    target: NDArray[np.int64]


def curve(
    training: Embedded, held_out: Embedded, *, seed: int, counts: Sequence[int] = COUNTS
) -> list[Point]:
    """Macro-F1 by the number of labelled windows a class, for the numbers that every class has.

    Args:
        training: windows to draw labels from.
        held_out: windows to name.
        seed: of the draws.
        counts: labelled windows of each class.
    """
    classes = np.unique(training.target)
    spread = np.maximum(training.embedding.std(axis=0), 1e-6)
    known, asked = training.embedding / spread, held_out.embedding / spread
    square = np.einsum("nd,nd->n", known, known)
    distance = (
        square[np.newaxis] - 2.0 * asked @ known.T
    )  # [held out, training] but for the asked one's own square
    most = min(int(np.count_nonzero(training.target == one)) for one in classes)
    n_classes = 1 + int(max(training.target.max(), held_out.target.max()))
    rng = np.random.default_rng(seed)
    found = []
    for count in counts:
        if count > most:
            break
        scores = []
        for _ in range(_DRAWS):
            drawn = np.concatenate(
                [rng.choice(np.flatnonzero(training.target == one), count, replace=False) for one in classes]
            )
            said = training.target[drawn[distance[:, drawn].argmin(axis=1)]]
            scores.append(measures.macro_f1(measures.confusion(said, held_out.target, n_classes=n_classes)))
        found.append(Point(count, float(np.mean(scores)), min(scores), max(scores)))
    return found
