"""Alarms of one machine that people have named, and their bytes: what naming learns from. Learns nothing itself.

The windows are kept as they were measured, so that they outlive the machine's memory and the model. The bytes are such
that every agent since the first reads them: those knew no times of a case, which therefore stand in an array of their
own; for some releases they stood in the header, which older agents refuse, and are read from there, too.
"""

from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from edge_agent.errors import BundleError, NewerError
from edge_agent.model.arrays import decode_arrays, encode_arrays
from edge_agent.records import Float32

_HEADER = "__header__"
_TIMES = "times"
"""[cases, 2], of each case its first and last window."""
_SCHEMA_VERSION = 1
_NO_LIBRARY = (LookupError, ValueError, TypeError, OverflowError, msgspec.MsgspecError)
"""What bytes bring about that are something else."""


@dataclass(frozen=True, slots=True)
class Case:
    """One named alarm.

    Attributes:
        alarm: id of the alarm.
        fault: what it was, in the words of whoever named it.
        channels: C names.
        windows: [W, C, T] in physical units, NaN where nothing was observed, in the order of time.
        start_ns, end_ns: event times of the alarm's first and last window; 0 where they were not noted.
    """

    alarm: str
    fault: str
    channels: tuple[str, ...]
    windows: Float32
    start_ns: int = 0
    end_ns: int = 0


@dataclass(frozen=True, slots=True)
class FaultLibrary:
    """One machine's named alarms, oldest first."""

    machine: str
    cases: tuple[Case, ...] = ()

    @property
    def faults(self) -> tuple[str, ...]:
        """The different names, sorted."""
        return tuple(sorted({case.fault for case in self.cases}))


class _CaseHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    alarm: str
    fault: str
    channels: tuple[str, ...]
    start_ns: int = 0
    end_ns: int = 0


class _LibraryHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    schema_version: int
    machine: str
    cases: tuple[_CaseHeader, ...]


class _LibraryVersion(msgspec.Struct, frozen=True):
    """What every version's header says, whatever else is in it."""

    schema_version: int


def encode(library: FaultLibrary) -> bytes:
    """The library as npz bytes."""
    header = _LibraryHeader(
        schema_version=_SCHEMA_VERSION,
        machine=library.machine,
        cases=tuple(_CaseHeader(case.alarm, case.fault, case.channels) for case in library.cases),
    )
    text = np.frombuffer(msgspec.json.encode(header), np.uint8)
    times = np.array([(case.start_ns, case.end_ns) for case in library.cases], np.int64).reshape(-1, 2)
    windows = {str(number): case.windows for number, case in enumerate(library.cases)}
    return encode_arrays({_HEADER: text, _TIMES: times, **windows})


def decode(path: Path, raw: bytes) -> FaultLibrary:
    """The library in `raw`; `path` only names it in errors.

    Raises:
        NewerError: it is of a schema version that is to come.
        BundleError: truncated, altered or of a schema version that is no longer read.
    """
    arrays = decode_arrays(path, raw)
    try:
        text = arrays.pop(_HEADER).tobytes()
        if (version := msgspec.json.decode(text, type=_LibraryVersion).schema_version) > _SCHEMA_VERSION:
            raise NewerError(
                path, f"schema version {version} of named alarms, this agent has {_SCHEMA_VERSION}"
            )
        header = msgspec.json.decode(text, type=_LibraryHeader)
        noted = [(case.start_ns, case.end_ns) for case in header.cases]
        times = arrays.get(_TIMES, np.array(noted, np.int64)).astype(np.int64, casting="safe").reshape(-1, 2)
        cases = tuple(
            Case(
                case.alarm,
                case.fault,
                case.channels,
                arrays[str(number)].astype(np.float32, copy=False),
                int(times[number, 0]),
                int(times[number, 1]),
            )
            for number, case in enumerate(header.cases)
        )
    except _NO_LIBRARY as error:
        raise BundleError(path, f"no named alarms: {error}") from error
    if header.schema_version != _SCHEMA_VERSION:
        raise BundleError(
            path, f"schema version {header.schema_version} of named alarms, this agent has {_SCHEMA_VERSION}"
        )
    for case in cases:
        if case.windows.ndim != 3 or case.windows.shape[1] != len(case.channels) or not case.windows.size:
            raise BundleError(path, f"the windows of alarm {case.alarm} have the shape {case.windows.shape}")
    return FaultLibrary(header.machine, cases)
