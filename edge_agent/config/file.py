"""The configuration file: TOML, checked whole, every finding reported at once. Opens no connection.

Nothing here knows what a setting does; it knows which values make sense. Relative paths are relative to the file.
"""

import os
import socket
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from edge_agent.commissioning.settings import BudgetSettings
from edge_agent.config.alarms import AlarmsSection, CommandsSection, LifecycleSection, MaintenanceSection
from edge_agent.config.broker import BROKER_FILES, BrokerSection
from edge_agent.config.cycles import CycleSection
from edge_agent.config.findings import findings, located
from edge_agent.config.machines import MachineSection
from edge_agent.config.notify import NOTIFY_FILES, NotifySection
from edge_agent.config.own_topics import own_filters, own_words, swallowed
from edge_agent.config.sections import (
    SHIPPED_BUNDLES,
    AgentSection,
    AlertsSection,
    ChannelSection,
    CommissionSection,
    HomeAssistantSection,
    JournalSection,
    LimitsSection,
    LogSection,
    MetricsSection,
    ModelSection,
    PageSection,
    QualitySection,
    RecordSection,
    Section,
    SharingSection,
    SiteSection,
)
from edge_agent.config.sources import SourceSection, misfits
from edge_agent.detect.trigger import OnDelaySettings
from edge_agent.diagnose.fault_naming import NamingSettings
from edge_agent.errors import ConfigError
from edge_agent.formats.last_will import WILL, WillTopic
from edge_agent.formats.mapping.names import parse_template
from edge_agent.formats.routing import Route
from edge_agent.sensors.standstill import StateSettings
from edge_agent.signals.settings import WindowSettings
from edge_agent.store.history.database import HistorySettings
from edge_agent.topics import is_name

_CREDENTIAL = "credential"

_DEFAULT_SOURCES = (
    SourceSection(topic="sensors/{machine}", format="json"),
    SourceSection(topic="sensors/{machine}/{channel}", format="number"),
)


