"""A format that nobody has met before is one file and one line in a table: here is the file, and the line is added.

The toy is big-endian: a byte that counts, and as many pairs of a channel's number and a float.
"""

import struct
from pathlib import Path

import pytest

from edge_agent.config import file as config_file
from edge_agent.errors import ConfigError
from edge_agent.formats.origin import Origin
from edge_agent.formats.samples import Samples
from edge_agent.formats.table import FORMATS
from edge_agent.formats.wire_format import WireFormat
from edge_agent.pipeline.pipeline import Pipeline
from edge_agent.records import Delivery, Frame, Reject
from edge_agent.service.wiring import message_decoder, pipeline_settings
from tests.support import tiny

NOW_NS = 1_700_000_000_000_000_000
CONFIG = '[[source]]\ntopic = "plc/{machine}"\nformat = "pairs"\n'


def decode(payload: bytes, origin: Origin) -> Frame | Reject:
    if not payload or len(payload) != 1 + 5 * payload[0]:
        return Reject("malformed", "the count does not agree with the length")
    samples = Samples(origin)
    for number, value in struct.iter_unpack(">Bf", payload[1:]):
        samples.add(f"channel-{number}", value, time=None)
    return samples.frame()


FORMAT = WireFormat.plain("pairs", decode)


def message(*pairs: tuple[int, float]) -> bytes:
    return bytes([len(pairs)]) + b"".join(struct.pack(">Bf", *pair) for pair in pairs)


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> config_file.Config:
    monkeypatch.setitem(FORMATS, FORMAT.name, FORMAT)  # the line in the table
    (tmp_path / "agent.toml").write_text(CONFIG)
    return config_file.load(tmp_path / "agent.toml")


def test_its_messages_are_configured_decoded_and_counted(
    config: config_file.Config, tiny_bundle: Path
) -> None:
    pipeline = Pipeline(
        decode=message_decoder(config, monotonic=lambda: 0.0),
        scorer=tiny.scorer(tiny_bundle),
        settings=pipeline_settings(config),
    )
    payloads = [message((1, 0.5), (2, -3.0)), message((1, 0.75), (2, float("nan"))), b"", b"\x02" + bytes(5)]
    step = pipeline.step(
        [Delivery("plc/press-4", payload, NOW_NS + at * 10**9) for at, payload in enumerate(payloads)]
    )
    assert [(frame.machine, frame.channels, list(frame.rows)) for frame in step.accepted] == [
        ("press-4", ("channel-1", "channel-2"), [(0.5, -3.0)]),
        ("press-4", ("channel-1",), [(0.75,)]),
    ]
    assert pipeline.ledger.accepted == 2
    assert dict(pipeline.ledger.rejected) == {"malformed": 2}


def test_it_takes_no_options_of_other_formats(config: config_file.Config, tmp_path: Path) -> None:
    assert config.source[0].format == FORMAT.name
    (tmp_path / "other.toml").write_text(CONFIG + '[source.map]\nvalues = ["/v"]\n')
    with pytest.raises(ConfigError, match=r"format 'pairs' takes no \[source.map\]"):
        config_file.load(tmp_path / "other.toml")


def test_without_its_line_the_configuration_says_which_formats_there_are(tmp_path: Path) -> None:
    (tmp_path / "agent.toml").write_text(CONFIG)
    with pytest.raises(ConfigError, match="unknown format 'pairs'; known: cbor, image, json,"):
        config_file.load(tmp_path / "agent.toml")
