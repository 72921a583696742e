"""Payload bytes to `Frame`: one file a wire format, all behind one protocol. Pure: no clock, no socket, no file.

What a frame means is not known here (`signals`, `pipeline`), nor how its bytes came (`mqtt`). `sparkplug/` holds the
one format that has a state; all others are functions of one payload.

Rules:

- A format is one file that declares a `WireFormat`, and one line in `table.FORMATS`; its name is written there alone.
- Whatever the bytes are, a decoder gives a frame or a `Reject` with a bounded reason, in time linear in their number.
- One bad value does not spoil its neighbours: it is named in the frame's `bad_values`.
- `origin` checks every time and number, so that all formats turn away the same.
- `routing` finds a delivery's source by its topic, and decides whose clock counts.
"""
