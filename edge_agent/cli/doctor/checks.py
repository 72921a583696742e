"""All checks in their order: configuration, model, this computer, the broker."""

from collections.abc import Generator, Iterator
from datetime import datetime, timedelta
from pathlib import Path

from edge_agent.cli.check import require_match
from edge_agent.cli.doctor.broker import check_broker
from edge_agent.cli.doctor.findings import Finding
from edge_agent.cli.doctor.host import check_host
from edge_agent.config.file import Config, defaults, load
from edge_agent.errors import BundleError, ConfigError, EdgeAgentError, ProviderError, StateError
from edge_agent.model.bundle import Bundle
from edge_agent.model.rollback import Counters
from edge_agent.service.wiring import TimedScorer, load_bundle, start_scorer, vouched

_EXPIRY_WARN = timedelta(days=30)


def check_all(file: Path | None, *, client_id: str, listen_s: float, now: datetime) -> Iterator[Finding]:
    """Check the configuration and all that it names, one finding after the other.

    Args:
        file: the configuration; the defaults where None.
        client_id: how to call ourselves at the broker.
        listen_s: how long to listen there.
        now: for what has an end.
    """
    try:
        config = load(file) if file else defaults()
    except ConfigError as error:
        yield from _faults(error)
        return
    scorer = yield from check_model(config, now=now)
    try:
        if scorer is not None:
            require_match(file, config, scorer)
        yield Finding("config", "ok", "the defaults" if file is None else f"{file} is in order")
    except ConfigError as error:
        yield from _faults(error)
    except EdgeAgentError as error:
        yield Finding("model", "fail", str(error), "copy the bundle again, or name another in [model] bundle")
    yield from check_host(config, now=now)
    yield from check_broker(config, client_id=client_id, listen_s=listen_s, now=now)


def _faults(error: ConfigError) -> Iterator[Finding]:
    for where, what in error.findings:
        yield Finding("config", "fail", f"{where}: {what}", f"correct {error.path}")


def check_model(config: Config, *, now: datetime) -> Generator[Finding, None, TimedScorer | None]:
    """Whether the bundle is what it should be, and runs where it should; gives the scorer where it does."""
    try:
        bundle = load_bundle(config, counters=Counters(config.agent.state_dir))
        scorer = start_scorer(bundle, config)
    except BundleError as error:
        yield Finding("model", "fail", str(error), "copy the bundle again, or name another in [model] bundle")
        return None
    except ProviderError as error:
        remedy = "install the onnxruntime of this accelerator, or set require_provider = false"
        yield Finding("provider", "fail", str(error), remedy)
        return None
    except StateError as error:
        yield Finding("model", "fail", str(error), "let the agent's user read its state directory")
        return None
    except EdgeAgentError as error:
        yield Finding("model", "fail", str(error), "name keys in [model] trusted_keys that can be read")
        return None
    manifest = bundle.manifest
    what = f"{manifest.name} {manifest.version} ({bundle.digest[:12]}): verified, golden windows answered as trained"
    yield Finding("model", "ok", what)
    yield from _vouching(bundle, now=now)
    asked = config.model.provider
    if asked not in ("auto", scorer.provider):
        remedy = "install the onnxruntime of this accelerator; it works meanwhile, only slower"
        yield Finding("provider", "warn", f"runs on {scorer.provider}, not on {asked}", remedy)
    else:
        yield Finding("provider", "ok", f"runs on {scorer.provider}")
    return scorer


def _vouching(bundle: Bundle, *, now: datetime) -> Iterator[Finding]:
    expires = bundle.release.expires if bundle.release else None
    if expires is not None and expires <= now + _EXPIRY_WARN:
        yield Finding(
            "model", "warn", vouched(bundle, now=now), "ask for a newer bundle; this one goes on running"
        )
    elif bundle.signed_by:
        yield Finding("model", "ok", vouched(bundle, now=now))
