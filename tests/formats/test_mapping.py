"""Numbers, times, names and quality are read as a source says they are written; what is not is turned away by name."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.formats import number
from edge_agent.formats.mapping.binary import BinaryField
from edge_agent.formats.mapping.names import parse_template
from edge_agent.formats.mapping.pointer import parse_place
from edge_agent.formats.mapping.quality import QualityReader, QualityRule
from edge_agent.formats.mapping.reading import Reading
from edge_agent.formats.mapping.times import TimeRule, text_ns
from edge_agent.formats.mapping.values import ValueReader, ValueRule, hint
from edge_agent.formats.origin import Origin
from edge_agent.formats.packing import inflate, unwrapped
from edge_agent.records import Reject

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
NOON_NS = int(NOON.timestamp()) * 10**9


@pytest.mark.parametrize(
    ("rule", "text", "expected"),
    [
        ({}, "37.8", 37.8),
        ({}, " -1.5e3 ", -1500.0),
        ({}, "180,4", "not_a_number"),
        ({}, "180.1 °C", "not_a_number"),
        ({}, "1,016.76", "not_a_number"),
        ({}, "B-77", "wrong_type"),
        ({}, "04B0FF01", "wrong_type"),
        ({}, "ON", 1.0),
        ({}, "closed", 0.0),
        ({}, "unavailable", None),
        ({}, "---", None),
        ({}, "NaN", None),
        ({}, "-inf", "not_finite"),
        ({"decimal": ","}, "180,4", 180.4),
        ({"decimal": ","}, "1.016,76", 1016.76),
        ({"decimal": ","}, "1 016,76", 1016.76),
        ({"decimal": ","}, "1480", 1480.0),
        ({"decimal": ","}, "1.5", "not_a_number"),
        ({"decimal": "."}, "1,016.76", 1016.76),
        ({"decimal": "."}, "1,234", 1234.0),
        ({"decimal": "auto"}, "1,234", "not_a_number"),
        ({"decimal": "auto"}, "1.234", 1.234),
        ({"decimal": "auto"}, "180,4", 180.4),
        ({"decimal": "auto"}, "1,016.76", 1016.76),
        ({"strip_unit": True}, "3.02bar", 3.02),
        ({"strip_unit": True}, "180.1 °C", 180.1),
        ({"strip_unit": True, "decimal": ","}, "12,5 m³/h", 12.5),
        ({"words": {"Auto": 2.0}}, "AUTO", 2.0),
        ({"words": {"on": 5.0}}, "On", 5.0),
        ({"nothing": ("faulty", 327.67)}, "Faulty", None),
        ({"nothing": ("faulty", 327.67)}, "327.67", None),
        ({"text": False}, "37.8", "wrong_type"),
    ],
)
def test_text_is_a_number_where_the_source_writes_it_so(
    rule: dict[str, Any], text: str, expected: object
) -> None:
    assert ValueReader(ValueRule(**rule)).read(text) == expected


def test_a_number_that_stands_for_nothing_is_missing() -> None:
    reader = ValueReader(ValueRule(nothing=(-127.0,)))
    assert (reader.read(-127), reader.read(True), reader.read(5)) == (None, 1.0, 5.0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("180,4", "decimal comma"),
        ("180.1 °C", "a unit"),
        ("1,016.76", "thousands"),
        ("2,96bar", "comma and a unit"),
    ],
)
def test_what_looks_like_a_number_is_told_with_what_to_set(text: str, words: str) -> None:
    assert words in hint(text)
    assert "[source.value]" in hint(text)


@given(st.text(max_size=80))
def test_no_text_makes_the_reader_fail(text: str) -> None:
    for decimal in ("plain", ".", ",", "auto"):
        ValueReader(ValueRule(decimal=decimal, strip_unit=True)).read(text)  # type: ignore[arg-type]
    hint(text)


def test_words_may_not_be_nothing_too() -> None:
    with pytest.raises(ValueError, match="off"):
        ValueRule(words={"Off": 0.0}, nothing=("OFF",))


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("2026-11-30T12:00:00Z", TimeRule()),
        ("2026-11-30 12:00:00 UTC", TimeRule()),
        ("2026-11-30 13:00:00 +0100", TimeRule()),
        ("30.11.2026 12:00:00", TimeRule(timezone="UTC")),
        ("30.11.2026 13:00:00,000", TimeRule(timezone="Europe/Berlin")),
        ("2026/11/30 07:00", TimeRule(timezone="-05:00")),
        ("11/30/2026 12:00", TimeRule(timezone="UTC", format="%m/%d/%Y %H:%M")),
        (str(NOON_NS // 10**9), TimeRule()),
        (str(NOON_NS // 10**6), TimeRule()),
        (str(NOON_NS), TimeRule()),
        (str(NOON_NS // 10**3), TimeRule(unit="us")),
    ],
)
def test_every_form_of_a_time_is_the_same_instant(text: str, rule: TimeRule) -> None:
    assert text_ns(text, rule, near_ns=NOON_NS) == NOON_NS


@pytest.mark.parametrize("text", ["2026-11-30T12:00:00", "yesterday", "", "99.99.2026 12:00:00", "9" * 60])
def test_text_that_is_no_time_is_none(text: str) -> None:
    found = text_ns(text, TimeRule(), near_ns=NOON_NS)
    assert found is None or found > 10**20


def test_of_the_hour_that_autumn_has_twice_the_one_near_the_arrival_is_meant() -> None:
    first = int(datetime(2026, 10, 25, 0, 30, tzinfo=UTC).timestamp()) * 10**9
    rule = TimeRule(timezone="Europe/Berlin")
    hour_ns = 3600 * 10**9
    assert text_ns("2026-10-25 02:30:00", rule, near_ns=first + 5) == first
    assert text_ns("2026-10-25 02:30:00", rule, near_ns=first + hour_ns + 5) == first + hour_ns


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        ({}, [True, "good", 1, "OK", None], [False, "bad", 0, 192]),
        ({"codes": "opc_da"}, [192, "192", 216, "0xC0", None], [0, "0", 64, True, "none", [1]]),
        (
            {"codes": "opc_ua"},
            [0, {"Code": 0}, {}, "Good", "GoodClamped"],
            [2**31, {"Code": 2**30}, "BadNoData"],
        ),
        ({"good": (3,)}, [3, "3", 3.0], [0, 2, True, "x"]),
        ({"bad": ("uncertain", 0)}, ["whatever", 5, None], ["Uncertain", 0, "0"]),
        ({"good": (3,), "absent": "bad"}, [3], [None]),
    ],
)
def test_quality_is_good_by_value_by_list_or_by_code(
    rule: dict[str, Any], good: list[object], bad: list[object]
) -> None:
    reader = QualityReader(QualityRule(place="q", **rule))
    assert [reader.is_good(each) for each in good] == [True] * len(good)
    assert [reader.is_good(each) for each in bad] == [False] * len(bad)


def test_names_are_put_together_from_topics_and_payloads() -> None:
    template = parse_template("{site}.{/tags/machine}")
    assert template.words == {"site"}
    assert (
        template.fill({"site": "north"}, ({}, {"tags": {"machine": "hall/press+1"}})) == "north.hall.press_1"
    )
    assert template.fill({"site": "north"}, ({"tags": {}},)) is None
    with pytest.raises(ValueError, match="no name"):
        parse_template("{Machine}")


def test_a_place_remembers_the_keys_of_its_holes() -> None:
    found = list(
        parse_place("/{machine}/*/v").find({"a": [{"v": 1}, {"v": 2}], "b": {"x": {"v": 3}}, "c": 4})
    )
    assert [(dict(bound), item) for bound, _, item in found] == [
        ({"machine": "a"}, 1),
        ({"machine": "a"}, 2),
        ({"machine": "b"}, 3),
    ]


@pytest.mark.parametrize(
    ("settings", "text", "expected"),
    [
        ({}, "04B0FF01", 1200.0),
        ({"bit": 16, "bits": 8, "signed": True}, "04B0FF01", -1.0),
        ({"bit": 4, "bits": 4, "scale": 0.5, "offset": 1.0}, "04B0", 3.0),
        ({"little": True}, "B004", 1200.0),
        ({"encoding": "base64", "bits": 8}, "BLA=", 4.0),
        ({"bits": 64}, "04B0", None),
        ({}, "no hex", None),
        ({}, 5, None),
    ],
)
def test_numbers_come_out_of_packed_text(settings: dict[str, Any], text: object, expected: object) -> None:
    assert BinaryField(place="/data", name="x", **settings).read(text) == expected


def test_what_is_packed_comes_out_whole_or_not_at_all() -> None:
    import gzip  # noqa: PLC0415 - of the test alone
    import zlib  # noqa: PLC0415

    packed = gzip.compress(b"x" * 5000)
    assert unwrapped(packed, limit_bytes=5000) == b"x" * 5000
    for broken, reason in ((packed[:-9], "malformed"), (packed, "too_large"), (b"\x1f\x8b\x00", "malformed")):
        found = unwrapped(broken, limit_bytes=4999 if reason == "too_large" else 5000)
        assert isinstance(found, Reject)
        assert found.reason == reason
    packed = zlib.compress(b"x" * 5000)
    assert unwrapped(packed, limit_bytes=5000) == b"x" * 5000
    assert unwrapped(packed[:-9], limit_bytes=5000) is None, "text may begin with an x, too"
    assert unwrapped(b"x^2 is no number", limit_bytes=5000) is None
    swollen = unwrapped(packed, limit_bytes=4999)
    assert isinstance(swollen, Reject)
    assert swollen.reason == "too_large"
    assert inflate(zlib.compress(b"abc"), limit_bytes=3) == b"abc"
    assert unwrapped(b"\xef\xbb\xbf{}", limit_bytes=9) == b"{}"
    assert unwrapped(b"1.5\0\0", limit_bytes=9) == b"1.5"
    assert unwrapped("\ufeff1,5".encode("utf-16-le"), limit_bytes=9) == b"1,5"
    assert unwrapped(b"1.5", limit_bytes=9) is None


@pytest.mark.parametrize(
    ("payload", "settings", "expected"),
    [
        ("21,5 °C".encode("latin-1"), {"decimal": ",", "strip_unit": True}, 21.5),
        ("3 µm".encode("latin-1"), {"strip_unit": True}, 3.0),
        ("21.5 °C".encode("latin-1"), {}, "not_a_number"),
        (b"\xff\xfe\xfd", {}, "not_utf8"),
        ("müde".encode("latin-1"), {}, "not_utf8"),
    ],
)
def test_a_number_of_an_old_device_may_have_its_unit_in_one_byte(
    payload: bytes, settings: dict[str, Any], expected: object
) -> None:
    reading = Reading(values=ValueReader(ValueRule(**settings)))
    found = number.decode(payload, Origin("m", "temp", NOON_NS, 10**9, reading=reading))
    assert (found.reason if isinstance(found, Reject) else found.rows[0][0]) == expected
