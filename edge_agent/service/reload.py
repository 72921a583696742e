"""Another configuration or bundle while the agent runs: made ready in a thread, taken over between two turns, or not.

Everything that can fail happens before anything changes: the file is read, the bundle verified, the model started and
its golden windows re-scored beside the running one. Whatever fails, the last good one stays. What cannot change without
a restart is named in a warning and keeps its old value.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from edge_agent.config.file import Config, unshareable
from edge_agent.errors import EdgeAgentError, StateError, UsageError
from edge_agent.logs import get_logger
from edge_agent.model.bundle import Bundle
from edge_agent.model.rollback import Counters, expired
from edge_agent.pipeline.pipeline import Pipeline
from edge_agent.records import Profile
from edge_agent.service.wiring import Observe, TimedScorer, bundle_profile, load_bundle, start_scorer

log = get_logger()

LIVE = frozenset(
    {
        "source",
        "model",
        "commission",
        "budget",
        "alarm",
        "alarms",
        "state",
        "window",
        "limits",
        "log",
        "commands",
        "lifecycle",
        "maintenance",
        "machine",
        "site",
    }
)
"""Sections that count at once; of the others, a change waits for the next start."""
FIXED = frozenset({"commands.topic", "commands.reply_topic", "lifecycle.flood_topic"})
"""Settings of those sections that wait for it all the same: what is retained there must be cleared by who wrote it."""
RESULTS = ("applied", "unchanged", "refused")


@dataclass(frozen=True, slots=True)
class Fresh:
    """What is ready to take over.

    Attributes:
        config: the new live sections, and the others as they run.
        scorer: the running one where neither the bundle nor what it runs on has changed.
        template: the profile that comes with the bundle.
        changed, waiting: dotted names of settings that count now, and of those that wait for the next start.
    """

    config: Config
    scorer: TimedScorer
    template: Profile | None
    changed: tuple[str, ...]
    waiting: tuple[str, ...]


class Reloader:
    """Prepares what was asked for, one at a time; counts what became of it."""

    def __init__(
        self, *, read: Callable[[], Config], config: Config, scorer: TimedScorer, observe: Observe
    ) -> None:
        """Beside an agent that runs `config` and `scorer`; `read` gives the configuration as it is then.

        New scorers tell `observe` how long their calls took.
        """
        self.counts = dict.fromkeys(RESULTS, 0)
        self._read = read
        self._observe = observe
        self._running = Fresh(config, scorer, bundle_profile(scorer.bundle), (), ())
        self._counters = Counters(config.agent.state_dir)
        self._asked = 0
        self._begun = 0
        self._thread: threading.Thread | None = None
        self._outcome: Fresh | str | None = None

    @property
    def busy(self) -> bool:
        """Whether something is being made ready; native code in it cannot be interrupted."""
        return self._thread is not None and self._thread.is_alive()

    def ask(self) -> None:
        """Read again. May be called from any thread; several at once count as one."""
        self._asked += 1

    def poll(self, pipeline: Pipeline) -> Fresh | None:
        """What is ready to take over and fits what the pipeline has learnt; call between two turns."""
        if self.busy:
            return None
        outcome, self._outcome, self._thread = self._outcome, None, None
        if self._asked != self._begun:
            self._begun = self._asked
            self._begin()
        if outcome is None:
            return None
        if isinstance(outcome, str):
            self._refuse(outcome)
            return None
        if (misfit := _misfit(outcome, pipeline)) is not None:
            self._refuse(misfit)
            return None
        if not outcome.changed and outcome.scorer is self._running.scorer:
            self.counts["unchanged"] += 1
            log.info("reload_unchanged", waiting=list(outcome.waiting))
            return None
        return outcome

    def _begin(self) -> None:
        thread = threading.Thread(target=self._prepare, name="reload", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # the process may have no more of them: it goes on with what it has
            self._refuse(str(error))
        else:
            self._thread = thread

    def applied(self, fresh: Fresh, *, pause_s: float) -> None:
        """Note that `fresh` runs now, after a pause of the pipeline."""
        self._running = fresh
        self.counts["applied"] += 1
        bundle = fresh.scorer.bundle
        remember(bundle, self._counters)
        log.info(
            "reloaded",
            changed=list(fresh.changed),
            waiting=list(fresh.waiting),
            model=bundle.manifest.name,
            digest=bundle.digest[:12],
            signed_by=bundle.signed_by,
            pause_ms=round(pause_s * 1000, 1),
        )

    def _refuse(self, reason: str) -> None:
        self.counts["refused"] += 1
        log.error("reload_refused", reason=reason, keeps=self._running.scorer.bundle.digest[:12])

    def _prepare(self) -> None:
        try:
            self._outcome = self._made_ready()
        except EdgeAgentError as error:
            self._outcome = str(error)
        except Exception as error:  # the edge of a thread
            log.exception("reload_crashed")
            self._outcome = f"internal error: {error!r}"

    def _made_ready(self) -> Fresh:
        started, running = time.perf_counter(), self._running
        wanted = self._read()
        config = running.config.model_copy(
            update={name: _live(name, running.config, wanted) for name in LIVE}
        )
        if config.sharing.group and (why_not := unshareable(config.source)):
            raise UsageError(f"this agent shares machines until it is restarted: {why_not}")
        changed, waiting = _changes(running.config, wanted)
        if waiting:
            log.warning("settings_wait_for_restart", settings=list(waiting))
        bundle = load_bundle(config, counters=self._counters)
        runs_on = config.model.model_copy(update={"bundle": None, "trusted_keys": ()})
        ran_on = running.config.model.model_copy(update={"bundle": None, "trusted_keys": ()})
        if bundle.digest == running.scorer.bundle.digest and runs_on == ran_on:
            return Fresh(config, running.scorer, running.template, changed, waiting)
        template = bundle_profile(bundle)
        scorer = start_scorer(bundle, config, observe=self._observe)
        log.info("bundle_ready", digest=bundle.digest[:12], took_s=round(time.perf_counter() - started, 3))
        return Fresh(config, scorer, template, changed, waiting)


def remember(bundle: Bundle, counters: Counters) -> None:
    """Note that a bundle runs; a full disk is told and does not stop the agent."""
    try:
        counters.remember(bundle)
    except StateError as error:
        log.warning("state_not_saved", path=str(error.path), reason=error.reason)


def warn_of_age(bundle: Bundle, *, now: datetime) -> None:
    """Say that a bundle should have been replaced; it goes on running, since an old model is better than none."""
    if bundle.release is not None and bundle.release.expires is not None and expired(bundle, now=now):
        log.warning(
            "bundle_expired",
            model=bundle.manifest.name,
            digest=bundle.digest[:12],
            expired=bundle.release.expires.isoformat(),
        )


def _live(section: str, old: Config, new: Config) -> object:
    """A section as it is wanted, but for what is fixed until the next start."""
    wanted, runs = getattr(new, section), getattr(old, section)
    fixed = [name.partition(".")[2] for name in FIXED if name.startswith(f"{section}.")]
    return wanted.model_copy(update={name: getattr(runs, name) for name in fixed}) if fixed else wanted


def _changes(old: Config, new: Config) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Dotted names of the settings that differ: those that count at once, and the others."""
    changed: list[str] = []
    waiting: list[str] = []
    for section in type(old).model_fields:
        before, after = getattr(old, section), getattr(new, section)
        if before == after:
            continue
        fields = getattr(type(before), "model_fields", None)
        names = [section] if fields is None else [f"{section}.{name}" for name in fields]
        differing = [
            name
            for name in names
            if fields is None
            or getattr(before, name.partition(".")[2]) != getattr(after, name.partition(".")[2])
        ]
        for name in differing:
            (changed if section in LIVE and name not in FIXED else waiting).append(name)
    return tuple(changed), tuple(waiting)


def _misfit(fresh: Fresh, pipeline: Pipeline) -> str | None:
    """Why the new model cannot take over without forgetting a machine; None where it can."""
    bundle, known = fresh.scorer.bundle, pipeline.statuses()
    if known and fresh.scorer.window_rows != pipeline.window_rows:
        return (
            f"{bundle.path}: windows of {fresh.scorer.window_rows} rows, and {pipeline.window_rows} are gathered; "
            "restart the agent to learn its machines afresh"
        )
    stranded = pipeline.stranded(encoder=bundle.encoder, template=fresh.template)
    if stranded:
        more = "" if len(stranded) == 1 else f" and {len(stranded) - 1} more"
        return (
            f"{bundle.path}: another network, and {stranded[0]}{more} would have to be learnt afresh: "
            "restart the agent to do so"
        )
    return None
