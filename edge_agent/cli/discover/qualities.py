"""Where messages say how good their values are, and which rule reads it. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

QUALITIES = (
    "q", "qc", "quality", "Quality", "Quality_Code", "quality_code", "StatusCode", "statusCode", "status_code",
)  # fmt: skip
"""Keys that say nothing else."""
_BY_WORD = ("status", "Status", "valid", "Valid", "isValid", "isGood", "good", "Good", "ok", "validity")
"""Keys that say it where truth values, or words for good and bad, stand there."""
_WORDS = ("good", "bad", "uncertain", "ok")
_UA_FROM = 2**30
"""A status code of OPC UA that is not good is larger."""


def quality_key(items: Sequence[Mapping[str, Any]]) -> str:
    """The key beside values that says how good they are; "" where none does."""
    for key in QUALITIES:
        if any(key in item for item in items):
            return key
    for key in _BY_WORD:
        told = [item[key] for item in items if item.get(key) is not None]
        if told and all(isinstance(value, bool) or _is_word(value) for value in told):
            return key
    return ""


def _is_word(value: object) -> bool:
    return isinstance(value, str) and value.strip().lower().startswith(_WORDS)


def quality_rule(place: str, key: str, seen: Sequence[object]) -> dict[str, Any]:
    """The rule for what was seen beside values, as `[source.quality]` has it."""
    told = [value for value in seen if value is not None]
    numbers = {number for value in told if (number := _whole(value)) is not None}
    if key.lower().replace("_", "") == "statuscode" or any(isinstance(value, dict) for value in told):
        return {"place": place, "codes": "opc_ua"}
    if numbers and max(numbers) <= 3 and key == "qc":
        return {"place": place, "good": [3]}
    if numbers and (max(numbers) >= _UA_FROM or numbers == {0}):
        return {"place": place, "codes": "opc_ua"}
    if numbers and max(numbers) > 3:
        return {"place": place, "codes": "opc_da"}
    return {"place": place}


def _whole(value: object) -> int | None:
    """A whole number, also as text of digits or as `0x80340000`."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    text = str(value).strip().lower()
    try:
        return int(text, 16) if text.startswith("0x") else int(text)
    except ValueError:
        return None
