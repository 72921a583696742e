"""The smaller sections of the configuration file, and what all sections share. Parsing only: `file` is the whole."""

from datetime import UTC, tzinfo
from math import inf
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from edge_agent.pipeline.cameras.desk import CameraSettings
from edge_agent.pipeline.settings import PipelineSettings
from edge_agent.signals.channel_kinds import ChannelKind
from edge_agent.signals.channel_rules import Align, ChannelRule
from edge_agent.topics import is_name, parse

_MODELS = Path(__file__).parents[1] / "models"
SHIPPED_BUNDLE = _MODELS / "pretrained"
SHIPPED_PICTURES = _MODELS / "picture"
SHIPPED_BUNDLES = {name: _MODELS / name for name in ("pretrained", "pretrained-int8", "pretrained-small")}
"""The encoders that come with the agent, by the names that `[model] bundle` accepts beside a directory."""

_PORT_MAX = 65_535

Seconds = Annotated[float, Field(gt=0, le=86_400 * 7, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=10_000_000)]
Port = Annotated[int, Field(ge=1, le=_PORT_MAX)]


_PIPELINE = PipelineSettings()
_CAMERAS = CameraSettings()
"""What holds where the file says nothing."""


class Section(BaseModel):
    """What all sections have in common: nothing unknown is passed over, and no value is repeated in a finding."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False, hide_input_in_errors=True)


class AgentSection(Section):
    """Who this agent is and where it keeps what it learnt."""

    name: str = "edge-agent"
    state_dir: Path = Path("/var/lib/edge-agent")

    @field_validator("name")
    @classmethod
    def _names_a_topic_level(cls, value: str) -> str:
        if not is_name(value):
            raise ValueError("becomes a topic level: printable, not empty, without / + #")
        return value


class SiteSection(Section):
    """Where the machines stand."""

    timezone: str = "UTC"

    @field_validator("timezone")
    @classmethod
    def _is_known(cls, value: str) -> str:
        zone_of(value)
        return value

    @property
    def zone(self) -> tzinfo:
        """In which sentences for people tell times."""
        return zone_of(self.timezone)


class AlertsSection(Section):
    """Where alarms and the agent's own status are published."""

    topic: str = "alerts/{machine}"
    inspection_topic: str = "inspections/{machine}"
    status_topic: str = "agents/{agent}/status"
    receipt_topic: str = ""
    outbox_messages: Count = 10_000
    outbox_bytes: Annotated[int, Field(ge=100_000, le=1_000_000_000)] = 20_000_000

    @field_validator("topic", "inspection_topic")
    @classmethod
    def _topic_parses(cls, value: str, field: ValidationInfo) -> str:
        if value or field.field_name == "topic":
            parse(value, allowed=frozenset({"machine", "agent"}), required=frozenset({"machine"}))
        return value

    @field_validator("status_topic", "receipt_topic")
    @classmethod
    def _own_topic_parses(cls, value: str) -> str:
        if value:
            parse(value, allowed=frozenset({"agent"}), required=frozenset())
        return value


class JournalSection(Section):
    """What is written down of samples, so that windows are whole after a crash."""

    mode: Literal["full", "snapshot", "off"] = "full"
    snapshot_s: Seconds = 60.0


class RecordSection(Section):
    """What the command `record` writes, and its bounds."""

    dir: Path = Path("/var/lib/edge-agent/recordings")
    disk_bytes: Annotated[int, Field(ge=1_000_000, le=100_000_000_000_000)] = 10_000_000_000
    segment_s: Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)] = 600.0
    segment_bytes: Annotated[int, Field(ge=10_000, le=1_000_000_000)] = 32_000_000


class SharingSection(Section):
    """Which group an agent belongs to, and how long its word holds there; no group: it watches all that it hears."""

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


class ModelSection(Section):
    """The model bundle and what it runs on."""

    bundle: Path | None = None
    trusted_keys: Annotated[tuple[Path, ...], Field(max_length=8)] = ()
    require_signature: bool | None = None
    expired: Literal["warn", "refuse"] = "warn"
    provider: Literal["auto", "cpu", "cuda", "tensorrt"] = "auto"
    require_provider: bool = False
    threads: Annotated[int, Field(ge=1, le=64)] = 1

    @property
    def path(self) -> Path:
        """The bundle's directory; the shipped pre-trained encoder where none is named."""
        if self.bundle is None:
            return SHIPPED_BUNDLE
        return SHIPPED_BUNDLES.get(str(self.bundle), self.bundle)

    @property
    def signature_required(self) -> bool:
        """Whether a bundle must be signed: where keys are named, unless the file says otherwise."""
        return bool(self.trusted_keys) if self.require_signature is None else self.require_signature

    @model_validator(mode="after")
    def _signatures_have_keys(self) -> Self:
        if self.require_signature and not self.trusted_keys:
            raise ValueError("require_signature needs trusted_keys")
        return self


