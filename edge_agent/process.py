"""The agent as a process: its start, the signals it heeds, and its end. What it does is the service's business."""

import os
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from types import FrameType

import structlog

from edge_agent.assembly import load_scorer
from edge_agent.config import Config
from edge_agent.reload import warn_of_age
from edge_agent.rollback import Counters
from edge_agent.service import Service
from edge_agent.store import Store
from edge_agent.telemetry import Telemetry

log = structlog.get_logger()


def run(config: Config, *, reread: Callable[[], Config]) -> None:
    """The whole agent, until SIGTERM or SIGINT; at SIGHUP it reads its configuration and bundle again.

    Raises:
        EdgeAgentError: it cannot start.
    """
    counters = Counters(config.agent.state_dir)
    scorer = load_scorer(config, counters=counters)
    warn_of_age(scorer.bundle, now=datetime.now(UTC))
    if config.broker.tls_insecure:
        log.warning("broker_name_not_checked", setting="broker.tls_insecure")
    store = Store(config.agent.state_dir)
    store.open()
    counters.remember(scorer.bundle)
    service = Service(config, scorer=scorer, store=store, telemetry=Telemetry(), reread=reread)

    def leave(number: int, _frame: FrameType | None) -> None:
        log.info("signal", name=signal.Signals(number).name)
        service.stop()

    def renew(number: int, _frame: FrameType | None) -> None:
        log.info("signal", name=signal.Signals(number).name)
        service.reload()

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, leave)
    signal.signal(signal.SIGHUP, renew)
    try:
        service.run()
    finally:
        store.close()
    if service.learning:
        # Native code cannot be interrupted, and Python's own end would abort the process under it. All is saved.
        sys.stderr.flush()
        os._exit(0)
