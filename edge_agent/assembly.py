"""Configuration to parts: the scorer, the pipeline's settings, the broker's address. Starts no thread."""

import time
from collections.abc import Callable, Sequence

from edge_agent.broker import Address
from edge_agent.config import Config
from edge_agent.contract import bundle as bundles
from edge_agent.contract import profile as profiles
from edge_agent.contract.records import Profile, ScoreBlock, WindowBlock
from edge_agent.errors import UsageError
from edge_agent.pipeline import Settings
from edge_agent.recalibrate import FollowSettings
from edge_agent.score import Scorer


class TimedScorer(Scorer):
    """A scorer that tells how long its calls took."""

    tell: Callable[[float], None] = staticmethod(lambda _: None)

    def score(self, blocks: Sequence[WindowBlock], profiles: Sequence[Profile]) -> list[ScoreBlock]:
        """As `Scorer.score`; calls without a window are not told."""
        started = time.perf_counter()
        scores = super().score(blocks, profiles)
        if blocks:
            self.tell(time.perf_counter() - started)
        return scores


def bundle_profile(bundle: bundles.Bundle) -> Profile | None:
    """The profile that a fine-tuned bundle brings along.

    Raises:
        BundleError: it cannot be read.
    """
    return None if bundle.profile is None else profiles.decode(bundle.path / bundles.PROFILE, bundle.profile)


def pipeline_settings(config: Config) -> Settings:
    """What the configuration says, in the pipeline's words."""
    return Settings(
        commission_rows=config.commission.rows,
        budget_per_week=config.budget.false_alarms_per_week,
        hop_s=config.window.hop_s,
        hold_rows=config.window.hold_rows,
        machines_limit=config.limits.machines,
        channels_limit=config.limits.channels,
        follow=FollowSettings(
            enabled=config.budget.follow_drift,
            rise_per_day=config.budget.rise_per_day,
            fall_per_day=config.budget.fall_per_day,
            lowest=config.budget.lowest,
            highest=config.budget.highest,
        ),
    )


def broker_address(config: Config) -> Address:
    """The broker, with the password read from its file.

    Raises:
        UsageError: the password file cannot be read.
    """
    broker = config.broker
    password = None
    if broker.password_file is not None:
        try:
            password = broker.password_file.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{broker.password_file}: the password cannot be read") from error
    return Address(
        host=broker.host,
        port=broker.port,
        keepalive_s=broker.keepalive_s,
        retry_max_s=broker.retry_max_s,
        username=broker.username,
        password=password,
        tls_ca_file=str(broker.tls_ca_file) if broker.tls_ca_file else None,
    )


def load_scorer(config: Config) -> TimedScorer:
    """The verified bundle in a session.

    Raises:
        BundleError: the bundle cannot be trusted.
        ProviderError: the required execution provider is absent.
    """
    model = config.model
    scorer = TimedScorer.load(
        bundles.read(model.path),
        provider=model.provider,
        require=model.require_provider,
        threads=model.threads,
    )
    assert isinstance(scorer, TimedScorer)  # noqa: S101 - `load` builds the class that it is called on
    return scorer


def summary(scorer: Scorer) -> dict[str, str]:
    """What would score, for people."""
    bundle, manifest = scorer.bundle, scorer.bundle.manifest
    faults = ", ".join(manifest.labels[1:]) or "none: any machine fits, faults stay unnamed"
    channels = ", ".join(channel.name for channel in manifest.channels) or "any"
    return {
        "model": f"{manifest.name} {manifest.version} ({bundle.digest[:12]}) in {bundle.path}: verified",
        "window": f"{manifest.window_rows} rows",
        "channels": channels,
        "faults": faults,
        "runs on": scorer.provider,
    }
