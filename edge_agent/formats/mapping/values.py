"""How a source writes numbers: decimal sign, units, words, and what says that there is no value. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import MaxLen

from edge_agent.records import RejectReason

Decimal = Literal["plain", ".", ",", "auto"]
LARGEST = 3.4028234663852886e38
"""The largest float32: a value beyond it is finite here and infinite in the model."""
WORDS: Mapping[str, float] = {
    **dict.fromkeys(("true", "on", "open", "run", "running", "yes"), 1.0),
    **dict.fromkeys(("false", "off", "closed", "stop", "stopped", "no"), 0.0),
}
"""Words that everybody uses for two states."""
NO_VALUE = frozenset({
    "", "null", "none", "nil", "nan", "na", "n/a", "#n/a", "unavailable", "unknown", "undefined",
    "-", "--", "---", "----",
})  # fmt: skip
"""Words that say that there is no value."""
_LONGEST_CHARS = 64
"""No number needs more; `float` would take quadratic time on long digits."""
_PLAIN = re.compile(r"[+-]?(?:\d{1,40}\.?\d{0,40}|\.\d{1,40})(?:[eE][+-]?\d{1,5})?", re.ASCII)
_POINT = re.compile(r"[+-]?[1-9]\d{0,2}(?:[, '\u00a0\u202f]\d{3})+(?:\.\d{0,40})?", re.ASCII)
_COMMA = re.compile(
    r"[+-]?(?:\d{1,40}|[1-9]\d{0,2}(?:[. '\u00a0\u202f]\d{3})+)(?:,\d{0,40})?(?:[eE][+-]?\d{1,5})?", re.ASCII
)
_EITHER = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}", re.ASCII)
_UNIT = re.compile(
    r"(?P<number>[+-]?[\d.,](?:[\d.,' \u00a0\u202f]*[\d.,])?(?:[eE][+-]?\d+)?)\s*"
    r"(?P<unit>(?:[^\W\d_]|[°%µΩ])(?:[^\W\d_]|[°%µΩ/·*^²³.\-]|[23](?!\d)){0,11})"
)
_GROUPS = str.maketrans("", "", " '\u00a0\u202f")


@dataclass(frozen=True, slots=True)
class ValueRule:
    """How a source's values are written: the section `[source.value]`, with its defaults and bounds.

    Attributes:
        text: whether text that is a number, or one of the words, counts as one.
        decimal: sign before the fraction: `plain` takes a point and no other sign in the number, "." and "," take
            the other one between groups of three, `auto` tells them apart where that is possible.
        strip_unit: whether a unit behind a number is left out.
        words: what further words stand for.
        nothing: words and numbers that say that there is no value, beside those that everybody uses.
    """

    text: bool = True
    decimal: Decimal = "plain"
    strip_unit: bool = False
    words: Annotated[Mapping[str, float], MaxLen(1000)] = field(default_factory=dict)
    nothing: Annotated[tuple[float | str, ...], MaxLen(1000)] = ()

    def __post_init__(self) -> None:
        """Refuse words that say two things.

        Raises:
            ValueError: says which.
        """
        both = {word.lower() for word in self.words} & {str(word).lower() for word in self.nothing}
        if both:
            raise ValueError(f"'{min(both)}' stands among words and in nothing")


class ValueReader:
    """Reads values by one rule."""

    def __init__(self, rule: ValueRule) -> None:
        self.rule = rule
        self._words = {**WORDS, **{word.strip().lower(): number for word, number in rule.words.items()}}
        self._nothing = NO_VALUE | {word.strip().lower() for word in rule.nothing if isinstance(word, str)}
        self.sentinels = frozenset(float(number) for number in rule.nothing if not isinstance(number, str))
        """Numbers that say that there is no value."""
        self.as_python = not self.sentinels and rule.decimal != "," and not rule.words
        """Whether text that Python takes for a number is that number."""

    def read(self, value: object) -> float | RejectReason | None:
        """A value as a number that float32 can hold; None says that there is none, a reason why it is none."""
        if isinstance(value, bool | int | float):
            try:
                result = float(value)
            except OverflowError:
                return "not_finite"
            if not abs(result) <= LARGEST:
                return "not_finite"
            return None if result in self.sentinels else result
        if isinstance(value, str) and self.rule.text:
            return self._read_text(value)
        return "wrong_type"

    def read_text(self, text: str) -> float | RejectReason | None:
        """The same of a text that is meant as a value, whatever the rule says of other text."""
        found = self._read_text(text)
        return "not_a_number" if found == "wrong_type" else found

    def _read_text(self, text: str) -> float | RejectReason | None:
        short = text.strip()
        if len(short) > _LONGEST_CHARS:
            return "wrong_type"
        word = short.lower()
        known = self._words.get(word)
        if known is None:
            if word in self._nothing:
                return None
            known = _number(short, self.rule)
        if known is None:
            if word.lstrip("+-") in {"inf", "infinity"}:
                return "not_finite"
            return "not_a_number" if hint(short) or _PLAIN.fullmatch(short) else "wrong_type"
        if not abs(known) <= LARGEST:
            return "not_finite"
        return None if known in self.sentinels else known


def _number(text: str, rule: ValueRule) -> float | None:
    found = by_sign(text, rule.decimal)
    if found is None and rule.strip_unit and (parts := _UNIT.fullmatch(text)) is not None:
        return by_sign(parts["number"].strip(), rule.decimal)
    return found


def by_sign(text: str, decimal: Decimal) -> float | None:
    """A number with this decimal sign; None where it is none, or could be two."""
    if decimal != "," and _PLAIN.fullmatch(text):
        return float(text)
    if (
        decimal in (".", "auto")
        and _POINT.fullmatch(text)
        and not (decimal == "auto" and _EITHER.fullmatch(text))
    ):
        return float(text.translate(_GROUPS).replace(",", ""))
    if (
        decimal in (",", "auto")
        and _COMMA.fullmatch(text)
        and not (decimal == "auto" and _EITHER.fullmatch(text))
    ):
        return float(text.translate(_GROUPS).replace(".", "").replace(",", "."))
    return None


def hint(text: str) -> str:
    """What a text that was not read looks like, and what to write for it; "" for one that is no number at all."""
    short = text.strip()
    if len(short) > _LONGEST_CHARS:
        return ""
    parts = _UNIT.fullmatch(short)
    unit = parts is not None
    number = parts["number"].strip() if parts is not None else short
    if by_sign(number, ".") is None and by_sign(number, ",") is None:
        return ""
    said: list[str] = []
    settings: list[str] = []
    if _PLAIN.fullmatch(number) is None:
        sign = "," if by_sign(number, ".") is None else "."
        said.append("a decimal comma" if sign == "," else "commas between its thousands")
        if _EITHER.fullmatch(number):
            said = ["a comma that is a decimal sign or stands between thousands"]
            sign = "auto"
        settings.append(f'decimal = "{sign}"' if sign != "auto" else 'decimal = "," or "."')
    if unit:
        said.append("a unit")
        settings.append("strip_unit = true")
    if not said:
        return ""
    return f"looks like a number with {' and '.join(said)}: [source.value] {', '.join(settings)}"
