"""The MQTT clients, one for what comes in and one for what goes out: the only room that imports paho.

What paho does shapes this room: an exception in a callback ends its network thread without a word, reading a topic
that is not UTF-8 raises, and `on_publish` runs while paho holds the lock that `publish` takes. So callbacks only
copy, take no lock that is held around a paho call, and let nothing escape; a dead network thread is replaced.
"""

import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge_agent.contract.records import Delivery
from edge_agent.credentials import FreshContext, LastError, Login, Tls
from edge_agent.inbox import Arrival, Inbox, Receipt
from edge_agent.outbox import Message, Outbox

if TYPE_CHECKING:
    import ssl

QOS = 1
"""At least once. With QoS 2 paho answers before we have done anything, and keeps the message in memory only."""
_FLYING_LIMIT = 50
"""Publishes without an acknowledgement at a time."""
_RETRY_MIN_S = 1
_REPLACE_EVERY_S = 5.0
"""A network thread that dies at once is not replaced more often than this."""

Report = Callable[..., None]
"""Where the room says what happened: `report(event, **facts)`."""


@dataclass(frozen=True, slots=True)
class Address:
    """The broker and how to enter; holds no secret, only where it is read."""

    host: str
    port: int
    keepalive_s: int = 30
    retry_max_s: int = 30
    login: Login = field(default_factory=Login)
    tls: Tls | None = None


class _Link:
    """One MQTT client with its network thread, which is replaced when it has died."""

    def __init__(
        self, name: str, address: Address, *, client_id: str, clean_session: bool, report: Report
    ) -> None:
        self.name = name
        self.session = 0
        """Number of the connection; a new one begins at every successful connect."""
        self.replaced = 0
        """How many times a dead network thread was replaced."""
        self._address = address
        self._client_id = client_id
        self._clean_session = clean_session
        self._report = report
        self._client: mqtt.Client | None = None
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

    def start(self) -> None:
        """Begin to connect; returns at once and keeps trying."""
        self._client = self._build()
        self._client.connect_async(self._address.host, self._address.port, self._address.keepalive_s)
        self._client.loop_start()

    def stop(self) -> None:
        """Take leave of the broker and end the network thread."""
        if self._client is not None:
            self._client.disconnect()
            self._client.loop_stop()
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

    def _build(self) -> mqtt.Client:
        address = self._address
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._client_id,
            clean_session=self._clean_session,
            manual_ack=True,
        )
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

    def _prepare(self, client: mqtt.Client) -> None:
        """Add what this link does beside connecting."""

    def _entered(self, client: mqtt.Client) -> None:
        """Called on the network thread at each accepted connection."""

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
        _client: mqtt.Client,
        _userdata: Any,
        _f: mqtt.DisconnectFlags,
        code: ReasonCode,
        _p: Properties | None,
    ) -> None:
        def work() -> None:
            was, self._connected = self._connected, False
            reason = f"{code} ({self._complaint.text})" if self._complaint.text else str(code)
            if was and code.is_failure:
                self._report("broker_lost", client=self.name, reason=reason)
            elif code.is_failure and not self._told:  # with TLS 1.3 a refused certificate shows only now
                self._failed(reason)

        self._guard(work)


