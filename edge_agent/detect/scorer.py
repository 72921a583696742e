"""Windows to scores: one call for all machines' windows that are due. Starts no session and knows no runtime.

The network reads each channel by itself unless a fault head mixes them, so windows of machines with different
channels are laid end to end as [sum of B*C, 1, T] and go through in one call.

Axes: B windows, C channels, T rows, V raw scores, K classes of a fault head.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from edge_agent.detect import cycle_scores
from edge_agent.detect.detector import Arrays, Encoded
from edge_agent.detect.detectors import ENSEMBLE
from edge_agent.detect.ensemble import Ensemble
from edge_agent.detect.fusion import Scores
from edge_agent.detect.judge import Judge
from edge_agent.model.bundle import Bundle
from edge_agent.model.session import ModelSession, Provider
from edge_agent.records import Float32, Profile, ScoreBlock, WindowBlock, shown
from edge_agent.signals.channel_kinds import COUNTER, STATE, with_kinds
from edge_agent.signals.views import describe_together

_MASKS_LIMIT = 64


class Scorer:
    """An ensemble of detectors and the network that some of them listen to.

    Attributes:
        expecting: whether somebody looks at what the network makes of each window. Where nobody does and the model
            names no fault, nothing that alarms reads the network, and it is not asked.
    """

    def __init__(
        self,
        session: ModelSession,
        *,
        ensemble: Ensemble = ENSEMBLE,
        expecting: bool = True,
    ) -> None:
        self.session = session
        self.expecting = expecting
        self._ensemble = ensemble
        self._masks = Masks(ensemble)

    @classmethod
    def load(cls, bundle: Bundle, *, provider: Provider = "auto", threads: int = 1) -> "Scorer":
        """With the detectors of the product and a session that starts now; errors as `ModelSession.open`."""
        return cls(ModelSession.open(bundle, provider=provider, threads=threads))

    @property
    def bundle(self) -> Bundle:
        """Where the network is from."""
        return self.session.bundle

    @cached_property
    def judge(self) -> Judge | None:
        """The pre-trained network that judges windows; None where the bundle has none."""
        return None if self.bundle.judge is None else Judge.of(self.bundle.judge, self.session.judge)

    @property
    def provider(self) -> str:
        """What the network runs on."""
        return self.session.provider

    @property
    def window_rows(self) -> int:
        """T, rows in a window."""
        return self.bundle.manifest.window_rows

    def encode(self, windows: Float32, location: Float32, scale: Float32) -> Encoded:
        """Embedding and reconstruction of windows [B, C, T] (NaN: hidden) of one machine, location and scale [C].

        A model whose head mixes channels is given them together; any other one channel at a time.
        """
        B, C, T = windows.shape
        place = np.broadcast_to(location, (B, C)), np.broadcast_to(scale, (B, C))
        if self.session.mixes_channels:
            answers = self.session.ask(windows, *place)
            return Encoded(embedding=answers.embedding, reconstruction=answers.reconstruction)
        answers = self.session.ask(windows.reshape(B * C, 1, T), *(part.reshape(B * C, 1) for part in place))
        return Encoded(
            embedding=answers.embedding.reshape(B, C, -1),
            reconstruction=answers.reconstruction.reshape(B, C, T),
        )

    def score(self, blocks: Sequence[WindowBlock], profiles: Sequence[Profile]) -> list[ScoreBlock]:
        """Score the due windows of several machines in one inference call; cycles need none."""
        cycles = [at for at, one in enumerate(profiles) if cycle_scores.knows_cycles(one.memory)]
        if cycles:
            rest = [at for at in range(len(blocks)) if at not in cycles]
            scored = self.score([blocks[at] for at in rest], [profiles[at] for at in rest])
            found = dict(zip(rest, scored, strict=True))
            for at in cycles:
                found[at] = cycle_scores.score(blocks[at], profiles[at].memory, profiles[at].channels)
            return [found[at] for at in range(len(blocks))]
        if not blocks:
            return []
        pairs = zip(blocks, profiles, strict=True)
        blocks = [block if block.shown is not None else with_kinds(block, one.memory) for block, one in pairs]
        if self.session.mixes_channels:
            return [
                self._score_mixed(block, profile) for block, profile in zip(blocks, profiles, strict=True)
            ]
        if not self.expecting:
            return self._score_unasked(blocks, profiles)
        T = self.window_rows
        flat = np.concatenate([shown(block).reshape(-1, 1, T) for block in blocks])  # sum(B*C) 1 T
        location, scale = (
            np.concatenate([_spread(p.memory[name], b) for b, p in zip(blocks, profiles, strict=True)])
            for name in ("location", "scale")
        )
        answers = self.session.ask(flat, location, scale)
        results, start = [], 0
        for block, profile in zip(blocks, profiles, strict=True):
            B, C = block.values.shape[:2]
            rebuilt = answers.reconstruction[start : start + B * C].reshape(B, C, T)
            part = Encoded(
                embedding=answers.embedding[start : start + B * C].reshape(B, C, -1),
                reconstruction=_without_kinds(rebuilt, block, least=STATE),
            )
            start += B * C
            results.append(self._assembled(block, profile, part))
        return results

    def _score_unasked(self, blocks: Sequence[WindowBlock], profiles: Sequence[Profile]) -> list[ScoreBlock]:
        """By the detectors that need no network; machines whose channels can all be seen are scored together."""
        described = describe_together([p.memory for p in profiles], [b.values for b in blocks])
        whole = [at for at, seen in enumerate(described) if seen is not None and not blocks[at].hidden]
        joint = self._ensemble.score_together(
            [profiles[at].memory for at in whole],
            [seen for at in whole if (seen := described[at]) is not None],
            judge=self.judge,
        )
        scores = dict(zip(whole, joint, strict=True))
        return [
            self._assembled(block, profile, None, scores=scores.get(at))
            for at, (block, profile) in enumerate(zip(blocks, profiles, strict=True))
        ]

    def _score_mixed(self, block: WindowBlock, profile: Profile) -> ScoreBlock:
        B, C = block.values.shape[:2]
        location = np.broadcast_to(profile.memory["location"].astype(np.float32), (B, C))
        scale = np.broadcast_to(profile.memory["scale"].astype(np.float32), (B, C))
        values = shown(block)
        if block.hidden:
            values = values.copy()
            values[:, list(block.hidden)] = np.nan
        answers = self.session.ask(values, location, scale)
        rebuilt = _without_kinds(answers.reconstruction, block, least=STATE)
        encoded = Encoded(embedding=answers.embedding, reconstruction=rebuilt)
        scores, labels = self._scores(block, profile, encoded), self.bundle.manifest.labels
        return _assemble(block, profile, scores, rebuilt, _softmax(answers.logits), labels=labels)

    def _assembled(
        self, block: WindowBlock, profile: Profile, encoded: Encoded | None, *, scores: Scores | None = None
    ) -> ScoreBlock:
        """The block's scores by a model without a head; `scores` where they are known already."""
        none = np.empty((len(block.values), 0), np.float32)
        rebuilt = None if encoded is None else encoded.reconstruction
        return _assemble(block, profile, scores or self._scores(block, profile, encoded), rebuilt, none)

    def _scores(self, block: WindowBlock, profile: Profile, encoded: Encoded | None) -> Scores:
        if block.hidden:
            return self._score_visible(block, profile, encoded)
        return self._ensemble.score(profile.memory, block.values, encoded, judge=self.judge)

    def _score_visible(self, block: WindowBlock, profile: Profile, encoded: Encoded | None) -> Scores:
        """What may alarm, by the channels that can be seen; the others contribute nothing."""
        B, C = block.values.shape[:2]
        kept = [at for at in range(C) if at not in block.hidden]
        if not kept:
            none = np.zeros(B, np.float32)
            parts, shares = np.zeros((B, 2), np.float32), np.zeros((B, C), np.float32)
            calibrated = np.zeros((B, len(self._ensemble.names)), np.float32)
            return Scores(none, parts, none, shares, calibrated)
        seen = encoded and Encoded(
            embedding=encoded.embedding[:, kept], reconstruction=encoded.reconstruction[:, kept]
        )
        scores = self._ensemble.score(
            self._masks.of(profile.memory, block.hidden),
            np.ascontiguousarray(block.values[:, kept]),
            seen,
            judge=self.judge,
        )
        shares = np.zeros((B, C), np.float32)
        shares[:, kept] = scores.contributions
        return replace(scores, contributions=shares)


