"""Blocks in every form say the same; whatever is wrong with one becomes a reason, and nothing else is lost."""

import base64
import io
import json
import struct
import wave
from typing import Any

import cbor2
import numpy as np
import pytest
from cbor2 import CBORTag
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.formats.origin import Origin
from edge_agent.formats.waveform import WaveformSettings, blocks
from edge_agent.records import Frame, Reject
from edge_agent.signals.vibration import Bearing, feature_names, features

NOW_NS = 1_700_000_000_000_000_000
ORIGIN = Origin(machine="fan", channel=None, received_ns=NOW_NS, future_tolerance_ns=60_000_000_000)
RATE_HZ, S, START_S = 8000.0, 256, 1_600_000_000
BEARING = Bearing(9, 0.3126, 1.537)
SETTINGS = WaveformSettings(rate_hz=RATE_HZ, frame_samples=S, channels=("de",))
SAMPLES = np.round(1000 * np.random.default_rng(1).standard_normal(3 * S + 17)).astype(np.int16)


def decode(payload: bytes, settings: WaveformSettings = SETTINGS) -> Frame | Reject:
    return blocks(settings)(payload, ORIGIN)


def message(samples: Any = None, **more: Any) -> bytes:
    coded = base64.b64encode(SAMPLES.tobytes()).decode() if samples is None else samples
    return json.dumps({"ts": START_S, "type": "int16", "samples": {"de": coded}} | more).encode()


def wav(samples: np.ndarray = SAMPLES, *, width: int = 1, bits: int = 16, rate_hz: float = RATE_HZ) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(width)
        writer.setsampwidth(bits // 8)
        writer.setframerate(int(rate_hz))
        writer.writeframes(samples.tobytes())
    return file.getvalue()


def frame(result: Frame | Reject) -> Frame:
    assert isinstance(result, Frame), result
    return result


def expected(samples: np.ndarray = SAMPLES, scale: float = 1.0) -> np.ndarray:
    return features(scale * samples[: 3 * S].reshape(3, S).astype(np.float64), rate_hz=RATE_HZ)


FORMS = {
    "json int16": message(),
    "json float64": message(base64.b64encode(SAMPLES.astype("<f8").tobytes()).decode(), type="float64"),
    "cbor bytes": cbor2.dumps({"ts": START_S, "type": "int16", "samples": {"de": SAMPLES.tobytes()}}),
    "cbor typed": cbor2.dumps(
        {"ts": START_S, "samples": {"de": CBORTag(73, SAMPLES.astype(">i2").tobytes())}}
    ),
    "cbor floats": cbor2.dumps(
        {"ts": START_S, "samples": {"de": CBORTag(85, SAMPLES.astype("<f4").tobytes())}}
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_block_makes_the_same_rows(form: str) -> None:
    found = frame(decode(FORMS[form]))
    assert found.channels == feature_names("de", bearing=None, turning_hz=None)
    np.testing.assert_allclose(found.rows, expected(), rtol=1e-5)
    assert found.times_ns == tuple(START_S * 10**9 + at * 32_000_000 for at in (1, 2, 3))
    assert found.stamped


def test_a_wav_file_is_brought_to_one_and_timed_by_its_arrival() -> None:
    found = frame(decode(wav()))
    np.testing.assert_allclose(found.rows, expected(scale=1 / 32768), rtol=1e-4)
    assert found.times_ns == tuple(NOW_NS - at * 32_000_000 for at in (2, 1, 0))
    assert not found.stamped
    wide = SAMPLES.astype(np.int64) << 8
    packed = b"".join(int(value).to_bytes(3, "little", signed=True) for value in wide)
    np.testing.assert_allclose(
        frame(decode(wav(np.frombuffer(packed, np.uint8), bits=24))).rows, found.rows, rtol=1e-5
    )
    two = WaveformSettings(rate_hz=RATE_HZ, frame_samples=S)
    both = frame(decode(wav(np.repeat(SAMPLES, 2), width=2), two))
    assert {name.partition(".")[0] for name in both.channels} == {"ch1", "ch2"}


def test_a_bearing_adds_its_lines_where_the_shafts_speed_is_known() -> None:
    fixed = WaveformSettings(rate_hz=RATE_HZ, frame_samples=S, bearing=BEARING, rpm=1800.0)
    told = WaveformSettings(rate_hz=RATE_HZ, frame_samples=S, bearing=BEARING)
    of_config, of_block = frame(decode(message(), fixed)), frame(decode(message(rpm=1800), told))
    np.testing.assert_array_equal(of_config.rows, of_block.rows)
    assert of_config.channels[-4] == "de.envelope_BPFO_108Hz"
    assert of_block.channels[-4] == "de.envelope_BPFO"
    unknown = frame(decode(message(), told))
    assert np.isnan(np.asarray(unknown.rows)[:, -4:]).all()
    assert np.isfinite(np.asarray(unknown.rows)[:, :-4]).all()


def test_a_frame_with_nan_is_left_out_and_its_neighbours_stay() -> None:
    samples = SAMPLES.astype("<f4")
    samples[S + 5] = np.nan
    found = frame(decode(message(base64.b64encode(samples.tobytes()).decode(), type="float32")))
    rows = np.asarray(found.rows)
    assert np.isnan(rows[1]).all()
    np.testing.assert_allclose(rows[[0, 2]], expected()[[0, 2]], rtol=1e-5)
    assert found.bad_values == (("de", "not_finite"),)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "malformed"),
        (b"{", "not_json"),
        (b'{"samples": []}', "wrong_type"),
        (cbor2.dumps([1]), "wrong_type"),
        (message("not base64!"), "malformed"),
        (message("AAA="), "malformed"),
        (message([1, 2]), "wrong_type"),
        (message(base64.b64encode(bytes(2 * S - 2)).decode()), "malformed"),
        (
            message(base64.b64encode(np.full(S, np.inf, "<f4").tobytes()).decode(), type="float32"),
            "not_finite",
        ),
        (message(type="int128"), "unsupported"),
        (message(type=[]), "unsupported"),
        (message(rate_hz=RATE_HZ * 1.1), "wrong_rate"),
        (message(rate_hz="fast"), "wrong_rate"),
        (message(rate_hz=-1), "wrong_rate"),
        (message(ts=9e9), "future_timestamp"),
        (message(ts=-1), "bad_timestamp"),
        (message(samples={"other": "AAAA"}, ts=START_S), "wrong_type"),
        (wav(rate_hz=16000), "wrong_rate"),
        (wav()[:-10], "malformed"),
        (wav()[:30], "malformed"),
        (b"RIFF\xff\xff\xff\xffWAVEdata\xff\xff\xff\xff", "malformed"),
        (b"RIFF\x00\x00\x00\x00WAVEdata\x00\x00\x00\x00", "malformed"),
        (b"RIFF....AVI ", "malformed"),
        (wav().replace(struct.pack("<HH", 1, 1), struct.pack("<HH", 7, 1), 1), "unsupported"),
        (wav(np.repeat(SAMPLES, 20), width=20), "too_many_channels"),
        (wav(np.repeat(SAMPLES, 2), width=2), "unknown_channel"),
    ],
)
def test_a_bad_block_is_turned_away_with_a_reason(payload: bytes, reason: str) -> None:
    found = decode(payload)
    assert isinstance(found, Reject), found
    assert found.reason == reason


