"""paho's client, reading and acknowledging in bulk. Decides nothing; the protocol stays paho's.

paho asks the socket three times for each message, waits for it anew between any two, and wakes its thread for each
acknowledgement; each of these gives the interpreter away and has to win it back from the thread that scores. Here
the socket is asked for all that has come, messages are read until that is used up, and the acknowledgements of a
turn are written at once.
"""

import socket
import struct
import time
from collections.abc import Iterable
from typing import Any, cast

import paho.mqtt.client as mqtt
from paho.mqtt.enums import MQTTErrorCode

_READ_BYTES = 65_536
_READ_PACKETS = 200
"""Messages read before paho may write again: acknowledgements and pings must not wait for the end of a flood."""
_PUBACK = 0x40
_NAP_S = 0.01
"""Under load the socket is looked at no more often than this: a look that brings two messages costs half as much as one
that brings forty. Small beside the turn that the messages wait for."""
_BUSY_PER_S = 2000.0
"""Slower streams are read as they come. A broker with its usual window of 20 unacknowledged messages stays below this,
and must not wait for us."""
_COUNT_S = 0.1
_FLOOD_BYTES = 32_768
"""A look that brought so much leaves nothing to wait for."""


class Gulping:
    """A connected socket that is asked for much and hands it out in small pieces; the rest is the socket's own."""

    def __init__(self, inner: socket.socket) -> None:
        self._inner = inner
        self._left = memoryview(b"")
        self.gulped_bytes = 0
        """What the last look at the socket brought."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def recv(self, size: int) -> bytes:
        """As the socket's own; what was gulped before comes first.

        Raises:
            OSError: as the socket's own.
        """
        if not self._left:
            if size >= _READ_BYTES:
                return self._inner.recv(size)
            self._left = memoryview(self._inner.recv(_READ_BYTES))
            self.gulped_bytes = len(self._left)
        piece, self._left = self._left[:size], self._left[size:]
        return bytes(piece)

    def pending(self) -> int:
        """Bytes that can be had without asking the network; paho does not wait while there are any."""
        beneath = getattr(self._inner, "pending", None)
        return len(self._left) + (beneath() if beneath is not None else 0)


class BulkClient(mqtt.Client):
    """A client for many small messages."""

    _looked_s = _counted_s = 0.0
    _counted = 0
    _busy = False

    def loop_read(self, max_packets: int = 1) -> MQTTErrorCode:
        """Read what has come, some hundred messages at most; under load, after so much has come that it is worth it."""
        self._nap()
        code = super().loop_read(max_packets)
        for _ in range(_READ_PACKETS):
            self._counted += 1
            connection = self._sock
            if code != MQTTErrorCode.MQTT_ERR_SUCCESS or not isinstance(connection, Gulping):
                break
            if not connection.pending():
                break
            code = super().loop_read(max_packets)
        return code

    def _nap(self) -> None:
        """Let messages gather, where many come one by one."""
        connection, now_s = self._sock, time.monotonic()
        if now_s - self._counted_s >= _COUNT_S:
            self._busy = self._counted >= _BUSY_PER_S * (now_s - self._counted_s)
            self._counted, self._counted_s = 0, now_s
        if not isinstance(connection, Gulping) or connection.pending():
            return
        rest_s = self._looked_s + _NAP_S - now_s
        if self._busy and rest_s > 0 and connection.gulped_bytes < _FLOOD_BYTES:
            time.sleep(rest_s)
            now_s += rest_s
        self._looked_s = now_s

    def ack_all(self, mids: Iterable[int]) -> None:
        """Acknowledge messages of QoS 1, in this order, in one write."""
        packets = b"".join(struct.pack("!BBH", _PUBACK, 2, mid) for mid in mids)
        if packets:
            self._packet_queue(_PUBACK, packets, 0, 1)

    def _create_socket(self) -> Any:
        return Gulping(cast("socket.socket", super()._create_socket()))
