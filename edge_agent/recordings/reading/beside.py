"""Columns that judge another one: `P_Quality` of `P`, `Flow (Quality)` of `Flow (Value)`. Reads no file."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.recordings.reading.long_form import good_cells

_SURE = ("quality", "qual", "qualität", "qualitaet", "calidad", "qualité", "validity", "güte")
_MAYBE = ("status", "statuscode", "status code", "state", "q", "qc", "valid")
"""Words that may as well be a channel's: what their cells say decides."""
_VALUE = ("value", "val", "wert", "messwert", "valor", "valeur", "pv")
_NAME = re.compile(
    rf"(.*?)(?:[\s_.:/-]+|[\s_.:/-]*[(\[])({'|'.join((*_SURE, *_MAYBE))})\s*[)\]]?", re.IGNORECASE
)
_ALONE = re.compile(rf"(?:{'|'.join(_SURE)})(?:\s*\(\d+\))?", re.IGNORECASE)
_JUDGED = re.compile(r"(?:good|bad|uncertain|gut|schlecht|bueno|malo)\b.*", re.IGNORECASE)
_OPC_GOOD = range(192, 256)
_OPC_UA = 2**30


def without_bad(columns: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    """The columns without those of qualities; values that these call bad are gaps, which is noted.

    Args:
        columns: lists of text, or arrays.
        notes: goes on.
    """
    pairs = _by_name(columns) or _by_place(columns)
    found = {name: cells for name, cells in columns.items() if name not in pairs}
    bad = 0
    assumed: dict[str, None] = {}
    for quality, value in pairs.items():
        good, said = good_cells(columns[quality])
        told = _are_told(found[value])
        bad += int((~good & told).sum())
        assumed |= {said: None} if said else {}
        found[value] = _masked(found[value], good)
    if pairs:
        shown = ", ".join([*pairs][:3]) + (", …" if len(pairs) > 3 else "")
        notes.append(f"{bad} values that are of bad quality are gaps (columns {shown})")
        notes += assumed
    return found


def _by_name(columns: Mapping[str, Any]) -> dict[str, str]:
    """Column of qualities -> the column of values that it is called after."""
    plain = {_plain(name): name for name in reversed(list(columns))}
    pairs: dict[str, str] = {}
    for name, cells in columns.items():
        if (found := _NAME.fullmatch(name.strip())) is None:
            continue
        base = _plain(found[1])
        whose = [base, *(f"{base} {word}" for word in _VALUE)]
        value = next((plain[one] for one in whose if one in plain and plain[one] != name), "")
        if value and (found[2].lower() in _SURE or _judges(cells)) and _is_short(cells):
            pairs[name] = value
    return {name: value for name, value in pairs.items() if value not in pairs}


def _by_place(columns: Mapping[str, Any]) -> dict[str, str]:
    """Of several columns that are called `Quality` each the one before it."""
    names = list(columns)
    alone = [name for name in names[1:] if _ALONE.fullmatch(name.strip())]
    if len(alone) < 2:
        return {}
    pairs = {name: names[names.index(name) - 1] for name in alone}
    return (
        pairs
        if not set(pairs) & set(pairs.values()) and all(_is_short(columns[one]) for one in alone)
        else {}
    )


def _plain(name: str) -> str:
    """Without units in brackets, in lower case, words parted by single blanks."""
    short = re.sub(r"[\s_.:/-]+", " ", name.lower()).strip()
    if (found := re.fullmatch(rf"(.*?)\s*[(\[]\s*({'|'.join(_VALUE)})\s*[)\]]", short)) is not None:
        return f"{found[1]} {found[2]}"
    return re.sub(r"\s*[(\[{][^)\]}]*[)\]}]\s*$", "", short) or short


def _is_short(cells: Any) -> bool:
    """Whether there are few different cells, as there are of qualities."""
    return len({str(cell) for cell in cells}) <= 12


def _judges(cells: Any) -> bool:
    """Whether cells are words or codes of quality, beyond doubt."""
    told = {str(cell).strip() for cell in cells} - {""}
    if not told:
        return False
    if all(_JUDGED.fullmatch(one) for one in told):
        return True
    if not all(one.isdigit() for one in told):
        return False
    codes = {int(one) for one in told}
    return (bool(codes & set(_OPC_GOOD)) and max(codes) < 256) or (max(codes) >= _OPC_UA and 0 in codes)


def _are_told(cells: Any) -> Any:
    if isinstance(cells, np.ndarray):
        return (
            ~np.isnan(cells.astype(np.float64))
            if cells.dtype.kind in "fiub"
            else np.ones(len(cells), np.bool_)
        )
    return np.array([bool(cell) for cell in cells], np.bool_)


def _masked(cells: Any, good: NDArray[np.bool_]) -> Any:
    if isinstance(cells, np.ndarray):
        return np.where(good, cells.astype(np.float64), np.nan) if cells.dtype.kind in "fiub" else cells
    return [cell if fine else "" for cell, fine in zip(cells, good, strict=True)]
