"""The `[sharing]` part of the configuration: agents that share the machines of a broker. Opens no connection."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from edge_agent.topics import is_name


class Sharing(BaseModel):
    """Which group an agent belongs to, and how long its word holds there; no group: it watches all that it hears."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False, hide_input_in_errors=True)

    group: str = ""
    lease_s: Annotated[float, Field(ge=1, le=3600, allow_inf_nan=False)] = 6.0
    settle_s: Annotated[float, Field(ge=0.5, le=3600, allow_inf_nan=False)] = 2.0
    profile_bytes: Annotated[int, Field(ge=10_000, le=100_000_000)] = 1_000_000

    @field_validator("group")
    @classmethod
    def _is_a_level(cls, value: str) -> str:
        if value and not is_name(value):
            raise ValueError("becomes a topic level: printable, without / + #")
        return value
