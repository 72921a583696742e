"""The `[[machine]]` part of the configuration: what people know of the machines whose names match. Parsing only."""

from typing import Annotated

from pydantic import Field, field_validator

from edge_agent.config.sections import Section
from edge_agent.signals.machine_rules import MachineRule

Line = Annotated[str, Field(max_length=120)]
Unit = Annotated[str, Field(max_length=20)]
Runbook = Annotated[str, Field(min_length=1, max_length=300)]
_NOTES_CHARS = 1000


class MachineSection(Section):
    """What is said of the machines that `match` names; of several sections, the first that says a thing counts."""

    match: Annotated[str, Field(min_length=1, max_length=120)]
    display_name: Line | None = None
    location: Line | None = None
    type: Line | None = None
    units: Annotated[dict[str, Unit], Field(max_length=1000, default_factory=dict)]
    weight: Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)] | None = None
    notes: Annotated[str, Field(max_length=_NOTES_CHARS)] | None = None
    runbooks: Annotated[dict[Line, Runbook], Field(max_length=100, default_factory=dict)]
    budget_per_week: Annotated[float, Field(gt=0, le=10_000, allow_inf_nan=False)] | None = None

    @field_validator("match")
    @classmethod
    def _can_match(cls, value: str) -> str:
        if "/" in value or not value.isprintable():
            raise ValueError("matches no machine: a name is printable and holds no /")
        return value

    @field_validator("display_name", "location", "type", "units", "runbooks")
    @classmethod
    def _is_printable(cls, value: str | dict[str, str] | None) -> str | dict[str, str] | None:
        words = [value] if isinstance(value, str) else [*(value or {}), *(value or {}).values()]
        if not all(word.isprintable() for word in words):
            raise ValueError("holds what cannot be printed")
        return value

    @property
    def rule(self) -> MachineRule:
        """In the pipeline's words."""
        return MachineRule(**dict(self))