class Config(Section):
    """Everything the file can say; every section may be left out.

    A section is the settings class of the room that obeys it, where the keys are those of one room. Its bounds are in
    that class, and what `Section` asks of all sections is asked of it, too.
    """

    model_config = ConfigDict(allow_inf_nan=False)

    agent: AgentSection = AgentSection()
    site: SiteSection = SiteSection()
    broker: BrokerSection = BrokerSection()
    source: Annotated[tuple[SourceSection, ...], Field(min_length=1)] = _DEFAULT_SOURCES
    alerts: AlertsSection = AlertsSection()
    journal: JournalSection = JournalSection()
    history: HistorySettings = HistorySettings()
    record: RecordSection = RecordSection()
    commands: CommandsSection = CommandsSection()
    alarm: OnDelaySettings = OnDelaySettings()
    alarms: AlarmsSection = AlarmsSection()
    state: StateSettings = StateSettings()
    lifecycle: LifecycleSection = LifecycleSection()
    sharing: SharingSection = SharingSection()
    maintenance: Annotated[tuple[MaintenanceSection, ...], Field(max_length=200)] = ()
    model: ModelSection = ModelSection()
    commission: CommissionSection = CommissionSection()
    budget: BudgetSettings = BudgetSettings()
    window: WindowSettings = WindowSettings()
    machine: Annotated[tuple[MachineSection, ...], Field(max_length=1000)] = ()
    channel: Annotated[tuple[ChannelSection, ...], Field(max_length=1000)] = ()
    cycle: Annotated[tuple[CycleSection, ...], Field(max_length=200)] = ()
    quality: QualitySection = QualitySection()
    naming: NamingSettings = NamingSettings()
    metrics: MetricsSection = MetricsSection()
    page: PageSection = PageSection()
    notify: Annotated[tuple[NotifySection, ...], Field(max_length=20)] = ()
    home_assistant: HomeAssistantSection = HomeAssistantSection()
    limits: LimitsSection = LimitsSection()
    log: LogSection = LogSection()

    @property
    def subscriptions(self) -> tuple[str, ...]:
        """Topic filters of the sources, Sparkplug aside."""
        return tuple(source.subscription for source in self.source if source.sparkplug is None)

    @property
    def routes(self) -> tuple[Route, ...]:
        """What finds and reads sensor messages, in the order in which they are asked."""
        return tuple(source.route for source in self.source if source.takes_rows)

    @property
    def wills(self) -> tuple[WillTopic, ...]:
        """What tells whether machines are there."""
        return tuple(source.will_topic for source in self.source if source.format == WILL)

    @property
    def own_filters(self) -> tuple[str, ...]:
        """MQTT filters of what agents like this one say, or are told: no source takes it for sensor data."""
        return own_filters(
            self.alerts,
            self.commands,
            self.lifecycle,
            sparkplug=self.sparkplug is not None,
            home_assistant=self.home_assistant.prefix if self.home_assistant.enabled else "",
        )

    @property
    def is_own(self) -> Callable[[str], bool]:
        """The function that tells whether a topic that a source takes in is an agent's own."""
        heard = [source.template.subscription for source in self.source if source.sparkplug is None]
        return own_words(self.own_filters, heard)

    @property
    def sparkplug(self) -> SourceSection | None:
        """The Sparkplug source."""
        return next((source for source in self.source if source.sparkplug is not None), None)

    @field_validator("source")
    @classmethod
    def _one_sparkplug(cls, value: tuple[SourceSection, ...]) -> tuple[SourceSection, ...]:
        if sum(source.sparkplug is not None for source in value) > 1:
            raise ValueError("only one source may be of format 'sparkplug'; it can hear many groups")
        return value

    @field_validator("notify")
    @classmethod
    def _each_has_a_name_of_its_own(cls, value: tuple[NotifySection, ...]) -> tuple[NotifySection, ...]:
        names = [section.name for section in value]
        if len(set(names)) < len(names):
            raise ValueError("two have the same name; the ledger tells them apart by it")
        return value

    @field_validator("sharing")
    @classmethod
    def _shares_what_it_can(cls, value: SharingSection, known: ValidationInfo) -> SharingSection:
        if value.group and (
            why_not := unshareable(known.data.get("source", ()))
        ):  # absent where it is wrong itself
            raise ValueError(why_not)
        return value

    @property
    def client_id(self) -> str:
        """The fixed MQTT client id; the broker keeps this agent's unread messages under it."""
        return self.broker.client_id or f"edge-agent-{self.agent.name}"


def unshareable(sources: Iterable[SourceSection]) -> str:
    """Why agents cannot share the machines of these sources; empty where they can."""
    for source in sources:
        if source.sparkplug is not None:
            return "a Sparkplug namespace cannot be shared; give each agent its groups"
        if source.reading.machine is not None:
            return "machines are shared by their topics; a source whose payload names its machine cannot be shared"
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
        beside = _beside(error, table, path, text)
        raise ConfigError(
            path, (*findings(error, text, whole=Config), *_misfits(error, table, text), *beside)
        ) from error
    config = _anchored(config, path.resolve().parent)
    if faults := _faults(config, text):
        raise ConfigError(path, faults)
    return config


def _faults(config: Config, text: str) -> tuple[tuple[str, str], ...]:
    """What is wrong with values that make sense each."""
    return (*_swallowed_sources(config, text), *_missing_files(config, text))


def _beside(
    error: ValidationError, table: Mapping[str, Any], path: Path, text: str
) -> tuple[tuple[str, str], ...]:
    """The faults of the sections that are in order, so that nobody has to ask twice."""
    wrong = {str(item["loc"][0]) for item in error.errors(include_url=False) if item["loc"]}
    try:
        rest = Config.model_validate({name: value for name, value in table.items() if name not in wrong})
    except ValidationError:
        return ()
    return _faults(_anchored(rest, path.resolve().parent), text)


