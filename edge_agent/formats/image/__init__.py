"""The `image` format: a camera's picture becomes a slow row of gauges, and goes on beside them to be looked at.

`file_header` reads a file's size from its first bytes, `pixels` is the only door to Pillow, `gauges` measures the
picture, and `decoder` makes a frame of a payload.

Rules: what a picture claims is checked before memory is asked for. Whatever the bytes are, a frame or a `Reject` comes
of them. A picture is brought to one size by its source's settings, and never to another than those say.
"""
