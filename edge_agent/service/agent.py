"""The agent as it runs: the only place where threads are wired and clocks are read.

Threads: this one turns the pipeline; each MQTT client has its network thread; one worker learns new machines (seconds
each); the metrics page serves itself. One turn: take messages, step, write what changed to disk in one transaction,
acknowledge the messages in the order received, publish.
"""

import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from edge_agent import __version__
from edge_agent.alarms import payload
from edge_agent.config.file import Config
from edge_agent.logs import get_logger, set_up_logs
from edge_agent.metrics.exporter import Telemetry
from edge_agent.metrics.snapshot import Health, Snapshot, frozen
from edge_agent.mqtt.connection import Link
from edge_agent.mqtt.inbox import Batch, Inbox
from edge_agent.mqtt.ingest import Egress, Ingest
from edge_agent.mqtt.load_shedding import Overload
from edge_agent.mqtt.outbox import Message
from edge_agent.records import ReceivedMessage
from edge_agent.service import health as overview
from edge_agent.service.cluster import Sharing, sharing
from edge_agent.service.page import Site
from edge_agent.service.reload import Fresh, Reloader, warn_of_age
from edge_agent.service.sparkplug import SparkplugSource, sparkplug_source
from edge_agent.service.status import status_payload
from edge_agent.service.systemd import Supervisor
from edge_agent.service.turn import Watch
from edge_agent.service.wiring import TimedScorer, broker_address, machine_of
from edge_agent.store.state_dir import Store

log = get_logger()

_TURN_S = 0.02
"""A turn takes up what has arrived in this time: machines that are due together share one inference call."""
_LONGEST_TURN_S = 0.045
_GATHER_S = 0.0125
"""A turn is put off in steps of this while messages keep coming: fewer transactions and calls. Longer than a network
thread waits between two looks, see `bulk`. Where the broker waits for us nothing comes, and we do not wait."""
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
        "page_not_served",
        "page_token_unusable",
    }
)


