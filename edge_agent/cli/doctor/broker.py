"""Checks of the broker: reached, believed, entered, granted. Listens for a moment; keeps nothing at the broker.

The session is clean and of a name of its own, so that what waits for the agent goes on waiting. One message is sent: to
the agent's topic for that (`agents/NAME/doctor`), which nobody else reads.
"""

import socket
import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_agent.cli.agent_page import health
from edge_agent.cli.doctor.data import SPARKPLUG_TOPICS, check_data
from edge_agent.cli.doctor.findings import Finding, Level
from edge_agent.cli.operator_client import NO_WORD
from edge_agent.config.file import Config
from edge_agent.config.own_topics import own_words
from edge_agent.errors import UsageError
from edge_agent.mqtt.connection import BrokerAddress
from edge_agent.mqtt.credentials import Tls
from edge_agent.mqtt.egress import Egress
from edge_agent.mqtt.outbox import Message, Outbox
from edge_agent.records import ReceivedMessage
from edge_agent.service.wiring import broker_address

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

_WAIT_S = 5.0
_LONGEST_ALERT_BYTES = 16_384
_TURN_S = 0.02
_EXPIRY_WARN_DAYS = 30
_DAY_S = 86_400
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
_EXPIRED, _NOT_YET, _HOSTNAME, _ADDRESS = 10, 9, 62, 64
"""OpenSSL's X509_V_ERR_* that have a remedy of their own."""


def check_broker(config: Config, *, client_id: str, listen_s: float, now: datetime) -> Iterator[Finding]:
    """All of it, in the order in which a connection is made; ends with the first that fails.

    Args:
        config: whose broker.
        client_id: must not be the running agent's.
        listen_s: how long to listen to the sources.
        now: for certificates.
    """
    try:
        address = broker_address(config)
    except UsageError as error:
        yield Finding("secrets", "fail", str(error), "name files that the agent's user can read")
        return
    for step in (_reach(address), _protection(config, address, now=now)):
        for finding in step:
            yield finding
            if finding.level == "fail":
                return
    yield from _enter(config, address, client_id=client_id, listen_s=listen_s)


def _reach(address: BrokerAddress) -> Iterator[Finding]:
    where = f"{address.host}:{address.port}"
    started_s = time.monotonic()
    try:
        with socket.create_connection((address.host, address.port), timeout=_WAIT_S):
            took_ms = (time.monotonic() - started_s) * 1000
            yield Finding("broker", "ok", f"{where} reached in {took_ms:.0f} ms")
    except socket.gaierror as error:
        remedy = f"check [broker] host and the name service: `getent hosts {address.host}`"
        yield Finding("broker", "fail", f"{where}: the name is not known ({error.strerror})", remedy)
    except ConnectionRefusedError:
        remedy = "check [broker] port; is the broker started? `systemctl status mosquitto` on its computer"
        yield Finding("broker", "fail", f"{where}: nobody listens there", remedy)
    except TimeoutError:
        remedy = "a firewall or route: `ping` the host, then ask for the port"
        yield Finding("broker", "fail", f"{where}: no answer within {_WAIT_S:g} s", remedy)
    except OSError as error:
        remedy = "check the network: `ip route get` for the broker's address"
        yield Finding("broker", "fail", f"{where}: {error.strerror or error}", remedy)


def _protection(config: Config, address: BrokerAddress, *, now: datetime) -> Iterator[Finding]:
    if address.tls is None:
        if address.host in _LOCAL:
            yield Finding("tls", "ok", "not used; the broker is on this computer")
        else:
            remedy = "set [broker] tls_ca_file and the broker's TLS port (mostly 8883)"
            yield Finding("tls", "warn", "passwords and data cross the network in the clear", remedy)
        return
    yield from _files(address.tls, now=now)
    yield _handshake(address, address.tls, now=now)
    if config.broker.tls_insecure:
        what = "the broker's name is not checked: any certificate of the authority passes for it"
        yield Finding(
            "tls", "warn", what, "set tls_insecure = false and name the host as the certificate does"
        )


def _files(tls: Tls, *, now: datetime) -> Iterator[Finding]:
    """Until when our own certificates are good."""
    for what, path in (("the authority's certificate", tls.ca_file), ("our own certificate", tls.cert_file)):
        for certificate in [] if path is None else _certificates(path):
            yield _dated(f"{what} in {path}", until=certificate.not_valid_after_utc, now=now)


