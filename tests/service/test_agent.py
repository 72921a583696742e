"""The service in this process, between a real embedded broker and a user: threads, state, health and farewell."""

import json
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import structlog
from iotcore import Broker

from benchmarks.harness.patience import free_port, wait_until
from benchmarks.harness.user import FAULT_SHIFT, User, rows
from edge_agent.alarms import payload as alert
from edge_agent.config.file import Config
from edge_agent.errors import BundleError, DatabaseError, StateError, UsageError
from edge_agent.formats.routing import delivery_decoder
from edge_agent.logs import set_up_logs
from edge_agent.metrics.exporter import Exporter
from edge_agent.pipeline.learning import learn
from edge_agent.pipeline.pipeline import Pipeline
from edge_agent.records import Delivery, Frame, Reject
from edge_agent.service.agent import Service, gather
from edge_agent.service.wiring import broker_address, load_scorer, pipeline_settings, with_rejects_logged
from edge_agent.store.database import Database
from edge_agent.store.state_dir import StateDir
from tests.support.soon_over import SOON_OVER

pytestmark = pytest.mark.usefixtures("quiet_logs")


class Running:
    """A service in a thread, and what stands around it."""

    def __init__(self, config: Config) -> None:
        self.exporter = Exporter()
        self.store = StateDir(config.agent.state_dir)
        self.store.open()
        self.service = Service(config, scorer=load_scorer(config), store=self.store, exporter=self.exporter)
        self._thread = threading.Thread(target=self.service.run)
        self._thread.start()

    def stop(self) -> None:
        self.service.stop()
        self._thread.join(20)
        assert not self._thread.is_alive()
        self.store.close()

    def ready(self) -> bool:
        health = self.service.health()
        return health.alive and not health.amiss


@pytest.fixture
def config(tmp_path: Path, tiny_bundle: Path) -> Config:
    return Config.model_validate(
        {
            "agent": {"name": "hall", "state_dir": tmp_path / "state"},
            "broker": {"host": "127.0.0.1", "port": free_port(), "retry_max_s": 1},
            "model": {"bundle": tiny_bundle},
            "commission": {"rows": 300},
            "alarms": SOON_OVER,
            "metrics": {"port": 0},
            "limits": {"payload_bytes": 2000},
        }
    )


@pytest.fixture
def user(config: Config) -> Iterator[User]:
    with Broker(port=config.broker.port, listen="127.0.0.1"):
        user = User(config.broker.port)
        yield user
        user.close()


@pytest.fixture
def start(user: User) -> Iterator[Callable[[Config], Running]]:
    assert user.status == {}  # and the broker is there
    started: list[Running] = []

    def run(config: Config) -> Running:
        running = Running(config)
        started.append(running)
        wait_until(running.ready, what="the service")
        return running

    yield run
    for running in started:
        running.stop()


def test_a_fault_is_alerted_and_every_message_accounted_for(
    start: Callable[[Config], Running], user: User, config: Config
) -> None:
    running = start(config)
    sent = user.publish_rows("pump-1", 0, 300)
    wait_until(lambda: user.machine("pump-1") == "ready", what="the machine to be learnt")
    sent += user.publish_rows("pump-1", 300, 360)
    sent += user.publish_rows("pump-1", 300, 310)  # sent twice
    user.publish("sensors/pump-1", b"garbage")
    sent += 1 + user.publish_rows("pump-1", 360, 390, shift=FAULT_SHIFT)
    opened = wait_until(lambda: user.alerts and user.alerts[0], what="the alert")
    assert opened["channels"][0]["name"] == "pressure"
    wait_until(lambda: running.exporter.snapshot.ledger.received == sent, what="all messages")
    ledger = running.exporter.snapshot.ledger
    assert ledger.balance() == 0
    assert (ledger.accepted, ledger.rejected) == (390, {"not_json": 1})
    assert ledger.late + ledger.duplicate == 10
    wait_until(lambda: running.exporter.snapshot.machines["pump-1"].alarm_open, what="the machine's alarm")
    wait_until(lambda: running.exporter.snapshot.alarms_opened == 1, what="the count of alarms")


def alike(told: object, expected: object) -> bool:
    """Equal, but for the last digits of a figure, which depend on how many windows were scored in one call."""
    if isinstance(told, dict) and isinstance(expected, dict):
        return told.keys() == expected.keys() and all(alike(told[name], expected[name]) for name in told)
    if isinstance(told, list) and isinstance(expected, list):
        return len(told) == len(expected) and all(map(alike, told, expected))
    if isinstance(told, float) and isinstance(expected, float):
        return told == pytest.approx(expected, rel=1e-4)
    return told == expected