class Ingest(_Link):
    """Receives sensor data into the inbox. The broker keeps what we have not acknowledged."""

    def __init__(
        self,
        address: Address,
        *,
        client_id: str,
        filters: Sequence[str],
        inbox: Inbox,
        payload_limit_bytes: int,
        wall_clock_ns: Callable[[], int],
        report: Report,
    ) -> None:
        super().__init__("ingest", address, client_id=client_id, clean_session=False, report=report)
        self.refused: tuple[str, ...] = ()
        """Topic filters that the broker did not grant."""
        self._filters = tuple(filters)
        self._dropped: tuple[str, ...] = ()
        self._inbox = inbox
        self._keep_bytes = payload_limit_bytes + 1
        self._wall_clock_ns = wall_clock_ns

    def acknowledge(self, receipts: Sequence[Receipt]) -> None:
        """Tell the broker that these messages are done with, in this order.

        A receipt of an earlier connection is void: the broker sends that message again.
        """
        client = self._client
        if client is None or not self.connected:
            return
        session = self.session
        for receipt in receipts:
            if receipt.session == session:
                client.ack(receipt.mid, QOS)

    def exchange(self, *, drop: Sequence[str], add: Sequence[str]) -> None:
        """Listen to other topics from now on, also at a broker that still keeps the old ones for us."""
        if set(drop) == set(add):
            return
        kept = [topic for topic in self._filters if topic not in drop]
        self._filters = tuple(dict.fromkeys([*kept, *add]))
        self._dropped = tuple((set(self._dropped) | set(drop)) - set(self._filters))
        self.refused = ()
        if self._client is not None and self.connected:
            self._entered(self._client)

    def limit_payloads(self, limit_bytes: int) -> None:
        """Keep no more of a payload than is needed to see that it is too long."""
        self._keep_bytes = limit_bytes + 1

    def _prepare(self, client: mqtt.Client) -> None:
        client.on_message = self._on_message
        client.on_subscribe = self._on_subscribe

    def _entered(self, client: mqtt.Client) -> None:
        # Also where the broker still knows our session: the configuration may have changed since.
        client.subscribe([(topic, QOS) for topic in self._filters])
        if self._dropped:
            client.unsubscribe(list(self._dropped))

    def _on_subscribe(
        self,
        _client: mqtt.Client,
        _userdata: Any,
        _mid: int,
        codes: Sequence[ReasonCode],
        _p: Properties | None,
    ) -> None:
        def work() -> None:
            pairs = zip(self._filters, codes, strict=False)
            self.refused = tuple(topic for topic, code in pairs if code.is_failure)
            if self.refused:
                self._report("subscription_refused", client=self.name, topics=list(self.refused))

        self._guard(work)

    def _on_message(self, _client: mqtt.Client, _userdata: Any, message: mqtt.MQTTMessage) -> None:
        def work() -> None:
            try:
                topic = message.topic
            except UnicodeDecodeError as error:
                topic = bytes(error.object).decode("utf-8", "surrogateescape")
            # One byte more than is allowed says enough: the decoder turns it away as too large.
            payload = bytes(message.payload[: self._keep_bytes])
            receipt = Receipt(message.mid, self.session) if message.qos else None
            self._inbox.put(Arrival(Delivery(topic, payload, self._wall_clock_ns()), receipt))

        self._guard(work)


class Egress(_Link):
    """Publishes what the outbox holds and keeps it until the broker has acknowledged it.

    All methods but the callbacks are called from one thread.
    """

    def __init__(
        self, address: Address, *, client_id: str, will: Message, outbox: Outbox, report: Report
    ) -> None:
        super().__init__("egress", address, client_id=client_id, clean_session=True, report=report)
        self.alerts_sent = 0
        """Alerts handed to the network, repetitions included."""
        self.alerts_acknowledged = 0
        """Alerts that the broker has acknowledged."""
        self._will = will
        self._outbox = outbox
        self._mids: deque[int] = deque()

    def _prepare(self, client: mqtt.Client) -> None:
        client.will_set(self._will.topic, self._will.payload, qos=QOS, retain=self._will.retain)
        client.on_publish = self._on_publish

    def _on_publish(
        self, _client: mqtt.Client, _userdata: Any, mid: int, _code: ReasonCode, _p: Properties | None
    ) -> None:
        self._mids.append(mid)  # paho holds its outgoing lock here: only note it down

    def revive(self, now_s: float) -> bool:
        """As for any link; what the dead client had taken is sent again."""
        if not super().revive(now_s):
            return False
        self._mids.clear()
        self._outbox.landed()
        return True

    def pump(self) -> None:
        """Book what the broker has acknowledged and hand over what waits."""
        while self._mids:
            message = self._outbox.acknowledged(self._mids.popleft())
            self.alerts_acknowledged += message is not None and message.alert
        client = self._client
        while client is not None and self.connected and self._outbox.flying < _FLYING_LIMIT:
            message = self._outbox.next()
            if message is None:
                return
            info = client.publish(message.topic, message.payload, qos=QOS, retain=message.retain)
            # paho keeps a message that it could not write, and sends it when it is connected again.
            self._outbox.sent(message, info.mid)
            self.alerts_sent += message.alert
