"""JSON pointers (RFC 6901), and places: pointers in which `*` and `{word}` stand for every key or item of a level."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

Pointer = tuple[str, ...]
ABSENT = object()
"""What stands at a place where nothing stands."""
_HOLE = re.compile(r"\{([a-z_]+)\}")
_NOTHING_BOUND: Mapping[str, str] = {}


def parse_pointer(text: str) -> Pointer:
    """The keys of a JSON pointer.

    Raises:
        ValueError: it does not begin with a slash, or a tilde stands without 0 or 1.
    """
    if text and not text.startswith("/"):
        raise ValueError(f"'{text}' is no JSON pointer: it begins with '/'")
    if "~" in text.replace("~0", "").replace("~1", ""):
        raise ValueError(f"'{text}' is no JSON pointer: '~' is written '~0'")
    return tuple(key.replace("~1", "/").replace("~0", "~") for key in text.split("/")[1:])


def parse_key(text: str) -> Pointer:
    """A key of an object, or, where it begins with a slash, a pointer; "" is nowhere."""
    return parse_pointer(text) if text.startswith("/") else ((text,) if text else ())


def escaped(key: str) -> str:
    """A key as it is written in a pointer."""
    return key.replace("~", "~0").replace("/", "~1")


def at(item: object, pointer: Pointer) -> object:
    """What stands at a place, or `ABSENT`."""
    for key in pointer:
        if isinstance(item, dict):
            item = item.get(key, ABSENT)
        elif isinstance(item, list) and key.isascii() and key.isdigit() and len(key) < 10:
            item = item[int(key)] if int(key) < len(item) else ABSENT
        else:
            return ABSENT
    return item


@dataclass(frozen=True, slots=True)
class OpenPointer:
    """A pointer with holes, checked by `parse_place`.

    Attributes:
        keys: of each level; None where every key or item counts.
        words: of each level, what the key is remembered under; None where it is not.
    """

    text: str
    keys: tuple[str | None, ...]
    words: tuple[str | None, ...]

    @property
    def plain(self) -> Pointer | None:
        """The same as a pointer; None where it has holes."""
        keys = tuple(key for key in self.keys if key is not None)
        return keys if len(keys) == len(self.keys) else None

    @property
    def placeholders(self) -> frozenset[str]:
        """The words."""
        return frozenset(word for word in self.words if word is not None)

    def find(self, item: object) -> Iterator[tuple[Mapping[str, str], Pointer, object]]:
        """(what the words stand for, the keys on the way, what stands there) of each place that is there."""
        yield from self._walk(item, 0, _NOTHING_BOUND, ())

    def _walk(
        self, item: object, level: int, bound: Mapping[str, str], path: Pointer
    ) -> Iterator[tuple[Mapping[str, str], Pointer, object]]:
        if level == len(self.keys):
            yield bound, path, item
            return
        key = self.keys[level]
        if key is not None:
            inner = at(item, (key,))
            if inner is not ABSENT:
                yield from self._walk(inner, level + 1, bound, (*path, key))
            return
        word = self.words[level]
        if isinstance(item, dict):
            for name, inner in item.items():
                more = bound if word is None else {**bound, word: name}
                yield from self._walk(inner, level + 1, more, (*path, name))
        elif isinstance(item, list) and word is None:
            for inner in item:
                yield from self._walk(inner, level + 1, bound, path)


def parse_place(text: str) -> OpenPointer:
    """Read a pointer with holes.

    Raises:
        ValueError: it is no pointer, or a word stands twice.
    """
    keys: list[str | None] = []
    words: list[str | None] = []
    for key in parse_pointer(text):
        hole = _HOLE.fullmatch(key)
        keys.append(None if hole or key == "*" else key)
        words.append(hole.group(1) if hole else None)
    named = [word for word in words if word is not None]
    if len(named) != len(set(named)):
        raise ValueError(f"'{text}': a placeholder stands twice")
    return OpenPointer(text, tuple(keys), tuple(words))
