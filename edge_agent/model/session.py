"""The networks in inference sessions: the only file that imports onnxruntime. Knows not what its answers mean.

The runtime is loaded where a session starts: it takes 34 MB, and an agent whose alarms read no encoder needs none. The
judge, which is small, is computed by numpy (`small_network`), and by the runtime on the CPU only where its graph holds
more than that. Both are trusted only once they have answered their golden windows as the trainer's network did.

Axes: B windows, C channels, T rows, D embedding dimensions, K classes of a fault head.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_agent.errors import BundleError, ProviderError
from edge_agent.model import judge as judges
from edge_agent.model import picture as pictures
from edge_agent.model.bundle import Bundle, Golden
from edge_agent.model.isolated import in_a_copy
from edge_agent.model.judge import BundledJudge
from edge_agent.model.picture import PictureBundle
from edge_agent.model.small_network import SmallNetwork
from edge_agent.records import Float32

Provider = Literal["auto", "cpu", "cuda", "tensorrt"]
Attempt = Callable[[Callable[[], str]], tuple[str | None, int]]
"""Asks something where it can do no harm; (the answer or None, the signal that it died by or 0)."""

_PROVIDERS: dict[str, str] = {
    "tensorrt": "TensorrtExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
_LARGEST_TOLERANCE = 0.05
"""Of the trainer's answers against this machine's, whatever a manifest asks for; a wrong model is off by more."""
_CHUNK_SIGNALS = 4096
"""Channel windows in one call at most: bounds the memory that onnxruntime asks for."""
_JUDGED_AT_A_TIME = 256
"""The same of the judge, of which all that is computed in between is held for as long as the call takes: 4 MB."""
_INPUTS = ("window", "observed", "location", "scale")


class Answers(NamedTuple):
    """What the network makes of B windows of C channels.

    Attributes:
        embedding: [B, C, D]. reconstruction: [B, C, T], physical units.
        logits: [B, K] of a fault head, K 0 where there is none.
    """

    embedding: Float32
    reconstruction: Float32
    logits: Float32


class ModelSession:
    """A verified model in an inference session, with the provider that really runs it.

    Attributes:
        mixes_channels: whether a fault head reads all channels of a window together; otherwise each is read by itself.
    """

    def __init__(
        self, bundle: Bundle, provider: str, *, started: Any = None, judging: Any = None, threads: int = 1
    ) -> None:
        """Hold the encoder's and the judge's session, or none, to start each on the CPU when it is asked."""
        self.bundle = bundle
        self.provider = provider
        self.mixes_channels = bool(bundle.manifest.labels)
        self._started = started
        self._judging = judging
        self._threads = threads

    @classmethod
    def open(
        cls, bundle: Bundle, *, provider: Provider = "auto", require: bool = False, threads: int = 1
    ) -> "ModelSession":
        """Start a session from the bundle's verified bytes and re-score its golden windows.

        Args:
            bundle: as `bundle.read` gave it.
            provider: "auto" takes the best that is present.
            require: refuse to start rather than fall back to the CPU.
            threads: of one inference call.

        Raises:
            ProviderError: `require` is set and the provider is absent.
            BundleError: the model cannot be loaded or answers otherwise than torch did.
        """
        import onnxruntime as ort  # noqa: PLC0415 - see above

        wanted = list(_PROVIDERS) if provider == "auto" else [provider]
        present = [name for name in wanted if _PROVIDERS[name] in ort.get_available_providers()]
        if require and (not present or present[0] == "cpu") and provider != "cpu":
            raise ProviderError(
                f"execution provider {provider!r} is required, but this onnxruntime offers only "
                f"{', '.join(ort.get_available_providers())}"
            )
        started = _start(bundle, [_PROVIDERS[name] for name in present], threads=threads)
        judging = None if bundle.judge is None else _start_judge(bundle.judge)
        running = started.get_providers()[0]
        name = next(name for name, long in _PROVIDERS.items() if long == running)
        if require and provider not in ("auto", name):
            raise ProviderError(
                f"execution provider {provider!r} is required, but onnxruntime fell back to {name}"
            )
        return cls(bundle, name, started=started, judging=judging, threads=threads)

    @classmethod
    def open_when_asked(
        cls,
        bundle: Bundle,
        *,
        provider: Provider = "auto",
        require: bool = False,
        threads: int = 1,
        attempt: Attempt = in_a_copy,
    ) -> "ModelSession":
        """Try the same in a copy of this process, which must have no threads yet; start here when the network is asked.

        Where the model would not run on the CPU its session starts here at once.

        Raises:
            ProviderError, BundleError: as `open`; also of a model that the runtime dies of.
        """
        used, signal = attempt(
            lambda: cls.open(bundle, provider=provider, require=require, threads=threads).provider
        )
        if signal:
            raise BundleError(bundle.path / "model.onnx", f"the runtime dies of it, by signal {signal}")
        if used == "cpu":
            return cls(bundle, used, threads=threads)
        return cls.open(bundle, provider=provider, require=require, threads=threads)

    @property
    def started(self) -> bool:
        """Whether the encoder's session has begun."""
        return self._started is not None

    def ask(self, windows: Float32, location: Float32, scale: Float32) -> Answers:
        """Run the network over windows [B, C, T] (NaN: hidden) with location and scale [B, C], in bounded chunks."""
        if self._started is None:
            self._started = _start(self.bundle, [_PROVIDERS["cpu"]], threads=self._threads)
        step = max(1, _CHUNK_SIGNALS // windows.shape[1])
        parts = [
            self._run(windows[at : at + step], location[at : at + step], scale[at : at + step])
            for at in range(0, len(windows), step)
        ]
        joined = [
            np.concatenate(arrays) if len(parts) > 1 else arrays[0] for arrays in zip(*parts, strict=True)
        ]
        logits = joined[2] if self.mixes_channels else np.empty((len(windows), 0), np.float32)
        return Answers(joined[0], joined[1], logits)

    def judge(
        self, channels: Float32, machine: Float32, present: NDArray[np.bool_]
    ) -> tuple[Float32, Float32]:
        """What the bundle's judge, which it must have, says of features: logits of windows [B], of channels [B, C].

        Args:
            channels: [B, C, F].
            machine: [B, G].
            present: channels that were observed, [B, C].
        """
        if self._judging is None:
            assert self.bundle.judge is not None  # noqa: S101 - as said above
            self._judging = _start_judge(self.bundle.judge)
        step = max(1, _JUDGED_AT_A_TIME // channels.shape[1])
        parts = []
        for at in range(0, max(len(channels), 1), step):
            part = (each[at : at + step] for each in (channels, machine, present))
            parts.append(self._judging.run(judges.OUTPUTS, dict(zip(judges.INPUTS, part, strict=True))))
        logit, of_channels = parts[0] if len(parts) == 1 else map(np.concatenate, zip(*parts, strict=True))
        return logit, of_channels

    def _run(self, windows: Float32, location: Float32, scale: Float32) -> list[Float32]:
        hidden = np.isnan(windows)
        feeds = {
            "window": np.where(hidden, location[:, :, np.newaxis], windows).astype(np.float32, copy=False),
            "observed": (~hidden).astype(np.float32),
            "location": np.ascontiguousarray(location, np.float32),
            "scale": np.ascontiguousarray(scale, np.float32),
        }
        answers: list[Float32] = self._started.run(_outputs(self.bundle), feeds)
        return answers


class PictureSession:
    """The network that looks at pictures, on the CPU, answering its golden picture as it should."""

    def __init__(self, bundle: PictureBundle, *, threads: int = 1) -> None:
        """Start it.

        Raises:
            BundleError: the network cannot be loaded or answers otherwise than torch did.
        """
        self.bundle = bundle
        path = bundle.path / pictures.MODEL
        cpu = [_PROVIDERS["cpu"]]
        self._started = _begin(path, bundle.model, cpu, inputs=pictures.INPUTS, threads=threads)
        tolerance = min(bundle.manifest.golden_tolerance, _LARGEST_TOLERANCE)
        given, expected = {"pixels": bundle.pixels}, {"patches": bundle.patches}
        _check_answers(path, self._started, given, expected, tolerance=tolerance)

    def look(self, pixels: NDArray[np.uint8]) -> Float32:
        """Patches [B, G, G, D] of pictures [B, S, S, 3]; G is S / 8."""
        found: Float32 = self._started.run(list(pictures.OUTPUTS), {"pixels": pixels})[0]
        return found


def _outputs(bundle: Bundle) -> list[str]:
    return ["embedding", "reconstruction", *(["logits"] if bundle.manifest.labels else [])]


def _start(bundle: Bundle, providers: list[str], *, threads: int) -> Any:
    """The encoder in a session that answers the golden windows as it should."""
    session = _begin(bundle.path / "model.onnx", bundle.model, providers, inputs=_INPUTS, threads=threads)
    _check_golden(bundle, session)
    return session


def _start_judge(judge: BundledJudge) -> Any:
    """The judge, answering its golden windows as it should."""
    session: Any = SmallNetwork.read(judge.model, inputs=judges.INPUTS)
    if session is None:
        session = _begin(judge.path, judge.model, [_PROVIDERS["cpu"]], inputs=judges.INPUTS, threads=1)
    tolerance = min(judge.entry.golden_tolerance, _LARGEST_TOLERANCE)
    golden = judge.golden._asdict()
    given = {name: golden[name] for name in judges.INPUTS}
    expected = {name: golden[name] for name in judges.OUTPUTS}
    _check_answers(judge.path, session, given, expected, tolerance=tolerance)
    return session


def _begin(path: Path, model: bytes, providers: list[str], *, inputs: tuple[str, ...], threads: int) -> Any:
    import onnxruntime as ort  # noqa: PLC0415 - see above

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # a gateway's cores are shared
    options.enable_cpu_mem_arena = False  # batches vary in size; the arena would keep the largest for ever
    options.log_severity_level = 3
    fallback = [*providers, *([] if _PROVIDERS["cpu"] in providers else [_PROVIDERS["cpu"]])]
    try:
        session = ort.InferenceSession(model, options, providers=fallback)
    except Exception as error:  # onnxruntime raises its own kinds, derived from RuntimeError or Exception
        raise BundleError(path, f"onnxruntime cannot load it: {error}") from error
    names = {node.name for node in session.get_inputs()}
    if names != set(inputs):
        raise BundleError(path, f"has inputs {sorted(names)}, expected {sorted(inputs)}")
    return session


def _check_golden(bundle: Bundle, session: Any) -> None:
    """Re-score the golden windows: a model that answers otherwise than torch did is not trusted."""
    golden = bundle.golden
    given = {name: getattr(golden, name) for name in _INPUTS}
    expected = {name: _golden_output(golden, name) for name in _outputs(bundle)}
    tolerance = min(bundle.manifest.golden_tolerance, _LARGEST_TOLERANCE)
    _check_answers(bundle.path, session, given, expected, tolerance=tolerance)


def _check_answers(
    path: Path,
    session: Any,
    given: Mapping[str, NDArray[Any]],
    expected: Mapping[str, Float32 | None],
    *,
    tolerance: float,
) -> None:
    try:
        answers = session.run(list(expected), given)
    except Exception as error:  # onnxruntime raises its own kinds, derived from RuntimeError or Exception
        raise BundleError(path, f"the model does not run on its golden windows: {error}") from error
    for (name, wanted), answer in zip(expected.items(), answers, strict=True):
        if wanted is None or answer.shape != wanted.shape:
            raise BundleError(path, f"golden {name} has not the shape that the model answers")
        off = float(np.max(np.abs(answer - wanted)) / (1.0 + np.max(np.abs(wanted))))
        if not off <= tolerance:
            raise BundleError(path, f"golden {name} differs by {off:.2g}, more than {tolerance}")


def _golden_output(golden: Golden, name: str) -> Float32 | None:
    outputs = {
        "embedding": golden.embedding,
        "reconstruction": golden.reconstruction,
        "logits": golden.logits,
    }
    return outputs[name]
