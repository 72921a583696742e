"""The sensors: publishes rows at QoS 1 and keeps its own ledger of what the broker has acknowledged.

Speaks MQTT 3.1.1 over a bare socket, because a general client costs more processor time than the agent under test,
and because order must survive a reconnect: what was not acknowledged is sent again, before anything new.
"""

import select
import socket
import struct
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Self

from benchmarks.harness.patience import wait_until

_TICK_S = 0.01
_WINDOW = 5000
"""Messages without an acknowledgement at a time."""
_CONNECT = b"\x00\x04MQTT\x04\x02\x00\x00"
"""MQTT 3.1.1, clean session, no keep-alive."""


@dataclass(frozen=True, slots=True)
class Row:
    """A message: row `number` of a machine."""

    machine: str
    number: int
    payload: bytes

    @property
    def topic(self) -> str:
        """Where agents listen for it."""
        return f"sensors/{self.machine}"


class Publisher:
    """One sensor gateway.

    Args:
        may_send: asked after each reconnect until it says yes; a broker without memory forgets who subscribed,
            and what it takes before the agent is back is out of the agent's reach.
    """

    def __init__(
        self, port: int, *, name: str = "sensors", may_send: Callable[[], bool] = lambda: True
    ) -> None:
        self.acknowledged = 0
        self.taken = 0
        self.reconnects = -1
        self.sent_s: dict[tuple[str, int], float] = {}
        """Monotonic time at which a row (machine, number) was first sent; filled where `timed`."""
        self.timed = False
        self._address = ("127.0.0.1", port)
        self._name = name.encode()
        self._may_send = may_send
        self._socket: socket.socket | None = None
        self._flying: OrderedDict[int, bytes] = OrderedDict()
        self._mid = 0
        self._left = b""
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    # -- for whoever sends ------------------------------------------------------------------------------------------

    def send(self, messages: Iterable[Row], *, per_s: float = 1e9, patience_s: float = 300.0) -> int:
        """Publish and wait for the broker to have it all; returns how many there were."""
        before = self.acknowledged
        self.begin(messages, per_s=per_s)
        return self.finish(patience_s=patience_s) - before

    def begin(self, messages: Iterable[Row], *, per_s: float = 1e9) -> Self:
        """Publish in the background."""
        self._stop.clear()
        self._thread = threading.Thread(target=self._guarded, args=(iter(messages), per_s), daemon=True)
        self._thread.start()
        return self

    @property
    def busy(self) -> bool:
        """Whether it still publishes; raises what ended it."""
        if self._error is not None:
            raise self._error
        return self._thread is not None and self._thread.is_alive()

    def finish(self, *, patience_s: float = 300.0) -> int:
        """Wait until all is acknowledged; returns how many messages were, since the beginning."""
        wait_until(lambda: not self.busy, what="the publisher", patience_s=patience_s)
        return self.acknowledged

    def close(self) -> None:
        """End what runs in the background."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=10)
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    # -- the thread -----------------------------------------------------------------------------------------

    def _guarded(self, messages: Iterator[Row], per_s: float) -> None:
        try:
            self._run(messages, per_s)
        except BaseException as error:  # noqa: BLE001 - handed on by `busy`
            self._error = error

    def _run(self, messages: Iterator[Row], per_s: float) -> None:
        started, done, exhausted = time.monotonic(), 0, False
        while not self._stop.is_set() and not (exhausted and not self._flying):
            try:
                if self._socket is None:
                    self._connect()
                due = min(int(per_s * (time.monotonic() - started)) - done, _WINDOW - len(self._flying))
                if due > 0 and not exhausted:
                    count = self._write(list(islice(messages, min(due, 500))))
                    exhausted, done = count == 0, done + count
                self._read(0.0 if due > 500 else _TICK_S)
            except OSError:
                self._lost()

    def _connect(self) -> None:
        connection = socket.create_connection(self._address, timeout=5)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket, self._left = connection, b""
        connection.sendall(_packet(0x10, _CONNECT + struct.pack("!H", len(self._name)) + self._name))
        answer = connection.recv(4)
        if answer[:1] != b"\x20" or answer[3:] != b"\x00":
            raise OSError(f"the broker does not let the sensors in: {answer!r}")
        self.reconnects += 1
        while self.reconnects and not self._stop.is_set() and not self._may_send():
            time.sleep(0.05)
        for packet in list(self._flying.values()):
            connection.sendall(packet)

    def _write(self, messages: list[Row]) -> int:
        packets = []
        now = time.monotonic()
        for message in messages:
            self._mid = self._mid % 65_535 + 1
            topic = message.topic.encode()
            body = b"".join(
                (struct.pack("!H", len(topic)), topic, struct.pack("!H", self._mid), message.payload)
            )
            packets.append(_packet(0x32, body))
            self._flying[self._mid] = packets[-1]
            if self.timed:
                self.sent_s[message.machine, message.number] = now
        self.taken += len(messages)
        if packets and self._socket is not None:
            self._socket.sendall(b"".join(packets))
        return len(messages)

    def _read(self, wait_s: float) -> None:
        if self._socket is None or not select.select([self._socket], [], [], wait_s)[0]:
            return
        data = self._socket.recv(65_536)
        if not data:
            raise OSError("the broker hung up")
        data = self._left + data
        whole = len(data) - len(data) % 4  # all that a broker sends us is PUBACKs, of four bytes
        for at in range(0, whole, 4):
            if self._flying.pop(data[at + 2] << 8 | data[at + 3], None) is not None:
                self.acknowledged += 1
        self._left = data[whole:]

    def _lost(self) -> None:
        if self._socket is not None:
            with suppress(OSError):
                self._socket.close()
            self._socket = None
        time.sleep(0.05)


def _packet(kind: int, body: bytes) -> bytes:
    left, length = len(body), b""
    while True:
        left, digit = divmod(left, 128)
        length += bytes([digit | 128 if left else digit])
        if not left:
            return bytes([kind]) + length + body
