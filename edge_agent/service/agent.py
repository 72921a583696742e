"""The agent as it runs: threads are wired and clocks are read here.

Threads: this one turns the pipeline; each MQTT client has its network thread; one worker learns new machines (seconds
each); HTTP serves itself. One turn: take messages, let the parts add theirs, step, write what changed to disk in one
transaction, acknowledge the messages in the order received, publish.
"""

import threading
import time
import uuid
from collections.abc import Callable, Sequence, Sized
from datetime import UTC, datetime

from edge_agent import __version__
from edge_agent.alarms import payload
from edge_agent.alarms.home_assistant import HomeAssistant
from edge_agent.config.file import Config
from edge_agent.errors import UsageError
from edge_agent.logs import get_logger, set_up_logs
from edge_agent.metrics.exporter import Exporter
from edge_agent.metrics.snapshot import Health, Snapshot, frozen
from edge_agent.mqtt.connection import BrokerAddress, Connection, Report
from edge_agent.mqtt.egress import Egress
from edge_agent.mqtt.inbox import Batch
from edge_agent.mqtt.ingest import Ingest
from edge_agent.mqtt.long_echo import LongEcho
from edge_agent.mqtt.outbox import Message
from edge_agent.records import ReceivedMessage
from edge_agent.service import health
from edge_agent.service.bounds import METRICS_PAGE
from edge_agent.service.cluster import SharingPart
from edge_agent.service.history import HistoryPart
from edge_agent.service.notify.part import NotifyPart
from edge_agent.service.page import PagePart
from edge_agent.service.parts import AgentPart, HomeAssistantPart, WaveformPart
from edge_agent.service.reload import Fresh, Reloader, warn_of_age
from edge_agent.service.sparkplug import SparkplugPart
from edge_agent.service.systemd import Supervisor
from edge_agent.service.turn import Turn, TurnProcessor
from edge_agent.service.wiring import (
    TimedScorer,
    broker_address,
    load_profiles,
    machine_of,
    missing_libraries,
    new_inbox,
    new_load_shedder,
    too_few_rows,
)
from edge_agent.store.state_dir import StateDir
from edge_agent.web.metrics_routes import MetricsRoutes
from edge_agent.web.server import HttpServer

log = get_logger()

_TURN_S = 0.02
"""A turn takes up what has arrived in this time: machines that are due together share one inference call."""
_LONGEST_TURN_S = 0.045
_GATHER_S = 0.0125
"""A turn is put off in steps of this while messages keep coming: fewer transactions and calls. Longer than a network
thread waits between two reads, see `bulk_client`. Where the broker waits for us nothing comes, and we do not wait."""
_IDLE_TURN_S = 0.1
"""A turn with nothing to do is followed by one that waits so long for a message: what does not wake it, a command, the
page's question, a Sparkplug source after a pause, is taken up as much later."""
_BUSY_MESSAGES = 256
"""With so many waiting there is nothing to wait for."""
_BATCH_MESSAGES = 500
"""A turn stays short, so that an overloaded agent still alerts, acknowledges and answers in between."""
_SNAPSHOT_EVERY_S = 0.5
_STATUS_EVERY_S = 1.0
_FAREWELL_S = 5.0
"""How long a leaving agent waits for the broker to take its last messages."""
_WARNINGS = frozenset(
    {
        "broker_unreachable",
        "broker_lost",
        "overload_began",
        "overload_ended",
        "subscription_refused",
        "network_thread_replaced",
        "credentials_unreadable",
        "state_not_saved",
        "state_file_set_aside",
        "state_damaged",
        "history_not_kept",
        "history_set_aside",
        "message_refused",
        "call_failed",
        "page_not_served",
        "page_token_unusable",
    }
)


def _sharing(config: Config, address: BrokerAddress, report: Report) -> AgentPart | None:
    return SharingPart(config, address, report=report) if config.sharing.group else None


def _sparkplug(config: Config, address: BrokerAddress, report: Report) -> AgentPart:
    return SparkplugPart(config, address, report=report)  # a reload may bring the first namespace