def test_live_and_replayed_bytes_raise_the_same_alarms(
    start: Callable[[Config], Running], user: User, config: Config
) -> None:
    """The service adds threads and a broker, and nothing to what the pure pipeline says."""
    start(config)
    user.publish_rows("m", 0, 300)
    wait_until(lambda: user.machine("m") == "ready", what="the machine to be learnt")
    user.publish_rows("m", 300, 340, shift=FAULT_SHIFT)
    user.publish_rows("m", 340, 540)
    wait_until(lambda: any(told["state"] == "closed" for told in user.alerts), what="the closing revision")

    scorer, settings = load_scorer(config), pipeline_settings(config)
    sources = [source.route for source in config.source]
    decode = delivery_decoder(sources, payload_limit_bytes=2000, future_tolerance_s=300)
    pipeline = Pipeline(decode=decode, scorer=scorer, settings=settings)
    expected = []
    script = [*rows("m", 0, 300), *rows("m", 300, 340, shift=FAULT_SHIFT), *rows("m", 340, 540)]
    for row, values in script:
        payload = json.dumps({"ts": 1_600_000_000 + row, "values": values}).encode()
        step = pipeline.step([Delivery("sensors/m", payload, 1_700_000_000_000_000_000)])
        for request in step.commissions:
            pipeline.install(learn(request, scorer=scorer, settings=settings))
        expected += [json.loads(alert.encode(alarm, agent="hall")) for alarm in step.alarms]
    told = [{key: value for key, value in message.items() if key != "lifecycle"} for message in user.alerts]
    # An update that had not left when the next one came was replaced by it; nothing else may be missing.
    by_revision = {message["revision"]: message for message in expected}
    assert [message["revision"] for message in told] == sorted({message["revision"] for message in told})
    assert all(alike(message, by_revision[message["revision"]]) for message in told)
    assert (told[0]["revision"], told[-1]["revision"]) == (1, len(expected))


def test_a_machine_that_cannot_be_learnt_is_failed_with_a_reason_and_does_not_stop_the_others(
    start: Callable[[Config], Running], user: User, config: Config
) -> None:
    start(config)
    for row in range(301):  # a row with holes is closed by the next one
        user.publish(
            "sensors/broken", json.dumps({"ts": 1_600_000_000 + row, "values": {f"c{row % 100}": 1}}).encode()
        )
    user.publish_rows("pump-1", 0, 300)
    wait_until(lambda: user.machine("pump-1") == "ready", what="the good machine")
    wait_until(lambda: user.machine("broken") == "failed", what="the bad machine")
    assert "no channel" in user.status["machines"]["broken"]["reason"]


