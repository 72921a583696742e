"""One MQTT connection and its network thread: connecting, losing, replacing. Knows not what goes over it.

What paho does shapes this file: an exception in a callback ends its network thread without a word, reading a topic
that is not UTF-8 raises (`bulk_client` says when one comes so far), and `on_publish` runs while paho holds the lock
that `publish` takes. So callbacks only copy, take no lock that is held around a paho call, and let nothing escape; a
dead network thread is replaced.
"""

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge_agent.mqtt.bulk_client import BulkClient
from edge_agent.mqtt.credentials import FreshContext, LastError, Login, Tls

if TYPE_CHECKING:
    import ssl

QOS = 1
"""At least once. With QoS 2 paho answers before we have done anything, and keeps the message in memory only."""
_RETRY_MIN_S = 1
_PROTOCOL_ERROR = ReasonCode(PacketTypes.DISCONNECT, "Protocol error")
_LASTED_S = 15.0
"""A connection that lasts so long, and twice as long as was waited for it, was no quick loss."""
_FEWEST_LOSSES = 2
THROWN_OUT = "thrown out"
"""In what a connection says of itself that is let in and lost again and again; `doctor` looks for it."""
_REPLACE_EVERY_S = 5.0
"""A network thread that dies at once is not replaced more often than this."""

Report = Callable[..., None]
"""Where a connection says what happened: `report(event, **facts)`."""


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """The broker and how to enter; holds no secret, only where it is read."""

    host: str
    port: int
    keepalive_s: int = 30
    retry_max_s: int = 5
    login: Login = field(default_factory=Login)
    tls: Tls | None = None