def _history(config: Config, _address: BrokerAddress, report: Report) -> AgentPart:
    return HistoryPart(config, report=report)


def _notify(config: Config, _address: BrokerAddress, report: Report) -> AgentPart:
    return NotifyPart(config, report=report)  # a reload may bring the first receiver


def _page(config: Config, _address: BrokerAddress, report: Report) -> AgentPart | None:
    return PagePart(config, report=report) if config.page.enabled else None


def _waveforms(_config: Config, _address: BrokerAddress, _report: Report) -> AgentPart:
    return WaveformPart()


def _home_assistant(config: Config, _address: BrokerAddress, _report: Report) -> AgentPart | None:
    if not config.home_assistant.enabled:
        return None
    agent = config.agent.name
    tell = HomeAssistant(
        prefix=config.home_assistant.prefix,
        agent=agent,
        version=__version__,
        status_topic=config.alerts.status_topic.replace("{agent}", agent),
        alert_topic=config.alerts.topic.replace("{agent}", agent),
    )
    return HomeAssistantPart(tell)


PartBuilder = Callable[[Config, BrokerAddress, Report], AgentPart | None]
PARTS: Sequence[PartBuilder] = (
    _sharing,
    _sparkplug,
    _history,
    _notify,
    _page,
    _home_assistant,
    _waveforms,
)
"""What an agent may have beside its core, in the order in which they see a turn; None where the configuration asks for
none. They end in the opposite order."""


def gather(inbox: Sized, stop: threading.Event, *, turned_s: float, monotonic: Callable[[], float]) -> None:
    """Wait for messages to share the turn after the one at `turned_s`, while it is worth it."""
    pause_s, seen = turned_s + _TURN_S - monotonic(), 0
    while (waiting := len(inbox)) < _BUSY_MESSAGES and pause_s > 0:
        if seen and waiting == seen:
            return
        seen = waiting
        if stop.wait(pause_s):
            return
        pause_s = min(_GATHER_S, turned_s + _LONGEST_TURN_S - monotonic())


