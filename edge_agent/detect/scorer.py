"""Windows to scores: the only room that imports onnxruntime. One batched call for all machines' windows.

The runtime is loaded where a session starts: it takes 28 MB, and an agent whose alarms read no network needs none.

The network reads each channel by itself unless a fault head mixes them, so windows of machines with different
channels are laid end to end as [sum of B*C, 1, T] and go through in one call.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edge_agent.detect.detector import Arrays, Encoded
from edge_agent.detect.detectors import ENSEMBLE
from edge_agent.detect.ensemble import Ensemble
from edge_agent.detect.fusion import Scores
from edge_agent.errors import BundleError, ProviderError
from edge_agent.model.bundle import Bundle, Golden
from edge_agent.model.isolated import in_a_copy
from edge_agent.records import Float32, Profile, ScoreBlock, WindowBlock
from edge_agent.signals.views import look_together

Provider = Literal["auto", "cpu", "cuda", "tensorrt"]

_PROVIDERS: dict[str, str] = {
    "tensorrt": "TensorrtExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
_LARGEST_TOLERANCE = 0.05
"""Of the trainer's answers against this machine's, whatever a manifest asks for; a wrong model is off by more."""
_CHUNK_SIGNALS = 4096
"""Channel windows in one call at most: bounds the memory that onnxruntime asks for."""
_INPUTS = ("window", "observed", "location", "scale")

_MASKS_LIMIT = 64


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


class Scorer:
    """A verified model in an inference session, with the provider that really runs it.

    Attributes:
        ranking: whether windows are also ranked; who only raises alarms saves more than half of the voices' time.
        expecting: whether somebody looks at what the network makes of each window. Where nobody does, no window is
            ranked and the model names no fault, nothing that alarms reads the network, and it is not asked.
    """

    ranking: bool = True
    expecting: bool = True

    def __init__(
        self,
        bundle: Bundle,
        provider: str,
        *,
        session: Any = None,
        threads: int = 1,
        ensemble: Ensemble = ENSEMBLE,
    ) -> None:
        """Begin with a session, or without one, to start it on the CPU when the network is asked."""
        self.bundle = bundle
        self.provider = provider
        self._started = session
        self._threads = threads
        self._ensemble = ensemble
        self._masks = Masks(ensemble)
        self._mixes_channels = bool(bundle.manifest.labels)
        self._outputs = ["embedding", "reconstruction", *(["logits"] if self._mixes_channels else [])]

    @classmethod
    def load(
        cls,
        bundle: Bundle,
        *,
        provider: Provider = "auto",
        require: bool = False,
        threads: int = 1,
        aside: bool = False,
        ensemble: Ensemble = ENSEMBLE,
    ) -> "Scorer":
        """Start a session from the bundle's verified bytes and re-score its golden windows.

        Args:
            bundle: as `contract.bundle.read` gave it.
            provider: "auto" takes the best that is present.
            require: refuse to start rather than fall back to the CPU.
            threads: of one inference call.
            aside: do so in a copy of this process, which must have no threads yet; here a session starts only when the
                network is asked. Where the model would not run on the CPU it is loaded here all the same.
            ensemble: the detectors.

        Raises:
            ProviderError: `require` is set and the provider is absent.
            BundleError: the model cannot be loaded or answers otherwise than torch did.
        """
        if aside:
            used, signal = in_a_copy(
                lambda: cls.load(bundle, provider=provider, require=require, threads=threads).provider
            )
            if signal:
                raise BundleError(bundle.path / "model.onnx", f"the runtime dies of it, by signal {signal}")
            if used == "cpu":
                return cls(bundle, used, threads=threads, ensemble=ensemble)
        import onnxruntime as ort  # noqa: PLC0415 - see above

        wanted = list(_PROVIDERS) if provider == "auto" else [provider]
        present = [name for name in wanted if _PROVIDERS[name] in ort.get_available_providers()]
        if require and (not present or present[0] == "cpu") and provider != "cpu":
            raise ProviderError(
                f"execution provider {provider!r} is required, but this onnxruntime offers only "
                f"{', '.join(ort.get_available_providers())}"
            )
        session = _start_session(bundle, [_PROVIDERS[name] for name in present], threads=threads)
        running = session.get_providers()[0]
        name = next(name for name, long in _PROVIDERS.items() if long == running)
        if require and provider not in ("auto", name):
            raise ProviderError(
                f"execution provider {provider!r} is required, but onnxruntime fell back to {name}"
            )
        scorer = cls(bundle, name, session=session, threads=threads, ensemble=ensemble)
        scorer._check_golden(session)
        return scorer

    @property
    def window_rows(self) -> int:
        """T, rows in a window."""
        return self.bundle.manifest.window_rows

    def encode(self, windows: Float32, location: Float32, scale: Float32) -> Encoded:
        """Embedding and reconstruction of windows [B, C, T] (NaN: hidden) of one machine, location and scale [C].

        A model whose head mixes channels is given them together; any other one channel at a time.
        """
        B, C, _ = windows.shape
        place = np.broadcast_to(location, (B, C)), np.broadcast_to(scale, (B, C))
        return (
            self._encode(windows, *place)[0] if self._mixes_channels else self._encode_flat(windows, *place)
        )

    def score(self, blocks: Sequence[WindowBlock], profiles: Sequence[Profile]) -> list[ScoreBlock]:
        """Score the due windows of several machines in one inference call."""
        if not blocks:
            return []
        if self._mixes_channels:
            return [
                self._score_mixed(block, profile) for block, profile in zip(blocks, profiles, strict=True)
            ]
        if not (
            self.expecting
            or (self.ranking and any(self._ensemble.ranks(profile.memory) for profile in profiles))
        ):
            looked = look_together([p.memory for p in profiles], [b.values for b in blocks])
            whole = [at for at, seen in enumerate(looked) if seen is not None and not blocks[at].hidden]
            joint = self._ensemble.score_together(
                [profiles[at].memory for at in whole],
                [seen for at in whole if (seen := looked[at]) is not None],
            )
            scores = dict(zip(whole, joint, strict=True))
            return [
                self._assembled(block, profile, _unasked(block), scores=scores.get(at))
                for at, (block, profile) in enumerate(zip(blocks, profiles, strict=True))
            ]
        T = self.window_rows
        flat = np.concatenate([block.values.reshape(-1, 1, T) for block in blocks])  # sum(B*C) 1 T
        location = np.concatenate(
            [_spread(p.memory["location"], b) for b, p in zip(blocks, profiles, strict=True)]
        )
        scale = np.concatenate([_spread(p.memory["scale"], b) for b, p in zip(blocks, profiles, strict=True)])
        encoded, _ = self._encode(flat, location, scale)
        results, start = [], 0
        for block, profile in zip(blocks, profiles, strict=True):
            B, C = block.values.shape[:2]
            part = Encoded(
                embedding=encoded.embedding[start : start + B * C].reshape(B, C, -1),
                reconstruction=encoded.reconstruction[start : start + B * C].reshape(B, C, T),
            )
            start += B * C
            results.append(self._assembled(block, profile, part))
        return results

    def _assembled(
        self, block: WindowBlock, profile: Profile, encoded: Encoded, *, scores: Scores | None = None
    ) -> ScoreBlock:
        """The block's scores by a model without a head; `scores` where they are known already."""
        none = np.empty((len(block.values), 0), np.float32)
        return _assemble(block, profile, scores or self._scores(block, profile, encoded), encoded, none)

    def _scores(self, block: WindowBlock, profile: Profile, encoded: Encoded) -> Scores:
        if not block.hidden:
            return self._ensemble.score(profile.memory, block.values, encoded, ranking=self.ranking)
        scores = self._score_visible(block, profile, encoded)
        if not self.ranking:
            return scores
        # A broken sensor is out of the ordinary, too; only what may alarm leaves it out.
        return replace(scores, rank=self._ensemble.score(profile.memory, block.values, encoded).rank)

    def _score_visible(self, block: WindowBlock, profile: Profile, encoded: Encoded) -> Scores:
        """What may alarm, by the channels that can be seen; the others contribute nothing."""
        B, C = block.values.shape[:2]
        kept = [at for at in range(C) if at not in block.hidden]
        if not kept:
            none = np.zeros(B, np.float32)
            parts, shares = np.zeros((B, 2), np.float32), np.zeros((B, C), np.float32)
            calibrated = np.zeros((B, len(self._ensemble.names)), np.float32)
            return Scores(none, parts, none, none, shares, calibrated)
        seen = Encoded(embedding=encoded.embedding[:, kept], reconstruction=encoded.reconstruction[:, kept])
        scores = self._ensemble.score(
            self._masks.of(profile.memory, block.hidden),
            np.ascontiguousarray(block.values[:, kept]),
            seen,
            ranking=False,
        )
        shares = np.zeros((B, C), np.float32)
        shares[:, kept] = scores.contributions
        return replace(scores, contributions=shares)

    def _score_mixed(self, block: WindowBlock, profile: Profile) -> ScoreBlock:
        B, C = block.values.shape[:2]
        location = np.broadcast_to(profile.memory["location"].astype(np.float32), (B, C))
        scale = np.broadcast_to(profile.memory["scale"].astype(np.float32), (B, C))
        values = block.values
        if block.hidden:
            values = values.copy()
            values[:, list(block.hidden)] = np.nan
        encoded, logits = self._encode(values, location, scale)
        scores, labels = self._scores(block, profile, encoded), self.bundle.manifest.labels
        return _assemble(block, profile, scores, encoded, _softmax(logits), labels=labels)

    def _encode_flat(self, windows: Float32, location: Float32, scale: Float32) -> Encoded:
        B, C, T = windows.shape
        flat, _ = self._encode(
            windows.reshape(B * C, 1, T), location.reshape(B * C, 1), scale.reshape(B * C, 1)
        )
        return Encoded(
            embedding=flat.embedding.reshape(B, C, -1), reconstruction=flat.reconstruction.reshape(B, C, T)
        )

    def _encode(self, windows: Float32, location: Float32, scale: Float32) -> tuple[Encoded, Float32]:
        """Run the session over windows [B, C, T] with location and scale [B, C], in bounded chunks."""
        step = max(1, _CHUNK_SIGNALS // windows.shape[1])
        parts = [
            self._run(windows[at : at + step], location[at : at + step], scale[at : at + step])
            for at in range(0, len(windows), step)
        ]
        joined = [
            np.concatenate(arrays) if len(parts) > 1 else arrays[0] for arrays in zip(*parts, strict=True)
        ]
        logits = joined[2] if self._mixes_channels else np.empty((len(windows), 0), np.float32)
        return Encoded(embedding=joined[0], reconstruction=joined[1]), logits

    def _run(self, windows: Float32, location: Float32, scale: Float32) -> list[Float32]:
        hidden = np.isnan(windows)
        feeds = {
            "window": np.where(hidden, location[:, :, np.newaxis], windows).astype(np.float32, copy=False),
            "observed": (~hidden).astype(np.float32),
            "location": np.ascontiguousarray(location, np.float32),
            "scale": np.ascontiguousarray(scale, np.float32),
        }
        answers: list[Float32] = self._session().run(self._outputs, feeds)
        return answers

    def _session(self) -> Any:
        """The session; begun and tried now where the network was not asked before."""
        if self._started is None:
            session = _start_session(self.bundle, [_PROVIDERS["cpu"]], threads=self._threads)
            self._check_golden(session)
            self._started = session
        return self._started

    def _check_golden(self, session: Any) -> None:
        """Re-score the golden windows: a model that answers otherwise than torch did is not trusted."""
        golden, path = self.bundle.golden, self.bundle.path
        tolerance = min(self.bundle.manifest.golden_tolerance, _LARGEST_TOLERANCE)
        try:
            answers = session.run(self._outputs, {name: getattr(golden, name) for name in _INPUTS})
        except Exception as error:  # onnxruntime raises its own kinds, derived from RuntimeError or Exception
            raise BundleError(path, f"the model does not run on its golden windows: {error}") from error
        for name, answer in zip(self._outputs, answers, strict=True):
            expected = _golden_output(golden, name)
            if expected is None or answer.shape != expected.shape:
                raise BundleError(path, f"golden {name} has not the shape that the model answers")
            off = float(np.max(np.abs(answer - expected)) / (1.0 + np.max(np.abs(expected))))
            if not off <= tolerance:
                raise BundleError(path, f"golden {name} differs by {off:.2g}, more than {tolerance}")


def _start_session(bundle: Bundle, providers: list[str], *, threads: int) -> Any:
    import onnxruntime as ort  # noqa: PLC0415 - see above

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # a gateway's cores are shared
    options.enable_cpu_mem_arena = False  # batches vary in size; the arena would keep the largest for ever
    options.log_severity_level = 3
    fallback = [*providers, *([] if _PROVIDERS["cpu"] in providers else [_PROVIDERS["cpu"]])]
    try:
        session = ort.InferenceSession(bundle.model, options, providers=fallback)
    except Exception as error:  # onnxruntime raises its own kinds, derived from RuntimeError or Exception
        raise BundleError(bundle.path / "model.onnx", f"onnxruntime cannot load it: {error}") from error
    names = {node.name for node in session.get_inputs()}
    if names != set(_INPUTS):
        raise BundleError(
            bundle.path / "model.onnx", f"has inputs {sorted(names)}, expected {sorted(_INPUTS)}"
        )
    return session


def _golden_output(golden: Golden, name: str) -> Float32 | None:
    outputs = {
        "embedding": golden.embedding,
        "reconstruction": golden.reconstruction,
        "logits": golden.logits,
    }
    return outputs[name]


def _spread(per_channel: NDArray[np.generic], block: WindowBlock) -> Float32:
    """[C] repeated for each of the block's windows, as [B*C, 1]."""
    return np.tile(per_channel.astype(np.float32), len(block.values))[:, np.newaxis]


def _unasked(block: WindowBlock) -> Encoded:
    """What a network says that was not asked: nothing, in the shapes of an answer."""
    return Encoded(
        embedding=np.empty((*block.values.shape[:2], 0), np.float32),
        reconstruction=np.full((*block.values.shape[:2], 1), np.nan, np.float32),
    )


def _softmax(logits: Float32) -> Float32:
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    total: Float32 = raised / raised.sum(axis=1, keepdims=True)
    return total


def _assemble(
    block: WindowBlock,
    profile: Profile,
    scores: Scores,
    encoded: Encoded,
    classes: Float32,
    *,
    labels: tuple[str, ...] = (),
) -> ScoreBlock:
    return ScoreBlock(
        windows=block,
        channels=profile.channels,
        value=scores.value,
        recent=scores.recent,
        rank=scores.rank,
        contributions=scores.contributions,
        expected=encoded.reconstruction[:, :, -1],
        classes=classes,
        labels=labels,
        parts=scores.parts,
    )
