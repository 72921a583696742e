"""Nearest neighbours in the pre-trained encoder's space, each channel by itself.

It ranks but does not alarm: a slow drift moves the embedding too far.

Axes: B windows, W normal windows, C channels, M remembered windows, D embedding dimensions.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_agent.detect.detector import Detector, DueWindows, NormalWindows, RawScore
from edge_agent.detect.detectors.channel_neighbours import fit_channel_bank
from edge_agent.detect.reference_bank import Barred, excess, neighbours, norm
from edge_agent.signals.features import Float32

_LEAST_REACH = 0.1


class EmbeddingBank(NamedTuple):
    """Remembered embeddings of each channel.

    Attributes:
        bank: [C, M, D]. square: squared length of each, [C, M].
        usual, reach: normal distance of each channel and the way to its 99 % point, [C].
    """

    bank: Float32
    square: Float32
    usual: Float32
    reach: Float32

    def beyond(self, embedding: Float32) -> Float32:
        """How far embeddings [B, C, D] are beyond each channel's usual distance, [C, B]."""
        distance, _ = neighbours(np.swapaxes(embedding, 0, 1), self.bank, square=self.square)
        return excess(distance, usual=self.usual, reach=self.reach)


class EmbeddingNeighbours(Detector[EmbeddingBank]):
    """Distance of the embeddings to remembered ones."""

    name = "embedding"
    scores = ("embedding",)
    memory = EmbeddingBank
    sums_over_channels = False

    def fit(self, normal: NormalWindows) -> tuple[EmbeddingBank, dict[str, Float32]] | None:
        """Remember windows that are spread over the normal time; None without an encoder."""
        if normal.embedding is None:
            return None
        alone = np.ascontiguousarray(np.swapaxes(normal.embedding, 0, 1))[None]  # 1 C W D
        barred = Barred(normal.ends, normal.reference_channel, int(normal.scales.lengths[-1]))
        found, beyond = fit_channel_bank(alone, barred=[barred], kept=normal.kept, least_reach=_LEAST_REACH)
        memory = EmbeddingBank(found.bank[0], found.square[0], found.usual[0], found.reach[0])
        return memory, {"embedding": beyond[0]}

    def score(self, memories: Sequence[EmbeddingBank], windows: DueWindows) -> dict[str, RawScore]:
        """What the channels are beyond their usual distances, as one length; nothing without an encoder."""
        if windows.encoded is None:
            return {}
        embedding, slices = windows.encoded.embedding, windows.slices
        found = [memory.beyond(embedding[part]) for memory, part in zip(memories, slices, strict=True)]
        beyond = found[0] if len(found) == 1 else np.concatenate(found, axis=1)
        return {"embedding": RawScore(norm(beyond), (beyond**2).T)}

    def mask(self, memory: EmbeddingBank, channels: NDArray[np.int64], *, n_channels: int) -> EmbeddingBank:  # noqa: ARG002
        """The channels that can be seen."""
        return EmbeddingBank(
            *(
                np.ascontiguousarray(part[channels])
                for part in (memory.bank, memory.square, memory.usual, memory.reach)
            )
        )
