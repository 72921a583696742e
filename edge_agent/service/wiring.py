"""Configuration to parts: the scorer, the pipeline's settings, the broker's address. Starts no thread."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from edge_agent.alarms.command_handler import CommandSettings
from edge_agent.alarms.manager import ManagerSettings
from edge_agent.commissioning.baseline import fewest_rows
from edge_agent.config.file import Config
from edge_agent.config.sections import SHIPPED_BUNDLES
from edge_agent.detect.scorer import Scorer
from edge_agent.errors import UsageError
from edge_agent.formats.image.pixels import missing
from edge_agent.formats.routing import Stamped, delivery_decoder, machine_finder
from edge_agent.formats.sparkplug.host import HostSettings
from edge_agent.logs import Throttle, get_logger
from edge_agent.model import bundle as bundles
from edge_agent.model import profile as profiles
from edge_agent.model.rollback import Counters, refuse_expired
from edge_agent.model.session import ModelSession
from edge_agent.model.signature import ANYONE, load_trust
from edge_agent.mqtt.connection import BrokerAddress, Report
from edge_agent.mqtt.credentials import Login, Tls
from edge_agent.mqtt.inbox import Inbox
from edge_agent.mqtt.load_shedding import LoadShedder
from edge_agent.pipeline.settings import PipelineSettings
from edge_agent.records import Decoded, Delivery, Profile, Reject, ScoreBlock, WindowBlock
from edge_agent.sensors.monitor import QualitySettings
from edge_agent.store.state_dir import Loaded, StateDir
from edge_agent.topics import parse

log = get_logger()

Decode = Callable[[Delivery], Decoded]
Observe = Callable[[float], None]


def _nobody(_seconds: float) -> None:
    """Where nobody wants to know."""


class TimedScorer(Scorer):
    """A scorer that tells how long its calls took."""

    def __init__(self, session: ModelSession, *, expecting: bool, observe: Observe) -> None:
        """`observe` is told the seconds of each call that scored a window."""
        super().__init__(session, expecting=expecting)
        self._observe = observe

    def score(self, blocks: Sequence[WindowBlock], profiles: Sequence[Profile]) -> list[ScoreBlock]:
        """As `Scorer.score`."""
        started = time.perf_counter()
        scores = super().score(blocks, profiles)
        if blocks:
            self._observe(time.perf_counter() - started)
        return scores


def bundle_profile(bundle: bundles.Bundle) -> Profile | None:
    """The profile that a fine-tuned bundle brings along.

    Raises:
        BundleError: it cannot be read.
    """
    return None if bundle.profile is None else profiles.decode(bundle.path / bundles.PROFILE, bundle.profile)


def load_profiles(store: StateDir, bundle: bundles.Bundle) -> Loaded:
    """What was learnt of the machines and can be scored with this bundle; one that names faults wants its own.

    Raises:
        StateError: the state directory cannot be read.
    """
    return store.load(encoder=bundle.encoder, any_network=not bundle.manifest.labels)


def pipeline_settings(config: Config) -> PipelineSettings:
    """What the configuration says, in the pipeline's words."""
    return PipelineSettings(
        commission_rows=config.commission.rows,
        budget=config.budget,
        on_delay=config.alarm,
        off_delay=config.alarms.off_delay,
        state=config.state,
        window=config.window,
        channel_rules=tuple(rule.rule for rule in config.channel),
        machine_rules=tuple(section.rule for section in config.machine),
        cycle_rules=tuple(section.rule for section in config.cycle),
        quality=QualitySettings(enabled=config.quality.enabled),
        machines_limit=config.limits.machines,
        channels_limit=config.limits.channels,
        learning_bytes=config.limits.learning_bytes,
        naming=config.naming,
    )


def too_few_rows(config: Config, *, window_rows: int) -> str:
    """Why no machine could be learnt by this configuration with windows of so many rows; empty where one can."""
    rows, needed = config.commission.rows, fewest_rows(window_rows)
    if rows >= needed:
        return ""
    return f"{rows} rows are too few: this model has windows of {window_rows} rows and learns from {needed} or more"


def missing_libraries(config: Config) -> str:
    """What the configuration's sources need that is not installed; empty where nothing is."""
    return missing() if any(source.image is not None for source in config.source) else ""