HOSTILE = st.one_of(
    st.binary(max_size=400),
    st.binary(max_size=400).map(lambda tail: b"RIFF" + tail),
    st.binary(max_size=400).map(lambda tail: b"RIFF\x00\x00\x00\x00WAVE" + tail),
    st.tuples(st.integers(0, 60), st.binary(min_size=1, max_size=8)).map(
        lambda cut: wav()[: cut[0]] + cut[1] + wav()[cut[0] + len(cut[1]) :]
    ),
    st.dictionaries(
        st.sampled_from(["ts", "rate_hz", "rpm", "type", "samples"]),
        st.one_of(
            st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.binary(max_size=8),
            st.dictionaries(st.text(max_size=3), st.text(max_size=9) | st.binary(max_size=1200), max_size=3),
        ),
    ).map(cbor2.dumps),
)  # fmt: skip


@given(HOSTILE)
def test_no_bytes_bring_the_decoder_down(payload: bytes) -> None:
    settings = WaveformSettings(rate_hz=RATE_HZ, frame_samples=64, bearing=BEARING)
    found = blocks(settings)(payload, ORIGIN)
    if isinstance(found, Frame):
        rows = np.asarray(found.rows)
        assert rows.shape == (len(found.times_ns), len(found.channels))
        assert not np.isinf(rows).any()


@given(st.binary(min_size=512, max_size=4096))
def test_samples_of_any_bits_make_finite_rows(raw: bytes) -> None:
    payload = cbor2.dumps({"type": "float32", "samples": {"de": raw[: len(raw) // 4 * 4]}})
    found = blocks(WaveformSettings(rate_hz=RATE_HZ, frame_samples=64))(payload, ORIGIN)
    if isinstance(found, Frame):
        assert not np.isinf(np.asarray(found.rows)).any()
