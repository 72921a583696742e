"""The `waveform` format: a block of fast samples, turned into a slow row of features for each frame of it.

A block is a WAV file, or a map in JSON or CBOR: `{"ts": time of the first sample, "rate_hz": 12000, "rpm": 1797,
"type": "float32", "samples": {"de": ...}}`; samples are base64 of little-endian numbers of `type`, such bytes in CBOR,
or typed arrays (RFC 8746). Each frame of `frame_samples` becomes one row at the time of its end, by
`vibration.features`; what is left behind the last whole frame is dropped. From there on rows are rows.
"""

import base64
import binascii
import math
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Interval, MaxLen
from numpy.typing import NDArray

from edge_agent.formats.items import read_cbor, read_json
from edge_agent.formats.origin import Origin, event_time_ns
from edge_agent.formats.wire_format import WireFormat
from edge_agent.records import Frame, Reject, RejectReason
from edge_agent.signals.vibration import Bearing, feature_names, features
from edge_agent.topics import is_name

_TYPES: Mapping[str, str] = {"float32": "<f4", "int16": "<i2", "float64": "<f8", "int32": "<i4"}
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_WAV_FORMAT = struct.Struct("<HHIIHH")
_LOUDEST = 1e30
"""Samples beyond it would overflow their powers; no sensor is so loud."""
_FASTEST_RPM = 1e6
_CHANNELS_LIMIT = 16
"""More in one block are turned away."""

ChannelSamples = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class WaveformSettings:
    """What is known of a source's blocks beforehand: the section `[source.waveform]`, with its defaults and bounds.

    Attributes:
        rate_hz: samples per second. frame_samples: S, of which one row is made.
        channels: names of a WAV file's channels, and which of a map's channels count; any of a map where empty.
        scale: what one unit of the samples is worth; WAV integers are first brought to -1 … 1.
        rate_tolerance: share by which a block's own rate may differ.
        bearing: geometry. rpm: turns of its shaft in a minute; None: each block says.
    """

    rate_hz: Annotated[float, Interval(gt=0, le=10_000_000)]
    frame_samples: Annotated[int, Interval(ge=64, le=1_048_576)]
    channels: Annotated[tuple[str, ...], MaxLen(_CHANNELS_LIMIT)] = ()
    scale: Annotated[float, Interval(gt=0, le=1e9)] = 1.0
    rate_tolerance: Annotated[float, Interval(ge=0, lt=1)] = 0.02
    rpm: Annotated[float, Interval(gt=0, le=_FASTEST_RPM)] | None = None
    bearing: Bearing | None = None

    def __post_init__(self) -> None:
        """Refuse names that no channel can have.

        Raises:
            ValueError: says which.
        """
        if bad := [name for name in self.channels if not is_name(name)]:
            raise ValueError(f"channels: '{bad[0]}' is no channel name: printable, without / + #")


@dataclass(frozen=True, slots=True)
class _WaveformBlock:
    """Samples of each channel, and what came with them."""

    samples: Mapping[str, ChannelSamples]
    bad: tuple[tuple[str, RejectReason], ...] = ()
    stamp: object = None
    rate_hz: object = None
    rpm: object = None


def blocks(settings: WaveformSettings) -> Callable[[bytes, Origin], Frame | Reject]:
    """The decoder for such blocks; it never raises."""

    def decode(payload: bytes, origin: Origin) -> Frame | Reject:
        if payload[:4] == b"RIFF":
            block = _wav(payload, settings)
        else:
            json = payload.lstrip()[:1] == b"{"
            block = _map(read_json(payload) if json else read_cbor(payload, text_keys=True), settings)
        return block if isinstance(block, Reject) else _rows(block, settings, origin)

    return decode


