"""The agent as it runs: the only place where threads are wired, clocks are read and signals arrive.

Threads: this one turns the pipeline; each MQTT client has its network thread; one worker learns new machines (seconds
each); the metrics page serves itself. A message is acknowledged after the step that used it, in the order received.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType

import structlog

from edge_agent import __version__, alert
from edge_agent.assembly import TimedScorer, broker_address, bundle_profile, load_scorer, pipeline_settings
from edge_agent.broker import Egress, Ingest
from edge_agent.config import Config
from edge_agent.contract.records import (
    Alarm,
)
from edge_agent.errors import StateError
from edge_agent.formats import decoder
from edge_agent.inbox import Batch, Inbox
from edge_agent.learner import Learner
from edge_agent.outbox import Message, OpenAlarm, Outbox
from edge_agent.pipeline import MachineStatus, Pipeline, Step
from edge_agent.reject_log import told_rejects
from edge_agent.status import status_payload
from edge_agent.store import Store
from edge_agent.telemetry import Health, LinkSeries, MachineSeries, Snapshot, Telemetry, frozen
from edge_agent.topics import parse

log = structlog.get_logger()

_TURN_S = 0.02
"""A turn takes up what has arrived in this time: machines that are due together share one inference call."""
_BUSY_MESSAGES = 256
"""With so many waiting there is nothing to wait for."""
_BATCH_MESSAGES = 1000
"""A turn stays short, so that an overloaded agent still alerts, acknowledges and answers in between."""
_SNAPSHOT_EVERY_S = 0.25
_STATUS_EVERY_S = 1.0
_FAREWELL_S = 5.0
"""How long a leaving agent waits for the broker to take its last messages."""
_STUCK_AFTER_S = 30.0
_WARNINGS = frozenset(
    {"broker_unreachable", "broker_lost", "subscription_refused", "network_thread_replaced"}
)


class Service:
    """One agent, from start to farewell."""

    def __init__(self, config: Config, *, scorer: TimedScorer, store: Store, telemetry: Telemetry) -> None:
        self._config = config
        self._scorer = scorer
        self._store = store
        self._telemetry = telemetry
        self._stop = threading.Event()
        self._alert_topic = parse(
            config.alerts.topic, allowed=frozenset({"machine", "agent"}), required=frozenset({"machine"})
        )
        self._status_topic = config.alerts.status_topic.replace("{agent}", config.agent.name)
        self._inbox = Inbox(
            messages_limit=config.broker.queue_messages,
            bytes_limit=config.broker.queue_bytes,
            shed_after_s=config.broker.shed_after_s,
            monotonic=time.monotonic,
        )
        self._outbox = Outbox(limit=config.alerts.outbox_messages)
        self._learner = Learner(scorer=scorer, settings=pipeline_settings(config))
        self._alarms_opened = 0
        self._state_fault = ""
        self._egress_session = 0
        self._status_told: bytes = b""
        self._status_told_s = 0.0
        self._snapshot_s = 0.0
        self._turned_s = time.monotonic()
        self._pipeline: Pipeline
        self._ingest: Ingest
        self._egress: Egress

    @property
    def learning(self) -> bool:
        """Whether a machine is being learnt right now."""
        return self._learner.busy

    def stop(self) -> None:
        """Ask the agent to leave; `run` returns soon after. May be called from a signal handler or any thread."""
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
                if len(self._inbox) < _BUSY_MESSAGES:
                    self._stop.wait(max(0.0, _TURN_S - (time.monotonic() - started)))
        finally:
            self._leave()

    # -- start and end --------------------------------------------------------------------------------------

    def _start(self) -> None:
        config = self._config
        loaded = self._store.load(encoder=self._scorer.bundle.digest)
        for aside in loaded.set_aside:
            log.warning("state_file_set_aside", path=str(aside.path), reason=aside.reason)
        self._pipeline = Pipeline(
            decode=told_rejects(
                decoder(
                    [(source.template, source.format) for source in config.source],
                    payload_limit_bytes=config.limits.payload_bytes,
                    future_tolerance_s=config.limits.future_tolerance_s,
                ),
                monotonic=time.monotonic,
            ),
            scorer=self._scorer,
            settings=pipeline_settings(config),
            profiles=loaded.profiles,
            template=bundle_profile(self._scorer.bundle),
        )
        self._close_leftovers(loaded.open_alarms)
        self._scorer.tell = self._telemetry.inference_seconds.observe
        self._telemetry.serve(host=config.metrics.host, port=config.metrics.port)
        self._learner.start()
        self._connect()
        self._telemetry.health = self._health
        log.info(
            "started",
            version=__version__,
            agent=config.agent.name,
            model=self._scorer.bundle.manifest.name,
            digest=self._scorer.bundle.digest[:12],
            provider=self._scorer.provider,
            restored=[profile.machine for profile in loaded.profiles],
            metrics=f"http://{config.metrics.host}:{self._telemetry.port}/metrics",
        )

    def _connect(self) -> None:
        config, address = self._config, broker_address(self._config)
        self._ingest = Ingest(
            address,
            client_id=config.client_id,
            filters=[source.template.subscription for source in config.source],
            inbox=self._inbox,
            payload_limit_bytes=config.limits.payload_bytes,
            wall_clock_ns=time.time_ns,
            report=_report,
        )
        self._egress = Egress(
            address,
            client_id=f"{config.client_id}-out",
            will=Message(("status",), self._status_topic, self._status(online=False), retain=True),
            outbox=self._outbox,
            report=_report,
        )
        self._ingest.start()
        self._egress.start()

    def _leave(self) -> None:
        """Take no more messages, say what is still to be said, and good-bye."""
        log.info("stopping")
        self._inbox.close()
        self._ingest.stop()
        self._outbox.put(Message(("status",), self._status_topic, self._status(online=False), retain=True))
        patience_s = time.monotonic() + _FAREWELL_S
        while len(self._outbox) and self._egress.connected and time.monotonic() < patience_s:
            self._egress.pump()
            time.sleep(_TURN_S)
        self._egress.stop()
        self._take_snapshot(time.monotonic())
        self._telemetry.close()
        log.info("stopped", unsent=len(self._outbox), balance=self._pipeline.ledger.balance())

    # -- one turn -------------------------------------------------------------------------------------------

    def _turn(self) -> None:
        batch = self._inbox.drain(limit=_BATCH_MESSAGES, timeout_s=_TURN_S)
        self._install_learnt()
        ledger = self._pipeline.ledger
        ledger.received += batch.shed
        ledger.shed += batch.shed
        if batch.deliveries:
            step = self._step(batch)
            for request in step.commissions:
                self._learner.submit(request)
            self._announce(step.alarms)
            for profile in step.moved:
                with self._state_watched():
                    self._store.save_profile(profile)
        self._ingest.acknowledge(batch.receipts)
        self._keep_house(time.monotonic())

    def _step(self, batch: Batch) -> Step:
        started = time.perf_counter()
        step = self._pipeline.step(batch.deliveries)
        self._telemetry.step_seconds.observe(time.perf_counter() - started)
        now_ns = time.time_ns()
        for delivery in batch.deliveries:
            self._telemetry.decision_seconds.observe(max(0.0, (now_ns - delivery.received_ns) / 1e9))
        return step

    def _announce(self, alarms: Sequence[Alarm]) -> None:
        for alarm in alarms:
            payload = alert.encode(alarm, agent=self._config.agent.name)
            told = OpenAlarm(alarm.id, self._alert_topic_of(alarm.machine), payload)
            if alarm.state == "closed":
                self._outbox.close_alarm(told)
                log.info(
                    "alarm_closed", machine=alarm.machine, id=alarm.id, peak_score=round(alarm.peak_score, 3)
                )
                continue
            self._outbox.raise_alarm(told, revision=alarm.revision)
            if alarm.revision == 1:
                self._alarms_opened += 1
                log.warning(
                    "alarm_opened",
                    machine=alarm.machine,
                    id=alarm.id,
                    severity=alarm.severity,
                    fault=alarm.fault,
                    channels=[channel.name for channel in alarm.channels],
                    summary=alert.summary(alarm),
                )
        if alarms:
            self._remember_open_alarms()

    def _remember_open_alarms(self) -> None:
        table = {alarm.id: alarm.payload for alarm in self._outbox.open_alarms()}
        with self._state_watched():
            self._store.save_open_alarms(table)

    def _close_leftovers(self, open_alarms: Mapping[str, bytes]) -> None:
        """Alarms that were open when the agent last ended: their readers are told that nobody watches them now."""
        for alarm_id, payload in open_alarms.items():
            closing = alert.closing_after_restart(payload)
            if closing is not None:
                machine, raw = closing
                self._outbox.close_alarm(OpenAlarm(alarm_id, self._alert_topic_of(machine), raw))
        if open_alarms:
            self._remember_open_alarms()

    def _alert_topic_of(self, machine: str) -> str:
        return self._alert_topic.fill(machine=machine, agent=self._config.agent.name)

    @contextmanager
    def _state_watched(self) -> Iterator[None]:
        """A full or broken disk must not stop the watch over machines: it is reported and tried again next time."""
        try:
            yield
            self._state_fault = ""
        except StateError as error:
            if not self._state_fault:
                log.warning("state_not_saved", path=str(error.path), reason=error.reason)
            self._state_fault = str(error)

    # -- learning new machines ------------------------------------------------------------------------------

    def _install_learnt(self) -> None:
        for learnt in self._learner.finished():
            self._telemetry.commission_seconds.observe(learnt.took_s)
            if isinstance(learnt.result, str):
                self._pipeline.fail(learnt.machine, learnt.result)
                log.warning("machine_failed", machine=learnt.machine, reason=learnt.result)
                continue
            self._pipeline.install(learnt.result)
            with self._state_watched():
                self._store.save_profile(learnt.result)
            log.info(
                "machine_commissioned",
                machine=learnt.machine,
                channels=list(learnt.result.channels),
                rows=learnt.result.rows,
                threshold=round(learnt.result.threshold, 4),
                took_s=round(learnt.took_s, 2),
            )

    # -- what others see ------------------------------------------------------------------------------------

    def _keep_house(self, now_s: float) -> None:
        self._turned_s = now_s
        self._ingest.revive(now_s)
        self._egress.revive(now_s)
        if self._egress.connected and self._egress.session != self._egress_session:
            self._egress_session = self._egress.session
            self._outbox.say_again()
            self._status_told = b""
        if now_s - self._status_told_s >= _STATUS_EVERY_S:
            status = self._status(online=True)
            if status != self._status_told:
                self._outbox.put(Message(("status",), self._status_topic, status, retain=True))
                self._status_told, self._status_told_s = status, now_s
        self._egress.pump()
        if now_s - self._snapshot_s >= _SNAPSHOT_EVERY_S:
            self._take_snapshot(now_s)

    def _status(self, *, online: bool) -> bytes:
        return status_payload(
            agent=self._config.agent.name,
            version=__version__,
            online=online,
            model=self._scorer.bundle.digest,
            provider=self._scorer.provider,
            machines=self._pipeline.machines() if online else {},
        )

    def _take_snapshot(self, now_s: float) -> None:
        self._snapshot_s = now_s
        bundle = self._scorer.bundle
        links = (self._ingest, self._egress)
        self._telemetry.snapshot = Snapshot(
            ledger=frozen(self._pipeline.ledger),
            queued=len(self._inbox),
            machines={name: _series(status) for name, status in self._pipeline.machines().items()},
            alarms_opened=self._alarms_opened,
            alerts_sent=self._egress.alerts_sent,
            alerts_acknowledged=self._egress.alerts_acknowledged,
            alerts_dropped=self._outbox.dropped,
            outbox=len(self._outbox),
            links={link.name: LinkSeries(link.connected, link.session, link.replaced) for link in links},
            build=(__version__, bundle.manifest.name, bundle.digest, self._scorer.provider),
        )

    def _health(self) -> Health:
        amiss = [
            f"broker: {link.name} is not connected"
            for link in (self._ingest, self._egress)
            if not link.connected
        ]
        amiss += [f"broker: refuses the subscription {topic}" for topic in self._ingest.refused]
        if self._state_fault:
            amiss.append(f"state: {self._state_fault}")
        if self._inbox.full:
            amiss.append("overload: the queue is full")
        return Health(alive=time.monotonic() - self._turned_s < _STUCK_AFTER_S, amiss=tuple(amiss))


def _report(event: str, **facts: object) -> None:
    """What the broker's room has to say, as a log line."""
    tell = log.error if event == "callback_failed" else log.warning if event in _WARNINGS else log.info
    tell(event, **facts)


def _series(status: MachineStatus) -> MachineSeries:
    return MachineSeries(
        state=status.state,
        rows=status.rows_heard,
        score=status.last_score,
        threshold=status.threshold,
        alarm_open=status.open_alarm is not None,
        threshold_ratio=status.threshold_ratio,
    )


def run(config: Config) -> None:
    """The whole agent, until SIGTERM or SIGINT.

    Raises:
        EdgeAgentError: it cannot start.
    """
    scorer = load_scorer(config)
    store = Store(config.agent.state_dir)
    store.open()
    service = Service(config, scorer=scorer, store=store, telemetry=Telemetry())

    def leave(number: int, _frame: FrameType | None) -> None:
        log.info("signal", name=signal.Signals(number).name)
        service.stop()

    def stay(_number: int, _frame: FrameType | None) -> None:
        log.warning("signal", name="SIGHUP", note="ignored: the configuration is read at start only")

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, leave)
    signal.signal(signal.SIGHUP, stay)
    try:
        service.run()
    finally:
        store.close()
    if service.learning:
        # Native code cannot be interrupted, and Python's own end would abort the process under it. All is saved.
        sys.stderr.flush()
        os._exit(0)
