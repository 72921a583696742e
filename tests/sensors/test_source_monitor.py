"""A source that has gone silent, or whose clock is wrong, is said once, and never where the agent could not know."""

import json
from collections.abc import Collection, Mapping

import pytest

from edge_agent.formats.routing import Clock, Route, delivery_decoder
from edge_agent.formats.table import FORMATS
from edge_agent.records import Alarm, Delivery, Frame, Reject
from edge_agent.sensors.source_monitor import Hearing, SourceMonitor
from edge_agent.topics import parse, parse_name

TOPIC = "sensors/{machine}"
SECOND = 1_000_000_000
START_NS = 1_700_000_000 * SECOND
HOUR_S = 3600.0
LEARNT: Mapping[str, float] = {"m": 1.0}


class Line:
    """A watch with a clock of its own and a source that is heard through the real decoder."""

    def __init__(
        self, *, clock: Clock = "source", limit_s: float | None = None, start_ns: int = START_NS
    ) -> None:
        self.watch = SourceMonitor(machines_limit=10)
        self.now_s = 0.0
        self.changes = False
        self.start_ns = start_ns
        self.said: list[Alarm] = []
        template = parse(TOPIC, allowed=None, required=frozenset({"machine"}))
        route = Route(template, FORMATS["json"].decoder(None), parse_name("{machine}"), clock, limit_s)
        self.decode = delivery_decoder(
            [route], payload_limit_bytes=999, future_tolerance_s=300.0, stamped=self.watch.stamped
        )

    @property
    def now_ns(self) -> int:
        return self.start_ns + round(self.now_s * 1e9)

    def send(self, ahead_s: float | None = None, *, machine: str = "m") -> Frame | Reject:
        """A message now, by a clock that is so far ahead; it counts as heard where a row comes of it."""
        stamp = {} if ahead_s is None else {"ts": self.now_ns / 1e9 + ahead_s}
        payload = json.dumps({**stamp, "values": {"a": 1.0}}).encode()
        decoded = self.decode(Delivery(f"sensors/{machine}", payload, self.now_ns))
        if isinstance(decoded, Frame):
            changes = {machine} if self.changes else set()
            self.watch.observe_rows([machine], now_s=self.now_s, changes=changes)
        return decoded

    def wait(
        self,
        seconds: float,
        *,
        listening: bool = True,
        known: Mapping[str, float] = LEARNT,
        living: Collection[str] = (),
    ) -> list[Alarm]:
        """Let time pass; what was said meanwhile."""
        before, end_s = len(self.said), self.now_s + seconds
        step_s = 1.0 if seconds < HOUR_S else 4.0
        while self.now_s < end_s:
            self.now_s += step_s
            self.said += self.watch.check(
                [*known],
                learnt=known,
                sources=[TOPIC],
                living=living,
                listening=listening,
                now_s=self.now_s,
                now_ns=self.now_ns,
                model="digest",
            )
        return self.said[before:]

    def run(self, seconds: int, ahead_s: float | None = None) -> list[Alarm]:
        """A message a second for so long; what was said meanwhile."""
        before = len(self.said)
        for _ in range(seconds):
            self.send(ahead_s)
            self.wait(1.0)
        return self.said[before:]


def told(alarms: list[Alarm]) -> list[tuple[str, str]]:
    return [(alarm.fault, alarm.state) for alarm in alarms]


# -- silent --------------------------------------------------------------------------------------------------


def test_a_source_that_stops_is_silent_after_thirty_seconds_until_its_next_row() -> None:
    line = Line()
    assert line.run(60) == []
    assert line.wait(29) == []
    (opened,) = line.wait(5)
    assert (opened.fault, opened.kind, opened.machine, opened.state) == ("silent", "sensor", "m", "open")
    assert abs(opened.onset_ns - (START_NS + 59 * SECOND)) <= SECOND, "it was heard last then"
    assert line.wait(600) == [], "it is said once"
    line.send()
    (closed,) = line.wait(1)
    assert (closed.id, closed.revision, closed.state) == (opened.id, 2, "closed")
    assert line.run(60) == []


def test_a_machine_that_sends_every_minute_may_pause_for_ten() -> None:
    line = Line()
    slow = {"m": 60.0}  # so it was learnt
    for _ in range(40):
        line.send()
        assert line.wait(60, known=slow) == []
    assert line.wait(500, known=slow) == []
    assert told(line.wait(60, known=slow)) == [("silent", "open")]


def test_one_long_pause_does_not_become_what_is_usual() -> None:
    hearing = Hearing()
    for second in range(100):
        hearing.note_rows(["m"], now_s=float(second))
    hearing.note_rows(["m"], now_s=100_000.0)
    assert hearing.gaps_s()["m"] < 5.0


def test_nobody_is_silent_while_the_agent_is_not_connected_nor_right_after() -> None:
    line = Line()
    line.run(10)
    assert line.wait(600, listening=False) == []
    assert line.wait(29) == []
    assert told(line.wait(3)) == [("silent", "open")]
    assert line.wait(60, listening=False) == [], "what was silent is not heard by losing the connection"


