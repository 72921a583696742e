"""The table of wire formats: the one place that lists them."""

from edge_agent.formats import cbor_row, json_path, json_row, line_protocol, number, senml, waveform
from edge_agent.formats.image import decoder as image
from edge_agent.formats.wire_format import WireFormat

FORMATS: dict[str, WireFormat] = {
    each.name: each
    for each in (
        json_row.FORMAT,
        senml.FORMAT,
        cbor_row.FORMAT,
        senml.CBOR_FORMAT,
        line_protocol.FORMAT,
        number.FORMAT,
        json_path.FORMAT,
        waveform.FORMAT,
        image.FORMAT,
    )
}
"""By name, in the order in which `discover` tries those without options: what reads almost anything comes last."""
SPARKPLUG = "sparkplug"
"""What `format` of a `[[source]]` says of no format of single payloads: a protocol with a connection of its own."""