def _map(message: object, settings: WaveformSettings) -> _WaveformBlock | Reject:
    if isinstance(message, Reject):
        return message
    if not isinstance(message, Mapping) or not isinstance(message.get("samples"), Mapping):
        return Reject("wrong_type", "a map with a map 'samples' was expected")
    kind = message.get("type", "float32")
    if not isinstance(kind, str) or kind not in _TYPES:
        return Reject("unsupported", f"type {str(kind)[:20]!r}; known: {', '.join(_TYPES)}")
    if len(message["samples"]) > _CHANNELS_LIMIT:
        return Reject("too_many_channels", f"{len(message['samples'])} channels in one block")
    found: dict[str, ChannelSamples] = {}
    bad: list[tuple[str, RejectReason]] = []
    for name, coded in message["samples"].items():
        if (
            not isinstance(name, str)
            or not is_name(name)
            or (settings.channels and name not in settings.channels)
        ):
            bad.append((str(name)[:120], "unknown_channel"))
            continue
        column = _numbers(coded, _TYPES[kind])
        if isinstance(column, np.ndarray):
            found[name] = column
        else:
            bad.append((name, column))
    return _WaveformBlock(found, tuple(bad), message.get("ts"), message.get("rate_hz"), message.get("rpm"))


def _numbers(coded: object, dtype: str) -> ChannelSamples | RejectReason:
    """Samples out of base64 text, bytes or a typed array."""
    if isinstance(coded, np.ndarray):
        return _wide(coded)
    if isinstance(coded, str):
        try:
            coded = base64.b64decode(coded, validate=True)
        except (binascii.Error, ValueError):
            return "malformed"
    if not isinstance(coded, bytes):
        return "wrong_type"
    if len(coded) % np.dtype(dtype).itemsize:
        return "malformed"
    return _wide(np.frombuffer(coded, dtype))


def _wide(samples: NDArray[np.generic]) -> ChannelSamples:
    """As float64; a signalling NaN is no reason for a warning."""
    with np.errstate(invalid="ignore"):
        return samples.astype(np.float64)


def _wav(payload: bytes, settings: WaveformSettings) -> _WaveformBlock | Reject:
    """RIFF/WAVE with PCM of 8 to 32 bits or floats; every size is checked against what is there."""
    if payload[8:12] != b"WAVE":
        return Reject("malformed", "RIFF, but not WAVE")
    layout: tuple[int, int, int, int] | None = None
    at = 12
    while at + 8 <= len(payload):
        name, size = payload[at : at + 4], int.from_bytes(payload[at + 4 : at + 8], "little")
        body = payload[at + 8 : at + 8 + size]
        if len(body) < size:
            return Reject("malformed", f"WAV: {size} bytes were promised, {len(body)} are there")
        if name == b"fmt " and size >= _WAV_FORMAT.size:
            code, width, rate_hz, _, _, bits = _WAV_FORMAT.unpack_from(body)
            if code == _EXTENSIBLE and size >= 26:
                code = int.from_bytes(body[24:26], "little")
            layout = code, width, rate_hz, bits
        elif name == b"data":
            return (
                Reject("malformed", "WAV: no format before the data")
                if layout is None
                else _pcm(body, layout, settings)
            )
        at += 8 + size + size % 2
    return Reject("malformed", "WAV: no data")


