"""Everybody who means harm at once: a process that attacks a running agent from another address, and counts.

    python -m benchmarks.reliability.attacks BROKER METRICS PAGE SECONDS      # ports; prints its counts as JSON

At the broker: machines that do not exist, more of them than there is room for; machines as wide as the bound allows;
messages beyond the longest; rubbish, also kept by the broker; commands that are none. At both pages: connections that
begin a request and do not end it, requests that nobody reads the answer of, wrong tokens.
"""

import http.client
import json
import math
import random
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

FROM = "127.0.0.7"
"""Loopback has many addresses: bounds that are shared by address see a stranger."""
GHOSTS = 1500
WIDE_MACHINES = 4
WIDE_CHANNELS = 256
WIDE_ROWS, WIDE_PERIOD_S = 32, 0.02
"""In a message: together nearly as long as a message may be."""
TOO_LONG_BYTES = 300_000
HELD = 300
"""Connections held open at each page."""


class Attacks:
    """All attackers of one run; what the broker has acknowledged of theirs on topics of sensors is counted."""

    def __init__(self, *, broker: int, pages: tuple[int, ...], seconds: float) -> None:
        self.counts: Counter[str] = Counter()
        self._pages = pages
        self._until_s = time.monotonic() + seconds
        self._lock = threading.Lock()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="mallory")
        self._client.max_inflight_messages_set(200)
        self._client.connect("127.0.0.1", broker)
        self._client.loop_start()
        self._chance = random.Random(7)
        self._began_s = time.time()

    def run(self) -> Counter[str]:
        """Attack until the time is over."""
        ways: list[tuple[Callable[[], None], float]] = [
            (self.ghost, 0.1),
            (self.wide, WIDE_ROWS * WIDE_PERIOD_S / WIDE_MACHINES),
            (self.too_long, 1.0),
            (self.rubbish, 0.05),
            (self.no_command, 0.2),
            *((lambda port=port: self.wrong_token(port), 0.1) for port in self._pages),
            *((lambda port=port: self.deaf(port), 0.5) for port in self._pages),
        ]
        threads = [threading.Thread(target=self._again, args=way) for way in ways]
        threads += [threading.Thread(target=self.hold, args=(port,)) for port in self._pages]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self._client.disconnect()
        self._client.loop_stop()
        return self.counts

    # -- at the broker ---------------------------------------------------------------------------------------------

    def ghost(self) -> None:
        """One row of a machine that does not exist."""
        name = f"ghost-{self.counts['ghost'] % GHOSTS}"
        self._send(
            "ghost", f"sensors/{name}", json.dumps({"ts": time.time(), "values": {"a": 1.0, "b": 2.0}})
        )

    def wide(self) -> None:
        """Rows of the widest machines that there may be, in the longest messages."""
        number = self.counts["wide"]
        turn, machine = divmod(number, WIDE_MACHINES)
        rows = range(turn * WIDE_ROWS, (turn + 1) * WIDE_ROWS)
        times = [round(self._began_s + WIDE_PERIOD_S * row, 3) for row in rows]
        values = {
            f"c{at}": [round(at + math.sin(row / 9) + self._chance.gauss(0, 0.1), 2) for row in rows]
            for at in range(WIDE_CHANNELS)
        }
        self._send(
            "wide",
            f"sensors/wide-{machine}",
            json.dumps({"ts": times, "values": values}, separators=(",", ":")),
        )

    def too_long(self) -> None:
        """A message far beyond the bound."""
        self._send("too_long", "sensors/long", "x" * TOO_LONG_BYTES)

    def rubbish(self) -> None:
        """Bytes that are no row; every tenth is kept by the broker."""
        number = self.counts["rubbish"]
        payload = self._chance.randbytes(self._chance.randrange(400))
        self._send("rubbish", f"sensors/rubbish-{number % 50}", payload, retain=number % 10 == 0)

    def no_command(self) -> None:
        """Commands that nobody can obey."""
        self._publish(
            "no_command", "agents/hall/cmd/ack", self._chance.choice(("{", '{"id":"x","by":"m"}', "[]"))
        )

    def _send(self, what: str, topic: str, payload: str | bytes, *, retain: bool = False) -> None:
        """On a topic of sensors: acknowledged by the broker, so that the agent must account for it."""
        self._publish(what, topic, payload, retain=retain).wait_for_publish(60)
        with self._lock:
            self.counts["to_account_for"] += 1

    def _publish(
        self, what: str, topic: str, payload: str | bytes, *, retain: bool = False
    ) -> mqtt.MQTTMessageInfo:
        self.counts[what] += 1
        return self._client.publish(topic, payload, qos=1, retain=retain)

    # -- at the pages ----------------------------------------------------------------------------------------------

    def wrong_token(self, port: int) -> None:
        """A guess."""
        self.counts["wrong_token"] += 1
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=3, source_address=(FROM, 0))
        with suppress(OSError, http.client.HTTPException):
            guess = {"Authorization": f"Bearer {self._chance.randrange(10**9)}"}
            line.request("POST", "/api/commands/ack", body=b"{}", headers=guess)
            line.getresponse().read()
        line.close()

    def deaf(self, port: int) -> None:
        """Asks for a long page and does not read it."""
        self.counts["deaf"] += 1
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 3, (FROM, 0)) as line:
            line.sendall(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            time.sleep(3.0)

    def hold(self, port: int) -> None:
        """So many connections with half a request, each begun anew when it is hung up on."""
        lines: list[socket.socket] = []
        while time.monotonic() < self._until_s:
            for line in [*lines]:
                try:
                    line.send(b"X")
                except OSError:
                    line.close()
                    lines.remove(line)
            with suppress(OSError):
                while len(lines) < HELD:
                    lines.append(socket.create_connection(("127.0.0.1", port), 1, (FROM, 0)))
                    lines[-1].sendall(b"GET / HTTP/1.1\r\nX-Slow: ")
                    lines[-1].setblocking(False)
                    self.counts["held"] += 1
            time.sleep(0.5)
        for line in lines:
            line.close()

    def _again(self, attack: Callable[[], None], every_s: float) -> None:
        while time.monotonic() < self._until_s:
            attack()
            time.sleep(every_s)


def main() -> int:
    """Attack, and print what was done."""
    broker, metrics, page = map(int, sys.argv[1:4])
    attacks = Attacks(broker=broker, pages=(metrics, page), seconds=float(sys.argv[4]))
    sys.stdout.write(json.dumps(attacks.run()) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
