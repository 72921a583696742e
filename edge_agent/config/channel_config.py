"""The `[[channel]]` and `[quality]` parts of the configuration: what people know of channels. Opens no connection."""

from math import inf
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from edge_agent.signals.channel_rules import Align, ChannelRule


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=False, hide_input_in_errors=True)


class Channel(_Section):
    """Physical range and alignment of the channels whose names match."""

    machine: str = "*"
    channel: str = "*"
    low: float = Field(default=-inf, allow_inf_nan=True)
    high: float = Field(default=inf, allow_inf_nan=True)
    align: Align | None = None

    @model_validator(mode="after")
    def _range_is_one(self) -> Self:
        if not self.low < self.high:
            raise ValueError("low must be below high")
        return self

    @property
    def rule(self) -> ChannelRule:
        """In the pipeline's words."""
        return ChannelRule(**dict(self))


class Quality(_Section):
    """Whether sensors are inspected."""

    enabled: bool = True