def _pcm(
    body: bytes, layout: tuple[int, int, int, int], settings: WaveformSettings
) -> _WaveformBlock | Reject:
    code, width, rate_hz, bits = layout
    if not 1 <= width <= _CHANNELS_LIMIT:
        return Reject("too_many_channels", f"WAV: {width} channels")
    if (code, bits) not in {(_PCM, 8), (_PCM, 16), (_PCM, 24), (_PCM, 32), (_FLOAT, 32), (_FLOAT, 64)}:
        return Reject("unsupported", f"WAV: format {code} with {bits} bits")
    if len(body) % (width * bits // 8):
        return Reject("malformed", "WAV: the last sample is torn")
    if code == _FLOAT:
        flat = _wide(np.frombuffer(body, f"<f{bits // 8}"))
    elif bits == 8:
        flat = (np.frombuffer(body, np.uint8).astype(np.float64) - 128) / 128
    elif bits == 24:
        bytes_ = np.zeros((len(body) // 3, 4), np.uint8)
        bytes_[:, 1:] = np.frombuffer(body, np.uint8).reshape(-1, 3)
        flat = bytes_.view("<i4")[:, 0] / 2.0**31
    else:
        flat = np.frombuffer(body, f"<i{bits // 8}") / 2.0 ** (bits - 1)
    columns = flat.reshape(-1, width).T
    names = settings.channels or tuple(f"ch{number}" for number in range(1, width + 1))
    if len(names) != width:
        return Reject("unknown_channel", f"WAV: {width} channels, {len(names)} names are configured")
    return _WaveformBlock(dict(zip(names, columns, strict=True)), rate_hz=rate_hz)


def _rows(block: _WaveformBlock, settings: WaveformSettings, origin: Origin) -> Frame | Reject:
    """The features of all whole frames of a block."""
    rate_hz = settings.rate_hz if block.rate_hz is None else _positive(block.rate_hz, 1e9)
    if rate_hz is None or abs(rate_hz / settings.rate_hz - 1) > settings.rate_tolerance:
        return Reject("wrong_rate", f"{str(block.rate_hz)[:20]} Hz, {settings.rate_hz:g} are configured")
    start_ns = None if block.stamp is None else event_time_ns(block.stamp, origin)
    if isinstance(start_ns, Reject):
        return start_ns
    bad = list(block.bad)
    lengths = [len(samples) for samples in block.samples.values()]
    n_frames = max(lengths, default=0) // settings.frame_samples
    names: list[str] = []
    columns = []
    for channel, samples in block.samples.items():
        if len(samples) // settings.frame_samples != n_frames or not n_frames:
            bad.append((channel, "malformed"))
            continue
        found, lost = _described(samples, settings, rpm=block.rpm, n_frames=n_frames)
        bad += [(channel, "not_finite")] * lost
        if np.isfinite(found).any():
            columns.append(found)
            names += feature_names(channel, bearing=settings.bearing, turning_hz=_turning(settings.rpm))
    if not columns:
        return _none_good(bad, settings)
    step_ns = settings.frame_samples / rate_hz * 1e9
    first_ns = origin.received_ns - n_frames * step_ns if start_ns is None else start_ns
    return Frame(
        machine=origin.machine,
        channels=tuple(names),
        times_ns=tuple(int(first_ns) + round((at + 1) * step_ns) for at in range(n_frames)),
        rows=np.concatenate(columns, axis=1),  # R C
        stamped=start_ns is not None,
        bad_values=tuple(bad),
    )


def _described(
    samples: ChannelSamples, settings: WaveformSettings, *, rpm: object, n_frames: int
) -> tuple[NDArray[np.float32], int]:
    """([N, K] features, NaN where a frame cannot be described; how many frames have a sample that is no number)."""
    frames = samples[: n_frames * settings.frame_samples].reshape(n_frames, -1)
    good = (np.abs(frames) * settings.scale <= _LOUDEST).all(axis=1)  # NaN is not
    told = _positive(rpm, _FASTEST_RPM) if settings.rpm is None else settings.rpm
    found = np.full(
        (n_frames, len(feature_names("", bearing=settings.bearing, turning_hz=None))), np.nan, np.float32
    )
    if good.any():
        bearing = settings.bearing
        found[good] = features(
            frames[good] * settings.scale,
            rate_hz=settings.rate_hz,
            bearing=bearing,
            turning_hz=_turning(told) or 1.0,
        )
        if bearing is not None and told is None:
            found[:, -len(bearing.orders()) :] = np.nan
    return found, int((~good).sum())


def _none_good(bad: list[tuple[str, RejectReason]], settings: WaveformSettings) -> Reject:
    if not bad:
        return Reject("no_values")
    channel, reason = bad[0]
    needs = f"; a block needs {settings.frame_samples} samples" if reason == "malformed" else ""
    return Reject(reason, f"channel {channel[:40]!r}, and no good one beside it{needs}")


def _turning(rpm: float | None) -> float | None:
    return None if rpm is None else rpm / 60.0


def _positive(value: object, most: float) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return float(value) if math.isfinite(value) and 0 < value <= most else None


FORMAT = WireFormat("waveform", blocks, options="waveform")
