"""A machine whose rows come and whose windows do not is told, whatever the reason; all others are left alone."""

from collections.abc import Iterable

import pytest

from edge_agent.records import Alarm
from edge_agent.sensors.watch_monitor import Progress, WatchMonitor

SECOND = 1_000_000_000


class Watch:
    """A monitor whose machine has a row a second and a window of each row, unless told otherwise."""

    def __init__(self) -> None:
        self.monitor = WatchMonitor()
        self.now_s, self.rows, self.segment = 1000.0, 500, 500
        self.told: list[Alarm] = []
        self.wait(3)

    def wait(
        self,
        seconds: int,
        *,
        judged: bool = True,
        rows: int = 1,
        failures: Iterable[tuple[str, str]] = (),
        held: str = "",
        hop: int = 1,
        period_s: float = 1.0,
    ) -> list[str]:
        before = len(self.told)
        for _ in range(seconds):
            self.now_s += 1.0
            self.rows, self.segment = self.rows + rows, self.segment + rows
            self.monitor.observe(["m"] if judged else [], failures)
            progress = Progress(self.rows, self.segment, 128, hop, period_s, held)
            now_ns = round(self.now_s * SECOND)
            if self.monitor.due(now_s=self.now_s):
                self.told += self.monitor.check({"m": progress}, now_s=self.now_s, now_ns=now_ns, model="d")
        return [alarm.state for alarm in self.told[before:]]


def test_a_machine_that_is_watched_or_silent_is_no_finding() -> None:
    watch = Watch()
    assert watch.wait(300) == []
    assert watch.wait(3000, judged=False, rows=0) == []
    assert watch.monitor.unwatched == {}


@pytest.mark.parametrize("failures", [[], [("m", "OSError('was altered')")]])
def test_rows_without_windows_are_told_within_thirty_seconds_and_end_with_a_window(
    failures: list[tuple[str, str]],
) -> None:
    watch = Watch()
    assert watch.wait(3, judged=False, failures=failures) == []
    assert watch.wait(25, judged=False, failures=failures) == ["open"]
    (finding,) = watch.monitor.open_findings
    assert (finding.kind, finding.fault, finding.machine) == ("sensor", "not watched", "m")
    reason = watch.monitor.unwatched["m"].reason
    assert reason == (failures[0][1] if failures else "no window of its rows is scored")
    assert watch.wait(3) == ["closed"]
    assert watch.monitor.unwatched == {}
    assert watch.wait(20, judged=False) == ["open"]  # each time anew
    assert watch.told[-1].id != finding.id


def test_one_exception_that_passes_is_no_finding() -> None:
    watch = Watch()
    assert watch.wait(2, judged=False, failures=[("m", "ValueError()")]) == []
    assert watch.wait(60) == []


def test_a_window_that_fills_after_a_break_is_no_finding_but_one_that_never_fills_is() -> None:
    watch = Watch()
    watch.segment = 0
    assert watch.wait(128, judged=False) == []
    assert watch.wait(5) == []
    for _ in range(3):
        watch.segment = 0
        assert watch.wait(120, judged=False) == []
    watch.segment = 0
    assert watch.wait(60, judged=False) == ["open"]


@pytest.mark.parametrize(("rows", "hop", "period_s"), [(100, 100, 0.01), (1, 1, 1.0)])
def test_the_pace_of_the_machine_does_not_matter(rows: int, hop: int, period_s: float) -> None:
    watch = Watch()
    assert watch.wait(100, rows=rows, hop=hop, period_s=period_s) == []
    assert watch.wait(29, judged=False, rows=rows, hop=hop, period_s=period_s) == ["open"]


def test_a_machine_that_is_held_is_told_at_once_and_one_that_is_forgotten_ends() -> None:
    watch = Watch()
    assert watch.wait(1, judged=False, rows=0, held="newer: schema version 99") == ["open"]
    assert watch.monitor.unwatched["m"].reason == "newer: schema version 99"
    found = watch.monitor.check({}, now_s=watch.now_s + 2, now_ns=0, model="d")
    assert [alarm.state for alarm in found] == ["closed"]


def test_a_finding_goes_on_under_its_id_after_a_restart() -> None:
    watch = Watch()
    watch.wait(20, judged=False)
    kept = watch.monitor.changes()
    assert kept is not None
    assert watch.monitor.changes() is None
    later = WatchMonitor()
    assert later.restore(kept)
    assert later.restore(None)
    assert not later.restore(b"no message")
    assert later.open_findings == watch.monitor.open_findings


def test_a_machine_of_which_windows_fail_now_and_then_is_told_though_others_are_scored() -> None:
    watch, failed = Watch(), [("m", "RuntimeError('planted')")]
    told = [state for _ in range(6) for state in (*watch.wait(1, failures=failed), *watch.wait(2))]
    assert told == ["open"]
    assert watch.monitor.unwatched["m"].reason
    assert watch.wait(30) == ["closed"]
    assert [*watch.wait(3, failures=failed), *watch.wait(60)] == [], "what passes is no finding"


def test_where_whole_turns_are_lost_again_and_again_no_machine_is_watched_though_some_windows_are_scored() -> (
    None
):
    watch = Watch()
    told: list[str] = []
    for _ in range(6):
        watch.monitor.observe((), broke_off="ValueError('planted')")
        told += [*watch.wait(1, judged=False, rows=0), *watch.wait(1)]
    assert told == ["open"]
    assert watch.monitor.unwatched["m"].reason == "ValueError('planted')"
    assert watch.wait(30) == ["closed"]
    watch.monitor.observe((), broke_off="ValueError('planted')")
    assert watch.wait(60) == [], "a single turn is no finding"