def _certificates(path: Path) -> "list[Certificate]":
    from cryptography import x509  # most agents never need it

    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError):  # in a form that OpenSSL reads and this library does not
        return []


def _dated(what: str, *, until: datetime, now: datetime) -> Finding:
    days = (until - now).total_seconds() / _DAY_S
    said = f"{what} is good until {until:%Y-%m-%d}, {days:.0f} days"
    if days < 0:
        return Finding("tls", "fail", f"{what} expired on {until:%Y-%m-%d}", _RENEW)
    level: Level = "warn" if days < _EXPIRY_WARN_DAYS else "ok"
    return Finding("tls", level, said, _RENEW)


_RENEW = "issue a new one and exchange the file; it counts from the next connection on"


def _handshake(address: BrokerAddress, tls: Tls, *, now: datetime) -> Finding:
    try:
        with (
            socket.create_connection((address.host, address.port), timeout=_WAIT_S) as plain,
            tls.context().wrap_socket(plain, server_hostname=address.host) as wrapped,
        ):
            shown, version = wrapped.getpeercert() or {}, wrapped.version()
    except ssl.SSLCertVerificationError as error:
        return Finding("tls", "fail", f"the broker's certificate: {error.verify_message}", _distrusted(error))
    except ssl.SSLError as error:
        remedy = "is this the broker's TLS port (mostly 8883)? does it offer TLS 1.2 or later?"
        return Finding("tls", "fail", f"no TLS with the broker: {error.reason or error}", remedy)
    except OSError as error:
        remedy = "is this the broker's TLS port (mostly 8883)?"
        return Finding("tls", "fail", f"the broker broke off the handshake: {error}", remedy)
    until = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(shown["notAfter"])), UTC)
    return _dated(f"{version}, the broker's certificate", until=until, now=now)


def _distrusted(error: ssl.SSLCertVerificationError) -> str:
    if error.verify_code == _EXPIRED:
        return (
            "issue the broker a new certificate; if it should be good still, this computer's clock is wrong"
        )
    if error.verify_code == _NOT_YET:
        return "this computer's clock is behind, or the certificate was made for later"
    if error.verify_code in (_HOSTNAME, _ADDRESS):
        return "set [broker] host to a name in the certificate (`openssl s_client -connect` shows it)"
    return "set [broker] tls_ca_file to the certificate of the authority that signed the broker's"


class _Session:
    """One connection to the broker, and what was said about it."""

    def __init__(self, config: Config, address: BrokerAddress, *, client_id: str) -> None:
        self.refused: list[str] = []
        self._answered = False
        self.trouble = ""
        self.outbox = Outbox(limit=2)
        self.filters = _filters(config)
        self._status_topic = _status_topic(config)
        self.connection = Egress(
            address,
            client_id=client_id,
            will=None,
            outbox=self.outbox,
            report=self._report,
            filters=self.filters,
        )

    def _report(self, event: str, **facts: Any) -> None:
        if event == "subscription_refused":
            self._answered = True
            self.refused = [topic for topic in facts["topics"] if topic != self._status_topic]
        elif event in ("broker_unreachable", "broker_lost", "credentials_unreadable"):
            self.trouble = str(facts.get("reason", event))

    def entered(self) -> bool:
        """Wait until the broker has answered in one way or the other."""
        end_s = time.monotonic() + _WAIT_S
        while time.monotonic() < end_s and not (self.connection.listening or self._answered or self.trouble):
            time.sleep(_TURN_S)
        return self.connection.listening or self._answered


def _filters(config: Config) -> tuple[str, ...]:
    """Everything that the running agent listens to."""
    source = config.sparkplug
    groups = () if source is None or source.sparkplug is None else source.sparkplug.groups or ("+",)
    sparkplug = [f"{SPARKPLUG_TOPICS}{group}/#" for group in groups]
    commands = (
        [f"{config.commands.topic.replace('{agent}', config.agent.name)}/+"] if config.commands.topic else []
    )
    own = [_status_topic(config), _probe_topic(config)]
    return tuple(filter(None, [*config.subscriptions, *sparkplug, *commands, *own]))


def _status_topic(config: Config) -> str:
    return config.alerts.status_topic.replace("{agent}", config.agent.name)


