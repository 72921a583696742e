"""Several machines in one table, a column telling whose row it is: to a line a value, so that they stay apart.

Reads no file.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edge_agent.recordings.reading.long_form import OWNERS, LongForm
from edge_agent.recordings.reading.times import plain_name

_NAMES = (
    *OWNERS, "machineid", "machinename", "unit", "unitid", "asset_id", "assetid", "maschine", "anlage", "gerät",
    "geraet", "gerätename", "robot", "pump", "sensorname", "serial", "serialnumber", "设备", "设备名称", "机器", "設備",
)  # fmt: skip
_MOST = 500
_SHARED = 0.7
"""Of several machines heard at the same times, a time stands in several rows: so many times a row at the most."""
_ALONE = 0.99
"""A time and an owner together stand in one row, but for few."""


def owner_column(columns: Mapping[str, Any], times: Any, *, besides: Sequence[str]) -> str:
    """The column that says whose row it is, where the rows are of two or more; "" where they are of one.

    It is called like one, or is text that alone tells rows of the same time apart.

    Args:
        columns: lists of text, or arrays, of one length.
        times: the cells of the times.
        besides: columns that are none.
    """
    stamps = [*map(str, times)]
    shared = len(set(stamps)) <= _SHARED * len(stamps)
    for name, cells in columns.items():
        if name in besides or (isinstance(cells, np.ndarray) and cells.dtype.kind not in "iuOUS"):
            continue
        told = [*map(str, cells)]
        kinds = set(told) - {""}
        if not 2 <= len(kinds) <= _MOST or 2 * len(kinds) > len(told):
            continue
        called = plain_name(name) in _NAMES
        text = not all(_is_number(kind) for kind in kinds)
        apart = shared and len({*zip(stamps, told, strict=True)}) >= _ALONE * len(stamps)
        if (apart and (text or called)) or (called and text):
            return name
    return ""


def _is_number(cell: str) -> bool:
    try:
        float(cell.replace(",", "."))
    except ValueError:
        return False
    return True


def as_lines(
    columns: Mapping[str, Any], owner: str, times: Any, *, besides: Sequence[str]
) -> tuple[dict[str, Any], LongForm, Any]:
    """(columns of a line a value, which they are, their times) of rows that are of several owners."""
    names = [name for name in columns if name not in (*besides, owner)]
    owners = [*map(str, columns[owner])]
    tags = [f"{whose}/{name}" if whose else "" for name in names for whose in owners]
    if all(isinstance(columns[name], np.ndarray) and columns[name].dtype.kind in "fiub" for name in names):
        values: Any = np.concatenate([columns[name].astype(np.float32) for name in names])
    else:
        values = [str(cell) for name in names for cell in columns[name]]
    moments = np.tile(times, len(names)) if isinstance(times, np.ndarray) else [*times] * len(names)
    return {owner: tags, "value": values}, LongForm(owner, "value", ""), moments
