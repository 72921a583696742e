"""Another configuration or bundle while the agent runs: taken over whole between two turns, or not at all.

The long form: `EDGE_AGENT_RELOADS=1000 EDGE_AGENT_SWAPS=500 python -m pytest -s tests/service/test_reload.py`.
"""

import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import msgspec
import numpy as np
import pytest
import structlog
from iotcore import Broker

from benchmarks.harness.patience import free_port, wait_until
from benchmarks.harness.user import User, rows
from edge_agent.config.file import Config, defaults, load
from edge_agent.config.sections import ModelSection
from edge_agent.metrics.exporter import Exporter
from edge_agent.model import bundle, profile
from edge_agent.model.bundle import CARD, GOLDEN, MANIFEST, MODEL, PROFILE
from edge_agent.model.rollback import Counters
from edge_agent.pipeline.learning import learn
from edge_agent.pipeline.results import CommissionRequest
from edge_agent.pipeline.settings import PipelineSettings
from edge_agent.service.agent import Service
from edge_agent.service.reload import Reloader
from edge_agent.service.wiring import load_scorer
from edge_agent.store.state_dir import StateDir
from tests.support import tampering, tiny

if TYPE_CHECKING:
    from edge_agent.pipeline.pipeline import Pipeline

RELOADS = int(os.environ.get("EDGE_AGENT_RELOADS", "50"))
SWAPS = int(os.environ.get("EDGE_AGENT_SWAPS", "30"))
PAUSE_MS = 100.0
CHANNELS = ("pressure", "flow", "current")
BAD = ("not toml at all [", "nonsense = 1", "[limits]\nmachines = -1", "\0")
pytestmark = [pytest.mark.timeout(1800), pytest.mark.usefixtures("quiet_logs")]


class Line:
    """An agent at work, its configuration file, and machines that never stop sending."""

    def __init__(self, folder: Path, bundle_path: Path, *, settings: str = "") -> None:
        self.folder = folder
        self.port = free_port()
        self.file = folder / "agent.toml"
        self.link = folder / "current"
        self.point(bundle_path)
        self.settings = settings
        self.write()
        self.gaps_s: list[float] = []
        self._reloads: list[tuple[int, int]] = []
        """Of each reload, which gaps between two turns lay around it."""
        self.sent = 0
        self._broker = Broker(port=self.port, listen="127.0.0.1")
        self._quiet = threading.Event()

    def write(self, *, hold_rows: int = 30, extra: str = "") -> None:
        self.file.write_text(
            f"""
            {extra}
            [agent]
            name = "hall"
            state_dir = "state"
            [broker]
            host = "127.0.0.1"
            port = {self.port}
            [model]
            bundle = "current"
            {self.settings}
            [commission]
            rows = 300
            [window]
            hold_rows = {hold_rows}
            [metrics]
            port = 0
            """
        )

    def point(self, target: Path) -> None:
        """Switch the link to the bundle at one stroke."""
        fresh = self.folder / "next"
        fresh.symlink_to(target)
        fresh.replace(self.link)

    def start(self) -> None:
        self._broker.__enter__()
        self.user = User(self.port)
        config = load(self.file)
        counters = Counters(config.agent.state_dir)
        scorer = load_scorer(config, counters=counters)
        self.store = StateDir(config.agent.state_dir)
        self.store.open()
        counters.remember(scorer.bundle)
        self.exporter = Exporter()
        self.service = Service(
            config,
            scorer=scorer,
            store=self.store,
            exporter=self.exporter,
            reread=lambda: load(self.file),
        )
        self._time_turns()
        self._thread = threading.Thread(target=self.service.run)
        self._thread.start()
        wait_until(lambda: self.service.health().alive and not self.service.health().amiss, what="it")

    def _time_turns(self) -> None:
        turn, last_s = self.service._turn, [time.monotonic()]

        def timed() -> None:
            now_s = time.monotonic()
            self.gaps_s.append(now_s - last_s[0])
            last_s[0] = now_s
            turn()

        self.service._turn = timed  # type: ignore[method-assign]

    def commission(self, *machines: str) -> None:
        for machine in machines:
            self.sent += self.user.publish_rows(machine, 0, 300)
        wait_until(lambda: all(self.user.machine(name) == "ready" for name in machines), what="learning")

    def load_it(self, *machines: str) -> None:
        """Rows of these machines, about 100 a second each, until `settle`."""
        row, started_s = 300, time.monotonic()
        while not self._quiet.is_set():
            for machine in machines:
                self.user.publish_rows(machine, row, row + 1)
                self.sent += 1
            row += 1
            self._quiet.wait(max(0.0, started_s + (row - 300) * 0.01 - time.monotonic()))

    def reload(self) -> dict[str, int]:
        """Ask, and wait for what became of it."""
        before, first = dict(self.counts), len(self.gaps_s)
        self.service.reload()
        wait_until(lambda: self.counts != before, what="an outcome")
        wait_until(lambda: self.exporter.snapshot.reloads == self.counts, what="a snapshot")
        self._reloads.append((first, len(self.gaps_s) + 1))  # the turn that reloaded may not have ended
        return {name: count - before[name] for name, count in self.counts.items() if count != before[name]}

    def pauses_ms(self) -> list[float]:
        """Of each reload, the longest time between two turns around it."""
        return [1000 * max(self.gaps_s[first:last]) for first, last in self._reloads]

    @property
    def counts(self) -> dict[str, int]:
        return self.service._reloader.counts

    @property
    def digest(self) -> str:
        return self.exporter.snapshot.build[2]

    def settle(self) -> None:
        self._quiet.set()
        self.load_thread.join()
        wait_until(lambda: self.exporter.snapshot.ledger.received >= self.sent, what="all rows")
        assert self.exporter.snapshot.ledger.balance() == 0

    def under_load(self, *machines: str) -> None:
        self.load_thread = threading.Thread(target=self.load_it, args=machines)
        self.load_thread.start()

    def stop(self) -> None:
        self._quiet.set()
        self.service.stop()
        self._thread.join(20)
        self.store.close()
        self.user.close()
        self._broker.__exit__(None, None, None)


