"""Alarms that are over can be named after a restart; their windows lie on disk, not in memory, none left behind."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest

from benchmarks.harness.user import FAULT_SHIFT
from edge_agent.config.file import Config
from edge_agent.diagnose import alarm_windows
from edge_agent.diagnose.alarm_windows import AlarmWindows
from edge_agent.diagnose.fault_naming import Refused
from edge_agent.errors import DatabaseError
from edge_agent.pipeline.results import Labelled
from edge_agent.records import Float32
from edge_agent.store.database import Database
from tests.support.scripted_agent import ScriptedAgent, arrivals, play
from tests.support.soon_over import SOON_OVER

pytestmark = pytest.mark.usefixtures("quiet_logs")

ALARM = [(300, 380, FAULT_SHIFT), (380, 560, 0.0)]
ANOTHER = [(560, 640, FAULT_SHIFT), (640, 820, 0.0)]
A_THIRD = [(820, 900, FAULT_SHIFT), (900, 1080, 0.0)]


@pytest.fixture
def start(tmp_path: Path, tiny_bundle: Path) -> Iterator[Callable[..., ScriptedAgent]]:
    """An agent that has learnt pump-1 and is about to hear of its first alarm."""
    begun: list[ScriptedAgent] = []

    def new(**naming: int) -> ScriptedAgent:
        config = Config.model_validate(
            {
                "agent": {"name": "hall", "state_dir": tmp_path / "state"},
                "model": {"bundle": tiny_bundle},
                "commission": {"rows": 300},
                "alarms": SOON_OVER,
                "naming": naming,
            }
        )
        begun.append(ScriptedAgent(config))
        hear(begun[-1], [(0, 300, 0.0)])
        return begun[-1]

    yield new
    for agent in begun:
        agent.end()


def hear(agent: ScriptedAgent, spans: list[tuple[int, int, float]], *, machine: str = "pump-1") -> None:
    play(agent, arrivals(spans, machine=machine), crash_after=lambda _: False)


def kept_of(agent: ScriptedAgent, machine: str = "pump-1") -> dict[str, AlarmWindows]:
    return dict(agent.processor.pipeline.machines[machine].naming.kept)


def on_disk(agent: ScriptedAgent) -> set[str]:
    return set(agent.processor.state_writer._database.alarm_window_names())


def expected_on_disk(agent: ScriptedAgent) -> set[str]:
    machines = agent.processor.pipeline.machines
    return {f"{machine}/{alarm}" for machine in machines for alarm in kept_of(agent, machine)}


def named(agent: ScriptedAgent, alarm: str, *, machine: str = "pump-1") -> Float32:
    """The windows that come of naming the alarm."""
    labelled = agent.processor.pipeline.label(machine, alarm=alarm, fault="leak")
    assert isinstance(labelled, Labelled), labelled
    (windows,) = [case.windows for case in labelled.library.cases if case.alarm == alarm]
    return windows


def refusal(agent: ScriptedAgent, alarm: str) -> Refused:
    refused = agent.processor.pipeline.label("pump-1", alarm=alarm, fault="leak")
    assert isinstance(refused, Refused)
    return refused


def test_windows_are_held_while_the_alarm_is_open_and_on_disk_once_it_is_over(
    start: Callable[..., ScriptedAgent],
) -> None:
    agent = start()
    hear(agent, ALARM[:1])
    (is_open,) = kept_of(agent).values()
    held = [window.copy() for window in is_open.windows]
    assert held
    assert on_disk(agent) == set()
    hear(agent, ALARM[1:])
    (over,) = kept_of(agent).values()
    assert over.windows == []
    assert on_disk(agent) == expected_on_disk(agent)
    np.testing.assert_array_equal(over.stacked()[0], held[0])
    assert over.stacked().shape[1:] == held[0].shape


def test_alarms_that_are_over_are_named_after_a_crash_as_they_are_without_one(
    start: Callable[..., ScriptedAgent],
) -> None:
    agent = start()
    hear(agent, [*ALARM, *ANOTHER])
    before = kept_of(agent)
    assert len(before) == 2
    windows = {alarm: known.stacked() for alarm, known in before.items()}
    agent.crash()
    after = kept_of(agent)
    assert list(after) == list(before)
    for alarm, known in after.items():
        assert known.windows == []
        assert (known.channels, known.start_ns, known.end_ns) == (
            before[alarm].channels,
            before[alarm].start_ns,
            before[alarm].end_ns,
        )
        np.testing.assert_array_equal(named(agent, alarm), windows[alarm])
    hear(agent, A_THIRD)
    said = [told["fault"]["name"] for told in agent.alerts.values() if told["state"] == "closed"]
    assert said == ["unknown", "unknown", "leak"]


def test_an_open_alarm_s_windows_outlive_a_wanted_end_and_go_on(start: Callable[..., ScriptedAgent]) -> None:
    agent = start()
    hear(agent, ALARM[:1])
    ((alarm, before),) = kept_of(agent).items()
    agent.processor.state_writer.write_last(now_s=0.0)
    agent.crash()
    ((again, after),) = kept_of(agent).items()
    assert again == alarm
    assert (after.ends, after.every_rows) == (before.ends, before.every_rows)
    np.testing.assert_array_equal(after.windows, before.windows)
    hear(agent, ALARM[1:])
    (over,) = kept_of(agent).values()
    assert over.windows == []
    assert over.end_ns > before.end_ns
    np.testing.assert_array_equal(named(agent, alarm)[0], before.windows[0])
    assert on_disk(agent) == {f"pump-1/{alarm}"}


def test_what_can_no_longer_be_named_goes_from_the_disk(start: Callable[..., ScriptedAgent]) -> None:
    agent = start(recent_alarms=1)
    hear(agent, [*ALARM, *ANOTHER])
    first = next(iter(kept_of(agent)))
    hear(agent, A_THIRD)
    assert len(kept_of(agent)) == 2
    assert on_disk(agent) == expected_on_disk(agent)
    assert refusal(agent, first).reason == "unknown_alarm"
    agent.crash()
    assert on_disk(agent) == expected_on_disk(agent)
    assert len(on_disk(agent)) == 2


@pytest.mark.parametrize("way", ["given up", "recommissioned", "profile deleted"])
def test_nothing_is_left_of_a_machine_that_is_forgotten(
    start: Callable[..., ScriptedAgent], way: str
) -> None:
    agent = start()
    hear(agent, ALARM)
    assert len(on_disk(agent)) == 1
    if way == "given up":
        agent.processor.release("pump-1")
        agent.turn([])
    elif way == "recommissioned":
        assert agent.processor.alarm_manager._handler._machines.recommission("pump-1") == ""
        agent.turn([])
    else:
        for path in (agent.config.agent.state_dir / "profiles").rglob("*.npz"):
            path.unlink()
        agent.crash()
    assert on_disk(agent) == set()
    agent.crash()
    assert on_disk(agent) == set()


def test_on_a_full_disk_windows_stay_in_memory_and_are_written_when_there_is_room(
    start: Callable[..., ScriptedAgent], monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = start()
    agent.now_s = 1e6
    with monkeypatch.context() as full:
        error = DatabaseError(Path("state.db"), "database or disk is full")
        full.setattr(agent.processor.state_writer._database, "commit", Mock(side_effect=error))
        hear(agent, ALARM)
        ((alarm, over),) = kept_of(agent).items()
        assert over.windows
        assert len(named(agent, alarm)) == len(over.windows)
    assert agent.processor.internal_errors == 0
    agent.now_s += 60
    agent.turn([])
    agent.turn([])
    assert over.windows == []
    assert on_disk(agent) == {f"pump-1/{alarm}"}


def test_what_cannot_be_read_back_is_refused_in_words(
    start: Callable[..., ScriptedAgent], monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = start()
    hear(agent, [*ALARM, *ANOTHER])
    first, second = kept_of(agent)
    named(agent, second)
    with monkeypatch.context() as broken:
        error = DatabaseError(Path("state.db"), "disk I/O error")
        broken.setattr(agent.processor.state_writer._database, "read_alarm_windows", Mock(side_effect=error))
        refused = refusal(agent, first)
        assert refused.reason == "not_available"
        assert "disk I/O error" in refused.detail
        assert len(named(agent, second)) > 1  # the windows of named alarms are at hand
    agent.processor.state_writer._database.close()
    (agent.config.agent.state_dir / "state.db").write_bytes(b"this is no database" * 1000)
    hear(agent, A_THIRD)
    assert "state_file_set_aside" in agent.reports
    assert "not in the database any more" in refusal(agent, first).detail
    assert agent.processor.internal_errors == 0
    third = list(kept_of(agent))[-1]
    assert on_disk(agent) == {f"pump-1/{third}"}  # into the new file
    agent.crash()
    assert list(kept_of(agent)) == [third]


def test_windows_that_were_altered_are_told_and_left_out(start: Callable[..., ScriptedAgent]) -> None:
    agent = start()
    hear(agent, [*ALARM, *ANOTHER])
    first, second = kept_of(agent)
    connection = agent.processor.state_writer._database._connection
    assert connection is not None
    connection.execute("UPDATE kept SET value = zeroblob(5000) WHERE name = ?", (f"pump-1/{first}",))
    assert refusal(agent, first).reason == "not_available"
    agent.crash()
    assert list(kept_of(agent)) == [second]
    assert "state_damaged" in agent.reports
    assert on_disk(agent) == {f"pump-1/{second}"}


def test_a_database_that_cannot_be_read_costs_the_names_and_nothing_else(
    start: Callable[..., ScriptedAgent], monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = start()
    hear(agent, ALARM)
    error = DatabaseError(Path("state.db"), "disk I/O error")
    monkeypatch.setattr(Database, "alarm_window_names", Mock(side_effect=error))
    agent.crash()
    assert kept_of(agent) == {}
    assert "state_damaged" in agent.reports
    assert agent.processor.pipeline.statuses()["pump-1"].state == "ready"


def test_many_machines_that_fall_due_at_once_are_written_turn_by_turn(
    start: Callable[..., ScriptedAgent], monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = start()
    monkeypatch.setattr(agent.processor.state_writer._alarm_windows, "_turn_bytes", 1)
    hear(agent, [(0, 300, 0.0)], machine="pump-2")
    both = [*arrivals(ALARM, machine="pump-1"), *arrivals(ALARM, machine="pump-2")]
    agent.turn(sorted(both, key=lambda arrival: arrival.delivery.payload))
    held = [known for name in ("pump-1", "pump-2") for known in kept_of(agent, name).values()]
    assert len(held) == 2
    assert [len(known.windows) > 0 for known in held].count(True) == 1
    agent.turn([])
    assert [known.windows for known in held] == [[], []]
    assert on_disk(agent) == expected_on_disk(agent)


def windows_of(count: int) -> AlarmWindows:
    held = AlarmWindows(("flow", "pressure ü"), start_ns=5, end_ns=9)
    for at, window in enumerate(np.random.default_rng(0).normal(size=(count, 2, 16)).astype(np.float32)):
        held.add(window, 100 * at)
    return held


def test_kept_windows_come_back_from_bytes_as_they_were() -> None:
    held = windows_of(3)
    held.windows[1][0, 3] = np.nan
    machine, alarm, again = alarm_windows.decode(alarm_windows.encode("pump/1", "pump/1-Z-1", held))
    assert (machine, alarm) == ("pump/1", "pump/1-Z-1")
    np.testing.assert_array_equal(again.stacked(), held.stacked())
    for name in ("channels", "ends", "every_rows", "start_ns", "end_ns", "lazy"):
        assert getattr(again, name) == getattr(held, name)


@pytest.mark.parametrize(
    "damage", [lambda raw: raw[:-1], lambda _: b"", lambda _: b"\x01", lambda raw: raw + raw]
)
def test_other_bytes_are_no_kept_windows(damage: Callable[[bytes], bytes]) -> None:
    with pytest.raises(ValueError, match=r"."):
        alarm_windows.decode(damage(alarm_windows.encode("m", "a", windows_of(2))))


def test_no_windows_are_no_kept_windows() -> None:
    form: Any = alarm_windows._Form("m", "a", ("flow",), [1], 8, 0, 0, b"")
    with pytest.raises(ValueError, match="windows"):
        alarm_windows.decode(alarm_windows.msgspec.msgpack.encode(form))


def test_windows_of_other_channels_or_another_length_begin_afresh() -> None:
    held = windows_of(2)
    window = held.windows[0]
    assert held.takes(window, held.channels)
    assert not held.takes(window, held.channels[::-1])
    assert not held.takes(window[:, 1:], held.channels)
    held.rest(lambda: window[None])
    assert not held.takes(window, held.channels)


def test_rows_that_are_counted_afresh_do_not_keep_windows_out() -> None:
    held = windows_of(2)
    held.add(held.windows[0], 5)
    assert held.ends == [0, 100, 5]
