"""The page as the service drives it: notes steps, makes scenes, passes commands on, serves. Nothing in here waits.

Where the address cannot be had, the agent warns and watches on: the page is for looking.
"""

from collections.abc import Callable, Mapping
from typing import Any

from edge_agent.alarms.audit import Audit
from edge_agent.alarms.state import Past
from edge_agent.config.file import Config
from edge_agent.metrics.snapshot import Health, Snapshot
from edge_agent.model.bundle import Bundle
from edge_agent.pipeline.results import Step
from edge_agent.records import ReceivedMessage
from edge_agent.service.turn import Watch
from edge_agent.web.auth import TokenGuard
from edge_agent.web.exchange import Hatch
from edge_agent.web.history import Memory
from edge_agent.web.server import Desk, Server
from edge_agent.web.view import Closeup, Curve, Scene

OFFERED = ("ack", "shelve", "unshelve", "label")
"""What a phone in front of the machine is for. The desk's allow-list may say less."""
_ROWS = 128
_TREND_POINTS = 40
_PAST = 30

Report = Callable[..., None]


class Site:
    """The page of one agent; does nothing where it is not enabled."""

    def __init__(self, config: Config, *, monotonic: Callable[[], float]) -> None:
        self._config = config
        self._monotonic = monotonic
        self._memory = Memory()
        self._hatch = Hatch(monotonic=monotonic)
        self._guard = TokenGuard(config.page.token_file, monotonic=monotonic)
        self._server: Server | None = None

    @property
    def port(self) -> int | None:
        """Where it is served; None while it is not."""
        return self._server.port if self._server else None

    def start(self, *, report: Report) -> None:
        """Begin to serve, where the configuration wants it."""
        page = self._config.page
        if not page.enabled:
            return
        if page.token_file is not None and not self._guard.usable:
            report("page_token_unusable", file=str(page.token_file))
        topic = self._config.commands.topic.replace("{agent}", self._config.agent.name)
        desk = Desk(self._hatch, self._guard, topic=topic, offered=OFFERED)
        try:
            self._server = Server(page.address, hatch=self._hatch, desk=desk, names=page.names)
        except OSError as error:
            report("page_not_served", listen=page.listen, reason=error.strerror or str(error))
            return
        self._server.start()
        report("page_served", url=f"http://{page.listen.rpartition(':')[0]}:{self._server.port}/")

    def close(self) -> None:
        """Serve no more."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    # -- the pipeline's thread -------------------------------------------------------------------------------

    def note(self, step: Step) -> None:
        """Remember what a step brought."""
        if self._server is not None:
            self._memory.note(step.scores)

    def commands(self) -> list[ReceivedMessage]:
        """What people asked for since the last call, as if it had come over MQTT."""
        return self._hatch.commands()

    def answer(self, audit: Audit) -> None:
        """Tell them what became of it."""
        self._hatch.answer(audit.find)

    def look(
        self,
        watch: Watch,
        *,
        snapshot: Snapshot,
        health: Health,
        bundle: Bundle,
        config: Config,
        now_ns: int,
    ) -> None:
        """Make a new scene, where somebody looks and it is time for one."""
        wanted = None if self._server is None else self._hatch.wanted()
        if wanted is None:
            return
        machines = watch.pipeline.machines()
        now_s = self._monotonic()
        self._memory.keep(machines)
        history = watch.control.lifecycle.memory.history
        allowed = config.commands.allow if self._guard.usable else ()
        scene = Scene(
            time_ns=now_ns,
            made_s=now_s,
            agent=config.agent.name,
            version=snapshot.build[0],
            provider=snapshot.build[-1],
            health=health,
            snapshot=snapshot,
            bundle=bundle,
            machines=machines,
            calls=watch.control.calls(machines, now_ns=now_ns),
            silent_s=watch.sources.hearing.silent_s(machines, now_s=now_s),
            trends={name: self._memory.of(name).near.curve(_TREND_POINTS) for name in machines},
            records=tuple(watch.control.lifecycle.memory.records.values()),
            past=_named(watch, history[: -_PAST - 1 : -1]),
            past_count=len(history),
            commands=tuple(name for name in OFFERED if name in allowed),
            closeups=self._closeups(watch, wanted, known=machines),
        )
        self._hatch.show(scene)

    def _closeups(
        self, watch: Watch, wanted: tuple[str, ...], *, known: Mapping[str, Any]
    ) -> dict[str, Closeup]:
        found = {}
        for name in wanted:
            if name not in known:
                found[name] = _NOBODY
                continue
            memory = self._memory.of(name)
            past = [one for one in reversed(watch.control.lifecycle.memory.history) if one.machine == name]
            found[name] = Closeup(
                glance=watch.pipeline.fleet.glance(name, latest_rows=_ROWS),
                near=memory.near.curve(),
                far=memory.far.curve(),
                latest=memory.latest,
                past=_named(watch, past[:_PAST]),
            )
        return found


_NOBODY = Closeup(None, Curve(), Curve(), None)


def _named(watch: Watch, past: list[Past]) -> tuple[tuple[Past, str], ...]:
    return tuple((one, watch.pipeline.fleet.fault_of(one.machine, one.id)) for one in past)
