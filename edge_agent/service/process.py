"""The agent as a process: its start, the signals it heeds, and its end. What it does is the service's business.

Signals arrive through a socket and are heeded by a thread of their own. A handler runs in the middle of whatever the
main thread does, perhaps with the log's lock held; one that logs or sets an event may wait for ever.
"""

import contextlib
import ctypes
import gc
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from edge_agent.config.file import Config
from edge_agent.logs import get_logger
from edge_agent.metrics.exporter import Exporter
from edge_agent.model.rollback import Counters
from edge_agent.service.agent import Service
from edge_agent.service.bounds import limits_of_process, shortfalls
from edge_agent.service.recorder import Recorder
from edge_agent.service.reload import remember, warn_of_age
from edge_agent.service.wiring import load_scorer
from edge_agent.store.atomic_file import allow_open
from edge_agent.store.state_dir import StateDir

log = get_logger()

_FILES_A_MACHINE = 3
"""Held open: its profile's, and while a newer one is kept the one before, by those who began with it."""
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGE_BYTES = 4 << 20
"""Larger arrays go back to the system at once; smaller ones are taken from what the process keeps."""
_PRIVATE = 0o077
"""What nobody else may do with files of ours: samples and names of faults are in them."""
_NEW_OBJECTS = 20_000
"""So many more objects before circles are looked for: a turn makes thousands, nearly none of them in a circle."""


def run(config: Config, *, reread: Callable[[], Config]) -> None:
    """The whole agent, until SIGTERM or SIGINT; at SIGHUP it reads its configuration and bundle again.

    Raises:
        EdgeAgentError: it cannot start.
    """
    os.umask(_PRIVATE)
    keep_heap()
    counters = Counters(config.agent.state_dir)
    exporter = Exporter()
    scorer = load_scorer(
        config,
        counters=counters,
        aside=True,
        observe=exporter.inference_seconds.observe,
    )
    warn_of_age(scorer.bundle, now=datetime.now(UTC))
    if config.broker.tls_insecure:
        log.warning("broker_name_not_checked", setting="broker.tls_insecure")
    allow_open(_FILES_A_MACHINE * config.limits.machines)
    for shortfall in shortfalls(config, limits_of_process()):
        log.warning("bounds_do_not_fit", what=shortfall)
    store = StateDir(config.agent.state_dir)
    store.open()
    remember(scorer.bundle, counters)
    try:
        service = Service(config, scorer=scorer, store=store, exporter=exporter, reread=reread)
        _heed_signals(
            {signal.SIGTERM: service.stop, signal.SIGINT: service.stop, signal.SIGHUP: service.reload}
        )
        service.run()
    finally:
        store.close()
    if service.learning:
        # Native code cannot be interrupted, and Python's own end would abort the process under it. All is saved.
        sys.stderr.flush()
        os._exit(0)


def keep_heap() -> None:
    """Let the C library keep the memory that each turn takes and gives up: a tenth of the agent's time went there.

    Where the library has no such door only the interpreter's own part is done.
    """
    gc.set_threshold(_NEW_OBJECTS)
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        mallopt(_M_TRIM_THRESHOLD, 2 * _LARGE_BYTES)


def record(config: Config, *, folder: Path) -> None:
    """The recorder, until SIGTERM or SIGINT.

    Raises:
        EdgeAgentError: it cannot start, or its last rows cannot be turned into tables.
    """
    recorder = Recorder(config, folder=folder)
    _heed_signals({signal.SIGTERM: recorder.stop, signal.SIGINT: recorder.stop})
    recorder.run()


def _heed_signals(actions: dict[signal.Signals, Callable[[], None]]) -> None:
    """Call each signal's action from a thread; lasts as long as the process."""
    heard, told = socket.socketpair()
    told.setblocking(False)
    signal.set_wakeup_fd(told.detach())  # given to the interpreter for good
    for number in actions:
        signal.signal(number, lambda *_: None)

    def heed() -> None:
        while True:
            for number in heard.recv(64):
                action = actions.get(signal.Signals(number))
                if action is not None:
                    log.info("signal", name=signal.Signals(number).name)
                    action()

    threading.Thread(target=heed, name="signals", daemon=True).start()
