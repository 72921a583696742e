"""The page as a part of the agent: remembers scores, makes views, passes commands on, serves. Nothing here waits.

Where the address cannot be had, the agent warns and watches on: the page is for looking.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from itertools import islice
from typing import Any

from edge_agent.alarms.state import ClosedAlarm
from edge_agent.config.file import Config
from edge_agent.errors import DatabaseError
from edge_agent.metrics.snapshot import Health, Snapshot
from edge_agent.mqtt.connection import Report
from edge_agent.pipeline.programs.cycle_view import latest
from edge_agent.pipeline.results import StepResults
from edge_agent.service.bounds import PAGE
from edge_agent.service.cameras.views import camera_views
from edge_agent.service.parts import AgentPart
from edge_agent.service.turn import CLOCKS, Clocks, Turn, TurnProcessor
from edge_agent.signals.machine_rules import facts_of
from edge_agent.store.history.database import HISTORY
from edge_agent.store.history.reader import HistoryReader
from edge_agent.web.auth import TokenGuard
from edge_agent.web.exchange import Exchange
from edge_agent.web.history import ScoreHistory
from edge_agent.web.page_routes import CommandGate, PageRoutes
from edge_agent.web.past import PastPages
from edge_agent.web.server import HttpServer
from edge_agent.web.view import Closeup, Curve, View

OFFERED = (
    "ack",
    "shelve",
    "unshelve",
    "label",
    "accept",
    "suppress",
    "unsuppress",
    "relearn",
    "budget",
    "rename",
    "forget",
)
"""What a phone in front of the machine is for. `commands.allow` may say less."""
_ROWS = 128
_TREND_POINTS = 40
_PAST = 30
_KIN_LIMIT = 200


class PagePart(AgentPart):
    """The page of one agent."""

    name = "page"

    def __init__(self, config: Config, *, report: Report, clocks: Clocks = CLOCKS) -> None:
        self._config = config
        self._report = report
        self._clocks = clocks
        self._history = ScoreHistory()
        self._exchange = Exchange(monotonic=clocks.monotonic_s)
        self._guard = TokenGuard(config.page.token_file, monotonic=clocks.monotonic_s)
        self._server: HttpServer | None = None

    def start(self) -> None:
        """Begin to serve, where the address can be had."""
        page = self._config.page
        if page.token_file is not None and not self._guard.usable:
            self._report("page_token_unusable", file=str(page.token_file))
        topic = self._config.commands.topic.replace("{agent}", self._config.agent.name)
        gate = CommandGate(self._exchange, self._guard, topic=topic, offered=OFFERED)
        reader = HistoryReader(self._config.agent.state_dir / HISTORY)
        with suppress(DatabaseError):  # the page says so itself
            self._history.restore(reader.moments())
        past = PastPages(reader, wall_s=lambda: self._clocks.wall_ns() / 1e9)
        routes = PageRoutes(self._exchange, gate, names=page.names, past=past)
        server = HttpServer(page.address, routes, name="page", limits=PAGE)
        try:
            server.start()
        except OSError as error:
            self._report("page_not_served", listen=page.listen, reason=error.strerror or str(error))
            return
        self._server = server
        self._report("page_served", url=f"http://{page.listen.rpartition(':')[0]}:{server.port}/")

    def stop(self) -> None:
        """Serve no more."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    # -- the pipeline's thread -------------------------------------------------------------------------------

    def adopt(self, config: Config) -> None:
        """Show what the commands may be by another configuration; the page's own settings wait for a restart."""
        self._config = config

    def observe_step(self, step: StepResults) -> None:
        """Remember its scores."""
        if self._server is not None:
            self._history.take_scores(step.scores)

    def observe_forgotten(self, machine: str) -> None:
        """Show no scores of it any more."""
        self._history.forget(machine)

    def poll(self, turn: Turn, processor: TurnProcessor) -> None:
        """Add what people asked for, as if it had come over MQTT."""
        del processor
        turn.commands += self._exchange.commands()

    def finish(self, processor: TurnProcessor) -> None:
        """Tell them what became of it."""
        self._exchange.answer(processor.alarm_manager.audit.find)

    def show(self, processor: TurnProcessor, *, snapshot: Snapshot, health: Health) -> None:
        """Make a new view, where somebody looks and it is time for one."""
        wanted = None if self._server is None else self._exchange.wanted()
        if wanted is None:
            return
        machines = processor.pipeline.statuses()
        now_s, now_ns = self._clocks.monotonic_s(), self._clocks.wall_ns()
        self._history.keep(machines)
        history = processor.alarm_manager.lifecycle.kept.history
        allowed = self._config.commands.allow if self._guard.usable else ()
        view = View(
            time_ns=now_ns,
            made_s=now_s,
            agent=self._config.agent.name,
            version=snapshot.build[0],
            provider=snapshot.build[-1],
            health=health,
            snapshot=snapshot,
            bundle=processor.bundle,
            machines=machines,
            calls=processor.alarm_manager.machine_calls(machines, now_ns=now_ns),
            silent_s=processor.sources.hearing.silent_s(machines, now_s=now_s)
            | {  # of these it is known since when, whenever the agent was started
                name: max(0.0, (now_ns - since_ns) / 1e9)
                for name, since_ns in processor.sources.silent_since_ns.items()
            },
            spent=processor.spent(),
            facts=processor.facts(),
            trends={name: self._history.of(name).near.curve(_TREND_POINTS) for name in machines},
            records=tuple(processor.alarm_manager.lifecycle.kept.records.values()),
            past=_named(processor, history[: -_PAST - 1 : -1]),
            past_count=len(history),
            commands=tuple(name for name in OFFERED if name in allowed),
            closeups=self._closeups(processor, wanted, known=machines),
            waiting=processor.alarm_manager.incidents.waiting,
            zone=self._config.site.zone,
        )
        self._exchange.show(view)

    def _closeups(
        self, processor: TurnProcessor, wanted: tuple[str, ...], *, known: Mapping[str, Any]
    ) -> dict[str, Closeup]:
        found = {}
        for name in wanted:
            if name not in known:
                found[name] = _NOBODY
                continue
            history = self._history.of(name)
            past = [
                one for one in reversed(processor.alarm_manager.lifecycle.kept.history) if one.machine == name
            ]
            found[name] = Closeup(
                machine_view=processor.pipeline.machines.view(name, latest_rows=_ROWS),
                near=history.near.curve(),
                far=history.far.curve(),
                latest=history.latest,
                past=_named(processor, past[:_PAST]),
                kin=self._kin(name, known),
                cameras=camera_views(processor.cameras.desk, name),
                cycle=latest(
                    name,
                    cycles=processor.pipeline.cycles,
                    profiles=processor.pipeline.machines.profile_of,
                    statuses=known,
                ),
            )
        return found

    def _kin(self, name: str, known: Iterable[str]) -> tuple[str, ...]:
        """Other machines of its type, as the configuration says."""
        rules = tuple(section.rule for section in self._config.machine)
        mine = facts_of(rules, name).type
        if not mine:
            return ()
        others = (other for other in known if other != name and facts_of(rules, other).type == mine)
        return tuple(islice(others, _KIN_LIMIT))


_NOBODY = Closeup(None, Curve(), Curve(), None)


def _named(processor: TurnProcessor, past: list[ClosedAlarm]) -> tuple[tuple[ClosedAlarm, str], ...]:
    return tuple((one, processor.pipeline.machines.fault_of(one.machine, one.id)) for one in past)
