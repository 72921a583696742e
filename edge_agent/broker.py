"""The MQTT clients, one for what comes in and one for what goes out: the only room that imports paho.

What paho does shapes this room: an exception in a callback ends its network thread without a word, reading a topic
that is not UTF-8 raises, and `on_publish` runs while paho holds the lock that `publish` takes. So callbacks only
copy, take no lock that is held around a paho call, and let nothing escape; a dead network thread is replaced.
"""

import ssl
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge_agent.contract.records import Delivery
from edge_agent.errors import UsageError
from edge_agent.inbox import Arrival, Inbox, Receipt
from edge_agent.outbox import Message, Outbox

QOS = 1
"""At least once. With QoS 2 paho answers before we have done anything, and keeps the message in memory only."""
_FLYING_LIMIT = 50
"""Publishes without an acknowledgement at a time."""
_RETRY_MIN_S = 1
_HEARD_LIMIT, _HEARD_BYTES = 1000, 10_000
_REPLACE_EVERY_S = 5.0
"""A network thread that dies at once is not replaced more often than this."""

Report = Callable[..., None]
"""Where the room says what happened: `report(event, **facts)`."""


@dataclass(frozen=True, slots=True)
class Address:
    """The broker and how to enter."""

    host: str
    port: int
    keepalive_s: int = 30
    retry_max_s: int = 5
    username: str = ""
    password: str | None = None
    tls_ca_file: str | None = None


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

    # -- for the owner --------------------------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted us and our network thread is alive."""
        return self._connected and self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Begin to connect; returns at once and keeps trying.

        Raises:
            UsageError: the CA file holds no certificates.
        """
        self._client = self._build()
        self._client.connect_async(self._address.host, self._address.port, self._address.keepalive_s)
        self._client.loop_start()

    def stop(self) -> None:
        """Take leave of the broker and end the network thread."""
        client, self._client = (
            self._client,
            None,
        )  # without a circle of references paho closes its sockets at once
        if client is not None:
            client.disconnect()
            client.loop_stop()
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
        if address.username:
            client.username_pw_set(address.username, address.password)
        if address.tls_ca_file is not None:
            try:
                client.tls_set(ca_certs=address.tls_ca_file)
            except (OSError, ssl.SSLError) as error:
                raise UsageError(f"{address.tls_ca_file}: no usable CA certificates ({error})") from error
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

    def _on_pre_connect(self, _client: mqtt.Client, _userdata: Any) -> None:
        self._thread = threading.current_thread()

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
            if was and code.is_failure:
                self._report("broker_lost", client=self.name, reason=str(code))

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
        monotonic: Callable[[], float] = time.monotonic,
        report: Report,
    ) -> None:
        super().__init__("ingest", address, client_id=client_id, clean_session=False, report=report)
        self.refused: tuple[str, ...] = ()
        """Topic filters that the broker did not grant."""
        self._filters = tuple(filters)
        self._inbox = inbox
        self._keep_bytes = payload_limit_bytes + 1
        self._wall_clock_ns = wall_clock_ns
        self._monotonic = monotonic

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

    def _prepare(self, client: mqtt.Client) -> None:
        client.on_message = self._on_message
        client.on_subscribe = self._on_subscribe

    def _entered(self, client: mqtt.Client) -> None:
        # Also where the broker still knows our session: the configuration may have changed since.
        client.subscribe([(topic, QOS) for topic in self._filters])

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
            receipt = Receipt(message.mid, self.session, again=message.dup) if message.qos else None
            delivery = Delivery(topic, payload, self._wall_clock_ns())
            self._inbox.put(Arrival(delivery, receipt, self._monotonic()))

        self._guard(work)


class Egress(_Link):
    """Publishes what the outbox holds and keeps it until the broker has acknowledged it; hears what is said to it.

    All methods but the callbacks are called from one thread.
    """

    def __init__(
        self,
        address: Address,
        *,
        client_id: str,
        will: Message,
        outbox: Outbox,
        report: Report,
        listen: Sequence[str] = (),
    ) -> None:
        """`listen` names topics whose messages are to be collected by `heard`."""
        super().__init__("egress", address, client_id=client_id, clean_session=True, report=report)
        self.alerts_sent = 0
        """Alerts handed to the network, repetitions included."""
        self.alerts_acknowledged = 0
        """Alerts that the broker has acknowledged."""
        self._will = will
        self._outbox = outbox
        self._mids: deque[int] = deque()
        self._listen = tuple(listen)
        self._heard: deque[tuple[str, bytes]] = deque(maxlen=_HEARD_LIMIT)

    def _prepare(self, client: mqtt.Client) -> None:
        client.will_set(self._will.topic, self._will.payload, qos=QOS, retain=self._will.retain)
        client.on_publish = self._on_publish
        client.on_message = self._on_message

    def _entered(self, client: mqtt.Client) -> None:
        if self._listen:
            client.subscribe([(topic, QOS) for topic in self._listen])

    def _on_message(self, client: mqtt.Client, _userdata: Any, message: mqtt.MQTTMessage) -> None:
        def work() -> None:
            client.ack(message.mid, message.qos)
            payload = bytes(message.payload[:_HEARD_BYTES])
            self._heard.append((message.topic, payload))

        self._guard(work)

    def heard(self) -> list[tuple[str, bytes]]:
        """Topic and payload of what has come since the last call; the newest of too many."""
        return [self._heard.popleft() for _ in range(len(self._heard))]

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
