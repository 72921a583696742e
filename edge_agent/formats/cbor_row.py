"""The `cbor` format: the message of the `json` format in CBOR, `{"ts": time, "values": {"channel": number}}`.

A block may give its times and numbers as lists or as typed arrays (RFC 8746), which are a quarter of the size and
need no work for each number. In a typed array NaN says that a cell is missing, for want of a null.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from edge_agent.formats.items import read_cbor
from edge_agent.formats.origin import Origin, event_time_ns
from edge_agent.formats.samples import Samples
from edge_agent.formats.wire_format import WireFormat
from edge_agent.records import Frame, Reject, RejectReason
from edge_agent.topics import is_name

_LIMIT = float(np.finfo(np.float32).max)


def decode(payload: bytes, origin: Origin) -> Frame | Reject:
    """A frame of one row or of a block's R rows; what is turned away, and why, is as in the `json` format."""
    message = read_cbor(payload, text_keys=True)
    if isinstance(message, Reject):
        return message
    if not isinstance(message, Mapping):
        return Reject("wrong_type", f"a map was expected, not {type(message).__name__}")
    values = message.get("values")
    if not isinstance(values, Mapping):
        return Reject("wrong_type", "'values' is not a map")
    named = {name if isinstance(name, str) else "": value for name, value in values.items()}
    stamp = message.get("ts")
    if isinstance(stamp, list | np.ndarray):
        return _block(stamp, named, origin)
    samples = Samples(origin)
    time = None if stamp is None else event_time_ns(stamp, origin)
    if isinstance(time, Reject):
        return time
    for name, value in named.items():
        samples.add(name, value, time=time)
    return samples.frame()


def _block(
    stamps: list[object] | NDArray[np.generic], values: Mapping[str, object], origin: Origin
) -> Frame | Reject:
    times_ns: list[int] = []
    for stamp in stamps.tolist() if isinstance(stamps, np.ndarray) else stamps:
        time_ns = event_time_ns(stamp, origin)
        if isinstance(time_ns, Reject):
            return time_ns
        times_ns.append(time_ns)
    columns: dict[str, NDArray[np.float32]] = {}
    bad: list[tuple[str, RejectReason]] = []
    for name, cells in values.items():
        if not is_name(name):
            bad.append((name, "unknown_channel"))
        elif not isinstance(cells, list | np.ndarray) or len(cells) != len(times_ns):
            bad.append((name, "wrong_type"))
        else:
            column, faults = _typed(cells) if isinstance(cells, np.ndarray) else _listed(cells, origin)
            bad.extend((name, reason) for reason in faults)
            if not np.isnan(column).all():
                columns[name] = column
    if not columns:
        name, reason = bad[0] if bad else ("", "no_values")
        return Reject(reason, f"channel {name[:40]!r}, and no good value beside it" if bad else "")
    return Frame(
        machine=origin.machine,
        channels=tuple(columns),
        times_ns=tuple(times_ns),
        rows=np.stack(list(columns.values()), axis=1),  # R C
        bad_values=tuple(bad),
    )


def _typed(cells: NDArray[np.generic]) -> tuple[NDArray[np.float32], list[RejectReason]]:
    """A typed array's column, NaN for what is missing or turned away, and the reason for each of the latter."""
    wide = cells.astype(np.float64)
    beyond = np.abs(wide) > _LIMIT
    wide[beyond] = math.nan
    return wide.astype(np.float32), ["not_finite"] * int(beyond.sum())


def _listed(cells: Sequence[object], origin: Origin) -> tuple[NDArray[np.float32], list[RejectReason]]:
    """The same of a list; null says that a cell is missing."""
    column = np.full(len(cells), math.nan, np.float32)
    faults: list[RejectReason] = []
    for at, cell in enumerate(cells):
        checked = None if cell is None else origin.reading.values.read(cell)
        if isinstance(checked, float):
            column[at] = checked
        elif checked is not None:
            faults.append(checked)
    return column, faults


def _document(payload: bytes) -> object:
    return read_cbor(payload, text_keys=True)


FORMAT = WireFormat.plain("cbor", decode, document=_document)