@pytest.fixture
def line(tmp_path: Path, tiny_bundle: Path) -> Iterator[Callable[..., Line]]:
    lines: list[Line] = []

    def start(path: Path = tiny_bundle, **given: Any) -> Line:
        (tmp_path / "line").mkdir()
        line = Line(tmp_path / "line", path, **given)
        lines.append(line)
        line.start()
        return line

    yield start
    for line in lines:
        line.stop()


def told(line: Line, what: str, record_property: Callable[[str, object], None]) -> None:
    """Count what was done and lost, and how long turns had to wait for it; strict runs want an idle machine."""
    pauses_ms = line.pauses_ms()
    p50, p99 = np.percentile(pauses_ms, [50, 99]).tolist()
    lost = line.sent - 600 - line.exporter.snapshot.ledger.windows_scored  # every row after learning ends one
    record_property("faults", sum(line.counts.values()))
    record_property("refused", line.counts["refused"])
    record_property("windows_lost", lost)
    record_property("pause_p99_ms", round(p99, 1))
    sys.stdout.write(
        f"\n{what}: {line.counts}, {line.sent} rows, {lost} windows lost; "
        f"pause in ms: p50 {p50:.0f}, p99 {p99:.0f}, largest {max(pauses_ms):.0f}\n"
    )
    assert lost == 0
    if os.environ.get("FAULTS_STRICT") == "1":
        assert p99 <= PAUSE_MS


def test_reloads_under_load_lose_no_window_and_bad_ones_change_nothing(
    line: Callable[..., Line], record_property: Callable[[str, object], None]
) -> None:
    running = line()
    running.commission("m1", "m2")
    running.under_load("m1", "m2")
    rng = np.random.default_rng(1)
    good = 30
    for number in range(RELOADS):
        if bad := rng.random() < 0.3:
            extra = BAD[int(rng.integers(len(BAD)))]
            running.write(hold_rows=1000 + number, extra=extra)
        else:
            good = 1 + number
            running.write(hold_rows=good)
        assert running.reload() == ({"refused": 1} if bad else {"applied": 1})
        assert running.service._config.window.hold_rows == good
    running.settle()
    ledger = running.exporter.snapshot.ledger
    assert ledger.accepted == ledger.received == running.sent
    told(running, "configurations", record_property)


