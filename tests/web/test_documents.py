"""The page's documents: bounded whatever there is to show, and plain JSON whatever was sent."""

import base64
import json
import math
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from edge_agent.alarms.payload import rfc3339
from edge_agent.alarms.state import AlarmState, MachineCalls
from edge_agent.detect.pictures.regions import Box
from edge_agent.metrics.snapshot import Health, Snapshot
from edge_agent.model import bundle
from edge_agent.pipeline.programs.cycle_view import Course, CycleView, TimeTaken
from edge_agent.pipeline.results import MachineView
from edge_agent.records import ChannelEvidence
from edge_agent.sensors.findings import opened
from edge_agent.signals.machine_rules import MachineFacts
from edge_agent.web import documents
from edge_agent.web.view import CameraView, Closeup, Curve, Expectation, SuspectView, View
from tests.support.hall import ALARM, NOW_NS, READY, SECOND

HOSTILE = "</script><img src=x onerror=alert(1)>\u2028\x00\U0001f525"
FROZEN = replace(
    ALARM,
    id="pump-1-s1",
    kind="sensor",
    fault="frozen",
    channels=(ChannelEvidence("flow", 0.0, 3.0, 1.0, 2.0, 9.0, "high"),),
)


def view(folder: Path) -> View:
    return View(
        time_ns=NOW_NS,
        made_s=0.0,
        agent="hall",
        version="1",
        provider="cpu",
        health=Health(alive=True, amiss=()),
        snapshot=Snapshot(),
        bundle=bundle.read(folder),
        machines={"pump-1": READY},
        calls={},
        silent_s={},
        trends={},
        records=(),
        past=(),
        past_count=0,
        commands=(),
    )


def machine_view(n_channels: int, *, value: float = 1.0) -> MachineView:
    return MachineView(
        channels=tuple(f"c{at}" for at in range(n_channels)),
        rows=np.full((128, n_channels), value, np.float32),
        low=np.zeros(n_channels, np.float32),
        high=np.full(n_channels, 2.0, np.float32),
        last_time_ns=NOW_NS,
        period_ns=1_000_000_000,
        learnt_ns=NOW_NS,
        learnt_rows=300,
        faults=(),
        hidden=("c0",),
    )


def test_five_hundred_machines_in_alarm_are_a_bounded_document(tiny_bundle: Path) -> None:
    names = [f"machine-{number:04}" for number in range(800)]
    records = {name: AlarmState(replace(ALARM, machine=name, id=f"{name}-a")) for name in names}
    curve = Curve(tuple(map(float, range(40))), (math.pi,) * 40)
    full = replace(
        view(tiny_bundle),
        machines=dict.fromkeys(names, READY),
        records=tuple(records.values()),
        calls={name: MachineCalls(record) for name, record in records.items()},
        trends=dict.fromkeys(names, curve),
    )
    body = documents.state(full)
    told = json.loads(body)
    assert len(body) < 400_000
    assert (told["machine_count"], len(told["machines"])) == (800, 500)
    assert (told["alarm_count"], len(told["alarms"])) == (800, 40)


def test_a_machine_of_a_thousand_channels_is_a_bounded_document(tiny_bundle: Path) -> None:
    wide = replace(
        view(tiny_bundle), closeups={"pump-1": Closeup(machine_view(1000), Curve(), Curve(), None)}
    )
    body = documents.machine(wide, "pump-1")
    assert body is not None
    assert len(body) < 400_000
    told = json.loads(body)
    assert len(told["channels"]) == 1000
    assert sum(bool(channel["rows"]) for channel in told["channels"]) == 40


def test_names_from_outside_come_back_letter_by_letter(tiny_bundle: Path) -> None:
    strange = replace(view(tiny_bundle), machines={HOSTILE: READY}, agent=HOSTILE)
    told = json.loads(documents.state(strange))
    assert (told["agent"], told["machines"][0]["name"]) == (HOSTILE, HOSTILE)


def test_what_is_no_number_is_null_and_never_breaks_the_json(tiny_bundle: Path) -> None:
    for value in (math.nan, math.inf, -math.inf):
        status = replace(READY, last_score=value, threshold_ratio=value)
        wild = np.full(2, value, np.float32)
        closeup = Closeup(
            machine_view(2, value=value),
            Curve((1.0,), (value,)),
            Curve(),
            Expectation(("c0", "c1"), wild, wild, NOW_NS),
        )
        odd = replace(view(tiny_bundle), machines={"pump-1": status}, closeups={"pump-1": closeup})
        body = documents.machine(odd, "pump-1")
        assert body is not None
        told = json.loads(body, parse_constant=lambda text: (_ for _ in ()).throw(ValueError(text)))
        assert told["machine"]["score"] is None
        assert told["near"]["scores"] == [None]
        assert told["channels"][0]["seen"] is None
        assert told["channels"][0]["expected"] is None


