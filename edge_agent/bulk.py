"""paho's client, reading and acknowledging in bulk. Decides nothing; all but the reading of short messages is paho's.

paho asks the socket three times for each message, waits for it anew between any two, and wakes its thread for each
acknowledgement; each of these gives the interpreter away and has to win it back from the thread that scores. Here
the socket is asked for all that has come, messages are cut out of that (`packets`) and handed over together, and the
acknowledgements of a turn are written at once.
"""

import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterable
from typing import Any, cast

import paho.mqtt.client as mqtt
from paho.mqtt.enums import LogLevel, MQTTErrorCode

from edge_agent.packets import MalformedPacketError, Publish, take

_READ_BYTES = 65_536
_READ_PACKETS = 200
"""Packets read by paho before it may write again: acknowledgements and pings must not wait for the end of a flood."""
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
        self.left = b""
        """What was gulped."""
        self.at = 0
        """So much of it is used up."""
        self.torn = False
        """Whether what is left is the beginning of a packet whose rest has not come."""
        self.gulped_bytes = 0
        """What the last look at the socket brought."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def recv(self, size: int) -> bytes:
        """As the socket's own; what was gulped before comes first.

        Raises:
            OSError: as the socket's own.
        """
        if self.at >= len(self.left):
            if size >= _READ_BYTES:
                return self._inner.recv(size)
            self.gulp()
        self.torn = False
        piece = self.left[self.at : self.at + size]
        self.at += len(piece)
        return piece

    def gulp(self) -> bool:
        """Ask the socket for all it has; False at its end.

        Raises:
            OSError: as the socket's own.
        """
        more = self._inner.recv(_READ_BYTES)
        self.left, self.at, self.torn = self.left[self.at :] + more, 0, False
        self.gulped_bytes = len(more)
        return bool(more)

    def pending(self) -> int:
        """Bytes that can be had without asking the network; paho does not wait while there are any."""
        beneath = getattr(self._inner, "pending", None)
        left = 0 if self.torn else len(self.left) - self.at
        return left + (beneath() if beneath is not None else 0)


class BulkClient(mqtt.Client):
    """A client for many small messages.

    Attributes:
        on_messages: is given the short messages that have come, in order; without it each goes to `on_message`.
        keep_bytes: so much of a payload is handed over.
    """

    on_messages: Callable[[list[Publish]], None] | None = None
    keep_bytes = _READ_BYTES
    _looked_s = _counted_s = 0.0
    _counted = 0
    _busy = False

    def loop_read(self, max_packets: int = 1) -> MQTTErrorCode:
        """Read what has come, some hundred packets at most; under load, after so much has come that it is worth it."""
        self._nap()
        code = MQTTErrorCode.MQTT_ERR_SUCCESS
        for _ in range(_READ_PACKETS):
            connection = self._sock
            if not isinstance(connection, Gulping):
                return super().loop_read(max_packets)
            taken = self._take_messages(connection) if self.on_messages is not None else None
            if taken is None:
                self._counted += 1
                taken = super().loop_read(max_packets)
            code = taken
            if code != MQTTErrorCode.MQTT_ERR_SUCCESS or not connection.pending():
                break
        return code

    def _take_messages(self, connection: Gulping) -> MQTTErrorCode | None:
        """Hand over the short messages that stand next; None where the next packet is paho's."""
        if self._in_packet["command"]:
            return None
        try:
            used_up = connection.torn or connection.at >= len(connection.left)
            if used_up and not connection.gulp():
                return None  # the end, which paho finds as well
            run = take(connection.left, connection.at, keep_bytes=self.keep_bytes)
        except (BlockingIOError, ssl.SSLWantReadError):
            return MQTTErrorCode.MQTT_ERR_SUCCESS
        except OSError as error:
            return self._lost(f"failed to receive: {error}", MQTTErrorCode.MQTT_ERR_CONN_LOST)
        except MalformedPacketError as error:
            return self._lost(f"malformed packet: {error}", MQTTErrorCode.MQTT_ERR_PROTOCOL)
        connection.at = run.end
        connection.torn = run.torn and len(connection.left) - run.end < _READ_BYTES
        if run.found and self.on_messages is not None:
            self._counted += len(run.found)
            with self._msgtime_mutex:
                self._last_bytes_received = time.monotonic()
            self.on_messages(run.found)
        elif not connection.torn:
            return None
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _lost(self, reason: str, code: MQTTErrorCode) -> MQTTErrorCode:
        self._easy_log(LogLevel.MQTT_LOG_ERR, "%s", reason)
        return self._loop_rc_handle(code)

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