def message_decoder(
    config: Config, *, monotonic: Callable[[], float], stamped: Stamped | None = None
) -> Decode:
    """Messages to frames as the configuration says; what is turned away is logged now and then.

    `stamped` is told how far the messages' own times are from their arrival.
    """
    decode = delivery_decoder(
        config.routes,
        payload_limit_bytes=config.limits.payload_bytes,
        future_tolerance_s=config.limits.future_tolerance_s,
        stamped=stamped,
    )
    return with_rejects_logged(decode, monotonic=monotonic)


def with_rejects_logged(decode: Decode, *, monotonic: Callable[[], float]) -> Decode:
    """The same decoder, which logs the first rejected message of each reason in a minute, and how many it kept."""
    lines = Throttle(monotonic=monotonic)

    def decode_and_log(delivery: Delivery) -> Decoded:
        decoded = decode(delivery)
        if isinstance(decoded, Reject) and lines.passes(decoded.reason):
            log.warning(
                "message_rejected",
                reason=decoded.reason,
                detail=decoded.detail,
                topic=ascii(delivery.topic[:120]),
                untold=lines.kept_back(decoded.reason),
            )
        return decoded

    return decode_and_log


def machine_of(config: Config) -> Callable[[str], str | None]:
    """The function that tells which machine a topic names, None where no source takes it."""
    return machine_finder(config.routes)


def manager_settings(config: Config) -> ManagerSettings:
    """What the configuration says, in the words of who tells alarms and obeys commands."""
    agent, lifecycle = config.agent.name, config.lifecycle
    return ManagerSettings(
        agent=agent,
        alert_topic=parse(
            config.alerts.topic, allowed=frozenset({"machine", "agent"}), required=frozenset({"machine"})
        ),
        command_topic=config.commands.topic.replace("{agent}", agent),
        reply_topic=config.commands.reply_topic.replace("{agent}", agent),
        flood_topic=lifecycle.flood_topic.replace("{agent}", agent),
        lifecycle=replace(lifecycle.settings, recall_s=config.alarms.recall_s),
        commands=CommandSettings(
            agent=agent,
            allow=frozenset(config.commands.allow),
            shelve_max_s=lifecycle.shelve_max_s,
            max_age_s=config.commands.max_age_s,
        ),
        maintenance=[section.window for section in config.maintenance],
        zone=config.site.zone,
        machine_rules=[section.rule for section in config.machine],
    )


def sparkplug_settings(config: Config) -> HostSettings | None:
    """What the Sparkplug host must know; None where no source is of that kind."""
    if config.sparkplug is None or (source := config.sparkplug.sparkplug) is None:
        return None
    return HostSettings(
        host_id=source.host_id,
        groups=source.groups,
        machine_parts=config.sparkplug.machine_parts,
        reorder_timeout_s=source.reorder_timeout_s,
        may_request_rebirth=source.request_rebirth,
        rebirth_interval_s=source.rebirth_interval_s,
        rebirth_jitter_s=source.rebirth_jitter_s,
        future_tolerance_s=config.limits.future_tolerance_s,
        payload_limit_bytes=source.payload_bytes,
    )


def broker_address(config: Config) -> BrokerAddress:
    """The broker, with its secrets read once to see that they can be.

    Raises:
        UsageError: a file with a password, certificate or key cannot be used.
    """
    broker = config.broker
    login = Login(broker.username, broker.username_file, broker.password_file)
    tls = None
    if broker.uses_tls:
        tls = Tls(
            ca_file=broker.tls_ca_file,
            cert_file=broker.tls_cert_file,
            key_file=broker.tls_key_file,
            check_host=not broker.tls_insecure,
        )
    try:
        login.read()
        if tls is not None:
            tls.context()
    except OSError as error:
        raise UsageError(str(error)) from error
    return BrokerAddress(
        host=broker.host,
        port=broker.port,
        keepalive_s=broker.keepalive_s,
        retry_max_s=broker.retry_max_s,
        login=login,
        tls=tls,
    )


def new_inbox(config: Config, *, monotonic: Callable[[], float]) -> Inbox:
    """The queue between the broker and the turns, as long as the configuration says."""
    return Inbox(
        messages_limit=config.broker.queue_messages,
        bytes_limit=config.broker.queue_bytes,
        shed_after_s=config.broker.shed_after_s,
        monotonic=monotonic,
    )