def _misfits(error: ValidationError, table: Mapping[str, Any], text: str) -> Iterator[tuple[str, str]]:
    """What does not fit together in sources that have wrong settings beside."""
    wrong: dict[int, list[tuple[int | str, ...]]] = {}
    for item in error.errors(include_url=False, include_context=False):
        match item["loc"]:
            case ("source", int(number), *way) if way:
                wrong.setdefault(number, []).append(tuple(way))
    for number, places in wrong.items():
        for place, what in misfits(table["source"][number], places):
            yield located(("source", number, *place), text), what


def defaults() -> Config:
    """The configuration of an empty file."""
    return Config()


def place(path: Path, *location: str) -> str:
    """`section.key (line n)` of a setting in a file that was loaded."""
    return located(location, path.read_text(encoding="utf-8"))


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
            "notify": tuple(
                section.model_copy(
                    update={
                        name: _found(value, folder)
                        for name in NOTIFY_FILES
                        if (value := getattr(section, name)) is not None
                    }
                )
                for section in config.notify
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


def _swallowed_sources(config: Config, text: str) -> tuple[tuple[str, str], ...]:
    """Sources that could hear nothing but what agents say themselves."""
    heard = [source.template.subscription if source.sparkplug is None else "" for source in config.source]
    return tuple(
        (
            located(("source", number, "topic"), text),
            f"takes in nothing but the agent's own topics ({own}): sensors have others than alerts and status",
        )
        for number, own in swallowed(config.own_filters, heard)
    )


def _missing_files(config: Config, text: str) -> tuple[tuple[str, str], ...]:
    named = [("broker", name, getattr(config.broker, name)) for name in BROKER_FILES]
    named += [("model", "trusted_keys", key) for key in config.model.trusted_keys]
    named.append(("page", "token_file", config.page.token_file))
    found: list[tuple[tuple[str | int, ...], Path | None]] = [
        ((section, name), file) for section, name, file in named
    ]
    found += [
        (("notify", number, name), getattr(section, name))
        for number, section in enumerate(config.notify)
        for name in NOTIFY_FILES
    ]
    return tuple(
        (located(place, text), f"{file} is no readable file")
        for place, file in found
        if file is not None and not file.is_file()
    )


def summary(config: Config) -> Mapping[str, Any]:
    """What would run, for people."""
    return {
        "agent": f"{config.agent.name} on {socket.gethostname()}, state in {config.agent.state_dir}",
        "broker": f"{config.broker.host}:{config.broker.port} as {config.client_id}"
        + config.broker.protection,
        "sources": [_source(source) for source in config.source],
        **_joined(config),
        "alerts": config.alerts.topic,
        "times": f"told to people in the zone {config.site.timezone}",
        "shares with": f"the group {config.sharing.group}" if config.sharing.group else "nobody",
        "new machines": f"learnt from {config.commission.rows} rows",
        "budget": f"{config.budget.false_alarms_per_week:g} false alarms a week and machine",
        "metrics": f"http://{config.metrics.host}:{config.metrics.port}/metrics",
        "page": f"http://{config.page.listen}/" if config.page.enabled else "off",
        "calls": ", ".join(f"{one.name} ({one.kind})" for one in config.notify)
        or "nobody, beside the broker",
    }


def _joined(config: Config) -> Mapping[str, Any]:
    """Machines that several sources feed by one name: right for the topics of one device, wrong for those of two."""
    feeding: dict[str, list[str]] = {}
    for source in config.source:
        if source.takes_rows and not parse_template(source.machine).parts[1::2]:
            feeding.setdefault(source.machine, []).append(source.topic)
    told = [
        f"{machine}: {' and '.join(topics)}; two devices must not share a name"
        for machine, topics in feeding.items()
        if len(topics) > 1
    ]
    return {"joined": told} if told else {}


def _source(source: SourceSection) -> str:
    if source.sparkplug is None:
        return f"{source.subscription} ({source.format})"
    return f"spBv1.0/{','.join(source.sparkplug.groups) or '#'} (sparkplug), host {source.sparkplug.host_id}"