def test_a_full_disk_does_not_stop_the_watch(
    start: Callable[[Config], Running], user: User, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = start(config)

    def fail(*_: Any) -> None:
        raise StateError(Path("x"), "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(running.store, "save_profile", fail)
        full.setattr(running.service._processor.state_writer._database, "commit", fail_database)
        user.publish_rows("pump-1", 0, 300)
        wait_until(lambda: user.machine("pump-1") == "ready", what="the machine to be learnt")
        wait_until(lambda: "No space left" in " ".join(running.service.health().amiss), what="the complaint")
        assert running.service.health().alive
        assert running.exporter.snapshot.state.degraded
        user.publish_rows("pump-1", 300, 340, shift=FAULT_SHIFT)
        wait_until(lambda: user.alerts, what="the alert")
    wait_until(running.ready, what="the complaint to end when there is room again")
    wait_until(lambda: list((config.agent.state_dir / "profiles").glob("*.npz")), what="the profile on disk")
    file = config.agent.state_dir / "state.db"
    wait_until(
        lambda: any(name.startswith("open/") for name in Database(file).read().states),
        what="the open alarm on disk",
    )


def fail_database(*_: Any) -> None:
    raise DatabaseError(Path("x"), "No space left on device")


def test_with_a_receipt_topic_an_alert_waits_until_a_subscriber_has_it(
    start: Callable[[Config], Running], user: User, config: Config
) -> None:
    alerts = config.alerts.model_copy(update={"receipt_topic": "agents/{agent}/receipts"})
    running = start(config.model_copy(update={"alerts": alerts}))
    user.publish_rows("pump-1", 0, 300)
    wait_until(lambda: user.machine("pump-1") == "ready", what="the machine to be learnt")
    user.publish_rows("pump-1", 300, 340, shift=FAULT_SHIFT)
    wait_until(lambda: running.exporter.snapshot.alerts_acknowledged, what="the broker to have it")
    assert running.exporter.snapshot.alerts.delivered == 0
    user.publish("agents/hall/receipts", b"no receipt")
    told = wait_until(lambda: user.alerts, what="the alert")[0]
    receipt = {"id": told["id"], "revision": told["revision"]}
    user.publish("agents/hall/receipts", json.dumps(receipt).encode())
    wait_until(lambda: running.exporter.snapshot.alerts.delivered == 1, what="the receipt to be booked")


def test_a_leaving_agent_says_so_and_is_not_waited_for(
    start: Callable[[Config], Running], user: User, config: Config
) -> None:
    running = start(config)
    wait_until(lambda: user.status.get("state") == "online", what="the status")
    running.service.stop()
    wait_until(lambda: user.status["state"] == "offline", what="the farewell")


def test_a_taken_port_is_named(config: Config) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        wrong = config.model_copy(update={"metrics": config.metrics.model_copy(update={"port": port})})
        store = StateDir(config.agent.state_dir)
        store.open()
        service = Service(wrong, scorer=load_scorer(wrong), store=store, exporter=Exporter())
        with pytest.raises(UsageError, match=str(port)):
            service.run()
        store.close()


def test_a_password_is_read_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("one two\n")
    config = Config.model_validate({"broker": {"username": "u", "password_file": tmp_path / "password"}})
    assert broker_address(config).login.read() == ("u", "one two")
    (tmp_path / "password").unlink()
    with pytest.raises(UsageError, match="cannot be read"):
        broker_address(config)


def test_an_absent_bundle_is_an_error_of_its_own(config: Config, tmp_path: Path) -> None:
    wrong = config.model_copy(update={"model": config.model.model_copy(update={"bundle": tmp_path})})
    with pytest.raises(BundleError, match="manifest"):
        load_scorer(wrong)


def test_rejects_are_told_once_a_minute_and_reason() -> None:
    now_s = [0.0]
    reasons = iter(["not_json", "not_json", "no_values", "not_json", "not_json"])
    told: list[dict[str, Any]] = []

    def decode(_: Delivery) -> Frame | Reject:
        return Reject(next(reasons))  # type: ignore[arg-type]

    structlog.configure(
        processors=[
            lambda _l, _m, event: told.append(dict(event)) or (_ for _ in ()).throw(structlog.DropEvent)
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )
    watched = with_rejects_logged(decode, monotonic=lambda: now_s[0])
    for at_s in (0.0, 1.0, 2.0, 59.0, 61.0):
        now_s[0] = at_s
        assert isinstance(watched(Delivery("t", b"", 0)), Reject)
    assert [(line["reason"], line["untold"]) for line in told] == [
        ("not_json", 0),
        ("no_values", 0),
        ("not_json", 2),
    ]


def test_logs_are_one_json_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs(level="info", form="json")
    structlog.get_logger().info("hello", machine="pump-1")
    structlog.get_logger().debug("silent")
    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["machine"], line["level"]) == ("hello", "pump-1", "info")


class Waiting:
    """A clock, a queue that fills as it runs, and an event that is never set: what `gather` looks at."""

    def __init__(self, *, at_first: int, per_wait: int) -> None:
        self.now_s = 0.0
        self.waits: list[float] = []
        self._queued, self._per_wait = at_first, per_wait

    def monotonic(self) -> float:
        return self.now_s

    def __len__(self) -> int:
        return self._queued

    def wait(self, pause_s: float) -> bool:
        self.waits.append(pause_s)
        self.now_s += pause_s
        self._queued += self._per_wait
        return False


@pytest.mark.parametrize(
    ("at_first", "per_wait", "expected_s"),
    [
        (100, 0, 0.02),  # a burst that is over waits for nothing more than its own turn
        (100, 20, 0.045),  # a stream shares turns, but no alert waits longer than this
        (0, 0, 0.045),  # in quiet hours there are fewer turns
        (10_000, 0, 0.0),  # there is more than a turn can take already
    ],
)
def test_messages_share_a_turn_but_none_waits_long(at_first: int, per_wait: int, expected_s: float) -> None:
    waiting = Waiting(at_first=at_first, per_wait=per_wait)
    gather(waiting, cast("threading.Event", waiting), turned_s=0.0, monotonic=waiting.monotonic)
    assert waiting.now_s == pytest.approx(expected_s)