class Service:
    """One agent, from start to farewell."""

    def __init__(
        self,
        config: Config,
        *,
        scorer: TimedScorer,
        store: Store,
        telemetry: Telemetry,
        reread: Callable[[], Config] | None = None,
    ) -> None:
        self._config = config
        self._scorer = scorer
        self._store = store
        self._telemetry = telemetry
        self._supervisor = Supervisor()
        self._reloader = Reloader(read=reread or (lambda: config), config=config, scorer=scorer)
        self._stop = threading.Event()
        self._receipt_topic = config.alerts.receipt_topic.replace("{agent}", config.agent.name)
        self._status_topic = config.alerts.status_topic.replace("{agent}", config.agent.name)
        self._inbox = Inbox(
            messages_limit=config.broker.queue_messages,
            bytes_limit=config.broker.queue_bytes,
            shed_after_s=config.broker.shed_after_s,
            monotonic=time.monotonic,
        )
        self._overload = Overload(
            topic=f"agents/{config.agent.name}/echo",
            longest_wait_s=config.broker.longest_wait_s,
            boot=uuid.uuid4().hex,
            machine_of=machine_of(config),
            tell=_report,
        )
        self._watch = Watch(config, scorer=scorer, store=store, telemetry=telemetry, report=_report)
        self._site = Site(config, monotonic=time.monotonic)
        self._watch.seen = self._site.note
        self._egress_session = 0
        self._status_told: bytes = b""
        self._status_told_s = 0.0
        self._snapshot_s = 0.0
        self._turned_s = time.monotonic()
        self._ingest: Ingest
        self._egress: Egress
        self._sparkplug: SparkplugSource | None = None
        self._sharing: Sharing | None = None

    @property
    def learning(self) -> bool:
        """Whether a machine is being learnt or a model made ready right now."""
        return self._watch.learner.busy or self._reloader.busy

    def reload(self) -> None:
        """Ask for configuration and bundle to be read again. May be called from any thread."""
        self._reloader.ask()

    def alive(self) -> bool:
        """Whether the pipeline has turned of late; False only before the start and when it hangs."""
        return time.monotonic() - self._turned_s < overview.STUCK_AFTER_S

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
                self._gather(started)
        finally:
            self._leave()

    def _gather(self, turned_s: float) -> None:
        """Wait for messages to share the next turn, while it is worth it."""
        pause_s, seen = turned_s + _TURN_S - time.monotonic(), 0
        while (waiting := len(self._inbox)) < _BUSY_MESSAGES and pause_s > 0:
            if seen and waiting == seen:
                return
            seen = waiting
            if self._stop.wait(pause_s):
                return
            pause_s = min(_GATHER_S, turned_s + _LONGEST_TURN_S - time.monotonic())

    # -- start and end --------------------------------------------------------------------------------------

    def _start(self) -> None:
        config = self._config
        loaded = self._store.load(encoder=self._scorer.bundle.encoder)
        for aside in loaded.set_aside:
            log.warning("state_file_set_aside", path=str(aside.path), reason=aside.reason)
        self._watch.begin(loaded)
        self._scorer.tell = self._telemetry.inference_seconds.observe
        self._telemetry.serve(host=config.metrics.host, port=config.metrics.port)
        self._connect()
        self._telemetry.health = self._health
        self._site.start(report=_report)
        self._supervisor.ready()
        log.info(
            "started",
            version=__version__,
            agent=config.agent.name,
            model=self._scorer.bundle.manifest.name,
            digest=self._scorer.bundle.digest[:12],
            provider=self._scorer.provider,
            restored=[profile.machine for profile in loaded.profiles],
            open_alarms=[alarm.id for alarm in self._watch.pipeline.fleet.open_alarms()],
            metrics=f"http://{config.metrics.host}:{self._telemetry.port}/metrics",
        )

    def _connect(self) -> None:
        config, address = self._config, broker_address(self._config)
        self._sharing = sharing(config, report=_report)
        self._ingest = Ingest(
            address,
            client_id=config.client_id,
            filters=[*config.subscriptions, *([self._sharing.own_topic] if self._sharing else [])],
            inbox=self._inbox,
            payload_limit_bytes=config.limits.payload_bytes,
            wall_clock_ns=time.time_ns,
            report=_report,
        )
        self._egress = Egress(
            address,
            client_id=f"{config.client_id}-out",
            will=Message(("status",), self._status_topic, self._status(online=False), retain=True),
            outbox=self._watch.outbox,
            report=_report,
            filters=[*self._watch.control.filters, *filter(None, [self._receipt_topic])],
        )
        if config.broker.longest_wait_s:
            self._ingest.hear_echoes(self._overload.topic)
        self._ingest.start()
        self._egress.start()
        if self._sharing is not None:
            self._watch.learnt = self._sharing.tell
            self._sharing.start()
        self._host_sparkplug()

    def _host_sparkplug(self) -> None:
        """Listen to the Sparkplug namespace of the present configuration, and to no other."""
        if self._sparkplug is not None:
            self._sparkplug.stop()
            self._watch.turn(Batch((), (), 0), tidings=self._sparkplug.end())
        self._sparkplug = sparkplug_source(self._config, report=_report)
        self._watch.living = frozenset if self._sparkplug is None else self._sparkplug.living
        if self._sparkplug is not None:
            self._sparkplug.start()

    def _leave(self) -> None:
        """Take no more messages, say what is still to be said, and good-bye."""
        log.info("stopping")
        self._supervisor.stopping()
        self._inbox.close()
        self._ingest.stop()
        if self._sparkplug is not None:
            self._sparkplug.stop()
        if self._sharing is not None:
            self._sharing.stop()
        self._watch.outbox.put(
            Message(("status",), self._status_topic, self._status(online=False), retain=True)
        )
        patience_s = time.monotonic() + _FAREWELL_S
        while len(self._watch.outbox) and self._egress.connected and time.monotonic() < patience_s:
            self._egress.pump()
            time.sleep(_TURN_S)
        self._egress.stop()
        self._watch.keeper.farewell(now_s=time.monotonic())
        self._take_snapshot(time.monotonic())
        self._telemetry.close()
        self._site.close()
        log.info("stopped", unsent=len(self._watch.outbox), balance=self._watch.pipeline.ledger.balance())

    # -- one turn -------------------------------------------------------------------------------------------

    def _turn(self) -> None:
        if (fresh := self._reloader.poll(self._watch.pipeline)) is not None:
            self._take_over(fresh)
        limit = int(_BATCH_MESSAGES / self._overload.share)
        batch = self._listen(self._inbox.drain(limit=limit, timeout_s=_TURN_S))
        if self._sharing is not None:
            hearing = self._ingest.connected and not self._ingest.refused
            batch = self._sharing.turn(batch, self._watch, hearing=hearing)
        tidings = self._sparkplug.turn() if self._sparkplug is not None else []
        if self._sparkplug is not None:
            batch = replace(batch, shed=batch.shed + self._sparkplug.shed)
        heard = [*self._commands_heard(), *self._site.commands()]
        listening = all(link.connected for link in self._links() if link is not self._egress)
        listening = listening and (self._sharing is None or self._sharing.active)
        listening = listening and not self._inbox.full and not self._overload.on
        self._watch.turn(batch, heard=heard, tidings=tidings, listening=listening)
        self._turned_s = time.monotonic()
        self._supervisor.turned(self._turned_s)
        try:
            self._ingest.acknowledge(batch.receipts)
            self._site.answer(self._watch.control.audit)
            self._keep_house(self._turned_s)
        except Exception as error:  # noqa: BLE001 - the watch goes on
            self._watch.contain("housekeeping", error)

    def _listen(self, batch: Batch) -> Batch:
        """The batch without what an overload passes over; the next echo goes out, if it is time."""
        now_s = time.monotonic()
        if self._ingest.connected:
            echo = self._overload.echo(session=self._ingest.session, now_s=now_s)
            if echo is not None:
                self._ingest.echo(echo)
        return self._overload.turn(batch, self._ingest.echoes(), queued=len(self._inbox), now_s=now_s)

    def _commands_heard(self) -> list[ReceivedMessage]:
        """The commands that came in; receipts among them are booked."""
        heard = self._egress.heard()
        for message in heard:
            receipt = (
                payload.decode_receipt(message.payload) if message.topic == self._receipt_topic else None
            )
            if receipt is not None:
                self._watch.outbox.confirmed(*receipt)
        return [message for message in heard if message.topic != self._receipt_topic]

    def _take_over(self, fresh: Fresh) -> None:
        """Between two turns: another configuration and model from here on. Nothing in here can fail half-way."""
        started = time.perf_counter()
        before, config = self._config, fresh.config
        self._config, self._scorer = config, fresh.scorer
        self._scorer.tell = self._telemetry.inference_seconds.observe
        self._watch.adopt(config, scorer=fresh.scorer, template=fresh.template)
        self._ingest.exchange(drop=before.subscriptions, add=config.subscriptions)
        self._ingest.limit_payloads(config.limits.payload_bytes)
        self._overload.adopt(machine_of(config))
        if self._sharing is not None:
            self._sharing.adopt(config)
        if before.sparkplug != config.sparkplug:
            self._host_sparkplug()
        self._reloader.applied(fresh, pause_s=time.perf_counter() - started)
        if any(name.startswith("log.") for name in fresh.changed):
            set_up_logs(level=config.log.level, form=config.log.format)
        warn_of_age(fresh.scorer.bundle, now=datetime.now(UTC))

    # -- what others see ------------------------------------------------------------------------------------

    def _keep_house(self, now_s: float) -> None:
        for link in self._links():
            link.revive(now_s)
        if self._egress.connected and self._egress.session != self._egress_session:
            self._egress_session = self._egress.session
            self._watch.outbox.say_again()
            self._status_told = b""
        if now_s - self._status_told_s >= _STATUS_EVERY_S or not self._status_told:
            status, self._status_told_s = self._status(online=True), now_s
            if status != self._status_told:
                self._watch.outbox.put(Message(("status",), self._status_topic, status, retain=True))
                self._status_told = status
        self._watch.outbox.repeat_unconfirmed()
        self._egress.pump()
        if now_s - self._snapshot_s >= _SNAPSHOT_EVERY_S:
            self._take_snapshot(now_s)
            self._site.look(
                self._watch,
                snapshot=self._telemetry.snapshot,
                health=self._health(),
                bundle=self._scorer.bundle,
                config=self._config,
                now_ns=time.time_ns(),
            )

    def _status(self, *, online: bool) -> bytes:
        machines = self._watch.pipeline.machines() if online else {}
        return status_payload(
            agent=self._config.agent.name,
            version=__version__,
            online=online,
            model=self._scorer.bundle.digest,
            provider=self._scorer.provider,
            machines=machines,
            calls=self._watch.control.calls(machines, now_ns=time.time_ns()),
        )

    def _take_snapshot(self, now_s: float) -> None:
        self._snapshot_s = now_s
        bundle, watch = self._scorer.bundle, self._watch
        expires = bundle.release.expires if bundle.release else None
        self._telemetry.snapshot = Snapshot(
            ledger=frozen(self._watch.pipeline.ledger),
            queued=len(self._inbox),
            wait_s=self._overload.wait_s(now_s),
            heard_share=self._overload.share,
            machines=overview.machines_seen(watch.pipeline.machines(), watch.open_findings()),
            alarms_opened=self._watch.control.alarms_opened,
            control=self._watch.control.figures(dropped=self._egress.overheard),
            alerts_sent=self._egress.alerts_sent,
            alerts_acknowledged=self._egress.alerts_acknowledged,
            alerts=overview.outbox_seen(self._watch.outbox),
            internal_errors=self._watch.internal_errors,
            state=overview.state_seen(self._watch.keeper),
            links=overview.links_seen(*self._links()),
            sparkplug=self._sparkplug.counts() if self._sparkplug is not None else {},
            build=(__version__, bundle.manifest.name, bundle.digest, self._scorer.provider),
            reloads=dict(self._reloader.counts),
            waveforms=self._watch.waveforms.latest,
            share=None if self._sharing is None else self._sharing.figures(),
            bundle_expires_s=expires.timestamp() if expires else None,
        )

    def _links(self) -> tuple[Link, ...]:
        hosted = () if self._sparkplug is None else (self._sparkplug.link,)
        shared = () if self._sharing is None else (self._sharing.link,)
        return (self._ingest, self._egress, *hosted, *shared)

    def _health(self) -> Health:
        health = overview.health(
            alive=self.alive(),
            links=self._links(),
            refused=self._ingest.refused,
            keeper=self._watch.keeper,
            inbox=self._inbox,
            heard_share=self._overload.share,
        )
        if self._sharing is None or self._sharing.active:
            return health
        return replace(health, amiss=(*health.amiss, "sharing: joins its group, or is out of touch with it"))


def _report(event: str, **facts: object) -> None:
    """What the broker's and the keeper's rooms have to say, as a log line."""
    tell = log.error if event == "callback_failed" else log.warning if event in _WARNINGS else log.info
    tell(event, **facts)
