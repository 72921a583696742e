"""Topic templates: `sensors/{machine}/{channel}` to a subscription filter and back to names. Knows no payloads.

A template is a topic whose levels are literals or placeholders; a placeholder fills a whole level, so that every
template has exactly one MQTT filter and a topic matches it in at most one way. Where it is asked for, `+` stands for a
level and `#` for all levels behind, neither of which matters.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

NAME_LIMIT_CHARS = 120
"""A machine or channel name becomes a metric label and part of a topic; longer ones are garbage or an attack."""
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_FORBIDDEN = frozenset("+#\0")


def is_name(text: str) -> bool:
    """Whether `text` can name a machine or a channel: printable, not empty, no topic syntax, of bounded length.

    Lone surrogates (a topic that was not UTF-8) are not printable, hence no names.
    """
    return 0 < len(text) <= NAME_LIMIT_CHARS and _is_plain(text)


@lru_cache(maxsize=4096)
def _is_plain(text: str) -> bool:
    return text.isprintable() and not _FORBIDDEN & set(text) and "/" not in text


@dataclass(frozen=True, slots=True)
class Template:
    """A topic with named holes, checked by `parse`.

    Attributes:
        levels: the literal text of each level, or None where any text may stand.
        names: the placeholder of each level, or None where none stands.
        open_ended: whether more levels may follow: the template ended in `#`.
    """

    text: str
    levels: tuple[str | None, ...]
    names: tuple[str | None, ...]
    open_ended: bool = False

    @property
    def placeholders(self) -> frozenset[str]:
        """Names of the holes."""
        return frozenset(name for name in self.names if name is not None)

    @property
    def subscription(self) -> str:
        """The MQTT topic filter that receives exactly the topics of this template."""
        levels = ["+" if level is None else level for level in self.levels]
        return "/".join([*levels, "#"] if self.open_ended else levels)

    def match(self, topic: str) -> Mapping[str, str] | None:
        """What the placeholders stand for in `topic`; None where the topic is not one of this template."""
        parts = topic.split("/")
        if len(parts) != len(self.levels) and not (self.open_ended and len(parts) > len(self.levels)):
            return None
        found: dict[str, str] = {}
        for part, level, name in zip(parts, self.levels, self.names, strict=False):
            if name is not None:
                found[name] = part
            elif level is not None and part != level:
                return None
        return found

    def fill(self, **values: str) -> str:
        """The topic with every placeholder replaced; values may hold several levels (`site/line`)."""
        return "/".join(
            values[name] if name is not None else str(level)
            for level, name in zip(self.levels, self.names, strict=True)
        )


def filter_covers(outer: str, inner: str) -> bool:
    """Whether an MQTT filter takes every topic that another takes; a topic is the filter of itself."""
    outside, inside = outer.split("/"), inner.split("/")
    if outside[-1] != "#":
        return len(outside) == len(inside) and all(
            one == other or (one == "+" and other != "#") for one, other in zip(outside, inside, strict=True)
        )
    above = outside[:-1]
    if inside == ["#"]:  # every topic has a first level
        return above in ([], ["+"])
    below = inside[:-1] if inside[-1] == "#" else inside
    return len(below) >= len(above) and all(
        one in ("+", other) for one, other in zip(above, below, strict=False)
    )


def filters_overlap(one: str, other: str) -> bool:
    """Whether there is a topic that both MQTT filters take."""
    left, right = one.split("/"), other.split("/")
    for here, there in zip(left, right, strict=False):
        if "#" in (here, there):
            return True
        if here != there and "+" not in (here, there):
            return False
    return len(left) == len(right) or max(left, right, key=len)[min(len(left), len(right)) :] == ["#"]


@dataclass(frozen=True, slots=True)
class NamePattern:
    """A name put together from what placeholders stand for, checked by `parse_name`."""

    text: str
    placeholders: frozenset[str]

    def fill(self, found: Mapping[str, str]) -> str:
        """The name; `found` holds at least the pattern's placeholders."""
        return _PLACEHOLDER.sub(lambda hole: found[hole.group(1)], self.text)


def parse_name(text: str) -> NamePattern:
    """Read a pattern like `{site}.{line}.{machine}`; text without any placeholder is a name as it stands.

    Raises:
        ValueError: what stands around the placeholders cannot be part of a name.
    """
    around = _PLACEHOLDER.sub("", text)
    if not text or set("{}") & set(around) or (around and not is_name(around)):
        raise ValueError(f"'{text}' gives no name: printable, without / + #, placeholders as {{word}}")
    return NamePattern(text=text, placeholders=frozenset(_PLACEHOLDER.findall(text)))


def parse(
    text: str, *, allowed: frozenset[str] | None, required: frozenset[str], wildcards: bool = False
) -> Template:
    """Read a template.

    Args:
        text: the topic with its placeholders.
        allowed: names that placeholders may have; None for any.
        required: placeholders that must be there.
        wildcards: whether `+` may stand for a level and a last `#` for all that follow.

    Raises:
        ValueError: a hole that is unknown, twice, missing or not a whole level; wildcards; empty levels.
    """
    open_ended = wildcards and text.endswith("/#")
    text = text.removesuffix("/#") if open_ended else text
    # Many gateways send to "/plant/press", some to "plant/press/" or "plant//press"; we publish to no empty level.
    if (not text.strip("/") if wildcards else "" in text.split("/")) or text.startswith("$"):
        raise ValueError(f"'{text}' is empty, has an empty level or starts with $")
    levels: list[str | None] = []
    names: list[str | None] = []
    for part in text.split("/"):
        hole = _PLACEHOLDER.fullmatch(part)
        if hole is None and wildcards and part == "+":
            levels.append(None)
            names.append(None)
            continue
        if hole is None and (_FORBIDDEN & set(part) or set("{}") & set(part) or not part.isprintable()):
            raise ValueError(
                f"level '{part}': a placeholder or wildcard fills a whole level, # only the last"
                if wildcards
                else f"level '{part}': a placeholder fills a whole level; wildcards are not written"
            )
        levels.append(None if hole else part)
        names.append(hole.group(1) if hole else None)
    holes = [name for name in names if name is not None]
    if allowed is not None and (unknown := set(holes) - allowed):
        raise ValueError(
            f"unknown placeholder {{{min(unknown)}}}; known: {', '.join(sorted(allowed)) or 'none'}"
        )
    if len(holes) != len(set(holes)):
        raise ValueError("a placeholder stands twice")
    if missing := required - set(holes):
        raise ValueError(f"lacks {{{min(missing)}}}")
    return Template(text=text, levels=tuple(levels), names=tuple(names), open_ended=open_ended)
