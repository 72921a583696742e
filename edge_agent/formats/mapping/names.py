"""Names put together from topic levels and from places in the payload: `{site}.{/deviceInfo/deviceName}`. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edge_agent.formats.mapping.pointer import ABSENT, Pointer, at, parse_pointer
from edge_agent.topics import is_name

_HOLE = re.compile(r"\{([a-z_]+|/[^{}]*)\}")
_SYNTAX = str.maketrans({"/": ".", "+": "_", "#": "_"})


def has_places(text: str) -> bool:
    """Whether a name's pattern takes something out of the payload."""
    return any(hole.startswith("/") for hole in _HOLE.findall(text))


@dataclass(frozen=True, slots=True)
class NameTemplate:
    """A name's pattern, checked by `parse_template`.

    Attributes:
        text: as it was written. parts: literal text, and holes at the odd places. pointers: of the holes by their text.
    """

    text: str
    parts: tuple[str, ...]
    pointers: Mapping[str, Pointer]

    @property
    def words(self) -> frozenset[str]:
        """The holes that are no places in the payload."""
        return frozenset(self.parts[1::2]) - self.pointers.keys()

    def fill(self, words: Mapping[str, str], documents: Sequence[object]) -> str | None:
        """The name; None where a hole has nothing to stand for.

        Args:
            words: what topic levels and keys stand for.
            documents: where places are looked for, in this order.
        """
        told: list[str] = []
        for at_part, part in enumerate(self.parts):
            text: str | None = part
            if at_part % 2:
                pointer = self.pointers.get(part)
                text = words.get(part) if pointer is None else _text(pointer, documents)
            if text is None:
                return None
            told.append(text)
        return "".join(told)


def _text(pointer: Pointer, documents: Sequence[object]) -> str | None:
    for document in documents:
        found = at(document, pointer)
        if found is ABSENT or isinstance(found, bool) or not isinstance(found, str | int) or found == "":
            continue
        if isinstance(found, int) and abs(found) > 2**63:
            continue
        return str(found).strip().translate(_SYNTAX)
    return None


def parse_template(text: str) -> NameTemplate:
    """Read a pattern.

    Raises:
        ValueError: what stands around the holes cannot be part of a name, or a place is no JSON pointer.
    """
    parts = tuple(_HOLE.split(text))
    around = "".join(parts[::2])
    if not text or set("{}") & set(around) or (around and not is_name(around)):
        raise ValueError(f"'{text}' gives no name: printable, without / + #, holes as {{word}} or {{/place}}")
    pointers = {hole: parse_pointer(hole) for hole in parts[1::2] if hole.startswith("/")}
    return NameTemplate(text, parts, pointers)
