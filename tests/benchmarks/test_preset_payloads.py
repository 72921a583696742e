"""Every preset reads the row that its gateway would send: the same machine, channels and values."""

import tomllib

import pytest

from benchmarks.reliability import preset_payloads
from edge_agent.config.file import Config
from edge_agent.config.presets import PRESETS
from edge_agent.formats.routing import delivery_decoder
from edge_agent.records import Delivery, Frame

TS = 1_796_040_000.25
VALUES = {"pressure": 5.5, "flow": 40.25}


@pytest.mark.parametrize("preset", PRESETS)
def test_a_row_is_a_row_in_every_envelope(preset: str) -> None:
    config = Config.model_validate(tomllib.loads(preset_payloads.sources()))
    decode = delivery_decoder(
        [source.route for source in config.source], payload_limit_bytes=65_536, future_tolerance_s=300.0
    )
    found: dict[str, float] = {}
    for topic, payload in preset_payloads.messages(preset, f"m-{preset}", TS, VALUES):
        frame = decode(Delivery(topic, payload, round((TS + 1) * 1e9)))
        assert isinstance(frame, Frame), (preset, frame)
        assert frame.machine == f"m-{preset}"
        if frame.stamped:
            assert list(frame.times_ns) == [round(TS * 1000) * 10**6]
        found |= dict(
            zip((name.split(".")[-1] for name in frame.channels), map(float, frame.rows[0]), strict=True)
        )
    assert found == VALUES