class Connection:
    """One MQTT client with its network thread, which is replaced when it has died."""

    def __init__(
        self,
        name: str,
        address: BrokerAddress,
        *,
        client_id: str,
        clean_session: bool,
        keep_bytes: int,
        report: Report,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`keep_bytes` of a payload are wanted; a longer one's end is forgotten while it is read."""
        self._monotonic = monotonic
        self._entered_s = 0.0
        self._quick_losses = 0
        """Connections in a row that were lost right after they were let in."""
        self.name = name
        self.session = 0
        """Number of the connection; a new one begins at every successful connect."""
        self.replaced = 0
        """How many times a dead network thread was replaced."""
        self.hung_up = 0
        """How many connections we ended because the broker broke the protocol."""
        self._address = address
        self._client_id = client_id
        self._clean_session = clean_session
        self._keep_bytes = keep_bytes
        self._report = report
        self._client: BulkClient | None = None
        self._connected = False
        self._thread: threading.Thread | None = None
        self._started_s = 0.0
        self._failures = 0
        self._context: FreshContext | None = None
        self._told = False
        """Whether the present attempt to connect was reported as failed."""
        self._complaint = LastError()

    # -- for the owner --------------------------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted us and our network thread is alive."""
        return self._connected and self._thread is not None and self._thread.is_alive()

    @property
    def trouble(self) -> str:
        """What is permanently wrong though each attempt succeeds; empty where nothing is."""
        lasted_s = self._monotonic() - self._entered_s
        if self._quick_losses < _FEWEST_LOSSES or (self._connected and lasted_s > self._long_enough_s):
            return ""
        return (
            f"{self.name} was {THROWN_OUT} {self._quick_losses} times right after it was let in: another client "
            f"uses the client id {self._client_id}, or the broker hangs up on what is sent"
        )

    @property
    def _long_enough_s(self) -> float:
        return _LASTED_S + 2 * self._wait_s

    @property
    def _wait_s(self) -> int:
        """Before the next attempt: two clients of one name must not throw each other out every second."""
        patience_s: int = 2 ** max(0, self._quick_losses - 1)
        return max(_RETRY_MIN_S, min(patience_s, self._address.retry_max_s))

    def start(self) -> None:
        """Begin to connect; returns at once and keeps trying."""
        self._client = self._build()
        self._client.connect_async(self._address.host, self._address.port, self._address.keepalive_s)
        self._client.loop_start()

    def stop(self) -> None:
        """Take leave of the broker and end the network thread."""
        # Without a circle of references paho closes its sockets at once.
        client, self._client = self._client, None
        if client is not None:
            client.disconnect()
            client.loop_stop()
        if self._context is not None:
            self._context.close()
        self._connected = False

    def revive(self, now_s: float) -> bool:
        """Replace the client if its network thread has died; True if so."""
        dead = self._thread is not None and not self._thread.is_alive()
        if not dead or now_s - self._started_s < _REPLACE_EVERY_S:
            return False
        self._report("network_thread_replaced", client=self.name)
        self.replaced += 1
        self._started_s = now_s
        self._connected = False
        self._thread = None
        self.start()
        return True

    # -- building -------------------------------------------------------------------------------------------

    def _build(self) -> BulkClient:
        address = self._address
        client = BulkClient(
            CallbackAPIVersion.VERSION2,
            client_id=self._client_id,
            clean_session=self._clean_session,
            manual_ack=True,
        )
        client.keep_bytes = self._keep_bytes
        client.reconnect_delay_set(_RETRY_MIN_S, max(_RETRY_MIN_S, address.retry_max_s))
        client.max_queued_messages_set(0)
        client.enable_logger(self._complaint.logger)
        if address.tls is not None:
            self._context = FreshContext(address.tls)
            client.tls_set_context(cast("ssl.SSLContext", self._context))
        client.on_pre_connect = self._on_pre_connect
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        self._prepare(client)
        return client

    def _prepare(self, client: BulkClient) -> None:
        """Add what this connection does beside connecting."""

    def _entered(self, client: mqtt.Client) -> None:
        """Called on the network thread at each accepted connection."""

    def _lost(self, client: BulkClient) -> None:
        """Called on the network thread when a connection has ended."""

    # -- callbacks, on the network thread -------------------------------------------------------------------

    def _guard(self, work: Callable[[], None]) -> None:
        """Run a callback's work; whatever it raises is reported, because it would end the network thread."""
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - an escaping exception kills paho's thread silently
            self._report("callback_failed", client=self.name, error=repr(error))

    def _on_pre_connect(self, client: mqtt.Client, _userdata: Any) -> None:
        self._thread = threading.current_thread()
        self._told, self._complaint.text = False, ""

        def work() -> None:
            try:
                username, password = self._address.login.read()
            except OSError as error:  # what was read last is shown again
                self._report("credentials_unreadable", client=self.name, reason=str(error))
                return
            if username:
                client.username_pw_set(username, password)

        self._guard(work)

    def _on_connect(
        self,
        client: mqtt.Client,
        _userdata: Any,
        flags: mqtt.ConnectFlags,
        code: ReasonCode,
        _p: Properties | None,
    ) -> None:
        def work() -> None:
            if code.is_failure:
                self._failed(f"refused: {code}")
                return
            self._failures = 0
            self._entered_s = self._monotonic()
            self.session += 1
            self._connected = True
            self._report("broker_connected", client=self.name, session_present=flags.session_present)
            self._entered(client)

        self._guard(work)

    def _on_connect_fail(self, _client: mqtt.Client, _userdata: Any) -> None:
        # paho tells no reason; but it calls from where it handles the exception.
        self._guard(lambda: self._failed(str(sys.exception() or "unreachable")))

    def _failed(self, reason: str) -> None:
        self._told = True
        self._failures += 1
        if self._failures & (self._failures - 1) == 0:  # the 1st, 2nd, 4th, 8th ... time
            self._report("broker_unreachable", client=self.name, reason=reason, attempts=self._failures)

    def _on_disconnect(
        self,
        client: mqtt.Client,
        _userdata: Any,
        _f: mqtt.DisconnectFlags,
        code: ReasonCode,
        _p: Properties | None,
    ) -> None:
        def work() -> None:
            was, self._connected = self._connected, False
            self.hung_up += code == _PROTOCOL_ERROR
            reason = f"{code} ({self._complaint.text})" if self._complaint.text else str(code)
            if was and code.is_failure:
                self._note_loss(client, violated=code == _PROTOCOL_ERROR)
                told = {"hint": self.trouble} if self.trouble else {}
                self._report("broker_lost", client=self.name, reason=reason, **told)
            elif code.is_failure and not self._told:  # with TLS 1.3 a refused certificate shows only now
                self._failed(reason)
            self._lost(cast("BulkClient", client))

        self._guard(work)

    def _note_loss(self, client: mqtt.Client, *, violated: bool) -> None:
        """Count a loss right after the entry, and wait longer before the next; `violated`: we hung up ourselves."""
        lasted_s = self._monotonic() - self._entered_s
        self._quick_losses = 0 if violated or lasted_s > self._long_enough_s else self._quick_losses + 1
        client.reconnect_delay_set(self._wait_s, max(self._wait_s, self._address.retry_max_s))
