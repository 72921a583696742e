"""Counters and gauges in Prometheus' text form, line for line as its own client writes them.

The client builds an object a sample and escapes each name anew, at every scrape; a test holds its page beside this one.
"""

from collections.abc import Iterable, Sequence

from prometheus_client.utils import floatToGoString

from edge_agent.metrics.collectors import Samples
from edge_agent.metrics.series import Series

_PLAIN_FROM, _PLAIN_TO = float("-inf"), 1e6
"""Between these the client writes a number as Python does."""
_ESCAPED = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


def text_of(table: Sequence[Series], samples: Samples) -> str:
    """The page's part of all series of the table but the histograms."""
    lines: list[str] = []
    known: dict[str, dict[str, str]] = {}
    for series in table:
        if series.kind == "histogram":
            continue
        kind = "counter" if series.kind == "counter" else "gauge"
        words = series.help.replace("\\", r"\\").replace("\n", r"\n")
        lines.append(f"# HELP {series.name} {words}\n# TYPE {series.name} {kind}\n")
        lines += _lines(series, samples.get(series.name, ()), known)
    return "".join(lines)


def _lines(
    series: Series, samples: Iterable[tuple[tuple[str, ...], float]], known: dict[str, dict[str, str]]
) -> Iterable[str]:
    """`known`: of each label its values as they are written; the machines' come again in every series."""
    name, labels = series.name, series.labels
    if not labels:
        return [f"{name} {_number(value)}\n" for _, value in samples]
    if len(labels) > 1:
        order = sorted(range(len(labels)), key=labels.__getitem__)
        return [
            f"{name}{{{','.join(_label(labels[at], told[at]) for at in order)}}} {_number(value)}\n"
            for told, value in samples
        ]
    lines, written = [], known.setdefault(labels[0], {})
    for (label,), value in samples:
        if label not in written:
            written[label] = f"{{{_label(labels[0], label)}}}"
        told = float(value)
        plain = repr(told) if _PLAIN_FROM < told < _PLAIN_TO else _number(told)
        lines.append(f"{name}{written[label]} {plain}\n")
    return lines


def _label(name: str, value: str) -> str:
    return f'{name}="{value.translate(_ESCAPED)}"'


def _number(value: float) -> str:
    told = float(value)
    return repr(told) if _PLAIN_FROM < told < _PLAIN_TO else str(floatToGoString(told))  # type: ignore[no-untyped-call]
