"""The `[record]` part of the configuration: where recordings go and how much disk they may take. Opens no file."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Record(BaseModel):
    """What the command `record` writes, and its bounds."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False, hide_input_in_errors=True)

    dir: Path = Path("/var/lib/edge-agent/recordings")
    disk_bytes: Annotated[int, Field(ge=1_000_000, le=100_000_000_000_000)] = 10_000_000_000
    segment_s: Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)] = 600.0
    segment_bytes: Annotated[int, Field(ge=10_000, le=1_000_000_000)] = 32_000_000