def new_load_shedder(config: Config, *, boot: str, report: Report) -> LoadShedder:
    """What measures how long messages wait; `boot` tells this process's echoes from those of another life."""
    return LoadShedder(
        topic=f"agents/{config.agent.name}/echo",
        longest_wait_s=config.broker.longest_wait_s,
        boot=boot,
        machine_of=machine_of(config),
        tell=report,
    )


def load_bundle(
    config: Config, *, counters: Counters | None = None, now: datetime | None = None
) -> bundles.Bundle:
    """The bundle, verified: signature, counter, age, hashes, and what the model holds; no runtime has seen it yet.

    A pre-trained bundle that comes with the agent is part of the program: no signature is asked of it.

    Raises:
        BundleError: it cannot be trusted.
        UsageError: a trusted key cannot be read.
    """
    model = config.model
    trust = ANYONE
    if model.path not in SHIPPED_BUNDLES.values():
        trust = load_trust(model.trusted_keys, required=model.signature_required)
    bundle = bundles.read(model.path, trust=trust)
    if counters is not None:
        counters.check(bundle)
    if model.expired == "refuse":
        refuse_expired(bundle, now=now or datetime.now(UTC))
    return bundle


def load_scorer(
    config: Config,
    *,
    counters: Counters | None = None,
    expecting: bool | None = None,
    aside: bool = False,
    observe: Observe = _nobody,
) -> TimedScorer:
    """The verified bundle in a session.

    Args:
        config: which bundle, and where it runs.
        counters: which releases have run here; older ones are refused.
        expecting: whether somebody looks at what the network expects; None: where there is a page.
        aside: start no session here before the network is asked; only for a process without threads.
        observe: is told the seconds of each call that scored a window.

    Raises:
        BundleError: the bundle cannot be trusted.
        UsageError: a trusted key cannot be read.
        ProviderError: the required execution provider is absent.
    """
    bundle = load_bundle(config, counters=counters)
    return start_scorer(bundle, config, expecting=expecting, aside=aside, observe=observe)


def start_scorer(
    bundle: bundles.Bundle,
    config: Config,
    *,
    expecting: bool | None = None,
    aside: bool = False,
    observe: Observe = _nobody,
) -> TimedScorer:
    """A verified bundle in a session on what the configuration says; arguments as of `load_scorer`.

    Raises:
        BundleError: the model does not answer as it should.
        ProviderError: the required execution provider is absent.
    """
    model = config.model
    asked = config.page.enabled if expecting is None else expecting
    lazy = aside and not asked and not bundle.manifest.labels
    session = (ModelSession.open_when_asked if lazy else ModelSession.open)(
        bundle, provider=model.provider, require=model.require_provider, threads=model.threads
    )
    return TimedScorer(session, expecting=asked, observe=observe)


def vouched(bundle: bundles.Bundle, *, now: datetime) -> str:
    """Who vouches for a bundle and until when, for people."""
    said = f"by key {bundle.signed_by}" if bundle.signed_by else "nobody's signature was checked"
    if (release := bundle.release) is not None:
        said += f", counter {release.counter}"
        if release.expires is not None:
            state = "EXPIRED" if release.expires <= now else "good until"
            said += f", {state} {release.expires.isoformat(timespec='minutes')}"
    return said


def summary(scorer: Scorer, *, now: datetime) -> dict[str, str]:
    """What would score, for people."""
    bundle, manifest = scorer.bundle, scorer.bundle.manifest
    faults = ", ".join(manifest.labels[1:]) or "none: any machine fits, faults stay unnamed"
    channels = ", ".join(channel.name for channel in manifest.channels) or "any"
    judge = "none: the statistics decide"
    if bundle.judge is not None:
        judge = f"a pre-trained network decides, from logit {bundle.judge.entry.threshold:g} on"
    return {
        "model": f"{manifest.name} {manifest.version} ({bundle.digest[:12]}) in {bundle.path}: verified",
        "signed": vouched(bundle, now=now),
        "window": f"{manifest.window_rows} rows",
        "channels": channels,
        "judge": judge,
        "faults": faults,
        "runs on": scorer.provider,
    }
