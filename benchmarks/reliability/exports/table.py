"""The forms, all of them: the table that the tests and `run` go through."""

import gzip

from benchmarks.reliability.exports import forms
from benchmarks.reliability.exports.forms import Form, wide
from benchmarks.reliability.exports.machine import NAMES, UNITS, Rows

_ENTITIES = tuple(f"sensor.{name}" for name in NAMES)
_IN_BRACKETS = tuple(f"{name} [{unit}]" for name, unit in zip(NAMES, UNITS, strict=True))
_BERLIN = ("--timezone", "Europe/Berlin")
_THREE = ((100, 0), (101, 0), (300, 0))


def _german(rows: Rows, *, encoding: str) -> bytes:
    header = ("Zeit", "Druck °C", *NAMES[1:])
    return wide(rows, time=forms.german, cell=forms.comma, separator=";", header=header).encode(encoding)


def _two_line_header(rows: Rows) -> bytes:
    above = "time,outlet of the pump,cooling water,main drive\r\n"
    return wide(rows, header=("", "Pressure", "Flow", "Speed"), above=above).encode()


def _double_names(rows: Rows) -> bytes:
    return wide(rows, header=("timestamp", "pressure", "flow", "flow")).encode()


def _summary(rows: Rows) -> bytes:
    below = "\r\nMinimum,4.5,27.1,1489.0\r\nMaximum,6.9,43.2,1501.0\r\nAverage,5.2,38.0,1495.0\r\n3 tags exported\r\n"
    return wide(rows, below=below).encode()


def _ragged(rows: Rows) -> bytes:
    return wide(rows, change=lambda at, row: [*row[:1], "", *row[2:3]] if at == 100 else row).encode()