def _enter(config: Config, address: BrokerAddress, *, client_id: str, listen_s: float) -> Iterator[Finding]:
    session = _Session(config, address, client_id=client_id)
    named = "the user of username_file" if config.broker.username_file else config.broker.username
    user = f"as {named}" if named else "without a user"
    session.connection.start()
    try:
        if not session.entered():
            yield _not_let_in(user, session.trouble)
            return
        yield Finding("login", "ok", f"let in {user}")
        for topic in session.refused:
            remedy = f"let the broker's ACL grant it: `topic read {topic}` for this user"
            yield Finding("acl", "fail", f"subscription refused: {topic}", remedy)
        granted = len(session.filters) - len(session.refused)
        if granted:
            yield Finding("acl", "ok", f"{granted} subscription(s) granted")
        yield from _listen(config, session, client_id=client_id, listen_s=listen_s)
    finally:
        session.connection.stop()


def _not_let_in(user: str, trouble: str) -> Finding:
    """Turned away, or not answered at all."""
    if not trouble:
        remedy = (
            "is this the broker's port (mostly 1883; 8883 wants [broker] tls)? is the broker itself stuck?"
        )
        return Finding("login", "fail", f"no answer within {_WAIT_S:g} s: {NO_WORD}", remedy)
    remedy = (
        "check user, password_file and our certificate against the broker's; "
        "its own log says why it turns away"
    )
    return Finding("login", "fail", f"turned away {user}: {trouble}", remedy)


def _listen(config: Config, session: _Session, *, client_id: str, listen_s: float) -> Iterator[Finding]:
    """What comes in for a moment: our own probes, the agent's status, and the sources' messages."""
    topic = _probe_topic(config)
    probe, long = client_id.encode(), client_id.encode().ljust(_LONGEST_ALERT_BYTES, b".")
    session.outbox.put(Message(("probe",), topic, probe))
    session.outbox.put(Message(("long probe",), topic, long))
    heard: list[tuple[ReceivedMessage, int]] = []
    back: set[bytes] = set()
    end_s = time.monotonic() + listen_s
    while (now_s := time.monotonic()) < end_s or (back == {probe} and now_s < end_s + _WAIT_S):
        session.connection.publish_waiting()
        new = session.connection.drain_messages()
        heard += [(one, time.time_ns()) for one in new]
        back |= {one.payload for one in new if one.topic == topic} & {probe, long}
        time.sleep(_TURN_S)
    if topic not in session.refused:
        yield from _probed(topic, came=probe in back, long_came=long in back)
    yield from _namesake(config, [one for one, _ in heard if one.topic == _status_topic(config)])
    is_own = own_words(config.own_filters, ["#"])
    yield from check_data(config, [(one, at) for one, at in heard if not is_own(one.topic)], listen_s)


def _probed(topic: str, *, came: bool, long_came: bool) -> Iterator[Finding]:
    """Whether the broker gives to others what we send, also where it is as long as an alert may be."""
    if not came:
        remedy = (
            f"`topic readwrite {topic}` in the broker's ACL, likewise `topic write` for alerts and status"
        )
        yield Finding("acl", "warn", f"what we send to {topic} does not come back", remedy)
        return
    yield Finding("acl", "ok", f"what we send to {topic} comes back")
    length = f"{_LONGEST_ALERT_BYTES:,} bytes"
    if long_came:
        yield Finding("length", "ok", f"a message of {length}, as an alert may have, comes back")
    else:
        what = f"a message of {length}, as an alert may have, does not come back, though a short one does"
        remedy = (
            "raise the broker's bound (mosquitto: message_size_limit, max_packet_size): it drops long alerts"
        )
        yield Finding("length", "fail", what, remedy)


def _namesake(config: Config, heard: list[ReceivedMessage]) -> Iterator[Finding]:
    """An agent of our name that is online at the broker, where none answers here."""
    online = any(b'"state":"online"' in one.payload for one in heard)
    if online and health(config) is None:
        where = f"{config.metrics.host}:{config.metrics.port}"
        what = f"an agent named {config.agent.name} is online at the broker, and none answers at {where}"
        remedy = "if it runs elsewhere, give this one a [agent] name of its own: two of one name throw each other out"
        yield Finding("agent", "warn", what, remedy)


def _probe_topic(config: Config) -> str:
    return f"agents/{config.agent.name}/doctor"