def test_a_sensor_finding_is_data_quality_and_no_alarm_of_the_machine(tiny_bundle: Path) -> None:
    found = replace(
        view(tiny_bundle),
        records=(AlarmState(FROZEN),),
        closeups={"pump-1": Closeup(machine_view(2), Curve(), Curve(), None)},
    )
    told = json.loads(documents.state(found))
    assert (told["alarm_count"], told["finding_count"]) == (0, 1)
    assert told["machines"][0]["state"] == "normal"
    assert told["machines"][0]["findings"] == 1
    closely = json.loads(documents.machine(found, "pump-1") or b"")
    assert closely["alarm"] is None
    assert [finding["fault"]["name"] for finding in closely["findings"]] == ["frozen"]
    assert {channel["name"]: channel["hidden"] for channel in closely["channels"]} == {
        "c0": True,
        "c1": False,
    }


def test_the_gravest_alarm_comes_first_and_one_that_is_over_last(tiny_bundle: Path) -> None:
    grave = AlarmState(replace(ALARM, id="grave", severity="critical"))
    light = AlarmState(replace(ALARM, id="light", onset_ns=NOW_NS + 1))
    over = AlarmState(replace(ALARM, id="over", severity="critical"), active=False)
    told = json.loads(documents.state(replace(view(tiny_bundle), records=(over, light, grave))))
    assert [alarm["id"] for alarm in told["alarms"]] == ["grave", "light", "over"]


def test_an_unsettled_alarm_is_told_as_that_and_its_machine_is_not_normal(tiny_bundle: Path) -> None:
    for quiet in (True, False):
        record = AlarmState(replace(ALARM, unsettled=quiet, reopened=3))
        calls = {ALARM.machine: MachineCalls(record)}
        told = json.loads(documents.state(replace(view(tiny_bundle), records=(record,), calls=calls)))
        (machine,) = (one for one in told["machines"] if one["name"] == ALARM.machine)
        assert (machine["state"], machine["unsettled"]) == ("alarm", quiet)
        (alarm,) = told["alarms"]
        assert (alarm["unsettled"], alarm["reopened"]) == (quiet, 3)


def test_a_machine_whose_window_is_not_full_yet_is_not_called_normal(tiny_bundle: Path) -> None:
    fresh = replace(view(tiny_bundle), machines={"pump-1": replace(READY, last_score=None)})
    assert json.loads(documents.state(fresh))["machines"][0]["state"] == "unscored"


def test_the_threshold_of_a_machine_that_drifted_is_told(tiny_bundle: Path) -> None:
    drifted = replace(view(tiny_bundle), machines={"pump-1": replace(READY, threshold_ratio=1.7)})
    assert json.loads(documents.state(drifted))["machines"][0]["threshold_ratio"] == 1.7


def test_the_kind_of_each_channel_is_told(tiny_bundle: Path) -> None:
    known = replace(machine_view(2), kinds=(("c1", "counter"),))
    shown = replace(view(tiny_bundle), closeups={"pump-1": Closeup(known, Curve(), Curve(), None)})
    body = documents.machine(shown, "pump-1")
    assert body is not None
    assert [channel["kind"] for channel in json.loads(body)["channels"]] == ["analog", "counter"]


def test_without_a_token_no_command_is_offered_and_an_unknown_machine_is_none(tiny_bundle: Path) -> None:
    assert json.loads(documents.state(view(tiny_bundle)))["commands"] == []
    assert documents.machine(view(tiny_bundle), "nobody") is None


def test_a_silence_goes_on_by_the_agents_clock(tiny_bundle: Path) -> None:
    """Seen: "since 10:27, for 30 s" at 10:40."""
    since_ns = NOW_NS - 780 * SECOND
    silent = opened(
        "pump-1", "silent", number="w1", onset_ns=since_ns, time_ns=since_ns + 30 * SECOND, model="m"
    )
    status = replace(READY, last_time_ns=since_ns)
    told = json.loads(
        documents.state(
            replace(
                view(tiny_bundle),
                machines={"pump-1": status},
                records=(AlarmState(silent), AlarmState(replace(ALARM, time_ns=since_ns, onset_ns=since_ns))),
                silent_s={"pump-1": 780.0},
            )
        )
    )
    assert told["findings"][0]["latest"] == told["time"]
    assert told["alarms"][0]["latest"] == rfc3339(since_ns)  # nobody knows what the machine does since
    assert told["findings"][0]["summary"].startswith("Nothing usable has been heard of pump-1 since ")
    assert told["machines"][0]["silent_s"] == 780


