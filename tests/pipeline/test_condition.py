"""An alarm keeps one id, speaks when there is something to say, and names channels and fault."""

from dataclasses import replace

import numpy as np

from edge_agent.diagnose.attribution import reference
from edge_agent.diagnose.fault_naming import Opinion
from edge_agent.pipeline.condition import Condition, ConditionSettings
from edge_agent.records import Alarm, Profile, ScoreBlock, WindowBlock

SECOND = 1_000_000_000
CHANNELS = ("flow", "pressure", "vibration")
LABELS = ("normal", "leak", "cavitation")
NORMAL = np.random.default_rng(0).normal(10.0, 1.0, (500, 3)).astype(np.float32)
PROFILE = Profile(
    machine="pump-1",
    channels=CHANNELS,
    memory={
        "location": np.full(3, 10, np.float32),
        "scale": np.ones(3, np.float32),
        "threshold": np.float32(2.0),
        **reference(NORMAL),
    },
    rows=500,
    period_ns=SECOND,
    hop_rows=1,
    encoder="digest",
    learnt_ns=0,
)


def block(
    *scores: float,
    shares: tuple[float, ...] = (0.1, 0.7, 0.2),
    classes: tuple[float, ...] = (1.0, 0.0, 0.0),
    start: int = 100,
) -> ScoreBlock:
    count = len(scores)
    values = np.tile(NORMAL[:128].T, (count, 1, 1))
    values[:, 1] += 20.0
    return ScoreBlock(
        windows=WindowBlock("pump-1", values, np.arange(count), (start + np.arange(count)) * SECOND),
        channels=CHANNELS,
        value=np.array(scores, np.float32) / 2.0,
        recent=np.zeros(count, np.float32),
        contributions=np.tile(np.array(shares, np.float32), (count, 1)),
        expected=np.zeros((count, 3), np.float32),
        classes=np.tile(np.array(classes, np.float32), (count, 1)),
        labels=LABELS,
    )


def condition() -> Condition:
    return Condition(ConditionSettings(update_s=60, memory_windows=4), model="digest")


def advance(alarms: Condition, change: str, given: ScoreBlock) -> Alarm | None:
    score, time_ns = float(given.value[0]), int(given.windows.times_ns[0])
    if change == "unsettled":
        return alarms.quieten(score, time_ns=time_ns)
    if change == "cleared":
        return alarms.close(score, time_ns=time_ns)
    return alarms.advance(change, given, at=0, profile=PROFILE)  # type: ignore[arg-type]


def test_an_alarm_names_its_channels_guiltiest_first_in_their_own_unit() -> None:
    alarm = advance(condition(), "raised", block(3.0))
    assert alarm is not None
    assert [channel.name for channel in alarm.channels] == ["pressure", "vibration", "flow"]
    pressure = alarm.channels[0]
    assert pressure.symptom == "high"
    assert pressure.normal_low < 10 < pressure.normal_high < 15 < (pressure.observed or 0)
    assert pressure.deviation > 15


def test_one_id_from_opening_to_closing_and_revisions_without_gaps() -> None:
    alarms = condition()
    said = [
        advance(alarms, "raised", block(3.0)),
        advance(alarms, "active", block(9.0, start=101)),
        advance(alarms, "cleared", block(0.5, start=102)),
    ]
    assert all(said)
    assert len({alarm.id for alarm in said if alarm}) == 1
    assert [alarm.revision for alarm in said if alarm] == [1, 2, 3]
    assert [alarm.state for alarm in said if alarm] == ["open", "open", "closed"]
    closed = said[-1]
    assert closed is not None
    assert (closed.onset_ns, closed.closed_ns) == (100 * SECOND, 102 * SECOND)
    assert closed.peak_score == 4.5
    assert alarms.open_alarm is None


def test_nothing_new_is_said_before_update_s_has_passed() -> None:
    alarms = condition()
    advance(alarms, "raised", block(3.0))
    assert advance(alarms, "active", block(3.1, start=130)) is None
    refreshed = advance(alarms, "active", block(3.1, start=161))
    assert refreshed is not None
    assert refreshed.revision == 2


def test_severity_rises_at_once_and_never_falls() -> None:
    alarms = condition()
    opened = advance(alarms, "raised", block(3.0))
    graver = advance(alarms, "active", block(60.0, start=101))
    later = advance(alarms, "active", block(2.1, start=200))
    assert [alarm.severity for alarm in (opened, graver, later) if alarm] == [
        "warning",
        "critical",
        "critical",
    ]


def test_a_probable_fault_is_named_and_an_improbable_one_is_unknown() -> None:
    sure = advance(condition(), "raised", block(3.0, classes=(0.1, 0.8, 0.1)))
    unsure = advance(condition(), "raised", block(3.0, classes=(0.4, 0.3, 0.3)))
    assert sure is not None
    assert unsure is not None
    assert (sure.fault, unsure.fault) == ("leak", "unknown")
    assert abs(sure.fault_probability - 0.8) < 1e-6


