"""The watch survives what happens around it: crashes at any turn, poison, clocks. No broker, no thread."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import msgspec
import numpy as np
import pytest

from benchmarks.harness.user import FAULT_SHIFT
from edge_agent.alarms import state as alarm_state
from edge_agent.config.file import Config
from edge_agent.errors import DatabaseError
from edge_agent.model.lazy_arrays import LazyArrays
from edge_agent.mqtt.inbox import Arrival, Batch, Receipt
from edge_agent.records import Delivery
from edge_agent.service.turn import Turn
from edge_agent.store.atomic_file import allow_open
from edge_agent.store.journal import Changes
from tests.support.scripted_agent import (
    FAULTY,
    NORMAL,
    NOW_NS,
    STORY,
    ScriptedAgent,
    arrivals,
    play,
    single_values,
)
from tests.support.soon_over import SOON_OVER

pytestmark = pytest.mark.usefixtures("quiet_logs")


@pytest.fixture
def config(tmp_path: Path, tiny_bundle: Path) -> Config:
    return Config.model_validate(
        {
            "agent": {"name": "hall", "state_dir": tmp_path / "state"},
            "model": {"bundle": tiny_bundle},
            "commission": {"rows": 300},
            "alarms": SOON_OVER,
        }
    )


@pytest.fixture
def begin() -> Iterator[Callable[..., ScriptedAgent]]:
    begun: list[ScriptedAgent] = []

    def new(config: Config, *, now_s: float | None = None) -> ScriptedAgent:
        begun.append(ScriptedAgent(config, now_s=now_s))
        return begun[-1]

    yield new
    for agent in begun:
        agent.end()


@pytest.mark.parametrize(
    "tell", [arrivals, single_values], ids=["stamped rows", "single values without time"]
)
@pytest.mark.parametrize("every", [1, 7])
def test_an_agent_that_crashes_again_and_again_says_what_an_undisturbed_one_says(
    begin: Callable[..., ScriptedAgent], config: Config, tmp_path: Path, tell: Any, every: int
) -> None:
    story = tell(STORY)
    undisturbed = begin(config)
    play(undisturbed, story, crash_after=lambda _: False)
    assert [alert["state"] for alert in undisturbed.alerts.values()].count("closed") == 1
    elsewhere = config.model_copy(
        update={"agent": config.agent.model_copy(update={"state_dir": tmp_path / "other"})}
    )
    crashing = begin(elsewhere)
    play(crashing, story, crash_after=lambda number: number % every == 0)
    assert crashing.alerts == undisturbed.alerts
    machine = story[0].delivery.topic.split("/")[1]
    assert crashing.buffer_state(machine) == undisturbed.buffer_state(machine)


@pytest.mark.parametrize("mode", ["snapshot", "off"])
def test_without_a_full_journal_the_alarm_still_goes_on_under_its_id(
    begin: Callable[..., ScriptedAgent], config: Config, mode: str
) -> None:
    sparing = config.model_copy(update={"journal": config.journal.model_copy(update={"mode": mode})})
    agent = begin(sparing)
    story = arrivals([*STORY[:2], (380, 600, 0.0)])
    play(agent, story[:340], crash_after=lambda _: False)
    (opened,) = agent.processor.pipeline.machines.open_alarms()
    commits = agent.processor.state_writer.counts.commits
    agent.turn([])
    assert agent.processor.state_writer.counts.commits == commits  # nothing changed, nothing written
    agent.crash()
    assert [alarm.id for alarm in agent.processor.pipeline.machines.open_alarms()] == [opened.id]
    play(agent, story[340:], crash_after=lambda _: False)
    assert {alarm_id for alarm_id, _ in agent.alerts} == {opened.id}
    assert agent.processor.pipeline.machines.open_alarms() == ()


def test_nothing_is_told_closed_of_a_machine_whose_profile_is_gone_until_it_is_back(
    begin: Callable[..., ScriptedAgent], config: Config, tmp_path: Path
) -> None:
    agent = begin(config)
    story = arrivals([*STORY[:2], (380, 700, 0.0)])
    play(agent, story[:380], crash_after=lambda _: False)
    (opened,) = agent.processor.pipeline.machines.open_alarms()
    folder = config.agent.state_dir / "profiles"
    folder.rename(tmp_path / "elsewhere")
    for _ in range(2):  # it can be started again and again
        agent.crash()
        assert agent.processor.pipeline.machines.open_alarms() == (opened,)
        play(agent, story[380:400], crash_after=lambda _: False)
        status = agent.processor.pipeline.statuses()["pump-1"]
        assert (status.state, status.unwatched) == ("failed", True)
        (line,) = agent.processor.amiss()
        assert line.startswith("not watched: pump-1 since ")
        assert [told.fault for told in agent.processor.watch.open_findings] == ["not watched"]
    agent.end()
    if folder.exists():
        folder.rename(tmp_path / "empty")
    (tmp_path / "elsewhere").rename(folder)
    agent._begin()
    assert agent.processor.pipeline.statuses()["pump-1"].state == "ready"
    play(agent, story[400:], crash_after=lambda _: False)
    ends = [told for told in agent.alerts.values() if told["state"] == "closed" and told["kind"] == "machine"]
    assert [told["id"] for told in ends] == [opened.id]
    assert agent.processor.amiss() == []


@pytest.mark.parametrize("door", ["score", "judge", "step", "take_alarms"])
def test_a_machine_that_is_not_scored_is_told_whatever_the_reason_and_its_alarm_comes_when_it_is(
    begin: Callable[..., ScriptedAgent], config: Config, monkeypatch: pytest.MonkeyPatch, door: str
) -> None:
    agent = begin(config, now_s=1e6)
    story = arrivals([(0, 340, 0.0), (340, 460, FAULT_SHIFT)])
    play(agent, story[:340], crash_after=lambda _: False)
    pipeline = agent.processor.pipeline
    owner = {
        "score": pipeline._scorer,
        "judge": pipeline.machines["pump-1"].naming,
        "step": pipeline,
        "take_alarms": agent.processor.alarm_manager,
    }[door]
    with monkeypatch.context() as broken:
        broken.setattr(owner, door, Mock(side_effect=RuntimeError("a bug")))
        for at in range(340, 400):
            agent.now_s = 1e6 + at
            agent.turn(story[at : at + 1])
        (line, *_) = agent.processor.amiss()
        assert "pump-1" in line
        assert "a bug" in line
        assert [told for told in agent.alerts.values() if told["kind"] == "machine"] == []
    for at in range(400, 460):
        agent.now_s = 1e6 + at
        agent.turn(story[at : at + 1])
    assert agent.processor.amiss() == []
    assert {told["state"] for told in agent.alerts.values() if told["kind"] == "machine"} == {"open"}


def test_no_window_bridges_rows_that_were_passed_over(
    config: Config, begin: Callable[..., ScriptedAgent]
) -> None:
    agent = begin(config)
    play(agent, arrivals([(NORMAL[0], FAULTY[1], 0.0)]), crash_after=lambda _: False)
    pipeline = agent.processor.pipeline
    scored, window_rows = pipeline.ledger.windows_scored, pipeline.window_rows
    assert scored > 0
    first = FAULTY[1] + 10
    later = arrivals([(first, first + window_rows, 0.0)])
    agent.processor.process(Turn(Batch(tuple(later[:-1]), (), 10, frozenset({"pump-1", "nobody"}))))
    assert (pipeline.ledger.windows_scored, pipeline.ledger.shed) == (scored, 10)
    agent.processor.process(Turn(Batch(tuple(later[-1:]), (), 0)))
    assert pipeline.ledger.windows_scored == scored + 1


@pytest.mark.parametrize("taken_over", [False, True])
def test_what_was_learnt_is_had_from_its_file_once_that_is_written(
    begin: Callable[..., ScriptedAgent],
    config: Config,
    *,
    taken_over: bool,
) -> None:
    allow_open(16)
    agent = begin(config)
    play(agent, [*arrivals(STORY[:1]), *arrivals([(300, 310, 0.0)])], crash_after=lambda _: False)
    if taken_over:
        known = agent.processor.pipeline.machines["pump-1"].profile
        assert known is not None
        agent.processor.take_over(replace(known, memory=dict(known.memory)))
    (profile,) = agent.processor.pipeline.profiles()
    assert isinstance(profile.memory, LazyArrays)
    assert profile.memory.held_bytes() < sum(array.nbytes for array in profile.memory.values()) / 2


def test_a_machine_that_is_being_learnt_keeps_its_rows(
    begin: Callable[..., ScriptedAgent], config: Config
) -> None:
    agent = begin(config)
    agent.turn(arrivals([(0, 200, 0.0)]))
    agent.crash()
    assert agent.processor.pipeline.statuses()["pump-1"].rows_heard == 200
    agent.turn(arrivals([(200, 300, 0.0)]))
    agent.turn([])
    assert agent.processor.pipeline.statuses()["pump-1"].state == "ready"


def test_a_disk_that_fails_costs_nothing_but_the_safety_of_that_time(
    begin: Callable[..., ScriptedAgent], config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = begin(config)
    agent.now_s = 1e6
    story = arrivals(STORY)
    play(agent, story[:300], crash_after=lambda _: False)
    with monkeypatch.context() as full:
        tries = []

        def fail(*_: Any) -> None:
            tries.append(agent.now_s)
            raise DatabaseError(Path("state.db"), "database or disk is full")

        full.setattr(agent.processor.state_writer._database, "commit", fail)
        for at in range(300, 340, 4):
            agent.now_s += 1
            agent.turn(story[at : at + 4])
        assert "disk is full" in agent.processor.state_writer.failure
        assert agent.alerts  # alerts go on
        assert len(tries) < 8  # with growing pauses
    agent.now_s += 60
    agent.turn(story[340:342])
    assert "disk is full" in agent.processor.state_writer.failure, "one success is no recovery"
    assert "state_recovered" not in agent.reports
    agent.now_s += 6
    agent.turn(story[342:344])
    assert agent.processor.state_writer.failure == ""
    assert agent.reports[-1] == "state_recovered"
    before = agent.buffer_state("pump-1")
    agent.crash()
    assert agent.buffer_state("pump-1") == before
    play(agent, story[344:], crash_after=lambda _: False)
    assert len({alarm_id for alarm_id, _ in agent.alerts}) == 1


@pytest.mark.parametrize("way", ["disk", "database"])
def test_profiles_whose_files_went_with_the_disk_are_written_anew_once_it_is_back(
    begin: Callable[..., ScriptedAgent], config: Config, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    agent = begin(config)
    agent.now_s = 1e6
    story = arrivals(STORY)
    play(agent, story[:320], crash_after=lambda _: False)
    (kept,) = (config.agent.state_dir / "profiles").glob("*.npz")
    content = kept.read_bytes()
    if way == "disk":
        with monkeypatch.context() as gone:
            error = DatabaseError(Path("state.db"), "disk I/O error")
            gone.setattr(agent.processor.state_writer._database, "commit", Mock(side_effect=error))
            agent.turn(story[320:324])
        kept.unlink()
        for at in (324, 328):
            agent.now_s += 60
            agent.turn(story[at : at + 4])
    else:
        kept.unlink()
        agent.processor.state_writer._database.close()
        (config.agent.state_dir / "state.db").write_bytes(b"this is no database" * 1000)
        agent.turn(story[320:332])
    agent.turn([])
    assert kept.read_bytes() == content
    agent.crash()
    assert agent.processor.pipeline.statuses()["pump-1"].state == "ready"
    play(agent, story[332:], crash_after=lambda _: False)
    assert len({alarm_id for alarm_id, _ in agent.alerts}) == 1


def test_a_corrupt_database_is_set_aside_while_the_watch_goes_on(
    begin: Callable[..., ScriptedAgent], config: Config
) -> None:
    agent = begin(config)
    story = arrivals(STORY)
    play(agent, story[:340], crash_after=lambda _: False)
    file = config.agent.state_dir / "state.db"
    agent.processor.state_writer._database.close()
    file.write_bytes(b"this is no database" * 1000)
    agent.turn(story[340:344])
    assert agent.processor.state_writer.failure == ""
    assert "state_file_set_aside" in agent.reports
    assert (config.agent.state_dir / "state.db.aside-1").read_bytes().startswith(b"this is no database")
    agent.crash()  # the new file holds everything
    play(agent, story[344:], crash_after=lambda _: False)
    assert len({alarm_id for alarm_id, _ in agent.alerts}) == 1


def test_rows_that_make_no_sense_do_not_cost_the_alarm(
    begin: Callable[..., ScriptedAgent], config: Config
) -> None:
    agent = begin(config)
    play(agent, arrivals(STORY[:2]), crash_after=lambda _: False)
    (opened,) = agent.processor.pipeline.machines.open_alarms()
    ring = agent.buffer_state("pump-1")
    broken = msgspec.msgpack.encode([10**6, replace(ring, times=ring.times[:-8])])
    agent.processor.state_writer._database.commit(Changes(10**6, {"ring/pump-1": broken}))
    agent.crash()
    assert [alarm.id for alarm in agent.processor.pipeline.machines.open_alarms()] == [opened.id]
    assert agent.buffer_state("pump-1").row_count == 0
    play(agent, arrivals([(380, 600, 0.0)]), crash_after=lambda _: False)
    assert agent.processor.pipeline.machines.open_alarms() == ()


def test_a_file_that_is_garbage_at_start_does_not_stop_the_agent(
    begin: Callable[..., ScriptedAgent], config: Config
) -> None:
    config.agent.state_dir.mkdir()
    (config.agent.state_dir / "state.db").write_bytes(b"\x00\xff" * 5000)
    agent = begin(config)
    agent.turn(arrivals([(0, 10, 0.0)]))
    assert agent.processor.state_writer.failure == ""
    agent.crash()
    assert agent.processor.pipeline.statuses()["pump-1"].rows_heard == 10


def test_a_poisonous_message_is_counted_and_costs_nobody_else(
    begin: Callable[..., ScriptedAgent], config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = begin(config)
    decode = agent.processor.pipeline._decode

    def poisoned(delivery: Delivery) -> Any:
        if b"poison" in delivery.payload:
            raise ZeroDivisionError("a bug")
        return decode(delivery)

    monkeypatch.setattr(agent.processor.pipeline, "_decode", poisoned)
    good = arrivals([(0, 10, 0.0)])
    bad = [Arrival(Delivery("sensors/pump-1", b"poison", NOW_NS), Receipt(9, 1))] * 3
    agent.turn([*good[:5], *bad, *good[5:]])
    ledger = agent.processor.pipeline.ledger
    assert (ledger.accepted, ledger.rejected) == (10, {"internal_error": 3})
    assert agent.processor.internal_errors == 3


def test_a_machine_that_cannot_be_scored_is_passed_over_and_the_others_are_not(
    begin: Callable[..., ScriptedAgent], config: Config
) -> None:
    agent = begin(config)
    for name in ("a", "b"):
        agent.turn(arrivals([(0, 300, 0.0)], machine=name))
    agent.turn([])
    broken = agent.processor.pipeline.machines["a"].profile
    assert broken is not None
    object.__setattr__(broken, "memory", {**broken.memory, "location": np.zeros(99, np.float32)})
    agent.turn([*arrivals([(300, 380, 0.0)], machine="a"), *arrivals([(300, 380, 0.0)], machine="b")])
    ledger = agent.processor.pipeline.ledger
    assert ledger.windows_scored == ledger.windows_skipped["internal_error"] > 0
    assert agent.processor.internal_errors > 0


def test_a_turn_that_breaks_off_is_counted_and_the_disk_is_brought_up_to_date(
    begin: Callable[..., ScriptedAgent], config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = begin(config)
    with monkeypatch.context() as broken:
        broken.setattr(agent.processor.alarm_manager, "tick", lambda **__: 1 / 0)
        agent.turn(arrivals([(0, 10, 0.0)]))
    assert agent.processor.internal_errors == 1
    agent.turn([])
    agent.crash()
    assert agent.processor.pipeline.statuses()["pump-1"].rows_heard == 10


def test_an_interruption_that_fails_costs_no_row(begin: Callable[..., ScriptedAgent], config: Config) -> None:
    agent = begin(config)
    agent.processor.pipeline.machines.interrupt = Mock(side_effect=ValueError("planted"))  # type: ignore[method-assign]
    agent.turn(arrivals([(0, 10, 0.0)]))
    assert agent.processor.internal_errors == 1
    assert agent.processor.pipeline.statuses()["pump-1"].rows_heard == 10


def test_turns_that_are_lost_now_and_then_are_told_though_some_rows_are_scored(
    begin: Callable[..., ScriptedAgent], config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = begin(config, now_s=1e6)
    story = arrivals([(0, 400, 0.0)])
    play(agent, story[:340], crash_after=lambda _: False)
    whole = agent.processor.pipeline.step
    for at in range(340, 370):
        agent.now_s = 1e6 + at
        broken = Mock(side_effect=RuntimeError("a bug"))
        monkeypatch.setattr(agent.processor.pipeline, "step", whole if at % 3 == 0 else broken)
        agent.turn(story[at : at + 1])
    (line,) = agent.processor.amiss()
    assert line.startswith("not watched: pump-1 since ")
    assert "a bug" in line


def test_where_nobody_can_say_which_machines_are_watched_health_says_that(
    begin: Callable[..., ScriptedAgent], config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = begin(config, now_s=1e6)
    with monkeypatch.context() as broken:
        broken.setattr(agent.processor.watch, "check", Mock(side_effect=RuntimeError("a bug")))
        agent.turn(arrivals([(0, 1, 0.0)]))
    assert agent.processor.amiss() == ["it is not known which machines are watched: RuntimeError('a bug')"]
    agent.now_s = 1e6 + 2
    agent.turn([])
    assert agent.processor.amiss() == []


HOUR_NS = 3_600_000_000_000


@pytest.mark.parametrize("jump_ns", [HOUR_NS, -HOUR_NS, -NOW_NS], ids=["+1 h", "-1 h", "back to 1970"])
def test_a_clock_that_jumps_raises_no_alarm_and_blinds_nobody(
    begin: Callable[..., ScriptedAgent], config: Config, jump_ns: int
) -> None:
    agent = begin(config)
    agent.turn(single_values([(0, 300, 0.0)]))
    agent.turn([])
    agent.turn(single_values([(300, 400, 0.0)]))

    def jumped(found: list[Arrival]) -> list[Arrival]:
        return [
            Arrival(Delivery(old.topic, old.payload, old.received_ns + jump_ns), arrival.receipt)
            for arrival in found
            for old in [arrival.delivery]
        ]

    scored = agent.processor.pipeline.ledger.windows_scored
    agent.turn(jumped(single_values([(400, 460, 0.0)])))
    assert agent.processor.pipeline.ledger.windows_scored == scored  # no window bridges the jump
    agent.turn(jumped(single_values([(460, 600, 0.0)])))
    ledger = agent.processor.pipeline.ledger
    assert ledger.windows_scored > scored
    assert (ledger.late, ledger.duplicate) == (0, 0)
    assert agent.alerts == {}
    agent.turn(jumped(single_values([(600, 640, FAULT_SHIFT)])))
    assert agent.alerts


def test_sources_with_wrong_clocks_are_counted_and_raise_no_alarm(
    begin: Callable[..., ScriptedAgent], config: Config
) -> None:
    agent = begin(config)
    agent.turn(arrivals([(0, 300, 0.0)]))
    agent.turn([])
    for ts, reason in ((5.0, "bad_timestamp"), (4e9, "future_timestamp")):
        payload = json.dumps({"ts": ts, "values": {"pressure": 99, "flow": 0, "current": 0}}).encode()
        agent.turn([Arrival(Delivery("sensors/pump-1", payload, NOW_NS), None)] * 50)
        assert agent.processor.pipeline.ledger.rejected[reason] == 50
    agent.turn(arrivals([(300, 400, 0.0)]))
    assert agent.alerts == {}


def test_a_gateway_that_boots_in_1970_does_not_turn_everything_away(
    begin: Callable[..., ScriptedAgent], config: Config
) -> None:
    agent = begin(config)
    in_1970 = [
        Arrival(Delivery(old.delivery.topic, old.delivery.payload, 60_000_000_000), None)
        for old in arrivals([(0, 10, 0.0)])
    ]
    agent.turn(in_1970)
    assert agent.processor.pipeline.ledger.accepted == 10


def test_a_source_whose_clock_is_wrong_is_said_beside_the_machine_and_survives_a_crash(
    begin: Callable[..., ScriptedAgent], config: Config
) -> None:
    agent = begin(config, now_s=0.0)
    for arrival in arrivals([(0, 80, 0.0)]):
        agent.now_s += 1.0
        received_ns = NOW_NS + round(agent.now_s * 1e9)
        agent.turn([replace(arrival, delivery=replace(arrival.delivery, received_ns=received_ns))])
    said = [(one["fault"]["name"], one["kind"], one["state"]) for one in agent.alerts.values()]
    assert said == [("clock skew", "sensor", "open")]
    agent.crash()
    assert len(agent.processor.open_findings()) == 1
    assert {one["state"] for one in agent.alerts.values()} == {"open"}


def test_who_sent_little_long_ago_gives_way_and_a_learnt_machine_never(
    begin: Callable[..., ScriptedAgent], config: Config
) -> None:
    few = config.model_copy(update={"limits": config.limits.model_copy(update={"machines": 5})})
    agent = begin(few)
    play(agent, arrivals([(0, 320, 0.0)], machine="learnt"), crash_after=lambda _: False)
    for at in range(12):
        agent.turn(arrivals([(0, 1, 0.0)], machine=f"ghost-{at}"))
    play(agent, arrivals([(0, 40, 0.0)], machine="real"), crash_after=lambda _: False)
    known = agent.processor.pipeline.statuses()
    assert known["learnt"].state == "ready"
    assert known["real"].rows_heard == 37, "its first three rows came too soon after the ghosts'"
    assert len(known) == 5
    assert agent.processor.amiss() == []
    agent.crash()
    assert agent.processor.pipeline.statuses().keys() == known.keys()
    assert agent.processor.pipeline.statuses()["real"].rows_heard == 37


def test_where_nobody_gives_way_the_one_that_is_turned_away_is_named(
    begin: Callable[..., ScriptedAgent], config: Config
) -> None:
    few = config.model_copy(update={"limits": config.limits.model_copy(update={"machines": 2})})
    agent = begin(few)
    for name in ("m1", "m2", "m3"):
        play(agent, arrivals([(0, 40, 0.0)], machine=name), crash_after=lambda _: False)
    (line,) = agent.processor.amiss()
    assert line.startswith("no place for m3: ")


def test_alarms_that_a_newer_version_wrote_are_kept_until_it_is_back(
    begin: Callable[..., ScriptedAgent], config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = begin(config)
    play(agent, arrivals(STORY[:2]), crash_after=lambda _: False)
    before = {record.alarm.id for record in agent.processor.alarm_manager.lifecycle.kept.records.values()}
    assert before
    with monkeypatch.context() as older:
        older.setattr(alarm_state, "KEPT_VERSION", -1)
        agent.crash()
        assert not [told for told in agent.alerts.values() if told["state"] == "closed"]
        agent.crash()
    agent.crash()
    after = {record.alarm.id for record in agent.processor.alarm_manager.lifecycle.kept.records.values()}
    assert after == before
    assert not [told for told in agent.alerts.values() if told["state"] == "closed"]
    assert not [name for name in agent.processor.state_writer.kept_values() if ".kept-" in name]


def test_a_database_of_a_newer_version_is_left_alone_and_found_again(
    begin: Callable[..., ScriptedAgent], config: Config
) -> None:
    agent = begin(config)
    play(agent, arrivals(STORY[:2]), crash_after=lambda _: False)
    (opened,) = agent.processor.pipeline.machines.open_alarms()
    agent.end()
    path = config.agent.state_dir / "state.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version=99")
    for _ in range(2):
        agent._begin()
        assert "state_file_newer" in agent.reports
        agent.turn(arrivals([(380, 390, 0.0)]))
        agent.end()
    assert sorted(found.name for found in path.parent.glob("state*.db*")) == ["state.db", "state.v1.db"]
    assert not [told for told in agent.alerts.values() if told["state"] == "closed"]
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version=1")
    agent._begin()
    assert agent.processor.pipeline.machines.open_alarms() == (opened,)
