"""paho's client, reading and acknowledging in bulk, and stricter. All but the reading of short messages stays paho's.

paho asks the socket three times for each message, waits for it anew between any two, and wakes its thread for each
acknowledgement; each of these gives the interpreter away and has to win it back from the thread that scores. Here
the socket is asked for all that has come, messages are cut out of that (`packets`) and handed over together, and the
acknowledgements of a turn are written at once.

paho reads over much that MQTT forbids a broker. What `packet_rules` finds ends the connection, as MQTT demands.
"""

import socket
import ssl
import struct
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Self, cast

import paho.mqtt.client as mqtt
from paho.mqtt.enums import LogLevel, MQTTErrorCode

from edge_agent.mqtt.packet_rules import (
    BAD_TOPICS,
    CONNACK,
    PUBLISH,
    SUBACK,
    answer_violation,
    head_violation,
    publish_violation,
)
from edge_agent.mqtt.packets import PublishPacket, cut_publishes

_READ_BYTES = 65_536
_READ_PACKETS = 200
"""Packets read by paho before it may write again: acknowledgements and pings must not wait for the end of a flood."""
_PUBACK = 0x40
_READ_PAUSE_S = 0.01
"""Under load the socket is looked at no more often than this: a look that brings two messages costs half as much as one
that brings forty. Small beside the turn that the messages wait for."""
_BUSY_PER_S = 2000.0
"""Slower streams are read as they come. A broker with its usual window of 20 unacknowledged messages stays below this,
and must not wait for us."""
_COUNT_S = 0.1
_FLOOD_BYTES = 32_768
"""A look that brought so much leaves nothing to wait for."""
_PARDON_S = 600.0
"""So long after hanging up because of a topic other such topics are only turned away. Some brokers do not check what
other clients publish: there a single sensor with a wrong topic could keep the agent from everybody else's messages."""
_AROUND_BYTES = 2 + 65_535 + 2
"""What may stand around a payload: the topic with its length, and the message's number."""


class TruncatedBody(bytearray):
    """The beginning of a packet's body: what is added beyond the limit is forgotten."""

    limit_bytes = 0

    def __iadd__(self, more: Any) -> Self:  # type: ignore[misc]  # nobody adds to it but in place
        self.extend(more[: max(0, self.limit_bytes - len(self))])
        return self


