"""The one file of the corpus that knows the agent: a script of messages through a whole service, and commands.

Moves and renames of the agent end here. What is relied on beside the imports and the names below: a `Service` makes its
`TurnProcessor` once, and calls `gather` between two turns; the learner puts what it has learnt into `_learnt`.
"""

import logging
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, get_args
from unittest import mock

import numpy as np
import structlog

from edge_agent.config.file import load
from edge_agent.metrics.exporter import Exporter
from edge_agent.records import RejectReason
from edge_agent.service.agent import Service
from edge_agent.service.turn import Clocks, TurnProcessor
from edge_agent.service.wiring import load_scorer
from edge_agent.store.state_dir import StateDir
from tests.golden.outcome import Outcome, Scores, metric_lines, told_lines, written
from tests.golden.stage import Broker, Clock, Moment

ROOT = Path(__file__).parents[2]
CLIENT = "edge_agent.mqtt.connection.BulkClient"
"""Where the connections take paho's client from."""
PROCESSOR, GATHER = "edge_agent.service.agent.TurnProcessor", "edge_agent.service.agent.gather"
REASONS: tuple[str, ...] = get_args(RejectReason)
_pause = time.sleep


def live(
    config: Path, moments: Iterable[Moment], *, leave: Callable[[Path], None] = lambda _: None
) -> Outcome:
    """One life of an agent: every moment is a turn, then it is asked to leave.

    Args:
        config: its TOML file.
        moments: what reaches it, by rising time.
        leave: is shown the state directory after the last turn, while the agent still lives.
    """
    moments = [*moments]
    clock, broker, tap, pages = Clock(moments[0].at_ns), Broker(), _Tap(), []
    rest = iter(moments)

    def processor(*known: Any, observers: Sequence[Any], **settings: Any) -> TurnProcessor:
        clocks = Clocks(monotonic_s=clock.monotonic_s, wall_ns=clock.wall_ns)
        made = TurnProcessor(*known, observers=(*observers, tap), clocks=clocks, **settings)
        tap.follow(made.learner)
        return made

    def between_turns(*_: Any, **__: Any) -> None:
        tap.wait()
        moment = next(rest, None)
        if moment is not None:
            clock.set(moment.at_ns)
            broker.turn(moment)
            return
        leave(settings.agent.state_dir)
        pages.append(exporter.page().decode())
        service.stop()

    with clock.rule(), _quiet(), ExitStack() as stack:
        stack.enter_context(mock.patch.object(random, "random", _half))
        for name, stand_in in ((CLIENT, broker.client), (PROCESSOR, processor), (GATHER, between_turns)):
            stack.enter_context(mock.patch(name, stand_in))
        settings, exporter = load(config), Exporter()
        store = StateDir(settings.agent.state_dir)
        store.open()
        try:
            scorer = load_scorer(settings, observe=exporter.inference_seconds.observe)
            service = Service(settings, scorer=scorer, store=store, exporter=exporter)
            service.run()
        finally:
            store.close()
        pages.append(exporter.page().decode())
    return Outcome(
        scores=tap.scores.arrays(),
        told=told_lines(broker.told),
        metrics=[*metric_lines(pages[0], when="before leaving"), *metric_lines(pages[1], when="after it")],
        facts={"acknowledged": broker.acknowledged, "written": written(settings.agent.state_dir)},
    )


def agent(*words: str | Path) -> str:
    """`edge-agent WORDS`: what it wrote to standard output."""
    done = subprocess.run(
        [sys.executable, "-m", "edge_agent", *map(str, words)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb", "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


class _Tap:
    """Notes every score, and waits for what is being learnt, so that the next turn finds it."""

    def __init__(self) -> None:
        self.scores = Scores()
        self._asked = 0
        self._learner: Any = None

    def follow(self, learner: Any) -> None:
        self._learner, submit = learner, learner.submit

        def counted(request: Any) -> None:
            self._asked += 1
            submit(request)

        learner.submit = counted

    def wait(self) -> None:
        while self._learner._learnt.qsize() < self._asked:
            _pause(0.001)
        self._asked = 0

    def observe_step(self, step: Any) -> None:
        for block in step.scores:
            windows = block.windows
            parts = np.empty((len(block.value), 0), np.float32) if block.parts is None else block.parts
            hidden = np.zeros((len(block.value), len(block.channels)), np.bool_)
            hidden[:, list(windows.hidden)] = True
            self.scores.note(
                windows.machine,
                time_ns=windows.times_ns,
                end_row=windows.end_rows,
                value=block.value,
                recent=block.recent,
                parts=parts,
                contributions=block.contributions,
                hidden=hidden,
                classes=block.classes,
            )

    def observe_profile(self, profile: Any) -> None:
        pass

    def observe_forgotten(self, machine: str) -> None:
        pass


def _half() -> float:
    """What chance says."""
    return 0.5


@contextmanager
def _quiet() -> Iterator[None]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.reset_defaults()
