"""Line protocol is read as its reference describes it; bad lines and values do not spoil their neighbours."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.formats.line_protocol import decode
from edge_agent.formats.mapping.names import parse_template
from edge_agent.formats.mapping.reading import Reading
from edge_agent.formats.mapping.times import TimeRule
from edge_agent.formats.origin import Origin
from edge_agent.records import Frame, FrameSet, Reject

NOW_NS = 1_700_000_000_000_000_000
ORIGIN = Origin(machine="pump-1", channel=None, received_ns=NOW_NS, future_tolerance_ns=60_000_000_000)
TIME_NS = 1_465_839_830_100_400_200  # the time in the reference's examples


def frame(text: str, reading: Reading | None = None) -> Frame:
    result = decode(text.encode(), ORIGIN if reading is None else ORIGIN._replace(reading=reading))
    assert isinstance(result, Frame), result
    return result


def cells(result: Frame) -> dict[tuple[int, str], float]:
    return {
        (time_ns, name): cell
        for time_ns, row in zip(result.times_ns, result.rows, strict=True)
        for name, cell in zip(result.channels, row, strict=True)
        if not math.isnan(cell)
    }


# From "InfluxDB line protocol reference" (InfluxDB OSS 1 and 2): line, channel, value.
@pytest.mark.parametrize(
    ("line", "channel", "value"),
    [
        ("weather,location=us-midwest temperature=82", "weather.temperature", 82.0),
        ("weather temperature=82", "weather.temperature", 82.0),
        ("weather,location=us-midwest,season=summer temperature=82", "weather.temperature", 82.0),
        ("weather,location=us-midwest temperature=82i", "weather.temperature", 82.0),
        ("myMeasurement fieldKey=12485903u", "myMeasurement.fieldKey", 12485903.0),
        ("myMeasurement fieldKey=-1.234456e+7", "myMeasurement.fieldKey", -12344560.0),
        ("myMeasurement fieldKey=.5", "myMeasurement.fieldKey", 0.5),
        ("weather,location=us-midwest too_hot=true", "weather.too_hot", 1.0),
        ("weather,location=us-midwest too_hot=F", "weather.too_hot", 0.0),
        (r"weather,location=us\,midwest temperature=82", "weather.temperature", 82.0),
        (r"weather,location\ place=us-midwest temperature=82", "weather.temperature", 82.0),
        (r"weather,location=us-midwest temp\=rature=82", "weather.temp=rature", 82.0),
        (r"wea\,ther,location=us-midwest temperature=82", "wea,ther.temperature", 82.0),
        (r"wea\ ther,location=us-midwest temperature=82", "wea ther.temperature", 82.0),
        (r"C:\new temperature=82", r"C:\new.temperature", 82.0),
        ('weather,location="us-midwest" temperature=82', "weather.temperature", 82.0),
        ("my_measurement,a=🍭 field=1", "my_measurement.field", 1.0),
    ],
)
def test_the_examples_of_the_reference(line: str, channel: str, value: float) -> None:
    assert cells(frame(f"{line} {TIME_NS}")) == {(TIME_NS, channel): value}
    assert cells(frame(line)) == {(NOW_NS, channel): value}
    assert frame(f"{line} {TIME_NS}").stamped
    assert not frame(line).stamped


def test_several_fields_are_one_row_and_several_lines_several_rows() -> None:
    text = f"m a=1,b=2i {TIME_NS + 5}\r\n\n# a comment, with=equals signs\n  m b=4,a=3 {TIME_NS}\n"
    result = frame(text)
    assert set(result.channels) == {"m.a", "m.b"}
    assert list(result.times_ns) == [TIME_NS, TIME_NS + 5]
    assert cells(result) == {
        (TIME_NS + 5, "m.a"): 1.0, (TIME_NS + 5, "m.b"): 2.0, (TIME_NS, "m.b"): 4.0, (TIME_NS, "m.a"): 3.0,
    }  # fmt: skip


def test_of_two_values_for_one_cell_the_first_counts() -> None:
    assert cells(frame(f"m a=1 {TIME_NS}\nm a=2,b=3 {TIME_NS}")) == {
        (TIME_NS, "m.a"): 1.0,
        (TIME_NS, "m.b"): 3.0,
    }


@pytest.mark.parametrize(
    "text", ['"hot"', r'"too \"hot\""', '"a,b=c d"', '"two\nlines"', r'"too\\hot"', '"-12-"']
)
def test_text_is_no_measurement_whatever_it_holds(text: str) -> None:
    result = frame(f"m a=1,label={text},b=2 {TIME_NS}\nm a=3 {TIME_NS + 1}")
    assert cells(result) == {(TIME_NS, "m.a"): 1.0, (TIME_NS, "m.b"): 2.0, (TIME_NS + 1, "m.a"): 3.0}
    assert result.bad_values == (("m.label", "wrong_type"),)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("NaN", "not_finite"),
        ("-inf", "not_finite"),
        ("1e39", "not_finite"),
        ("12x", "not_a_number"),
        ("1_0", "not_a_number"),
        ("0x10", "not_a_number"),
        ("1.5i", "not_a_number"),
        ("yes", "not_a_number"),
        ("٣", "not_a_number"),
        ("9" * 5000, "not_a_number"),
        ("1e99999", "not_finite"),
    ],
)
def test_a_bad_value_is_turned_away_alone(raw: str, expected: str) -> None:
    result = frame(f"m a={raw},b=2")
    assert cells(result) == {(NOW_NS, "m.b"): 2.0}
    assert result.bad_values == (("m.a", expected),)


@pytest.mark.parametrize(
    "line",
    [
        "m", "m ", "m a", "m a=", "m =1", ",t=1 a=1", ",, a=1", "m,t a=1", "m,t= a=1", "m a=1 b=2 5", "m a=1 12x",
        'm a="open',
        "m a=1,,b=2", 'm a=1"x"', "m a=1 " + "9" * 40, "m a=1=2",
    ],
)  # fmt: skip
def test_a_line_that_cannot_be_read_is_turned_away_alone(line: str) -> None:
    whole = decode(line.encode(), ORIGIN)
    assert isinstance(whole, Reject)
    assert whole.reason in {"malformed", "not_a_number"}
    result = decode(f"m good=7\n{line}".encode(), ORIGIN)
    assert isinstance(result, Frame)
    assert cells(result) == {(NOW_NS, "m.good"): 7.0}
    assert len(result.bad_values) == 1


@pytest.mark.parametrize(("precision", "per_second"), [("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9)])
def test_the_precision_is_the_unit_of_the_timestamps(precision: str, per_second: int) -> None:
    line = f"m a=1 {1_600_000_000 * per_second}"
    said = Reading(time=TimeRule(precision))  # type: ignore[arg-type]
    assert list(frame(line, said).times_ns) == list(frame(line).times_ns) == [1_600_000_000 * 10**9]


def test_a_tag_names_the_machine_of_each_line() -> None:
    reading = Reading(machine=parse_template("{/tags/machine}"))
    text = "motor,machine=press-1 temp=18.5\nmotor,machine=press-2 temp=89\nmotor temp=1\nbroken"
    found = decode(text.encode(), ORIGIN._replace(machine="", reading=reading))
    assert isinstance(found, FrameSet)
    assert [(one.machine, cells(one)) for one in found.frames] == [
        ("press-1", {(NOW_NS, "motor.temp"): 18.5}),
        ("press-2", {(NOW_NS, "motor.temp"): 89.0}),
    ]
    assert sorted(reason for _, reason in found.frames[0].bad_values) == ["malformed", "unknown_machine"]


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        ("0", "bad_timestamp"),
        ("-5", "bad_timestamp"),
        (str(NOW_NS + 61 * 10**9), "future_timestamp"),
        ("9" * 32, "future_timestamp"),
    ],
)
def test_times_are_checked_like_all_times(stamp: str, expected: str) -> None:
    result = decode(f"m a=1 {stamp}".encode(), ORIGIN)
    assert isinstance(result, Reject)
    assert result.reason == expected


def test_chosen_tags_name_the_channel_and_other_tags_never_mix() -> None:
    text = "m,axis=x,host=h rms=1\nm,axis=y,host=h rms=2"
    by_axis = Reading(channel=parse_template("m.{/tags/axis}.{name}"))
    assert cells(frame(text, by_axis)) == {(NOW_NS, "m.x.rms"): 1.0, (NOW_NS, "m.y.rms"): 2.0}
    result = frame(text)
    assert cells(result) == {(NOW_NS, "m.rms"): 1.0}
    assert result.bad_values == (("m.rms", "unknown_channel"),)


def test_the_machine_s_own_name_is_not_repeated_in_its_channels() -> None:
    assert frame("pump-1 flow=1,a/b=2").channels == ("flow", "a.b")


@pytest.mark.parametrize(
    ("payload", "expected"),
    [(b"", "no_values"), (b" \n#x\n", "no_values"), (b"m a=\xff", "not_utf8"), (b'm a="x"', "wrong_type")],
)
def test_a_message_without_a_good_value_says_why(payload: bytes, expected: str) -> None:
    result = decode(payload, ORIGIN)
    assert isinstance(result, Reject)
    assert result.reason == expected


KEYS = st.text(st.sampled_from("ab c,=ü\\"), min_size=1, max_size=6).filter(
    lambda key: not key.endswith("\\")
)
NUMBERS = st.floats(width=32, allow_nan=False, allow_infinity=False)


def escaped(key: str) -> str:
    # A backslash before a special character would itself be taken for an escape; keys avoid that.
    return key.replace(",", r"\,").replace("=", r"\=").replace(" ", r"\ ")


@given(KEYS, st.dictionaries(KEYS, NUMBERS, min_size=1, max_size=5), st.integers(0, 10**9))
def test_what_is_escaped_comes_back(measurement: str, fields: dict[str, float], offset_ns: int) -> None:
    if (
        any(f"\\{special}" in key for key in (measurement, *fields) for special in ",= \\")
        or measurement[0] == "#"
    ):
        return
    text = ",".join(f"{escaped(key)}={value!r}" for key, value in fields.items())
    result = frame(f"{escaped(measurement)},t=x {text} {TIME_NS + offset_ns}")
    assert cells(result) == {
        (TIME_NS + offset_ns, f"{measurement}.{key}"): value for key, value in fields.items()
    }


@given(st.text(st.sampled_from('ma,= \\"\n\r#1.eiutTf-+\t'), max_size=60) | st.text(max_size=40))
def test_arbitrary_text_never_raises_and_frames_hold_only_finite_or_missing(text: str) -> None:
    result = decode(text.encode("utf-8", "surrogatepass"), ORIGIN)
    if isinstance(result, Frame):
        assert all(abs(cell) < 3.5e38 for cell in cells(result).values())


@given(st.binary(max_size=200))
def test_arbitrary_bytes_never_raise(payload: bytes) -> None:
    assert isinstance(decode(payload, ORIGIN), Frame | Reject)


@pytest.mark.parametrize(
    "piece", ['m a="', 'm a=1,"', "\\", ",", "=", 'm a="\\"', 'm a="\n', "m,a=b ", "# \n", " "]
)
def test_repeated_pieces_are_read_in_linear_time(piece: str) -> None:
    # The pytest timeout is the judge: a matcher that tries twice would take hours for 65,000 characters.
    assert isinstance(decode((piece * 65_000)[:65_000].encode(), ORIGIN), Frame | Reject)