class CommissionSection(Section):
    """How a machine that is new is learnt."""

    rows: Annotated[int, Field(ge=100, le=1_000_000)] = _PIPELINE.commission_rows
    frames: Annotated[int, Field(ge=10, le=200)] = _CAMERAS.frames

    @model_validator(mode="before")
    @classmethod
    def _no_longer_settles(cls, table: Any) -> Any:
        """`settle = false` was in the sample file and asks for what is the case; `true` asks for what is gone."""
        if not isinstance(table, dict) or "settle" not in table:
            return table
        if table["settle"] is not False:
            raise ValueError(
                "settle is gone: no machine is learnt again by itself. Remove it, and recommission a machine "
                "that has shown more of its normal operation since"
            )
        return {name: value for name, value in table.items() if name != "settle"}


class ChannelSection(Section):
    """Physical range, alignment and kind of the channels whose names match."""

    machine: str = "*"
    channel: str = "*"
    low: float = Field(default=-inf, allow_inf_nan=True)
    high: float = Field(default=inf, allow_inf_nan=True)
    align: Align | None = None
    kind: ChannelKind | None = None

    @model_validator(mode="after")
    def _range_is_one(self) -> Self:
        if not self.low < self.high:
            raise ValueError("low must be below high")
        return self

    @property
    def rule(self) -> ChannelRule:
        """In the pipeline's words."""
        return ChannelRule(**dict(self))


class QualitySection(Section):
    """Whether sensors are inspected."""

    enabled: bool = True


class MetricsSection(Section):
    """The HTTP page for Prometheus and health checks, and by which names it may be asked for."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 9108
    names: Annotated[tuple[str, ...], Field(max_length=20)] = ()


class HomeAssistantSection(Section):
    """Whether machines are told to Home Assistant, and below which topic it listens."""

    enabled: bool = False
    prefix: str = "homeassistant"

    @field_validator("prefix")
    @classmethod
    def _is_a_topic(cls, value: str) -> str:
        parse(value, allowed=frozenset(), required=frozenset())
        return value


class PageSection(Section):
    """The page for people: where it is served, by which names, and the token that lets somebody command."""

    enabled: bool = False
    listen: str = "127.0.0.1:9109"
    names: Annotated[tuple[str, ...], Field(max_length=20)] = ()
    token_file: Path | None = None
    url: str = ""

    @field_validator("url")
    @classmethod
    def _leads_to_a_page(cls, value: str) -> str:
        if value and not (
            value.startswith(("http://", "https://")) and value.isprintable() and " " not in value
        ):
            raise ValueError("is the page's address as people reach it, https://gateway-3.plant:9109")
        return value

    @field_validator("listen")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        host_and_port(value)
        return value

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        return host_and_port(self.listen)


class LimitsSection(Section):
    """Bounds against floods and broken clocks."""

    payload_bytes: Count = 65_536
    machines: Count = _PIPELINE.machines_limit
    channels: Count = _PIPELINE.channels_limit
    cameras: Count = _CAMERAS.limit
    learning_bytes: Annotated[int, Field(ge=50_000_000, le=1_000_000_000_000)] = 230_000_000
    future_tolerance_s: Seconds = 300.0


class LogSection(Section):
    """What is written to standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "console"] = "auto"


def zone_of(name: str) -> tzinfo:
    """The time zone of that name.

    Raises:
        ValueError: there is none, or this computer has no table of zones.
    """
    if name == "UTC":  # known without any table
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(
            f"'{name}' is no known time zone: one is named as in Europe/Berlin (from the system's package tzdata)"
        ) from error


def host_and_port(listen: str) -> tuple[str, int]:
    """`host:port` or `[v6]:port` in its parts.

    Raises:
        ValueError: it is neither.
    """
    host, colon, port = listen.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    if not (colon and bare and port.isascii() and port.isdigit() and int(port) <= _PORT_MAX):
        raise ValueError("is host:port, [v6 address]:port for IPv6")
    if (":" in bare) != host.startswith("["):
        raise ValueError("an IPv6 address stands in brackets, and nothing else does")
    return bare, int(port)