def test_times_are_told_in_the_zone_of_the_site_where_it_has_one(tiny_bundle: Path) -> None:
    assert json.loads(documents.state(view(tiny_bundle)))["zone"] is None
    there = replace(view(tiny_bundle), zone=ZoneInfo("Europe/Berlin"), records=(AlarmState(ALARM),))
    told = json.loads(documents.state(there))
    assert told["zone"] == "Europe/Berlin"
    assert "since 09:00 CET" in told["alarms"][0]["summary"]
    assert told["alarms"][0]["onset"].endswith("08:00:00.000Z")


def test_a_machine_that_is_learnt_says_until_when_it_is_not_watched(tiny_bundle: Path) -> None:
    young = replace(
        READY, state="commissioning", rows_heard=47, rows_wanted=100, ready_ns=NOW_NS + 60 * SECOND
    )
    told = json.loads(documents.state(replace(view(tiny_bundle), machines={"pump-1": young})))
    assert told["machines"][0]["state"] == "commissioning"
    assert told["machines"][0]["learnt_about"] == rfc3339(NOW_NS + 60 * SECOND)


def test_a_camera_is_told_with_its_map_and_without_its_picture(tiny_bundle: Path) -> None:
    time_ns = 1_700_000_000_000_000_000
    suspect = SuspectView("press-4-1", time_ns, "A-1", 1.5, "scratch", 0.7, good=False, jpeg=b"a hand")
    camera = CameraView(
        name="cam1", learnt=True, gathered=0, wanted=50, time_ns=1_700_000_000_000_000_000, score=1.234567, why="",
        map=bytes(1024), boxes=(Box(0.1, 0.2, 0.3, 0.4, 2.5),), width=640, height=480, crop=(0.0, 0.0, 1.0, 1.0),
        file=b"a face", kind="jpeg", parts=20, loud=1, alarm_at=3, kinds=("scratch",),
        suspects=(suspect,),
    )  # fmt: skip
    closeup = Closeup(machine_view(2), Curve(), Curve(), None, cameras=(camera,))
    told = documents.machine(replace(view(tiny_bundle), closeups={"pump-1": closeup}), "pump-1")
    assert told is not None
    assert b"a face" not in told
    assert base64.b64encode(b"a face") not in told
    assert b"a hand" not in told
    assert base64.b64encode(b"a hand") not in told
    (one,) = json.loads(told)["cameras"]
    assert (one["score"], one["time"]) == (1.2346, "2023-11-14T22:13:20.000Z")
    assert one["boxes"] == [{"x": 0.1, "y": 0.2, "width": 0.3, "height": 0.4, "score": 2.5}]
    assert (one["parts"], one["loud"], one["alarm_at"], one["kinds"]) == (20, 1, 3, ["scratch"])
    assert one["suspects"] == [
        {
            "id": "press-4-1",
            "time": "2023-11-14T22:13:20.000Z",
            "part": "A-1",
            "score": 1.5,
            "kind": "scratch",
            "probability": 0.7,
            "good": False,
        }
    ]
    assert len(base64.b64decode(one["map"])) == 1024


def test_the_latest_cycle_is_told_with_its_band_and_what_is_no_number_is_null(tiny_bundle: Path) -> None:
    low, values, high = (np.array([at, math.nan], np.float32) for at in (1.0, 5.0, 2.0))
    cycle = CycleView(
        recipe="A<b>",
        end_ns=NOW_NS,
        learning=(31, 60),
        duration=None,
        steps=(TimeTaken("3", 4.1, 2.0, None),),
        courses=(Course("current", values, low, high, 4.0), Course("speed", values, None, None, None)),
        channel_count=9,
    )
    closeup = Closeup(machine_view(2), Curve(), Curve(), None, cycle=cycle)
    body = documents.machine(replace(view(tiny_bundle), closeups={"pump-1": closeup}), "pump-1")
    assert body is not None
    told = json.loads(body)["cycle"]
    assert (told["recipe"], told["learning"], told["channel_count"]) == ("A<b>", [31, 60], 9)
    assert told["steps"] == [{"step": "3", "seconds": 4.1, "low": 2.0, "high": None}]
    assert told["courses"][0] == {
        "channel": "current",
        "values": [5.0, None],
        "low": [1.0, None],
        "high": [2.0, None],
    }
    assert told["courses"][1]["low"] is None


def test_an_alarm_says_what_is_to_be_done_about_its_fault_where_people_say_it(tiny_bundle: Path) -> None:
    plain = replace(view(tiny_bundle), machines={ALARM.machine: READY}, records=(AlarmState(ALARM),))
    assert "what_to_do" not in json.loads(documents.state(plain))["alarms"][0]
    said = replace(plain, facts={ALARM.machine: MachineFacts(runbooks={ALARM.fault: "Close valve 3."})})
    assert json.loads(documents.state(said))["alarms"][0]["what_to_do"] == "Close valve 3."
