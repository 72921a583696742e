"""What becomes of machines' next profiles, in memory and on disk: begun, learnt, taken or given up, and the way back.

A next profile that compares well takes over by itself; the old one is kept until the machine is learnt again, so that a
person may have it back. Called between two steps.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Literal

from edge_agent.alarms.outcomes import MachineOutcome
from edge_agent.detect.detectors import ENSEMBLE
from edge_agent.errors import StateError
from edge_agent.logs import get_logger
from edge_agent.model.lazy_arrays import LazyArrays
from edge_agent.pipeline.pipeline import Pipeline
from edge_agent.pipeline.results import Compared
from edge_agent.records import Profile
from edge_agent.store.beside_profiles import ROLES, BesideProfiles, Role

log = get_logger()

Decision = Literal["begin", "take_new", "keep_old"]


class NextProfiles:
    """Of one agent's machines."""

    def __init__(
        self,
        pipeline: Pipeline,
        store: BesideProfiles,
        *,
        on_changed: Callable[[Profile], None],
        on_touched: Callable[[str], None],
    ) -> None:
        """Begin; `on_changed` keeps the profile that watches, `on_touched` is told of machines to be written down."""
        self._pipeline = pipeline
        self._store = store
        self._on_changed = on_changed
        self._on_touched = on_touched

    def restore(self, previous: Iterable[Profile]) -> None:
        """Know what machines were watched with before the profiles that they have now."""
        for profile in previous:
            self._pipeline.relearner.keep_previous(profile)

    def decide(self, name: str, decision: Decision, *, by: str, force: bool) -> MachineOutcome:
        """Do what a person asks for."""
        if decision == "take_new":
            return self.take(name, by=by)
        if decision == "keep_old":
            return self.keep_old(name, by=by)
        return self._begin(name, by=by, force=force)

    def _begin(self, name: str, *, by: str, force: bool) -> MachineOutcome:
        if self._pipeline.machines[name].profile is None:
            return MachineOutcome(
                "busy", f"{name} is being learnt for the first time: there is nothing to learn beside"
            )
        on_its_way = self._pipeline.relearner.get(name)
        if on_its_way is not None and on_its_way.why == "asked" and on_its_way.stage != "failed":
            if on_its_way.stage == "gathering" and force and not on_its_way.always:
                on_its_way.always = True
                self._on_touched(name)
                return MachineOutcome(detail="rows of alarms are gathered, too, from now on")
            done = on_its_way.status()
            return MachineOutcome(
                "busy",
                f"{name} is being learnt anew already: {done.stage}, {done.rows} of {done.rows_wanted}",
            )
        self._drop(name, "next")
        begun = self._pipeline.relearner.begin(name, why="asked", by=by, always=force)
        self._on_touched(name)
        return MachineOutcome(
            detail=f"learnt anew from the next {begun.wanted_at} rows; the old profile watches until both were compared"
        )

    def begin_learning(self, name: str, *, by: str) -> MachineOutcome | None:
        """A next profile is being learnt from a recording; None, or why that cannot be now."""
        on_its_way = self._pipeline.relearner.get(name)
        if on_its_way is not None and on_its_way.stage == "learning":
            return MachineOutcome("busy", f"{name} is being learnt right now")
        self._drop(name, "next")
        self._pipeline.relearner.begin(name, why="asked", by=by).stage = "learning"
        self._on_touched(name)
        return None

    def learnt(self, name: str, result: Profile | str) -> None:
        """What the learner made of a machine's rows, beside the profile that watches."""
        if isinstance(result, str):
            self._pipeline.relearner.fail(name, result)
            log.warning("machine_not_relearnt", machine=name, reason=result)
        else:
            profile = replace(result, memory=LazyArrays(ENSEMBLE.compact(result.memory)))
            if self._pipeline.relearner.learnt(profile):
                self._save(profile, "next")
                log.info("next_profile_learnt", machine=name, channels=list(profile.channels))
        self._on_touched(name)

    def settle(self, told: Compared) -> None:
        """A next profile takes over where the comparison is in favour; else it waits for a person."""
        write = log.info if told.favourable else log.warning
        write("next_profile_compared", machine=told.machine, takes_over=told.favourable, told=told.told)
        self._on_touched(told.machine)
        if told.favourable:
            self.take(told.machine, by="the comparison")

    def take(self, name: str, *, by: str) -> MachineOutcome:
        """Watch with the next profile from now on."""
        if (busy := self._accepting(name)) is not None:
            return busy
        both = self._pipeline.take_successor(name)
        if both is None:
            return MachineOutcome("not_ready", f"{name} has no next profile that was learnt")
        new, old = both
        self._save(old, "previous")
        self._on_touched(name)
        self._on_changed(new)
        self._drop(name, "next")
        log.info("next_profile_taken", machine=name, by=by, channels=list(new.channels))
        return MachineOutcome(detail="watched by the new profile; keep_old takes the old one back")

    def keep_old(self, name: str, *, by: str) -> MachineOutcome:
        """Give the next profile up; or, where it watches already, take the old one back."""
        if (busy := self._accepting(name)) is not None:
            return busy
        relearner, profile = self._pipeline.relearner, self._pipeline.machines[name].profile
        successor, previous = relearner.get(name), relearner.previous(name)
        if successor is not None and successor.stage != "failed":
            new = successor.new
            self._drop(name, "next")
            detail = "the old profile goes on watching"
        elif previous is not None and profile is not None:
            new = tuple(channel for channel in profile.channels if channel not in previous.channels)
            relearner.forget(name)
            self._pipeline.install(previous)
            self._on_changed(previous)
            self._drop(name, "previous")
            detail = "the old profile watches again"
        else:
            return MachineOutcome(
                "not_ready", f"{name} has no old profile to keep: none was learnt beside it"
            )
        self._pipeline.relearner.decline(name, new, by=by)
        self._on_touched(name)
        log.info("old_profile_kept", machine=name, by=by)
        return MachineOutcome(detail=detail)

    def _accepting(self, name: str) -> MachineOutcome | None:
        """Why the profile cannot be exchanged: what was accepted of it is being learnt, and would bring it back."""
        if self._pipeline.machines[name].accepting != "asked":
            return None
        return MachineOutcome("busy", "what was accepted just now is being learnt; ask again in a moment")

    def drop(self, name: str) -> None:
        """Nothing stands beside the machine's profile any more."""
        for role in ROLES:
            self._drop(name, role)

    def _save(self, profile: Profile, role: Role) -> None:
        try:
            self._store.save(profile, role)
        except StateError as error:
            log.warning("state_not_saved", path=str(error.path), reason=error.reason)

    def _drop(self, name: str, role: Role) -> None:
        try:
            self._store.drop(name, [role])
        except StateError as error:
            log.warning("state_not_saved", path=str(error.path), reason=error.reason)
