"""Where a vendor's JSON keeps what: the section `[source.map]`. Reads nothing itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated

from annotated_types import MaxLen

from edge_agent.formats.mapping.binary import BinaryField
from edge_agent.formats.mapping.pointer import parse_key, parse_place, parse_pointer
from edge_agent.formats.mapping.times import TimeUnit
from edge_agent.topics import is_name


@dataclass(frozen=True, slots=True)
class PayloadMap:
    """Where a vendor's message keeps what: the section `[source.map]`, with its defaults and bounds.

    Attributes:
        values: places of values, in each sample.
        time: place of the time, in each sample or else in the message; "" where the arrival counts.
        time_unit: unit of times that are numbers or text that is one; `auto`: by their size.
        samples: places of lists of samples, each with its own time, of which the first that is there counts; "" is
            the message: one sample, or a list of them.
        name_key, value_key, time_key: in lists of objects that name their quantity: keys, or pointers; no `time_key`,
            no own time.
        rename: channel by the name that the message gives.
        skip: names at places of values that are no channels.
        binary: numbers packed in text.
    """

    values: Annotated[tuple[str, ...], MaxLen(1000)] = ("",)
    time: str = ""
    time_unit: TimeUnit = "auto"
    samples: str | tuple[str, ...] = ""
    name_key: str = "name"
    value_key: str = "value"
    time_key: str = ""
    rename: Mapping[str, str] = field(default_factory=dict)
    skip: Annotated[tuple[str, ...], MaxLen(1000)] = ()
    binary: Annotated[tuple[BinaryField, ...], MaxLen(1000)] = ()

    def __post_init__(self) -> None:
        """Refuse places that are no JSON pointers, and names that no channel can have.

        Raises:
            ValueError: says all.
        """
        checks: list[tuple[Callable[[str], object], str]] = [
            (parse_place, place) for place in (*self.values, *self.sample_places)
        ]
        checks += [(parse_pointer, self.time)]
        checks += [(parse_key, key) for key in (self.name_key, self.value_key, self.time_key)]
        faults = list(filter(None, (_fault(*check) for check in checks)))
        if not self.values and not self.binary:
            faults.append("values: at least one place")
        if bad := [name for name in self.rename.values() if not is_name(name)]:
            faults.append(f"rename: '{bad[0]}' is no channel name: printable, without / + #")
        if faults:
            raise ValueError("; ".join(faults))

    @property
    def sample_places(self) -> tuple[str, ...]:
        """`samples` as a list."""
        return (self.samples,) if isinstance(self.samples, str) else self.samples

    @property
    def placeholders(self) -> frozenset[str]:
        """What places of samples and values remember of their keys."""
        places = (*self.values, *self.sample_places)
        return frozenset(word for place in places for word in parse_place(place).placeholders)


def _fault(read: Callable[[str], object], text: str) -> str:
    try:
        read(text)
    except ValueError as error:
        return str(error)
    return ""
