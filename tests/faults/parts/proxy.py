"""A TCP proxy between agent and broker that delays, swallows, cuts and half-closes."""

import socket
import struct
import threading
import time
from contextlib import suppress
from queue import SimpleQueue
from typing import Self

_CHUNK = 65_536


class Proxy:
    """Listens on `port` and passes all on to the broker, with faults switched on and off meanwhile."""

    def __init__(self, broker_port: int) -> None:
        self.delay_s = 0.0
        """How long each chunk is held, in both directions."""
        self.connections = 0
        """How many connections were taken in all."""
        self._broker = ("127.0.0.1", broker_port)
        self._open = threading.Event()
        self._open.set()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for pair in self._pairs:
            for end in pair:
                end.close()

    # -- faults ---------------------------------------------------------------------------------------------

    def black_hole(self) -> None:
        """Connections stand, new ones are accepted, and nothing comes through."""
        self._open.clear()

    def heal(self) -> None:
        """Pass on again, beginning with what was held back."""
        self.delay_s = 0.0
        self._open.set()

    def reset(self) -> None:
        """Cut every connection with an RST on both sides."""
        pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for end in pair:
                with suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    end.close()

    def half_open(self) -> None:
        """The broker loses every connection; the agent is not told. New connections pass."""
        for _, upstream in self._pairs:
            with suppress(OSError):
                upstream.shutdown(socket.SHUT_RDWR)

    # -- threads --------------------------------------------------------------------------------------------

    def _accept(self) -> None:
        while True:
            try:
                downstream, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            try:
                upstream = socket.create_connection(self._broker, timeout=5)
            except OSError:
                downstream.close()
                continue
            upstream.settimeout(None)
            self._pairs.append((downstream, upstream))
            self._link(downstream, upstream, tell_end=True)
            self._link(upstream, downstream, tell_end=False)

    def _link(self, source: socket.socket, target: socket.socket, *, tell_end: bool) -> None:
        chunks: SimpleQueue[tuple[float, bytes]] = SimpleQueue()
        threading.Thread(target=self._read, args=(source, chunks), daemon=True).start()
        threading.Thread(
            target=self._write, args=(target, chunks), kwargs={"tell_end": tell_end}, daemon=True
        ).start()

    def _read(self, source: socket.socket, chunks: SimpleQueue[tuple[float, bytes]]) -> None:
        data = b"begin"
        while data:
            try:
                data = source.recv(_CHUNK)
            except OSError:
                data = b""
            chunks.put((time.monotonic(), data))

    def _write(
        self, target: socket.socket, chunks: SimpleQueue[tuple[float, bytes]], *, tell_end: bool
    ) -> None:
        with suppress(OSError):
            while True:
                at_s, data = chunks.get()
                time.sleep(max(0.0, at_s + self.delay_s - time.monotonic()))
                self._open.wait()
                if not data:
                    break
                target.sendall(data)
        if tell_end:  # the agent has gone; of a broker that has gone the agent learns nothing (half open)
            with suppress(OSError):
                target.shutdown(socket.SHUT_RDWR)
