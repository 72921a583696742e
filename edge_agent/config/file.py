"""The configuration file: TOML, checked whole, every finding reported at once. Opens no connection.

Nothing here knows what a setting does; it knows which values make sense. Relative paths are relative to the file.
"""

import os
import re
import socket
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from edge_agent.config.alarms import Commands, Lifecycle, Maintenance
from edge_agent.config.broker import BROKER_FILES, Broker
from edge_agent.config.channel_config import Channel, Quality
from edge_agent.config.page_config import Page
from edge_agent.config.record_config import Record
from edge_agent.config.sharing_config import Sharing
from edge_agent.config.sources import Source
from edge_agent.errors import ConfigError
from edge_agent.topics import is_name, parse

_MODELS = Path(__file__).parents[1] / "models"
SHIPPED_BUNDLE = _MODELS / "pretrained"
SHIPPED_BUNDLES = {name: _MODELS / name for name in ("pretrained", "pretrained-int8", "pretrained-small")}
"""The encoders that come with the agent, by the names that `[model] bundle` accepts beside a directory."""
_CREDENTIAL = "credential"

Seconds = Annotated[float, Field(gt=0, le=86_400 * 7, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=10_000_000)]
Port = Annotated[int, Field(ge=1, le=65_535)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=False, hide_input_in_errors=True)


class Agent(_Section):
    """Who this agent is and where it keeps what it learnt."""

    name: str = "edge-agent"
    state_dir: Path = Path("/var/lib/edge-agent")

    @field_validator("name")
    @classmethod
    def _names_a_topic_level(cls, value: str) -> str:
        if not is_name(value):
            raise ValueError("becomes a topic level: printable, not empty, without / + #")
        return value


class Alerts(_Section):
    """Where alarms and the agent's own status are published."""

    topic: str = "alerts/{machine}"
    status_topic: str = "agents/{agent}/status"
    receipt_topic: str = ""
    outbox_messages: Count = 10_000
    outbox_bytes: Annotated[int, Field(ge=100_000, le=1_000_000_000)] = 20_000_000

    @field_validator("topic")
    @classmethod
    def _topic_parses(cls, value: str) -> str:
        parse(value, allowed=frozenset({"machine", "agent"}), required=frozenset({"machine"}))
        return value

    @field_validator("status_topic", "receipt_topic")
    @classmethod
    def _own_topic_parses(cls, value: str) -> str:
        if value:
            parse(value, allowed=frozenset({"agent"}), required=frozenset())
        return value


class Journal(_Section):
    """What is written down of samples, so that windows are whole after a crash."""

    mode: Literal["full", "snapshot", "off"] = "full"
    snapshot_s: Seconds = 60.0


class Model(_Section):
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


class Commission(_Section):
    """How a machine that is new is learnt."""

    rows: Annotated[int, Field(ge=100, le=1_000_000)] = 3600

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


class Budget(_Section):
    """How many false alarms a machine may raise, and how far its threshold may follow slow drift."""

    false_alarms_per_week: Annotated[float, Field(gt=0, le=10_000, allow_inf_nan=False)] = 1.0
    follow_drift: bool = True
    rise_per_day: Annotated[float, Field(ge=0, le=1)] = 0.1
    fall_per_day: Annotated[float, Field(ge=0, lt=1)] = 0.02
    lowest: Annotated[float, Field(gt=0, le=1)] = 1.0
    highest: Annotated[float, Field(ge=1, le=10)] = 3.0
    highest_step: Annotated[float, Field(ge=1, le=10)] = 1.1


class Window(_Section):
    """How often a machine is scored and how long a silent channel keeps its last value."""

    hop_s: Seconds = 1.0
    hold_rows: Annotated[int, Field(ge=0, le=100_000)] = 30
    period_s: Seconds | None = None
    grid_s: Annotated[float, Field(ge=0.001, le=3600)] = 1.0
    lateness_s: Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)] = 2.0


class Naming(_Section):
    """How much is kept of what people call a machine's faults."""

    faults: Annotated[int, Field(ge=1, le=200)] = 20
    cases: Annotated[int, Field(ge=1, le=1000)] = 60
    recent_alarms: Annotated[int, Field(ge=0, le=100)] = 5