TIDY = Form("tidy: ISO 8601 in UTC, commas, points", "tidy.csv", lambda rows: wide(rows).encode())
MUST: tuple[Form, ...] = (
    Form(
        "Excel in half of Europe: BOM, semicolons, decimal commas, dd.mm.yyyy",
        "excel.csv",
        forms.excel,
        _IN_BRACKETS,
        _BERLIN,
    ),
    Form("workbook: a title, a row of units, days of a spreadsheet", "export.xlsx", forms.in_workbook),
    Form("WinCC log: VarName, TimeString, VarValue, Validity", "wincc.csv", forms.wincc, options=_BERLIN),
    Form("historian: a line a value, quality by code", "historian.csv", forms.historian, gaps=((100, 0),)),
    Form(
        "historian: each tag with milliseconds of its own, dd-Mon-yyyy", "pi.csv", forms.historian_own_times
    ),
    Form("Home Assistant history, CSV", "history.csv", forms.home_assistant_csv, _ENTITIES, gaps=((100, 0),)),
    Form("Home Assistant history, JSON", "history.json", forms.home_assistant_json, _ENTITIES),
    Form("Grafana: joined series, shown with units", "grafana.csv", forms.grafana),
    Form("Grafana: a line a value", "grafana-series.csv", forms.grafana_series),
    Form("Parquet, a column a channel", "wide.parquet", lambda rows: forms.parquet(rows, long=False)),
    Form("Parquet, a line a value", "long.parquet", lambda rows: forms.parquet(rows, long=True)),
)
"""Those that plants send most."""
MORE: tuple[Form, ...] = (
    Form("InfluxDB, annotated", "influx.csv", forms.influx),
    Form("a column of times beside each tag", "pairs.csv", forms.paired_times),
    Form(
        "Windows-1252",
        "cp1252.csv",
        lambda rows: _german(rows, encoding="cp1252"),
        ("Druck °C", *NAMES[1:]),
        _BERLIN,
    ),
    Form(
        "UTF-16, as Excel saves Unicode text",
        "utf16.txt",
        lambda rows: _german(rows, encoding="utf-16"),
        ("Druck °C", *NAMES[1:]),
        _BERLIN,
    ),
    Form("tabs", "tabs.tsv", lambda rows: wide(rows, separator="\t").encode()),
    Form("bars", "bars.csv", lambda rows: wide(rows, separator="|").encode()),
    Form("dates of the USA with AM and PM", "usa.csv", lambda rows: wide(rows, time=forms.american).encode()),
    Form(
        "days of a spreadsheet",
        "serial.csv",
        lambda rows: wide(rows, time=forms.serial, header=("Date", *NAMES)).encode(),
    ),
    Form("seconds since 1970", "s.csv", lambda rows: wide(rows, time=forms.epoch(1)).encode()),
    Form("milliseconds since 1970", "ms.csv", lambda rows: wide(rows, time=forms.epoch(10**3)).encode()),
    Form("nanoseconds since 1970", "ns.csv", lambda rows: wide(rows, time=forms.epoch(10**9)).encode()),
    Form("ISO 8601 with an offset", "offset.csv", lambda rows: wide(rows, time=forms.offset(1)).encode()),
    Form(
        "zone in the column's name",
        "zone.csv",
        lambda rows: wide(
            rows, time=lambda m: forms.plain(m.astimezone(forms.BERLIN)), header=("Time (UTC+1)", *NAMES)
        ).encode(),
    ),
    Form(
        "date and hour in two columns",
        "two.csv",
        lambda rows: wide(
            rows,
            header=("Date", "Time", *NAMES),
            change=lambda _at, row: [*row[0].removesuffix("Z").split("T"), *row[1:]],
        ).encode(),
    ),
    Form(
        "a header of two lines",
        "two-lines.csv",
        _two_line_header,
        ("outlet of the pump", "cooling water", "main drive"),
    ),
    Form(
        "thousands parted by commas, quoted",
        "thousands.csv",
        lambda rows: wide(rows, cell=forms.grouped).encode(),
    ),
    Form(
        "-9999 where there is no value",
        "sentinel.csv",
        lambda rows: forms.odd_cells(rows, "-9999"),
        gaps=_THREE,
    ),
    Form("Bad where there is no value", "bad.csv", lambda rows: forms.odd_cells(rows, "Bad"), gaps=_THREE),
    Form("#N/A where there is no value", "na.csv", lambda rows: forms.odd_cells(rows, "#N/A"), gaps=_THREE),
    Form(
        "a text column of states",
        "states.csv",
        lambda rows: wide(
            rows,
            header=("timestamp", "recipe", *NAMES),
            change=lambda at, row: [row[0], "A" if at < 500 else "B", *row[1:]],
        ).encode(),
    ),
    Form("summary below the rows", "summary.csv", _summary),
    Form("two columns of one name", "double.csv", _double_names, ("pressure", "flow", "flow (2)")),
    Form("rows with cells missing", "ragged.csv", _ragged, gaps=((100, 0), (100, 2))),
    Form(
        "comments above, the header among them",
        "comments.csv",
        lambda rows: (
            "# exported by hand\n# timestamp,pressure,flow,speed\n" + wide(rows, header=())
        ).encode(),
    ),
    Form(
        "no header",
        "bare.csv",
        lambda rows: wide(rows, header=()).encode(),
        ("column 2", "column 3", "column 4"),
    ),
    Form("gzip", "packed.csv.gz", lambda rows: gzip.compress(wide(rows).encode())),
    Form("zip of one file", "packed.zip", lambda rows: forms.zipped("export.csv", wide(rows).encode())),
    Form(
        "rows of JSON, one a line",
        "rows.jsonl",
        lambda rows: "".join(
            f'{{"ts": "{forms.iso(m)}", "values": {{"pressure": {p}, "flow": {f}, "speed": {s}}}}}\n'
            for m, (p, f, s) in zip(rows.moments, rows.values.tolist(), strict=True)
        ).encode(),
    ),
    Form("one row twice", "repeated.csv", forms.repeated),
    Form("newest first", "newest-first.csv", forms.newest_first),
)
"""Their kin."""
FORMS: tuple[Form, ...] = (TIDY, *MUST, *MORE)