class BufferedSocket:
    """A connected socket that is asked for much and hands it out in small pieces; the rest is the socket's own.

    Args:
        long: called before a piece is read that is so long that nothing is buffered.
    """

    def __init__(self, inner: socket.socket, *, long: Callable[[], None] = lambda: None) -> None:
        self._inner = inner
        self._long = long
        self.left = b""
        """What was read and is not handed out."""
        self.at = 0
        """So much of it is used up."""
        self.torn = False
        """Whether what is left is the beginning of a packet whose rest has not come."""
        self.read_bytes = 0
        """What the last look at the socket brought."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def recv(self, size: int) -> bytes:
        """As the socket's own; what was read before comes first.

        Raises:
            OSError: as the socket's own.
        """
        if self.at >= len(self.left):
            if size >= _READ_BYTES:
                self._long()
                return self._inner.recv(_READ_BYTES)
            self.fill()
        self.torn = False
        piece = self.left[self.at : self.at + size]
        self.at += len(piece)
        return piece

    def fill(self) -> bool:
        """Ask the socket for all it has; False at its end.

        Raises:
            OSError: as the socket's own.
        """
        more = self._inner.recv(_READ_BYTES)
        self.left, self.at, self.torn = self.left[self.at :] + more, 0, False
        self.read_bytes = len(more)
        return bool(more)

    def pending(self) -> int:
        """Bytes that can be had without asking the network; paho does not wait while there are any."""
        beneath = getattr(self._inner, "pending", None)
        left = 0 if self.torn else len(self.left) - self.at
        return left + (beneath() if beneath is not None else 0)


class BulkClient(mqtt.Client):
    """A client for many small messages; it hangs up on a broker that sends malformed ones.

    Attributes:
        on_messages: is given the short messages that have come, in order; without it each goes to `on_message`.
    """

    on_messages: Callable[[list[PublishPacket]], None] | None = None
    keep_bytes = 1 << 28
    """So much of a payload is kept at least; of a longer one the beginning, so that no message can fill memory."""
    _looked_s = _counted_s = 0.0
    _counted = 0
    _busy = False
    _greeted = False
    """Whether this connection has had its CONNACK."""
    _pardoned_until_s = 0.0

    def __init__(
        self,
        *positional: Any,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        **named: Any,
    ) -> None:
        """As paho's own; `monotonic` and `sleep` say and spend the time between two looks at the socket."""
        super().__init__(*positional, **named)
        self._monotonic = monotonic
        self._sleep = sleep
        self._asked: deque[int] = deque()
        """Of each SUBSCRIBE of this connection that has no answer yet, how many filters it named."""

    def forget(self) -> None:
        """Give up what the broker has not acknowledged; paho would send it again at the next connection."""
        with self._out_message_mutex:
            self._out_messages.clear()
            self._inflight_messages = 0

    def loop_read(self, max_packets: int = 1) -> MQTTErrorCode:
        """Read what has come, some hundred packets at most; under load, after so much has come that it is worth it."""
        self._pause_reading()
        code = MQTTErrorCode.MQTT_ERR_SUCCESS
        for _ in range(_READ_PACKETS):
            connection = self._sock
            if not isinstance(connection, BufferedSocket):
                return super().loop_read(max_packets)
            taken = self._take_messages(connection)
            if taken is None:
                self._counted += 1
                taken = super().loop_read(max_packets)
            code = taken
            if code != MQTTErrorCode.MQTT_ERR_SUCCESS or not connection.pending():
                break
        begun = code == MQTTErrorCode.MQTT_ERR_SUCCESS and self._in_packet["have_remaining"]
        if begun and self._sock is not None:
            return self._look_at_head()
        return code

    def _take_messages(self, connection: BufferedSocket) -> MQTTErrorCode | None:
        """Hand over the short messages that stand next; None where the next packet is paho's."""
        if self.on_messages is None or not self._greeted or self._in_packet["command"]:
            return None
        try:
            used_up = connection.torn or connection.at >= len(connection.left)
            if used_up and not connection.fill():
                return None  # the end, which paho finds as well
        except (BlockingIOError, ssl.SSLWantReadError):
            return MQTTErrorCode.MQTT_ERR_SUCCESS
        except OSError as error:
            self._easy_log(LogLevel.MQTT_LOG_ERR, "failed to receive: %s", error)
            return self._loop_rc_handle(MQTTErrorCode.MQTT_ERR_CONN_LOST)
        run = cut_publishes(connection.left, connection.at, keep_bytes=self.keep_bytes)
        connection.at = run.end
        connection.torn = run.torn and len(connection.left) - run.end < _READ_BYTES
        if run.found:
            self._counted += len(run.found)
            with self._msgtime_mutex:
                self._last_bytes_received = time.monotonic()
            self.on_messages(run.found)
        elif not connection.torn:
            return None
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _look_at_head(self) -> MQTTErrorCode:
        """Hang up on a packet that has only begun where its head is wrong already."""
        length = self._in_packet["remaining_length"]
        violation = head_violation(self._in_packet["command"], length, greeted=self._greeted)
        return (
            self._loop_rc_handle(self._malformed(violation)) if violation else MQTTErrorCode.MQTT_ERR_SUCCESS
        )

    def _packet_handle(self) -> MQTTErrorCode:
        inside = self._in_packet
        head, packet = inside["command"], inside["packet"]
        if self._greeted and head & 0xF0 == PUBLISH:
            violation = publish_violation(head, packet)
            if not violation or self._pardoned(violation):
                return self._handle_publish()
            return self._malformed(violation)
        violation = head_violation(head, len(packet), greeted=self._greeted)
        violation = violation or answer_violation(head, packet, asked=self._asked)
        if violation:
            return self._malformed(violation)
        if head == CONNACK:
            self._greeted = True
        elif head == SUBACK:
            self._asked.remove(len(packet) - 2)
        return super()._packet_handle()

    def _pardoned(self, violation: str) -> bool:
        """Whether the violation lies in a topic, and we have hung up because of one a short while ago."""
        if violation not in BAD_TOPICS:
            return False
        now_s = self._monotonic()
        if now_s < self._pardoned_until_s:
            return True
        self._pardoned_until_s = now_s + _PARDON_S
        return False

    def _easy_log(self, level: LogLevel, fmt: str, *args: Any) -> None:
        if level is not LogLevel.MQTT_LOG_DEBUG:  # of each message paho tells a line that nobody reads
            super()._easy_log(level, fmt, *args)

    def _malformed(self, violation: str) -> MQTTErrorCode:
        self._easy_log(LogLevel.MQTT_LOG_ERR, "malformed packet: %s", violation)
        return MQTTErrorCode.MQTT_ERR_PROTOCOL

    def _send_subscribe(self, *asked: Any, **options: Any) -> Any:
        self._asked.append(len(asked[1]))  # before it is sent: the answer is read by another thread
        return super()._send_subscribe(*asked, **options)

    def _pause_reading(self) -> None:
        """Let messages gather, where many come one by one."""
        connection, now_s = self._sock, self._monotonic()
        if now_s - self._counted_s >= _COUNT_S:
            self._busy = self._counted >= _BUSY_PER_S * (now_s - self._counted_s)
            self._counted, self._counted_s = 0, now_s
        if not isinstance(connection, BufferedSocket) or connection.pending():
            return
        rest_s = self._looked_s + _READ_PAUSE_S - now_s
        if self._busy and rest_s > 0 and connection.read_bytes < _FLOOD_BYTES:
            self._sleep(rest_s)
            now_s += rest_s
        self._looked_s = now_s

    def ack_all(self, mids: Iterable[int]) -> None:
        """Acknowledge messages of QoS 1, in this order, in one write."""
        packets = b"".join(struct.pack("!BBH", _PUBACK, 2, mid) for mid in mids)
        if packets:
            self._packet_queue(_PUBACK, packets, 0, 1)

    def _create_socket(self) -> Any:
        self._greeted = False
        self._asked.clear()
        return BufferedSocket(cast("socket.socket", super()._create_socket()), long=self._forget_the_end)

    def _forget_the_end(self) -> None:
        """Of the packet that is being read keep only its beginning; what a body is added to is paho's to give."""
        inside = self._in_packet
        if not isinstance(inside["packet"], TruncatedBody):
            beginning = TruncatedBody(inside["packet"])
            beginning.limit_bytes = _AROUND_BYTES + self.keep_bytes
            inside["packet"] = beginning