def test_a_new_alarm_has_a_new_id_even_at_the_same_second() -> None:
    alarms = condition()
    first = advance(alarms, "raised", block(3.0))
    advance(alarms, "cleared", block(0.5))
    second = advance(alarms, "raised", block(3.0))
    assert first is not None
    assert second is not None
    assert first.id != second.id
    assert not set("/+#") & set(first.id)


def test_a_name_once_said_does_not_flicker_while_the_alarm_lasts() -> None:
    alarms = condition()
    advance(alarms, "raised", block(3.0, classes=(0.1, 0.8, 0.1)))
    for at in range(1, 30):
        advance(alarms, "active", block(3.0, classes=(0.5, 0.3, 0.2), start=100 + at))
    closed = advance(alarms, "cleared", block(0.5, classes=(0.9, 0.05, 0.05), start=130))
    assert closed is not None
    assert closed.fault == "leak"


def test_a_new_alarm_begins_without_the_name_of_the_last() -> None:
    alarms = condition()
    advance(alarms, "raised", block(3.0, classes=(0.1, 0.8, 0.1)))
    assert alarms.name_fault("worn bearing") is not None
    advance(alarms, "cleared", block(0.5))
    assert alarms.name_fault("worn bearing") is None
    second = advance(alarms, "raised", block(3.0, classes=(0.9, 0.05, 0.05)))
    assert second is not None
    assert second.fault == "unknown"


def test_what_the_machines_own_alarms_were_called_comes_before_the_models_head() -> None:
    alarms, sure = condition(), Opinion(("worn bearing",), np.ones(1, np.float32), 0.9, 0.5)
    own = alarms.advance("raised", block(3.0, classes=(0.1, 0.8, 0.1)), at=0, profile=PROFILE, named=sure)
    assert own is not None
    assert (own.fault, round(own.fault_probability, 3)) == ("worn bearing", 0.9)
    other, unsure = condition(), Opinion(("worn bearing",), np.ones(1, np.float32), 0.1, 0.5)
    head = other.advance("raised", block(3.0, classes=(0.1, 0.8, 0.1)), at=0, profile=PROFILE, named=unsure)
    assert head is not None
    assert head.fault == "leak"


def test_what_an_operator_said_of_the_open_alarm_is_said_at_the_time_it_was_said() -> None:
    alarms = condition()
    advance(alarms, "raised", block(3.0))
    advance(alarms, "active", block(3.0, start=110))
    told = alarms.name_fault("worn bearing")
    assert told is not None
    assert (told.fault, told.fault_probability, told.revision) == ("worn bearing", 1.0, 2)
    assert told.time_ns == 110 * SECOND
    closed = advance(alarms, "cleared", block(0.5, start=120, classes=(0.0, 1.0, 0.0)))
    assert closed is not None
    assert (closed.fault, closed.revision) == ("worn bearing", 3)


def test_who_named_the_fault_is_said_to_the_end_and_after_a_restart() -> None:
    alarms = condition()
    advance(alarms, "raised", block(3.0, classes=(0.1, 0.8, 0.1)))
    assert (guess := alarms.open_alarm) is not None
    assert guess.fault_by == ""
    told = alarms.name_fault("worn bearing", by="anna")
    assert told is not None
    assert told.fault_by == "anna"
    other = condition()
    other.restore(alarms.save())
    for one in (alarms, other):
        closed = advance(one, "cleared", block(0.5, start=120))
        assert closed is not None
        assert (closed.fault, closed.fault_by) == ("worn bearing", "anna")


def test_a_name_that_an_older_agent_kept_was_given_by_somebody() -> None:
    alarms = condition()
    advance(alarms, "raised", block(3.0))
    alarms.name_fault("worn bearing", by="anna")
    written = alarms.save()
    assert written.open is not None
    other = condition()
    other.restore(replace(written, open=replace(written.open, fault_by="")))
    closed = advance(other, "cleared", block(0.5, start=120))
    assert closed is not None
    assert (closed.fault, closed.fault_by) == ("worn bearing", "somebody")


def lasting(alarms: Condition, *, minutes: float, score: float = 3.0, growth: float = 1.0) -> Alarm:
    """An alarm that goes on for so long, by a window in ten seconds; the last revision."""
    said = [
        advance(
            alarms,
            "active" if at else "raised",
            block(score * growth ** (at / 360), start=100 + 10 * at),
        )
        for at in range(round(minutes * 6) + 1)
    ]
    return [alarm for alarm in said if alarm is not None][-1]


def test_an_alarm_gets_graver_by_lasting_and_says_so_once() -> None:
    assert lasting(condition(), minutes=10).severity == "warning"  # 1.5 times the limit
    assert lasting(condition(), minutes=300).severity == "major"