def test_nobody_is_silent_because_the_agent_was_held_up() -> None:
    line = Line()
    line.run(10)
    line.now_s += 300.0  # not a single look in between
    assert line.wait(20) == []


def test_machines_that_are_not_learnt_are_not_called_silent() -> None:
    line = Line()
    line.send()
    for _ in range(100):
        line.now_s += 1.0
        assert not line.watch.check(
            ["m"], learnt={}, sources=[TOPIC], listening=True, now_s=line.now_s, now_ns=line.now_ns, model=""
        )


def test_the_page_counts_the_time_without_a_connection_and_the_finding_does_not() -> None:
    hearing = Hearing()
    hearing.note_rows(["m"], now_s=0.0)
    hearing.since_s = 90.0
    assert hearing.silent_s(["m"], now_s=100.0) == {"m": 100.0}
    assert hearing.silent_s(["m"], now_s=100.0, excused=True) == {}


def test_a_machine_whose_source_vouches_for_it_is_not_silent_until_that_ends() -> None:
    line = Line()
    line.run(10)
    assert line.wait(600, living=["m"]) == []
    assert line.watch.hearing.silent_s(["m"], now_s=line.now_s) == {}, "nor does the page call it so"
    assert line.wait(29) == [], "as if it was heard last when it was last known to live"
    assert told(line.wait(3)) == [("silent", "open")]


def test_a_vouched_pause_counts_for_what_is_usual() -> None:
    line = Line()
    for _ in range(40):
        line.send()
        line.wait(60, living=["m"])
    assert line.wait(400) == [], "it paused for a minute each time; ten of those are its patience"
    assert told(line.wait(300)) == [("silent", "open")]


def test_a_machine_that_is_vouched_for_again_is_no_longer_silent() -> None:
    line = Line()
    line.run(10)
    (opened,) = line.wait(60)
    (closed,) = line.wait(5, living=["m"])
    assert (closed.id, closed.state) == (opened.id, "closed")


def test_a_machine_whose_rows_come_and_are_not_taken_is_silent_though_its_source_vouches() -> None:
    line = Line()
    line.run(10)
    line.watch.observe_rows([], told=["m"], now_s=line.now_s)  # its clock fell back: its rows are late
    assert told(line.wait(40, living=["m"])) == [("silent", "open")]
    line.watch.observe_rows(["m"], told=["m"], now_s=line.now_s)
    assert told(line.wait(600, living=["m"])) == [("silent", "closed")]


# -- clock skew ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ahead_s", [-HOUR_S, 301.0, HOUR_S, 1e9])
def test_a_clock_that_is_constantly_wrong_is_said_after_a_minute_and_ends_when_it_is_right(
    ahead_s: float,
) -> None:
    line = Line()
    line.run(100, 0.0)
    assert [one for one in line.run(59, ahead_s) if one.fault == "clock skew"] == []
    (opened,) = [one for one in line.run(10, ahead_s) if one.fault == "clock skew"]
    assert (opened.kind, opened.state) == ("sensor", "open")
    assert line.watch.ahead_s(opened.id) == pytest.approx(ahead_s, abs=1.0)
    assert [one for one in line.run(200, ahead_s) if one.fault == "clock skew"] == []
    assert [one for one in line.run(19, 0.0) if one.fault == "clock skew"] == []
    (closed,) = [one for one in line.run(2, 0.0) if one.fault == "clock skew"]
    assert (closed.id, closed.revision, closed.state) == (opened.id, 2, "closed")


def test_messages_that_are_turned_away_for_their_time_count() -> None:
    line = Line()
    assert isinstance(line.send(HOUR_S), Reject)
    assert ("clock skew", "open") in told(line.run(70, HOUR_S))


def test_small_errors_slow_senders_backlogs_and_standing_clocks_are_no_skew() -> None:
    line = Line()
    assert line.run(200, -299.0) == []
    for second in range(200):  # a backlog that is being sent off: each message is less late
        line.send(-HOUR_S + second)
        assert line.wait(1.0) == []
    for second in range(200):  # a clock that stands still
        line.send(-HOUR_S - second)
        assert line.wait(1.0) == []
    few = Line()
    for _ in range(19):
        few.send(-HOUR_S)
        assert few.wait(5.0) == []


def test_a_source_may_have_a_limit_of_its_own() -> None:
    assert Line(limit_s=7200.0).run(100, -HOUR_S) == []
    assert told(Line(limit_s=5.0).run(100, -10.0)) == [("clock skew", "open")]


def test_no_clock_is_compared_with_our_own_before_that_is_set_nor_where_the_arrival_counts() -> None:
    assert Line(start_ns=1000 * SECOND).run(100, 1.7e9) == []
    assert Line(clock="arrival").run(100, -HOUR_S) == []


