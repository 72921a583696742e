"""What is right in the cases of others, in words and as a question put to what happened."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmarks.reliability.cases.play import PlayedCase
from edge_agent.recordings.tables import Recording


@dataclass(frozen=True, slots=True)
class Expectation:
    """What is right, and whether it was so."""

    right: str
    holds: Callable[[PlayedCase], bool]


def _recording(played: PlayedCase, name: str = "recording.csv") -> Recording:
    found = played.recordings[name]
    if isinstance(found, str):
        raise TypeError(found)
    return found


def _map(played: PlayedCase, key: str) -> object:
    return next((source["map"][key] for source in played.sources if key in source.get("map", {})), None)


def _steps(played: PlayedCase) -> set[int]:
    times = _recording(played).times_ns
    return set() if times is None else set(np.diff(times).tolist())


def _weekend_kept(played: PlayedCase) -> bool:
    times = _recording(played).times_ns
    return (
        times is not None
        and bool(np.diff(times).max() > 60 * 3600 * 10**9)
        and bool(np.all(np.diff(times) > 0))
    )


def _in_peace(played: PlayedCase) -> bool:
    """One false incident a week at most, and the real fault found."""
    week = played.week
    return bool(week) and bool(week["found"]) and week["false"] <= round(week["weeks"])


CHECKS: dict[str, Expectation] = {
    "pub-01": Expectation(
        "two machines, and the time without a zone is named",
        lambda p: set(p.machines) == {"press_1", "press_2"} and "zone" in p.left_out.get("Time", ""),
    ),
    "pub-02": Expectation(
        "with clock = arrival no stamp loses a row",
        lambda p: p.by_file is not None and not p.by_file.rejected and p.by_file.accepted > 0,
    ),
    "pub-03": Expectation(
        "read by a setting that discover proposes; until then the reject says what it looks like",
        lambda p: (
            not p.by_proposal.rejected
            and set(p.machines) == {"oven-1", "oven-2"}
            and p.sources[0]["value"]["strip_unit"]
        ),
    ),
    "pub-04": Expectation(
        "text that is a number counts; 327.67 is no value",
        lambda p: p.machines["tx-1"] == ["BatV", "Hum_SHT", "TempC_SHT"] and not p.by_proposal.rejected,
    ),
    "pub-05": Expectation(
        "the proposal names the quality, bad values are missing and counted",
        lambda p: (
            p.sources[0]["quality"] == {"place": "q"}
            and p.by_proposal.lost["bad_quality"] > 0
            and 0.0 not in p.by_proposal.values["line1/Ch1.Dev1.Temp"]
        ),
    ),
    "pub-06": Expectation(
        "machines named by the payload: keys, and a tag of a batch",
        lambda p: (
            set(p.machines) == {"Device A", "Device B", "press-1", "press-2"} and not p.by_proposal.rejected
        ),
    ),
    "pub-07": Expectation(
        "values in values and lists at the root are read, by the file given and by the proposal",
        lambda p: (
            p.by_file is not None
            and p.by_file.channels["opcpub"] == {"Temp", "Press"}
            and p.by_proposal.channels["line3"] == {"p", "f"}
        ),
    ),
    "pub-08": Expectation(
        "{channel} in the topic names the channel; one source for the family",
        lambda p: (
            p.by_file is not None
            and p.by_file.channels == {"press-4": {"Temp", "Flow"}}
            and len(p.sources) == 1
        ),
    ),
    "pub-09": Expectation(
        "seconds and milliseconds are read, lines of two machines are two machines",
        lambda p: not p.by_proposal.rejected and not p.by_proposal.lost and len(p.machines) == 4,
    ),
    "pub-10": Expectation(
        "a leading slash is a topic like others, in the file and in the proposal",
        lambda p: (
            p.by_file is not None and set(p.by_file.channels) == {"SN-001", "SN-002"} == set(p.machines)
        ),
    ),
    "pub-11": Expectation(
        "time = /timestamp in ms is proposed",
        lambda p: (_map(p, "time"), _map(p, "time_unit")) == ("/timestamp", "ms") and p.by_proposal.stamped,
    ),
    "pub-12": Expectation(
        "the hex text is named as left out, with what reads it; code and cid are no channels",
        lambda p: any("hex" in why for why in p.left_out.values()) and len(p.machines["AL1"]) == 1,
    ),
    "pub-13": Expectation(
        "the decoded object alone; counters and the envelope are named as left out",
        lambda p: p.machines == {"motor-1": ["temperature", "rms"]} and "fCnt" in p.left_out,
    ),
    "pub-14": Expectation(
        "no row, counted as retained; no machine is proposed",
        lambda p: not p.machines and set(p.by_default.rejected) == {"retained"},
    ),
    "pub-15": Expectation(
        "the limit that the machine needs is proposed",
        lambda p: "channels = 500" in p.proposed and len(p.machines["w1"]) == 500,
    ),
    "pub-16": Expectation(
        "ON/OFF, RUN/STOP are numbers without a word",
        lambda p: p.machines == {"m1": ["POWER", "STATE", "temp"]} and not p.by_proposal.rejected,
    ),
    "pub-17": Expectation(
        'with reports = "changes" nothing is silent before its own will; without it, as it was',
        lambda p: (
            p.quiet
            == {
                "rows": ["silent open"],
                "changes": [],
                "will": ["silent open"],
                "back": ["silent closed"],
            }
        ),
    ),
    "pub-18": Expectation("unpacked", lambda p: p.by_default.channels == {"gz-1": {"a"}}),
    "pub-19": Expectation(
        "unpacked, with the sequence numbers inside",
        lambda p: p.sparkplug[1:] == ["seq 1: temp, flow", "seq 2: 1, 2"],
    ),
    "pub-20": Expectation(
        "value and quality as text, proposed",
        lambda p: (
            p.sources[0]["quality"] == {"place": "Quality_Code", "codes": "opc_da"}
            and p.machines == {"motors": ["A1"]}
            and p.by_proposal.rejected.keys() <= {"bad_quality"}
        ),
    ),
    "pub-30": Expectation(
        "read: semicolons, decimal commas, dd.mm.yyyy",
        lambda p: _recording(p).values.shape == (700, 3) and _steps(p) == {10**9},
    ),
    "pub-31": Expectation("milliseconds, by their size", lambda p: _steps(p) == {10**9}),
    "pub-32": Expectation(
        "the times of all other rows stay; the weekend is a gap; it is said", _weekend_kept
    ),
    "pub-33": Expectation(
        "pivoted by name; odd cells are gaps, True/False numbers, text left out and said",
        lambda p: (
            _recording(p, "history.csv").values.shape == (300, 3)
            and _recording(p, "sentinels.csv").channels == ("pressure", "flow", "running")
        ),
    ),
    "pub-40": Expectation("nights are no alarms, one a week at most; the fault is found", _in_peace),
    "pub-41": Expectation("meters that only rise raise nothing; the fault is found", _in_peace),
    "pub-42": Expectation("known set points raise nothing; the fault is found", _in_peace),
    "pub-43": Expectation("a door and a state raise nothing; the fault is found", _in_peace),
    "pub-44": Expectation("a weekend is no alarm of its length; the fault is found", _in_peace),
    "pub-45": Expectation("single broken readings raise nothing; the fault is found", _in_peace),
    "pub-46": Expectation(
        "no false incident, and the fault across phases of a batch is found",
        lambda p: _in_peace(p) and not p.week["false"],
    ),
    "pub-47": Expectation("a recalibration is told once; the fault is found", _in_peace),
    "pub-48": Expectation(
        "text that is a number is read, so that nothing is lost",
        lambda p: p.by_default.channels == {"w1": {"a", "b"}} and not p.by_default.lost,
    ),
}
"""By the beginning of a folder's name."""
