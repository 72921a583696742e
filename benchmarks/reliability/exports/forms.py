"""One machine's rows in the forms that programs export them: each a file's name, its bytes and the options it needs.

The forms that carry the rows as they are must read as the tidy one does; those that lose something say what.
"""

import csv
import io
import json
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from benchmarks.reliability.exports.machine import NAMES, UNITS, Rows
from benchmarks.reliability.exports.workbooks import workbook

BERLIN = ZoneInfo("Europe/Berlin")
_SERIAL = datetime(1899, 12, 30, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Form:
    """How one program exports.

    Attributes:
        title: the form, for people.
        file: its name.
        content: the bytes of rows in this form.
        names: channels as they are read.
        options: of the command line, beside the file.
        gaps: (row, channel) of what is no number in it.
    """

    title: str
    file: str
    content: Callable[[Rows], bytes]
    names: Sequence[str] = NAMES
    options: Sequence[str] = ()
    gaps: Sequence[tuple[int, int]] = field(default=())


def point(value: float) -> str:
    """`1494.83`."""
    return f"{value:.2f}"


def comma(value: float) -> str:
    """`1494,83`."""
    return point(value).replace(".", ",")


def grouped(value: float) -> str:
    """`1,494.83`."""
    return f"{value:,.2f}"


def iso(moment: datetime) -> str:
    """`2026-03-02T06:00:00Z`."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def wide(
    rows: Rows,
    *,
    time: Callable[[datetime], str] = iso,
    cell: Callable[[float], str] = point,
    separator: str = ",",
    header: Sequence[str] = ("timestamp", *NAMES),
    above: str = "",
    below: str = "",
    change: Callable[[int, list[str]], list[str]] = lambda _at, row: row,
) -> str:
    """A column a channel."""
    text = io.StringIO(newline="")
    lines = csv.writer(text, delimiter=separator, lineterminator="\r\n")
    if header:
        lines.writerow(header)
    for at, (moment, values) in enumerate(zip(rows.moments, rows.values, strict=True)):
        lines.writerow(change(at, [time(moment), *map(cell, values)]))
    return above + text.getvalue() + below


def lines_of(
    rows: Rows,
    *,
    header: Sequence[str],
    line: Callable[[datetime, str, float], Sequence[str]],
    separator: str = ",",
    extra: Iterable[Sequence[str]] = (),
) -> str:
    """A line a value."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=separator, lineterminator="\n")
    writer.writerow(header)
    for moment, values in zip(rows.moments, rows.values, strict=True):
        for name, value in zip(NAMES, values, strict=True):
            writer.writerow(line(moment, name, float(value)))
    writer.writerows(extra)
    return text.getvalue()


def german(moment: datetime) -> str:
    """`02.03.2026 07:00:00`, as clocks in Germany show."""
    return moment.astimezone(BERLIN).strftime("%d.%m.%Y %H:%M:%S")


def american(moment: datetime) -> str:
    """`3/2/2026 6:00:00 AM`."""
    hour = moment.strftime("%I:%M:%S %p").lstrip("0")
    return f"{moment.month}/{moment.day}/{moment.year} {hour}"


def serial(moment: datetime) -> str:
    """`46083.25`, as a spreadsheet counts days."""
    return f"{(moment - _SERIAL) / timedelta(days=1):.10f}"


def epoch(factor: int) -> Callable[[datetime], str]:
    """A number since 1970."""
    return lambda moment: str(int(moment.timestamp()) * factor)


def excel(rows: Rows) -> bytes:
    """Semicolons, decimal commas, a byte order mark."""
    header = ("Zeitstempel", *(f"{name} [{unit}]" for name, unit in zip(NAMES, UNITS, strict=True)))
    return wide(rows, time=german, cell=comma, separator=";", header=header).encode("utf-8-sig")


def wincc(rows: Rows) -> bytes:
    """A log of WinCC: a line a value, validity, days in millionths; the run-time's own lines between."""
    stopped = rows.moments[-1]
    extra = [("$RT_OFF$", german(stopped), "0", "2", serial(stopped)), ("$RT_COUNT$", "3600", "", "", "")]
    text = lines_of(
        rows,
        header=("VarName", "TimeString", "VarValue", "Validity", "Time_ms"),
        line=lambda moment, name, value: (name, german(moment), comma(value), "1", serial(moment)),
        separator=";",
        extra=extra,
    )
    return text.encode("cp1252")


def historian(rows: Rows) -> bytes:
    """`time, tag, value, quality` with codes of OPC; a bad one at row 100."""
    bad = rows.moments[100]
    return lines_of(
        rows,
        header=("Time", "Tag", "Value", "Quality"),
        line=lambda moment, name, value: (
            iso(moment),
            name,
            point(value),
            "0" if moment == bad and name == NAMES[0] else "192",
        ),
    ).encode()


def historian_own_times(rows: Rows) -> bytes:
    """Each tag with milliseconds of its own."""
    shift = {name: timedelta(milliseconds=120 * at) for at, name in enumerate(NAMES)}
    return lines_of(
        rows,
        header=("Timestamp", "TagName", "Value", "Status"),
        line=lambda moment, name, value: (
            (moment - shift[name]).strftime("%d-%b-%Y %H:%M:%S.%f")[:-3],
            name,
            point(value),
            "Good",
        ),
    ).encode()


def home_assistant_csv(rows: Rows) -> bytes:
    """A history as the page exports it; `unavailable` at row 100."""
    lost = rows.moments[100]
    return lines_of(
        rows,
        header=("entity_id", "state", "last_changed"),
        line=lambda moment, name, value: (
            f"sensor.{name}",
            "unavailable" if moment == lost and name == NAMES[0] else point(value),
            moment.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        ),
    ).encode()


def home_assistant_json(rows: Rows) -> bytes:
    """A history as its interface answers: a list a thing, the name in the first state alone."""
    things = []
    for at, name in enumerate(NAMES):
        states = [
            {"state": point(float(value)), "last_changed": moment.isoformat()}
            for moment, value in zip(rows.moments, rows.values[:, at], strict=True)
        ]
        things.append(
            [{"entity_id": f"sensor.{name}", "attributes": {"unit": UNITS[at]}, **states[0]}, *states[1:]]
        )
    return json.dumps(things).encode()


def grafana(rows: Rows) -> bytes:
    """A panel's data as joined series, shown with units."""
    text = wide(
        rows,
        time=lambda moment: moment.strftime("%Y-%m-%d %H:%M:%S"),
        header=("Time", *NAMES),
        change=lambda _at, row: [row[0], f"{row[1]} bar", *row[2:]],
    )
    return text.replace("\r\n", "\n").encode()


def grafana_series(rows: Rows) -> bytes:
    """A panel's data in the old form: a line a value."""
    text = lines_of(
        rows,
        header=("Series", "Time", "Value"),
        line=lambda moment, name, value: (name, moment.strftime("%Y-%m-%dT%H:%M:%S+00:00"), point(value)),
        separator=";",
    )
    return f"sep=;\n{text}".encode()


def influx(rows: Rows) -> bytes:
    """Annotated CSV of InfluxDB: a table a field."""
    parts = []
    start, stop = iso(rows.moments[0]), iso(rows.moments[-1])
    for at, name in enumerate(NAMES):
        head = "#datatype,string,long,dateTime:RFC3339,dateTime:RFC3339,dateTime:RFC3339,double,string,string\r\n"
        head += "#group,false,false,true,true,false,false,true,true\r\n#default,_result,,,,,,,\r\n"
        head += ",result,table,_start,_stop,_time,_value,_field,_measurement\r\n"
        parts.append(
            head
            + "".join(
                f",,{at},{start},{stop},{iso(moment)},{point(value)},{name},pump\r\n"
                for moment, value in zip(rows.moments, rows.values[:, at].tolist(), strict=True)
            )
        )
    return "\r\n".join(parts).encode()


def paired_times(rows: Rows) -> bytes:
    """Each tag with its times beside it."""
    header = [word for name in NAMES for word in ("Time", name)]
    return wide(
        rows,
        time=lambda moment: moment.strftime("%Y-%m-%d %H:%M:%S"),
        header=header,
        change=lambda _at, row: [word for value in row[1:] for word in (row[0], value)],
    ).encode()


def in_workbook(rows: Rows) -> bytes:
    """A title, names, units, days as a spreadsheet has them."""
    cells: list[list[str | float | datetime]] = [["Line 3, pump 2"], ["Time", *NAMES], ["", *UNITS]]
    cells += [[moment, *values] for moment, values in zip(rows.moments, rows.values.tolist(), strict=True)]
    return workbook([("Notes", [["exported by hand"]]), ("Data", cells)])


def parquet(rows: Rows, *, long: bool) -> bytes:
    """As data scientists keep it."""
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    times = pa.array(rows.times_ns, pa.timestamp("ns", "UTC"))
    table = {"time": times, **{name: rows.values[:, at] for at, name in enumerate(NAMES)}}
    if long:
        count = len(rows.values)
        table = {
            "ts": pa.concat_arrays([times] * len(NAMES)),
            "tag": pa.array([name for name in NAMES for _ in range(count)]).dictionary_encode(),
            "value": rows.values.T.ravel(),
        }
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(table), sink)
    return bytes(sink.getvalue().to_pybytes())


def zipped(name: str, raw: bytes) -> bytes:
    """An archive of one file."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, raw)
    return out.getvalue()


def repeated(rows: Rows) -> bytes:
    """One row stands twice."""
    text = wide(rows).splitlines(keepends=True)
    return "".join([*text[:401], text[400], *text[401:]]).encode()


def newest_first(rows: Rows, *, time: Callable[[datetime], str] = iso) -> bytes:
    """The latest row on top."""
    text = wide(rows, time=time).splitlines(keepends=True)
    return "".join([text[0], *reversed(text[1:])]).encode()


def odd_cells(rows: Rows, word: str) -> bytes:
    """A word in the place of three pressures."""
    return wide(
        rows, change=lambda at, row: [row[0], word, *row[2:]] if at in (100, 101, 300) else row
    ).encode()


def offset(hours: int) -> Callable[[datetime], str]:
    """ISO 8601 with an offset."""
    return lambda moment: moment.astimezone(timezone(timedelta(hours=hours))).isoformat()


def plain(moment: datetime) -> str:
    """`2026-03-02 06:00:00`."""
    return moment.strftime("%Y-%m-%d %H:%M:%S")