class Metrics(_Section):
    """The HTTP page for Prometheus and health checks."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 9108


class Limits(_Section):
    """Bounds against floods and broken clocks."""

    payload_bytes: Count = 65_536
    machines: Count = 1000
    channels: Count = 256
    future_tolerance_s: Seconds = 300.0


class Log(_Section):
    """What is written to standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "console"] = "auto"


_DEFAULT_SOURCES = (
    Source(topic="sensors/{machine}", format="json"),
    Source(topic="sensors/{machine}/{channel}", format="number"),
)


class Config(_Section):
    """Everything the file can say; every section may be left out."""

    agent: Agent = Agent()
    broker: Broker = Broker()
    source: Annotated[tuple[Source, ...], Field(min_length=1)] = _DEFAULT_SOURCES
    alerts: Alerts = Alerts()
    journal: Journal = Journal()
    record: Record = Record()
    commands: Commands = Commands()
    lifecycle: Lifecycle = Lifecycle()
    sharing: Sharing = Sharing()
    maintenance: Annotated[tuple[Maintenance, ...], Field(max_length=200)] = ()
    model: Model = Model()
    commission: Commission = Commission()
    budget: Budget = Budget()
    window: Window = Window()
    channel: Annotated[tuple[Channel, ...], Field(max_length=1000)] = ()
    quality: Quality = Quality()
    naming: Naming = Naming()
    metrics: Metrics = Metrics()
    page: Page = Page()
    limits: Limits = Limits()
    log: Log = Log()

    @property
    def subscriptions(self) -> tuple[str, ...]:
        """Topic filters of the sources, Sparkplug aside."""
        return tuple(source.subscription for source in self.source if source.sparkplug is None)

    @property
    def sparkplug(self) -> Source | None:
        """The Sparkplug source."""
        return next((source for source in self.source if source.sparkplug is not None), None)

    @field_validator("source")
    @classmethod
    def _one_sparkplug(cls, value: tuple[Source, ...]) -> tuple[Source, ...]:
        if sum(source.sparkplug is not None for source in value) > 1:
            raise ValueError("only one source may be of format 'sparkplug'; it can hear many groups")
        return value

    @field_validator("sharing")
    @classmethod
    def _shares_what_it_can(cls, value: Sharing, known: ValidationInfo) -> Sharing:
        if value.group and (
            why_not := unshareable(known.data.get("source", ()))
        ):  # absent where it is wrong itself
            raise ValueError(why_not)
        return value

    @property
    def client_id(self) -> str:
        """The fixed MQTT client id; the broker keeps this agent's unread messages under it."""
        return self.broker.client_id or f"edge-agent-{self.agent.name}"


def unshareable(sources: Iterable[Source]) -> str:
    """Why agents cannot share the machines of these sources; empty where they can."""
    for source in sources:
        if source.sparkplug is not None:
            return "a Sparkplug namespace cannot be shared; give each agent its groups"
        if source.share:
            return "every member must hear every topic; no source may have a share"
    return ""