class Service:
    """One agent, from start to farewell."""

    _wait_s = _TURN_S
    """How long the next turn waits for a message."""

    def __init__(
        self,
        config: Config,
        *,
        scorer: TimedScorer,
        store: StateDir,
        exporter: Exporter,
        reread: Callable[[], Config] | None = None,
        parts: Sequence[PartBuilder] = PARTS,
    ) -> None:
        """Wire an agent; nothing runs yet.

        Raises:
            UsageError: a file with a password, certificate or key cannot be used.
        """
        self._config = config
        self._scorer = scorer
        self._store = store
        self._exporter = exporter
        self._supervisor = Supervisor()
        self._reloader = Reloader(
            read=reread or (lambda: config),
            config=config,
            scorer=scorer,
            observe=exporter.inference_seconds.observe,
        )
        self._stop = threading.Event()
        self._receipt_topic = config.alerts.receipt_topic.replace("{agent}", config.agent.name)
        self._status_topic = config.alerts.status_topic.replace("{agent}", config.agent.name)
        self._is_own = config.is_own
        self._inbox = new_inbox(config, monotonic=time.monotonic)
        boot = uuid.uuid4().hex
        self._long_echo = LongEcho(boot=boot)
        self._load_shedder = new_load_shedder(config, boot=boot, report=_report)
        self._address = address = broker_address(config)
        self._parts = [part for build in parts if (part := build(config, address, _report)) is not None]
        self._processor = TurnProcessor(
            config, scorer=scorer, store=store, exporter=exporter, report=_report, observers=self._parts
        )
        self._ingest = Ingest(
            address,
            client_id=config.client_id,
            filters=[*config.subscriptions, *(topic for part in self._parts for topic in part.filters)],
            inbox=self._inbox,
            payload_limit_bytes=config.limits.payload_bytes,
            wall_clock_ns=time.time_ns,
            report=_report,
        )
        self._metrics = HttpServer(
            (config.metrics.host, config.metrics.port),
            MetricsRoutes(exporter, health=self.health, names=config.metrics.names),
            name="metrics-page",
            limits=METRICS_PAGE,
        )
        self._egress: Egress
        self._egress_session = 0
        self._status_told: bytes = b""
        self._status_told_s = 0.0
        self._snapshot_s = 0.0
        self._turned_s = time.monotonic()
        self._started = False

    @property
    def learning(self) -> bool:
        """Whether a machine is being learnt or a model made ready right now."""
        return self._processor.learner.busy or self._reloader.busy

    def reload(self) -> None:
        """Ask for configuration and bundle to be read again. May be called from any thread."""
        self._reloader.ask()

    def alive(self) -> bool:
        """Whether the pipeline has turned of late; False only before the start and when it hangs."""
        return time.monotonic() - self._turned_s < health.STUCK_AFTER_S

    def stop(self) -> None:
        """Ask the agent to leave; `run` returns soon after. May be called from any thread."""
        self._stop.set()

    def run(self) -> None:
        """Work until `stop`.

        Raises:
            EdgeAgentError: the agent cannot start.
        """
        self._start()
        try:
            while not self._stop.is_set():
                started = time.monotonic()
                self._turn()
                gather(self._inbox, self._stop, turned_s=started, monotonic=time.monotonic)
        finally:
            self._leave()

    # -- start and end --------------------------------------------------------------------------------------

    def _start(self) -> None:
        config = self._config
        loaded = load_profiles(self._store, self._scorer.bundle)
        for aside in loaded.set_aside:
            log.warning("state_file_set_aside", path=str(aside.path), reason=aside.reason)
        self._processor.begin(loaded)
        self._serve_metrics()
        self._connect()
        for part in self._parts:
            part.start()
        if lacking := missing_libraries(config):
            log.error("library_missing", what=lacking)
        self._started = True
        self._supervisor.ready()
        log.info(
            "started",
            version=__version__,
            agent=config.agent.name,
            model=self._scorer.bundle.manifest.name,
            digest=self._scorer.bundle.digest[:12],
            provider=self._scorer.provider,
            restored=[profile.machine for profile in loaded.profiles],
            open_alarms=[alarm.id for alarm in self._processor.pipeline.machines.open_alarms()],
            metrics=f"http://{config.metrics.host}:{self._metrics.port}/metrics",
        )

    def _serve_metrics(self) -> None:
        host, port = self._config.metrics.host, self._config.metrics.port
        try:
            self._metrics.start()
        except OSError as error:
            raise UsageError(f"metrics page: cannot listen on {host}:{port} ({error.strerror})") from error

    def _connect(self) -> None:
        config = self._config
        self._egress = Egress(
            self._address,
            client_id=f"{config.client_id}-out",
            will=Message(("status",), self._status_topic, self._status(online=False), retain=True),
            outbox=self._processor.outbox,
            report=_report,
            filters=[*self._processor.alarm_manager.command_filters, *filter(None, [self._receipt_topic])],
        )
        if config.broker.longest_wait_s:
            self._ingest.subscribe_to_echoes(self._load_shedder.topic)
        self._ingest.start()
        self._egress.start()

    def _leave(self) -> None:
        """Take no more messages, say what is still to be said, and good-bye."""
        log.info("stopping")
        self._supervisor.stopping()
        self._processor.learner.leave()
        self._inbox.close()
        self._ingest.stop()
        for part in reversed(self._parts):
            part.stop()
        self._processor.outbox.put(
            Message(("status",), self._status_topic, self._status(online=False), retain=True)
        )
        patience_s = time.monotonic() + _FAREWELL_S
        while len(self._processor.outbox) and self._egress.connected and time.monotonic() < patience_s:
            self._egress.publish_waiting()
            time.sleep(_TURN_S)
        self._egress.stop()
        self._processor.state_writer.write_last(now_s=time.monotonic())
        self._take_snapshot(time.monotonic())
        self._metrics.stop()
        log.info(
            "stopped", unsent=len(self._processor.outbox), balance=self._processor.pipeline.ledger.balance()
        )

    # -- one turn -------------------------------------------------------------------------------------------

    def _turn(self) -> None:
        if (fresh := self._reloader.poll(self._processor.pipeline)) is not None:
            self._take_over(fresh)
        limit = int(_BATCH_MESSAGES / self._load_shedder.share)
        turn = Turn(
            self._leave_out(self._inbox.drain(limit=limit, timeout_s=self._wait_s)),
            commands=self._commands_heard(),
            hearing=self._ingest.connected and not self._ingest.refused,
        )
        for part in self._parts:
            try:
                part.poll(turn, self._processor)
            except Exception as error:  # noqa: BLE001 - what is optional must not stop the agent
                self._processor.contain(part.name, error)
        busy = turn.batch.arrivals or turn.commands or turn.source_events
        self._wait_s = _TURN_S if busy else _IDLE_TURN_S
        connected = all(
            connection.connected for connection in self._connections() if connection is not self._egress
        )
        turn.listening = turn.listening and connected and not self._inbox.full and not self._load_shedder.on
        self._processor.process(turn)
        self._turned_s = time.monotonic()
        self._supervisor.turned(self._turned_s)
        try:
            self._ingest.acknowledge(turn.batch.receipts)
            for part in self._parts:
                part.finish(self._processor)
            self._keep_house(self._turned_s)
        except Exception as error:  # noqa: BLE001 - the agent goes on
            self._processor.contain("housekeeping", error)

    def _leave_out(self, batch: Batch) -> Batch:
        """The batch without agents' own words and what an overload passes over; an echo goes out, if it is time."""
        now_s = time.monotonic()
        if self._ingest.connected:
            echo = self._load_shedder.next_echo(session=self._ingest.session, now_s=now_s)
            if echo is not None:
                self._ingest.send_echo(echo)
            self._try_lengths(now_s)
        echoes = self._ingest.drain_echoes()
        self._long_echo.take_echoes(payload for payload, _ in echoes)
        batch = self._load_shedder.shed(batch, echoes, queued=len(self._inbox), now_s=now_s)
        return batch.without(self._is_own)

    def _try_lengths(self, now_s: float) -> None:
        """Send ourselves something as long as what was published, where echoes are sent at all."""
        if not self._config.broker.longest_wait_s:
            return
        long = self._long_echo.next_message(
            self._egress.longest_bytes, session=self._ingest.session, now_s=now_s
        )
        if long is not None:
            self._ingest.send_long_echo(long)

    def _commands_heard(self) -> list[ReceivedMessage]:
        """The commands that came in; receipts among them are booked."""
        heard = self._egress.drain_messages()
        for message in heard:
            receipt = (
                payload.decode_receipt(message.payload) if message.topic == self._receipt_topic else None
            )
            if receipt is not None:
                self._processor.outbox.mark_confirmed(*receipt)
        return [message for message in heard if message.topic != self._receipt_topic]

    def _take_over(self, fresh: Fresh) -> None:
        """Between two turns: another configuration and model from here on. Nothing in here can fail half-way."""
        started = time.perf_counter()
        before, config = self._config, fresh.config
        self._config, self._scorer = config, fresh.scorer
        self._processor.adopt(config, scorer=fresh.scorer, template=fresh.template)
        self._ingest.change_filters(drop=before.subscriptions, add=config.subscriptions)
        self._ingest.limit_payloads(config.limits.payload_bytes)
        self._is_own = config.is_own
        self._load_shedder.adopt_topics(machine_of(config))
        for part in self._parts:
            part.adopt(config)
        self._reloader.applied(fresh, pause_s=time.perf_counter() - started)
        if any(name.startswith("log.") for name in fresh.changed):
            set_up_logs(level=config.log.level, form=config.log.format)
        warn_of_age(fresh.scorer.bundle, now=datetime.now(UTC))

    # -- what others see ------------------------------------------------------------------------------------

    def _keep_house(self, now_s: float) -> None:
        for connection in self._connections():
            connection.revive(now_s)
        if self._egress.connected and self._egress.session != self._egress_session:
            self._egress_session = self._egress.session
            self._processor.outbox.repeat_alarms()
            self._status_told = b""
        if now_s - self._status_told_s >= _STATUS_EVERY_S or not self._status_told:
            status, self._status_told_s = self._status(online=True), now_s
            if status != self._status_told:
                self._processor.outbox.put(Message(("status",), self._status_topic, status, retain=True))
                self._status_told = status
        self._processor.outbox.repeat_unconfirmed()
        self._egress.publish_waiting()
        if now_s - self._snapshot_s >= _SNAPSHOT_EVERY_S:
            self._take_snapshot(now_s)
            snapshot, judged = self._exporter.snapshot, self.health()
            for part in self._parts:
                part.show(self._processor, snapshot=snapshot, health=judged)

    def _status(self, *, online: bool) -> bytes:
        machines = self._processor.pipeline.statuses() if online else {}
        return health.status_payload(
            agent=self._config.agent.name,
            version=__version__,
            online=online,
            model=self._scorer.bundle.digest,
            provider=self._scorer.provider,
            machines=machines,
            calls=self._processor.alarm_manager.machine_calls(machines, now_ns=time.time_ns()),
            silent_since_ns=self._processor.sources.silent_since_ns,
            timezone=self._config.site.timezone,
            spent=self._processor.spent(),
            facts=self._processor.facts() if online else {},
        )

    def _take_snapshot(self, now_s: float) -> None:
        self._snapshot_s = now_s
        bundle, processor = self._scorer.bundle, self._processor
        expires = bundle.release.expires if bundle.release else None
        snapshot = Snapshot(
            ledger=frozen(self._processor.pipeline.ledger),
            queued=len(self._inbox),
            wait_s=self._load_shedder.wait_s(now_s),
            heard_share=self._load_shedder.share,
            machines=health.machine_series(
                processor.pipeline.statuses(),
                processor.open_findings(),
                spent=processor.spent(),
                alarms=processor.alarm_manager.lifecycle.kept.records,
            ),
            alarms_opened=self._processor.alarm_manager.alarms_opened,
            alarm_manager=self._processor.alarm_manager.series(dropped=self._egress.messages_dropped),
            alerts_sent=self._egress.alerts_sent,
            alerts_acknowledged=self._egress.alerts_acknowledged,
            alerts=health.outbox_series(self._processor.outbox),
            internal_errors=self._processor.internal_errors,
            gave_way=self._processor.gave_way,
            state=health.state_series(self._processor.state_writer),
            connections=health.connection_series(*self._connections()),
            build=(__version__, bundle.manifest.name, bundle.digest, self._scorer.provider),
            reloads=dict(self._reloader.counts),
            cycles=processor.pipeline.cycles.outcomes,
            bundle_expires_s=expires.timestamp() if expires else None,
        )
        for part in self._parts:
            snapshot = part.add_figures(snapshot)
        self._exporter.snapshot = snapshot

    def _connections(self) -> tuple[Connection, ...]:
        return (
            self._ingest,
            self._egress,
            *(connection for part in self._parts for connection in part.connections),
        )

    def health(self) -> Health:
        """Whether the agent lives, and what keeps it from its full work. May be called from any thread."""
        if not self._started:
            return Health()
        return health.judge(
            alive=self.alive(),
            connections=self._connections(),
            refused=self._ingest.refused,
            state_writer=self._processor.state_writer,
            inbox=self._inbox,
            heard_share=self._load_shedder.share,
            parts=[
                *self._processor.amiss(),
                *self._egress.bounds.amiss(),
                *self._misfits(),
                *(line for part in self._parts for line in part.amiss()),
            ],
        )

    def _misfits(self) -> list[str]:
        """What configuration, model and broker are together in no state to do, until a person changes one of them."""
        too_few = too_few_rows(self._config, window_rows=self._scorer.window_rows)
        told = [f"no machine can be learnt: commission.rows: {too_few}"] if too_few else []
        return [*told, *filter(None, [missing_libraries(self._config), self._long_echo.trouble])]


def _report(event: str, **facts: object) -> None:
    """What other rooms have to say, as a log line."""
    tell = log.error if event == "callback_failed" else log.warning if event in _WARNINGS else log.info
    tell(event, **facts)