def test_swaps_under_load_lose_no_window_and_spoilt_bundles_never_run(
    line: Callable[..., Line],
    tiny_bundle: Path,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    counter = tampering.COUNTER
    first = tampering.sign(shutil.copytree(tiny_bundle, tmp_path / "first"))
    key = tampering.public_key(tmp_path / "key.pub")
    running = line(first, settings=f'trusted_keys = ["{key}"]')
    running.commission("m1", "m2")
    running.under_load("m1", "m2")
    rng, current = np.random.default_rng(2), first
    digest = bundle.read(first).digest
    assert running.digest == digest
    for number in range(SWAPS):
        fresh = shutil.copytree(current, tmp_path / f"release-{number}")
        if number % 2:
            tampering.WAYS[int(rng.integers(len(tampering.WAYS)))](fresh, rng)
            whole = all((fresh / name).is_file() for name in tampering.FILES)
            if whole and not counter_is_older(fresh, counter):
                tampering.flip_a_bit(fresh, rng)  # the ways know only the first counter
        else:
            counter += 1
            (fresh / CARD).write_text(f"release {counter}")
            tampering.sign(fresh, counter=counter)
            current, digest = fresh, bundle.read(fresh).digest
        running.point(fresh)
        assert running.reload() == ({"refused": 1} if number % 2 else {"applied": 1})
        assert running.digest == digest
    running.settle()
    told(running, "bundles", record_property)


def counter_is_older(path: Path, counter: int) -> bool:
    try:
        found = msgspec.json.decode((path / MANIFEST).read_bytes(), type=bundle.Manifest).release
    except (msgspec.MsgspecError, OSError, UnicodeDecodeError, RecursionError):
        return True
    return found is msgspec.UNSET or not isinstance(found, bundle.Release) or found.counter < counter


def other_network(parent: Path, tiny_bundle: Path, *, with_profile_of: str | None) -> Path:
    """A bundle with another network's bytes, perhaps with a machine's profile."""
    read = bundle.read(tiny_bundle)
    contents = {name: (tiny_bundle / name).read_bytes() for name in (MODEL, GOLDEN, CARD)}
    contents[MODEL] += b"\x32\x05other"  # the field doc_string: the same answers, other bytes
    path = bundle.write(parent, read.manifest, contents)
    if with_profile_of is None:
        return path
    config_scorer = tiny.scorer(path)
    normal = np.array([list(values.values()) for _, values in rows(with_profile_of, 0, 300)], np.float32)
    request = CommissionRequest(with_profile_of, CHANNELS, normal, 10**9, 1, 0)
    learnt = learn(request, scorer=config_scorer, settings=PipelineSettings())
    return bundle.write(parent, read.manifest, {**contents, PROFILE: profile.encode(learnt)})


def test_another_network_is_taken_only_with_profiles_for_what_was_learnt(
    line: Callable[..., Line], tiny_bundle: Path, tmp_path: Path
) -> None:
    running = line()
    running.commission("m1")
    bare = other_network(tmp_path / "bare", tiny_bundle, with_profile_of=None)
    running.point(bare)
    assert running.reload() == {"refused": 1}
    assert running.digest == bundle.read(tiny_bundle).digest

    whole = other_network(tmp_path / "whole", tiny_bundle, with_profile_of="m1")
    running.point(whole)
    assert running.reload() == {"applied": 1}
    assert running.digest == bundle.read(whole).digest
    running.sent += running.user.publish_rows("m1", 300, 340)
    wait_until(lambda: running.exporter.snapshot.ledger.received == running.sent, what="the rows")
    assert running.exporter.snapshot.ledger.windows_scored == 40
    assert running.user.machine("m1") == "ready"


def test_before_anything_is_learnt_any_network_may_take_over(
    line: Callable[..., Line], tiny_bundle: Path, tmp_path: Path
) -> None:
    running = line()
    running.sent += running.user.publish_rows("m1", 0, 100)
    running.point(other_network(tmp_path / "bare", tiny_bundle, with_profile_of=None))
    assert running.reload() == {"applied": 1}
    running.sent += running.user.publish_rows("m1", 100, 300)
    wait_until(lambda: running.user.machine("m1") == "ready", what="learning with the new network")
    learnt = running.store.load(encoder=running.service._scorer.bundle.encoder)
    assert [found.machine for found in learnt.profiles] == ["m1"]


def test_what_was_learnt_for_a_network_that_has_gone_is_learnt_again(
    line: Callable[..., Line], tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, began = threading.Event(), threading.Event()

    def slow(*given: Any, **more: Any) -> Any:
        began.set()
        held.wait(60)
        return learn(*given, **more)

    running = line()
    monkeypatch.setattr(running.service._processor.learner, "_learn", slow)
    running.sent += running.user.publish_rows("m1", 0, 300)
    assert began.wait(60)
    running.point(other_network(tmp_path / "bare", tiny_bundle, with_profile_of=None))
    assert running.reload() == {"applied": 1}
    held.set()
    wait_until(lambda: not running.service._processor.learner.busy, what="the old network's profile")
    running.user.publish_rows("m1", 300, 310)
    wait_until(lambda: running.user.machine("m1") == "ready", what="the new network's profile")
    kept = running.service._processor.pipeline.machines["m1"].profile
    assert kept is not None
    assert kept.encoder == running.service._scorer.bundle.encoder


def test_a_reload_for_which_no_thread_can_be_had_is_refused(
    monkeypatch: pytest.MonkeyPatch, tiny_bundle: Path
) -> None:
    config = defaults().model_copy(update={"model": ModelSection(bundle=tiny_bundle)})
    go = threading.Event()

    def read() -> Config:
        go.wait(60)
        return config

    reloader = Reloader(read=read, config=config, scorer=load_scorer(config), observe=lambda _seconds: None)
    reloader.ask()
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", missing_thread)
        assert reloader.poll(cast("Pipeline", None)) is None
    assert reloader.counts["refused"] == 1
    assert not reloader.busy
    reloader.ask()
    reloader.poll(cast("Pipeline", None))
    assert reloader.busy
    go.set()


def missing_thread(_thread: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def test_other_topics_are_listened_to_and_the_old_ones_no_more(line: Callable[..., Line]) -> None:
    running = line()
    running.commission("m1")
    running.write(extra='source = [{topic = "plant/{machine}", format = "json"}]')
    assert running.reload() == {"applied": 1}
    payload = json.dumps({"ts": 1_600_000_300, "values": dict.fromkeys(CHANNELS, 5.0)}).encode()

    while running.exporter.snapshot.ledger.accepted == 300:  # the broker may not know of our wish yet
        running.user.publish("plant/m1", payload).wait_for_publish(5)
        time.sleep(0.3)
    running.user.publish("sensors/m1", b"on the old topic").wait_for_publish(5)
    running.user.publish("plant/m1", b"after it").wait_for_publish(5)
    wait_until(lambda: running.exporter.snapshot.ledger.rejected, what="the last message")
    time.sleep(0.5)
    assert running.exporter.snapshot.ledger.rejected == {"not_json": 1}


def test_settings_that_need_a_restart_are_named_and_do_not_change(line: Callable[..., Line]) -> None:
    running = line()
    before = running.service._config
    structlog.reset_defaults()
    running.file.write_text(
        running.file.read_text().replace('name = "hall"', 'name = "yard"').replace("port = 0", "port = 1")
    )
    with structlog.testing.capture_logs() as said:
        assert running.reload() == {"unchanged": 1}
    assert running.service._config == before
    waiting = [entry["settings"] for entry in said if entry["event"] == "settings_wait_for_restart"]
    assert waiting == [["agent.name", "metrics.port"]]


def test_commands_and_maintenance_count_at_once_but_topics_wait(line: Callable[..., Line]) -> None:
    running = line()
    running.commission("m1")
    manager = running.service._processor.alarm_manager
    shelve = json.dumps({"id": "first", "by": "anna", "machine": "m1", "for_s": 60}).encode()
    running.user.publish("agents/hall/cmd/shelve", shelve)
    wait_until(lambda: manager.audit.done, what="the first command")
    running.settings = """
            [commands]
            allow = ["ack"]
            topic = "elsewhere/{agent}/cmd"
            [[maintenance]]
            machines = ["m1"]
            days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
            begins = "00:00"
            ends = "23:59:59"
    """
    running.write()
    structlog.reset_defaults()
    with structlog.testing.capture_logs() as said:
        assert running.reload() == {"applied": 1}
    waiting = [entry["settings"] for entry in said if entry["event"] == "settings_wait_for_restart"]
    assert waiting == [["commands.topic"]]
    unshelve = json.dumps({"id": "second", "by": "anna", "machine": "m1"}).encode()
    running.user.publish("agents/hall/cmd/unshelve", unshelve)
    wait_until(lambda: manager.audit.refused, what="the second command")
    assert [(entry.command, entry.reason) for entry in manager.audit.refused] == [("unshelve", "not_allowed")]
    assert running.service._config.commands.topic == "agents/{agent}/cmd"
    assert len(running.service._config.maintenance) == 1


def test_an_agent_that_shares_machines_takes_no_sources_that_cannot_be_shared(
    line: Callable[..., Line],
) -> None:
    running = line(settings='[sharing]\ngroup = "plant"\nlease_s = 1.0\nsettle_s = 0.5')
    before = running.service._config.source
    running.settings = ""  # waits for a restart: it shares on
    running.write(extra='source = [{topic = "plant/{machine}", share = "all"}]')
    assert running.reload() == {"refused": 1}
    assert running.service._config.source == before
