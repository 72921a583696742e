"""Whether a source vouches for a value: good and bad by value, by list or by the status codes of OPC. Pure."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import MaxLen

from edge_agent.formats.mapping.pointer import parse_key

Codes = Literal["none", "opc_da", "opc_ua"]
_GOOD_WORDS = frozenset({"true", "good", "ok", "valid", "1"})
_OPC_DA_GOOD = 192
_OPC_UA_BITS = 30


@dataclass(frozen=True, slots=True)
class QualityRule:
    """Where a message says how good its values are, and what is good: the section `[source.quality]`.

    Attributes:
        place: a key beside the value, or a JSON pointer; looked for beside the value, then in its sample, then in the
            message.
        codes: `opc_da`: 192 to 255 is good (the two upper bits of a byte); `opc_ua`: the two upper bits of 32 are 0;
            `none`: what `good` and `bad` say.
        good: what is good; everything else is bad. Where it is empty, what `bad` does not name is good.
        bad: what is bad. With neither, true, "good", "ok" and 1 are good.
        absent: what a value is that has none.
    """

    place: str
    codes: Codes = "none"
    good: Annotated[tuple[bool | float | str, ...], MaxLen(1000)] = ()
    bad: Annotated[tuple[bool | float | str, ...], MaxLen(1000)] = ()
    absent: Literal["good", "bad"] = "good"

    def __post_init__(self) -> None:
        """Refuse what says two things.

        Raises:
            ValueError: says which.
        """
        if not self.place:
            raise ValueError("place: names a key beside the value, or a JSON pointer")
        parse_key(self.place)
        if self.codes != "none" and (self.good or self.bad):
            raise ValueError("codes says what is good: no good, no bad beside it")


class QualityReader:
    """Judges by one rule."""

    def __init__(self, rule: QualityRule) -> None:
        self.pointer = parse_key(rule.place)
        self.rule = rule
        self._good = frozenset(map(_spelt, rule.good))
        self._bad = frozenset(map(_spelt, rule.bad))

    def is_good(self, quality: object) -> bool:
        """Whether a value of this quality counts; None is one that has none."""
        if quality is None:
            return self.rule.absent == "good"
        if self.rule.codes != "none":
            return _good_code(quality, self.rule.codes)
        spelt = _spelt(quality)
        if spelt in self._bad:
            return False
        if self._good:
            return spelt in self._good
        return bool(self._bad) or spelt in _GOOD_WORDS


def _good_code(quality: object, codes: Codes) -> bool:
    if isinstance(quality, dict):  # OPC UA's JSON: {"Code": 0, "Symbol": "Good"}
        quality = quality.get("Code", quality.get("code", 0))
    if isinstance(quality, str) and quality.strip().lower().startswith(("good", "bad", "uncertain")):
        return quality.strip().lower().startswith("good")
    try:
        if isinstance(quality, str):
            code = int(quality.strip()[:20], 0)
        elif isinstance(quality, int | float):
            code = int(quality)
        else:
            return False
    except (ValueError, OverflowError):
        return False
    if codes == "opc_da":
        return bool(code & 0xC0 == _OPC_DA_GOOD)
    return bool((code & 0xFFFFFFFF) >> _OPC_UA_BITS == 0)


def _spelt(value: object) -> str:
    """`192`, `192.0` and `"192"` are one; so are true and `"True"`."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(value)[:120].strip().lower()