def test_a_finding_ends_with_its_source() -> None:
    line = Line()
    (opened,) = line.run(70, -HOUR_S)
    found = line.watch.check(
        ["m"], learnt=LEARNT, sources=[], listening=True, now_s=line.now_s + 1, now_ns=line.now_ns, model=""
    )
    assert [(one.id, one.state) for one in found] == [(opened.id, "closed")]


# -- restarts ------------------------------------------------------------------------------------------------


def test_findings_go_on_after_a_restart_and_end_under_their_ids() -> None:
    first = Line()
    first.run(70, -HOUR_S)
    first.wait(40)
    kept = first.watch.changes()
    assert kept is not None
    assert first.watch.changes() is None
    second = Line()
    assert second.watch.restore(kept)
    assert second.watch.open_findings == first.watch.open_findings
    assert len(second.watch.open_findings) == 2
    assert second.wait(10) == []
    closed = second.run(25, 0.0)
    assert {one.id for one in closed} == {one.id for one in first.watch.open_findings}
    assert {one.state for one in closed} == {"closed"}


def test_what_is_usual_is_known_after_a_restart() -> None:
    first = Line()
    for _ in range(40):
        first.send()
        first.wait(60)
    kept = first.watch.changes()
    second = Line()
    assert second.watch.restore(kept)
    assert second.wait(400) == []


def test_a_machine_that_is_gone_takes_its_findings_with_it() -> None:
    line = Line()
    line.run(10)
    (opened,) = line.wait(40)
    assert [(one.id, one.state) for one in line.wait(2, known={})] == [(opened.id, "closed")]
    line.run(10)
    line.wait(40)
    line.watch.forget("m")
    assert line.watch.open_findings == ()


@pytest.mark.parametrize("raw", [b"", b"\xc1", b"\x81\xa7version\x63"])
def test_what_cannot_be_read_is_begun_anew(raw: bytes) -> None:
    watch = SourceMonitor(machines_limit=1)
    assert not watch.restore(raw)
    assert watch.restore(None)
    assert watch.open_findings == ()


def test_a_flood_of_machines_with_wrong_clocks_is_bounded() -> None:
    watch = SourceMonitor(machines_limit=5)
    for number in range(100):
        watch.stamped(f"m{number}", TOPIC, ahead_ns=-HOUR_NS, wrong=True, at_ns=START_NS)
    assert len(watch._clocks) == 5


HOUR_NS = 3600 * SECOND


def test_it_is_known_since_when_nothing_is_heard_even_after_a_restart() -> None:
    line = Line()
    line.send()
    line.wait(40)
    since_ns = line.watch.silent_since_ns
    assert since_ns.keys() == {"m"}
    assert abs(since_ns["m"] - START_NS) <= 2 * SECOND
    other = SourceMonitor(machines_limit=10)
    assert other.restore(line.watch.changes())
    assert other.silent_since_ns == since_ns
    line.send()
    line.wait(2)
    assert line.watch.silent_since_ns == {}


def test_where_only_changes_are_told_a_night_says_nothing_and_a_pause_beyond_the_longest_does() -> None:
    line = Line()
    line.changes = True
    line.run(300)
    assert line.wait(12 * HOUR_S) == []
    line.send()
    begun = line.wait(24 * HOUR_S + 5)
    assert [(one.fault, one.state) for one in begun] == [("silent", "open")]
    line.send()
    assert [one.state for one in line.wait(1.0)] == ["closed"]
    assert line.wait(25 * HOUR_S) == []  # twice the pause that has come to an end is longer


def test_a_last_will_tells_at_once_and_a_row_takes_it_back() -> None:
    line = Line()
    line.changes = True
    line.run(300)
    line.watch.observe_wills({"m": True})
    assert line.wait(25 * HOUR_S) == []  # the broker itself would say that it is gone
    line.watch.observe_wills({"m": False, "unknown": False})
    assert [(one.machine, one.fault) for one in line.wait(2.0)] == [("m", "silent")]
    line.watch.observe_wills({"m": True})
    assert [one.state for one in line.wait(2.0)] == ["closed"]
    line.watch.observe_wills({"m": False})
    line.wait(2.0)
    line.send()
    assert [one.state for one in line.wait(2.0)] == ["closed"]


def test_being_there_vouches_for_no_machine_whose_rows_come_regularly() -> None:
    line = Line()
    line.run(300)
    line.watch.observe_wills({"m": True})
    assert [one.fault for one in line.wait(60.0)] == ["silent"]


def test_what_only_changes_are_told_of_is_known_after_a_restart() -> None:
    line = Line()
    line.changes = True
    line.run(300)
    kept = line.watch.changes()
    assert kept is not None
    after = Line()
    assert after.watch.restore(kept)
    assert after.wait(12 * HOUR_S) == []


def test_a_value_an_hour_is_not_silent_between_two() -> None:
    line = Line()
    hourly = {"m": HOUR_S}
    for _ in range(3):
        line.send()
        assert line.wait(HOUR_S, known=hourly) == []
    assert line.wait(8 * HOUR_S, known=hourly) == []
    assert [one.fault for one in line.wait(2 * HOUR_S, known=hourly)] == ["silent"]