class Masks:
    """Arrays of machines without hidden channels, made once: the same channels stay hidden for many windows."""

    def __init__(self, ensemble: Ensemble) -> None:
        self._ensemble = ensemble
        self._found: dict[tuple[int, tuple[int, ...]], tuple[Arrays, Arrays]] = {}

    def of(self, arrays: Arrays, hidden: tuple[int, ...]) -> Arrays:
        """The arrays without the hidden channels."""
        known = self._found.get((id(arrays), hidden))
        if known is not None and known[0] is arrays:
            return known[1]
        if len(self._found) >= _MASKS_LIMIT:
            self._found.clear()
        visible = [at for at in range(len(arrays["location"])) if at not in hidden]
        made = self._ensemble.mask(arrays, visible)
        self._found[id(arrays), hidden] = arrays, made
        return made


def _spread(per_channel: NDArray[np.generic], block: WindowBlock) -> Float32:
    """[C] repeated for each of the block's windows, as [B*C, 1]."""
    return np.tile(per_channel.astype(np.float32), len(block.values))[:, np.newaxis]


def _without_kinds(values: Float32, block: WindowBlock, *, least: int) -> Float32:
    """Values [B, C, ...] with NaN for the channels whose kind has this code or a larger one."""
    if block.kinds is None or not block.kinds.any():
        return values
    found = values.copy()
    found[:, block.kinds >= least] = np.nan
    return found


def _softmax(logits: Float32) -> Float32:
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    total: Float32 = raised / raised.sum(axis=1, keepdims=True)
    return total


def _assemble(
    block: WindowBlock,
    profile: Profile,
    scores: Scores,
    rebuilt: Float32 | None,
    classes: Float32,
    *,
    labels: tuple[str, ...] = (),
) -> ScoreBlock:
    """With what the network made of the windows [B, C, T], None where it was not asked."""
    newest = (
        np.full(block.values.shape[:2], np.nan, np.float32)
        if rebuilt is None
        else _without_kinds(rebuilt[:, :, -1], block, least=COUNTER)
    )
    return ScoreBlock(
        windows=block,
        channels=profile.channels,
        value=scores.value,
        recent=scores.recent,
        contributions=scores.contributions,
        expected=newest,
        classes=classes,
        labels=labels,
        parts=scores.parts,
        mode=scores.mode,
    )