def load(path: Path) -> Config:
    """Read and check a configuration file.

    Raises:
        ConfigError: with every finding as (dotted path and line, what is wrong).
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            path, (("file", getattr(error, "strerror", None) or "is not UTF-8 text"),)
        ) from error
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(path, (("file", f"not TOML: {error}"),)) from error
    try:
        config = Config.model_validate(table)
    except ValidationError as error:
        raise ConfigError(path, _findings(error, text)) from error
    config = _anchored(config, path.resolve().parent)
    if missing := _missing_files(config, text):
        raise ConfigError(path, missing)
    return config


def defaults() -> Config:
    """The configuration of an empty file."""
    return Config()


def place(path: Path, *location: str) -> str:
    """`section.key (line n)` of a setting in a file that was loaded."""
    return _located(location, path.read_text(encoding="utf-8"))


def _anchored(config: Config, folder: Path) -> Config:
    """The same configuration with its paths absolute."""
    broker, model, page = config.broker, config.model, config.page
    return config.model_copy(
        update={
            "agent": config.agent.model_copy(update={"state_dir": folder / config.agent.state_dir}),
            "record": config.record.model_copy(update={"dir": folder / config.record.dir}),
            "broker": broker.model_copy(
                update={
                    name: _found(value, folder)
                    for name in BROKER_FILES
                    if (value := getattr(broker, name)) is not None
                }
            ),
            "page": page.model_copy(
                update={"token_file": None if page.token_file is None else _found(page.token_file, folder)}
            ),
            "model": model.model_copy(
                update={
                    "bundle": _bundle(folder, model.bundle),
                    "trusted_keys": tuple(_found(key, folder) for key in model.trusted_keys),
                }
            ),
        }
    )


def _found(path: Path, folder: Path) -> Path:
    """`credential:NAME` is what systemd was told to hand over (LoadCredential=); else relative to the file."""
    kind, colon, name = str(path).partition(":")
    if kind == _CREDENTIAL and colon and is_name(name):
        return Path(os.environ.get("CREDENTIALS_DIRECTORY", "/nonexistent/credentials")) / name
    return folder / path


def _bundle(folder: Path, named: Path | None) -> Path | None:
    """A shipped encoder's name stays a name."""
    return named if named is None or str(named) in SHIPPED_BUNDLES else folder / named


def _missing_files(config: Config, text: str) -> tuple[tuple[str, str], ...]:
    named = [("broker", name, getattr(config.broker, name)) for name in BROKER_FILES]
    named += [("model", "trusted_keys", key) for key in config.model.trusted_keys]
    named.append(("page", "token_file", config.page.token_file))
    return tuple(
        (_located((section, name), text), f"{file} is no readable file")
        for section, name, file in named
        if file is not None and not file.is_file()
    )


def _findings(error: ValidationError, text: str) -> tuple[tuple[str, str], ...]:
    found = []
    for item in error.errors(include_url=False, include_context=False):
        what = (
            "is no setting"
            if item["type"] == "extra_forbidden"
            else item["msg"].removeprefix("Value error, ")
        )
        found.append((_located(item["loc"], text), what))
    return tuple(found)


def _located(location: tuple[int | str, ...], text: str) -> str:
    """`section.key (line n)`; the line where the key, or else its section, is written."""
    parts = [str(part + 1) if isinstance(part, int) else part for part in location]
    line = _line_of(location, text)
    return ".".join(parts) + (f" (line {line})" if line else "")


def _line_of(location: tuple[int | str, ...], text: str) -> int | None:
    section, key = str(location[0]), str(location[-1])
    wanted = location[1] if len(location) > 1 and isinstance(location[1], int) else 0
    header = re.compile(rf"\s*\[\[?\s*{re.escape(section)}\s*\]\]?")
    setting = re.compile(rf"""\s*["']?{re.escape(key)}["']?\s*=""")
    seen, inside, found = -1, len(location) == 1, None
    for number, line in enumerate(text.splitlines(), start=1):
        if line.lstrip().startswith("["):
            matches = header.match(line) is not None
            seen += matches
            inside = matches and seen == wanted
            found = number if inside else found
        elif inside and setting.match(line):
            return number
    return found


def summary(config: Config) -> Mapping[str, Any]:
    """What would run, for people."""
    return {
        "agent": f"{config.agent.name} on {socket.gethostname()}, state in {config.agent.state_dir}",
        "broker": f"{config.broker.host}:{config.broker.port} as {config.client_id}"
        + config.broker.protection,
        "sources": [_source(source) for source in config.source],
        "alerts": config.alerts.topic,
        "shares with": f"the group {config.sharing.group}" if config.sharing.group else "nobody",
        "new machines": f"learnt from {config.commission.rows} rows",
        "budget": f"{config.budget.false_alarms_per_week:g} false alarms a week and machine",
        "metrics": f"http://{config.metrics.host}:{config.metrics.port}/metrics",
        "page": f"http://{config.page.listen}/" if config.page.enabled else "off",
    }


def _source(source: Source) -> str:
    if source.sparkplug is None:
        return f"{source.subscription} ({source.format})"
    return f"spBv1.0/{','.join(source.sparkplug.groups) or '#'} (sparkplug), host {source.sparkplug.host_id}"