def test_an_alarm_that_grows_is_graver_and_says_what_it_was() -> None:
    steady, growing = lasting(condition(), minutes=70), lasting(condition(), minutes=70, growth=2.0)
    assert (steady.severity, growing.severity) == ("warning", "critical")
    assert steady.trend is not None
    assert steady.trend.per_hour is None
    assert growing.trend is not None
    assert growing.trend.per_hour is not None
    assert 1.9 < growing.trend.per_hour < 2.1
    assert growing.trend.before is not None
    assert growing.trend.before < growing.trend.level


def test_what_a_machine_is_worth_counts() -> None:
    dear = Condition(ConditionSettings(), model="digest", weight=4.0)
    cheap = Condition(ConditionSettings(), model="digest", weight=0.25)
    for alarms, severity in ((dear, "critical"), (cheap, "warning")):
        alarm = advance(alarms, "raised", block(4.0))
        assert alarm is not None
        assert alarm.severity == severity


def test_one_wild_window_is_no_catastrophe_and_no_severity_is_taken_back() -> None:
    alarms = condition()
    for at in range(8):
        advance(alarms, "raised" if at == 0 else "active", block(2.4, start=100 + at))
    wild = advance(alarms, "active", block(60.0, start=200))
    assert wild is not None
    assert wild.severity == "warning"
    assert wild.peak_score == 30.0
    other = condition()
    advance(other, "raised", block(10.0))
    later = advance(other, "active", block(2.4, start=200))
    closed = advance(other, "cleared", block(0.5, start=300))
    assert [alarm and alarm.severity for alarm in (later, closed)] == ["critical", "critical"]
    assert closed is not None
    assert closed.trend is None


def test_the_trend_goes_on_after_a_restart() -> None:
    alarms, other = condition(), condition()
    lasting(alarms, minutes=70, growth=2.0)
    other.restore(alarms.save())
    goes_on = [advance(one, "active", block(9.0, start=5000)) for one in (alarms, other)]
    assert goes_on[0] is not None
    assert goes_on[0] == goes_on[1]


def test_an_alarm_opens_with_the_onset_of_its_first_loud_window() -> None:
    opened = condition().advance("raised", block(3.0), at=0, profile=PROFILE, since_ns=95 * SECOND)
    assert opened is not None
    assert (opened.onset_ns, opened.time_ns) == (95 * SECOND, 100 * SECOND)
    assert "T000135Z" in opened.id


def test_a_quiet_alarm_is_unsettled_and_what_comes_back_is_counted_with_what_is_new() -> None:
    alarms = condition()
    opened = advance(alarms, "raised", block(3.0))
    quiet = advance(alarms, "unsettled", block(0.3, start=130))
    assert advance(alarms, "unsettled", block(0.3, start=131)) is None
    back = advance(alarms, "returned", block(3.0, shares=(0.8, 0.1, 0.1), start=140))
    assert opened is not None
    assert quiet is not None
    assert back is not None
    assert (quiet.unsettled, quiet.reopened, quiet.channels) == (True, 0, opened.channels)
    assert (back.id, back.unsettled, back.reopened, back.state) == (opened.id, False, 1, "open")
    assert back.channels[0].name == "flow"


def test_what_is_new_of_a_fault_that_comes_back_is_named() -> None:
    alarms = Condition(ConditionSettings(channels_named=1), model="digest")
    advance(alarms, "raised", block(3.0))
    advance(alarms, "unsettled", block(0.3, start=130))
    back = advance(alarms, "returned", block(3.0, shares=(0.8, 0.1, 0.1), start=140))
    later = advance(alarms, "active", block(3.0, shares=(0.8, 0.1, 0.1), start=240))
    assert back is not None
    assert later is not None
    assert (back.news, later.news) == (("flow",), ())


def test_a_closed_alarm_keeps_what_was_said_of_its_fault_and_is_reopened_under_its_id() -> None:
    alarms = condition()
    opened = advance(alarms, "raised", block(3.0, classes=(0.1, 0.8, 0.1)))
    closed = advance(alarms, "cleared", block(0.3, start=400))
    assert opened is not None
    assert closed is not None
    assert (closed.channels, closed.fault, closed.unsettled) == (opened.channels, "leak", False)
    kept = Condition(ConditionSettings(), model="digest")
    kept.restore(alarms.save())
    again = advance(kept, "reopened", block(3.0, start=500))
    assert again is not None
    assert (again.id, again.revision, again.state) == (opened.id, closed.revision + 1, "open")
    assert (again.closed_ns, again.reopened, again.onset_ns) == (None, 1, opened.onset_ns)


def test_an_alarm_that_flaps_on_is_counted_and_speaks_once_in_update_s() -> None:
    alarms = condition()
    said = [advance(alarms, "raised", block(3.0))]
    for at in range(200):
        change = "unsettled" if at % 2 == 0 else "returned"
        said.append(advance(alarms, change, block(3.0, start=101 + at)))
    told = [alarm for alarm in said if alarm]
    assert len(told) <= 1 + 2 * 3 + 200 // 60 + 1
    assert alarms.open_alarm is not None
    assert alarms.open_alarm.reopened == 100
