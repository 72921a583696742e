"""Keeps the agent's state on disk, one transaction a turn, and the agent at work where that cannot be done.

Memory is what counts; the database follows. Where it cannot be written (full, read-only, broken) the agent goes on from
memory, says that it is degraded, and tries again with growing pauses; the first transaction that succeeds writes
everything afresh, so nothing has to be remembered of what was missed. A corrupt file is set aside under another name.
"""

import hashlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

from edge_agent.errors import DatabaseError, StateError
from edge_agent.mqtt.duplicates import UsedMarks
from edge_agent.mqtt.outbox import Outbox
from edge_agent.pipeline.machine import Memento
from edge_agent.pipeline.pipeline import Pipeline
from edge_agent.pipeline.results import StepResults
from edge_agent.records import Profile
from edge_agent.store.alarm_windows import AlarmWindowStore
from edge_agent.store.database import Database, DatabaseContents
from edge_agent.store.journal import Changes, Journal, JournalContents, decode_states
from edge_agent.store.state_dir import StateDir

_RETRY_FIRST_S = 1.0
_RETRY_LAST_S = 30.0
_STEADY_S = 5.0
"""On a full disk small transactions succeed now and then: only what succeeds for so long is mended."""
_TIDY_EVERY_S = 1.0
"""What only forgets (messages that were acknowledged) waits so long for company."""
_LOOK_EVERY_S = 1.0
_LOOK_AT = 32
"""Machines whose files are looked at at a time: some calls of the system each."""
_ROOM = "room/"

Report = Callable[..., None]
"""Where the writer says what happened: `report(event, **facts)`."""


@dataclass(slots=True)
class WriteCounts:
    """What is counted of writing."""

    commits: int = 0
    failures: int = 0
    set_aside: int = 0


@dataclass(slots=True)
class _WriteFailure:
    """One thing that cannot be written, and when to try again."""

    reason: str = ""
    pause_s: float = 0.0
    retry_s: float = 0.0
    mending_s: float | None = None
    """Since when it has succeeded again."""

    @property
    def broken(self) -> bool:
        """Whether the last try failed."""
        return bool(self.reason) and self.mending_s is None

    def failed(self, reason: str, *, now_s: float) -> None:
        self.reason = reason
        self.pause_s = min(_RETRY_LAST_S, max(_RETRY_FIRST_S, 2 * self.pause_s))
        self.retry_s, self.mending_s = now_s + self.pause_s, None

    def passed(self, *, now_s: float) -> None:
        if self.reason and self.mending_s is None:
            self.mending_s = now_s

    def mended(self, *, now_s: float) -> bool:
        """Whether it has succeeded for long enough, told once."""
        if self.mending_s is None or now_s - self.mending_s < _STEADY_S:
            return False
        self.reason, self.pause_s, self.retry_s, self.mending_s = "", 0.0, 0.0, None
        return True


def room_values(states: Mapping[str, bytes]) -> dict[str, bytes]:
    """What rooms have kept among all that the database holds, by their own names."""
    return {name.removeprefix(_ROOM): value for name, value in states.items() if name.startswith(_ROOM)}


class StateWriter:
    """Writes what changed after each turn, before its messages are acknowledged. Belongs to one thread."""

    def __init__(
        self,
        database: Database,
        *,
        store: StateDir,
        journal: Journal,
        outbox: Outbox,
        report: Report,
        timed: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        """Nothing is opened yet; `timed` is entered around each commit."""
        self.counts = WriteCounts()
        self.marks = UsedMarks()
        self._database = database
        self._store = store
        self._journal = journal
        self._outbox = outbox
        self._report = report
        self._timed = timed
        self._alarm_windows = AlarmWindowStore(database)
        self._pipeline: Pipeline
        self._values: dict[str, bytes] = {}
        self._changed_values: dict[str, bytes | None] = {}
        self._changed_machines: list[str] = []
        self._unsaved_profiles: dict[str, Profile] = {}
        self._failures = {"database": _WriteFailure(), "profiles": _WriteFailure()}
        self._tidied_s = 0.0
        self._looked_s = 0.0
        self._to_look_at: list[str] = []
        self._stale = False

    @property
    def failure(self) -> str:
        """Why something cannot be written at the moment; "" where all is well."""
        return "; ".join(failure.reason for failure in self._failures.values() if failure.reason)

    # -- what other rooms keep ------------------------------------------------------------------------------

    def keep_value(self, name: str, value: bytes | None) -> None:
        """Keep a value of some room's own across restarts, from the next commit on; None forgets it, in its time."""
        if value is None:
            self._values.pop(name, None)
        else:
            self._values[name] = value
        self._changed_values[_ROOM + name] = value

    def choose_value(self, name: str, *, readable: Callable[[bytes], bool]) -> bytes | None:
        """What a room has kept under a name, where it can be read.

        What cannot may be of a newer version: it is kept by its digest, and taken as soon as it can be read again.
        """
        value, prefix = self._values.get(name), f"{name}.kept-"
        for other in sorted(one for one in self._values if one.startswith(prefix)):
            if readable(self._values[other]):
                value = self._values[other]
                self.keep_value(name, value)
                self.keep_value(other, None)
        if value is None or readable(value):
            return value
        self.keep_value(f"{prefix}{hashlib.sha256(value).hexdigest()[:12]}", value)
        return value

    def kept_values(self) -> Mapping[str, bytes]:
        """What rooms have kept, by name."""
        return self._values

    def note_changed_machine(self, name: str) -> None:
        """A machine was installed or failed between two steps."""
        self._changed_machines.append(name)

    def save_profile(self, profile: Profile, *, now_s: float) -> None:
        """Keep what was learnt of a machine; where that fails it is tried again."""
        self._unsaved_profiles[profile.machine] = profile
        self._save_profiles(now_s)

    # -- start ----------------------------------------------------------------------------------------------

    def load(self, *, now_s: float) -> JournalContents:
        """Open the database and take up what an earlier process left; never fails."""
        contents = self._read(now_s)
        if self._database.newer is not None:
            self._report("state_file_newer", path=str(self._database.newer), ours=str(self._database.path))
        samples = contents.samples
        found = decode_states(contents.states, [(turn, block) for turn, block, _ in samples if block])
        self._values = room_values(contents.states)
        self.marks.restore(marks for _, _, marks in samples)
        damaged = [*contents.damaged, *found.damaged]
        try:
            self._outbox.restore(contents.states)
        except ValueError as error:
            damaged.append(f"outbox: {error}")
        if damaged:
            self._report("state_damaged", names=damaged[:10], count=len(damaged))
        self._journal.begin(max(found.turn, max((turn for turn, _, _ in samples), default=0)))
        return found

    def restore_alarm_windows(self, pipeline: Pipeline) -> None:
        """Let alarms that are over be named after a restart, too; call it when the machines are restored."""
        if damaged := self._alarm_windows.restore(pipeline):
            self._report("state_damaged", names=damaged[:10], count=len(damaged))

    def _read(self, now_s: float) -> DatabaseContents:
        try:
            self._database.open()
        except DatabaseError as error:
            if error.corrupt:
                self._set_aside(error)
                return DatabaseContents({})
            self._failed("database", error, now_s=now_s)  # it may still be readable
        try:
            return self._database.read()
        except DatabaseError as error:
            if not (error.corrupt and self._set_aside(error)):
                self._failed("database", error, now_s=now_s)
        return DatabaseContents({})

    def begin(self, pipeline: Pipeline, *, now_s: float) -> None:
        """Write everything once, in a form that owes nothing to the past."""
        self._pipeline = pipeline
        self._recover(now_s)

    # -- each turn ------------------------------------------------------------------------------------------

    def write_turn(self, step: StepResults, *, now_s: float) -> None:
        """Write what the turn changed. Its messages may be acknowledged when this returns, whatever came of it."""
        self._mend(now_s)
        self._look_after_profiles(now_s)
        if self._unsaved_profiles and now_s >= self._failures["profiles"].retry_s:
            self._save_profiles(now_s)
        changed, self._changed_machines = self._changed_machines, []
        marks = self.marks.take_new_marks()
        if self._failures["database"].broken or self._journal.overgrown or self._stale:
            self._recover(now_s)
            return
        changes = self._journal.changes_of_turn(
            step, self._pipeline, marks=marks, changed=changed, now_s=now_s
        )
        changes = replace(changes, alarm_windows=self._alarm_windows.due_windows(step, self._pipeline))
        self._commit(self._with_values(changes, now_s=now_s), now_s=now_s)

    def rewrite_next_turn(self) -> None:
        """A turn broke off: what is on disk may not be what is in memory, so write everything next time."""
        self._stale = True

    def write_last(self, *, now_s: float) -> None:
        """Write what is still unwritten before a wanted end."""
        if self._failures["database"].broken:
            changes = self._everything()
            self._commit(changes, now_s=now_s)
        else:
            changes = self._journal.last_changes(self._pipeline)
            self._commit(self._with_values(changes, now_s=now_s), now_s=now_s)
        for windows in self._alarm_windows.last_windows(self._pipeline):
            if self._failures["database"].broken:
                break
            self._commit(Changes(changes.turn, alarm_windows=windows), now_s=now_s)
        self._database.close()

    def size_bytes(self) -> int:
        """Of the database on disk."""
        return self._database.size_bytes()

    def free_bytes(self) -> int | None:
        """On the disk that holds it; None where that cannot be seen."""
        return self._database.free_bytes()

    def _with_values(self, changes: Changes, *, now_s: float) -> Changes:
        """Add what the outbox and other rooms want to keep or to forget."""
        new = any(value is not None for value in self._changed_values.values())
        wanted = not changes.empty or new or self._outbox.urgent
        if not wanted and now_s - self._tidied_s < _TIDY_EVERY_S:
            return changes
        self._tidied_s = now_s
        gone = self._outbox.take_changes()
        if not wanted and not gone:
            return changes  # values that are only to be forgotten go with the next commit that is made anyway
        values, self._changed_values = self._changed_values, {}
        return replace(changes, states={**changes.states, **values, **gone})

    def _everything(self) -> Changes:
        changes = self._journal.all_changes(self._pipeline)
        self._changed_values.clear()
        values = {_ROOM + name: value for name, value in self._values.items()}
        states = {**changes.states, **values, **self._outbox.everything()}
        stay = self._alarm_windows.names_to_keep(self._pipeline)
        return replace(changes, states=states, marks=self.marks.all_marks(), stay=stay)

    # -- when it cannot be done -----------------------------------------------------------------------------

    def _commit(self, changes: Changes, *, now_s: float) -> None:
        if changes.empty:
            return
        for attempt in range(2):
            try:
                with self._timed():
                    self._database.commit(changes)
            except DatabaseError as error:
                if attempt == 0 and error.corrupt and self._set_aside(error):
                    changes = self._everything()  # into a new file, at once
                    self._keep_lost_profiles()
                    continue
                self._failed("database", error, now_s=now_s)
                return
            break
        self._alarm_windows.mark_written()
        self.counts.commits += 1
        self._stale = self._stale and not changes.whole
        self._failures["database"].passed(now_s=now_s)

    def _recover(self, now_s: float) -> None:
        """Write everything afresh, if it is time to try."""
        if now_s >= self._failures["database"].retry_s:
            self._commit(self._everything(), now_s=now_s)

    def _failed(self, what: str, error: StateError, *, now_s: float) -> None:
        self.counts.failures += 1
        if not self._failures[what].reason:
            self._report("state_not_saved", path=str(error.path), reason=error.reason)
        self._failures[what].failed(str(error), now_s=now_s)

    def _mend(self, now_s: float) -> None:
        """Say what works again; profiles whose files went with the disk are written anew."""
        for what, failure in self._failures.items():
            if failure.mended(now_s=now_s):
                self._report("state_recovered", what=what)
                self._keep_lost_profiles()

    def _keep_lost_profiles(self) -> None:
        """Write again what the store has no file of any more; at the next turn."""
        for profile in self._pipeline.profiles():
            if not self._store.is_whole(profile):
                self._unsaved_profiles.setdefault(profile.machine, profile)

    def _set_aside(self, error: DatabaseError) -> bool:
        try:
            path = self._database.set_aside()
        except DatabaseError:
            return False
        self.counts.set_aside += 1
        self._report("state_file_set_aside", path=str(path), reason=error.reason)
        return True

    def _save_profiles(self, now_s: float) -> None:
        """Write what is to be written of machines; one that cannot be written keeps back no other."""
        failed: StateError | None = None
        for machine, profile in [*self._unsaved_profiles.items()]:
            try:
                self._store.save_profile(profile)
            except StateError as error:
                failed = failed or error
            else:
                del self._unsaved_profiles[machine]
        if failed is None:
            self._failures["profiles"].passed(now_s=now_s)
        else:
            self._failed("profiles", failed, now_s=now_s)

    def _look_after_profiles(self, now_s: float) -> None:
        """Look at the files of a few machines in turn: what was lost or altered is written again from memory."""
        if now_s - self._looked_s < _LOOK_EVERY_S:
            return
        self._looked_s = now_s
        if not self._to_look_at:
            self._to_look_at = [profile.machine for profile in self._pipeline.profiles()]
        due, self._to_look_at = self._to_look_at[:_LOOK_AT], self._to_look_at[_LOOK_AT:]
        known = {profile.machine: profile for profile in self._pipeline.profiles()} if due else {}
        for machine in due:
            profile = known.get(machine)
            if profile is None or machine in self._unsaved_profiles or self._store.is_whole(profile):
                continue
            self._unsaved_profiles[machine] = profile
            self._report("profile_written_again", machine=machine)


@dataclass(frozen=True, slots=True)
class Stopped:
    """Machines that cannot go on where they stood: their profile is gone, or another one now.

    Attributes:
        resting: something was open of these, which nobody has seen end: they stand still, with the reason.
        afresh: these begin afresh.
    """

    resting: Mapping[str, str]
    afresh: tuple[str, ...]


def restore(
    pipeline: Pipeline,
    found: JournalContents,
    *,
    find_aside: Callable[[Memento], Profile | None] = lambda _: None,
    why_not: Callable[[str], str] = lambda _: "what was learnt of it is gone",
    beside: Mapping[str, Profile] | None = None,
) -> Stopped:
    """Let machines go on where they stood.

    Args:
        pipeline: with the profiles that were found.
        found: what was written down of them.
        find_aside: the very profile that a machine stood with, where it was set aside.
        why_not: why nothing usable is known of a machine.
        beside: next profiles that were learnt, by machine.
    """
    resting: dict[str, str] = {}
    afresh: list[str] = []
    for name, memento in found.mementos.items():
        buffer = found.buffers.get(name)
        try:
            goes_on = pipeline.restore(memento, buffer[1] if buffer is not None else None)
        except (
            ValueError
        ):  # rows that make no sense: an open alarm still goes on, over a window that fills afresh
            goes_on = pipeline.restore(memento, None)
        if not goes_on and (profile := find_aside(memento)) is not None:
            pipeline.install(profile)
            goes_on = pipeline.restore(memento, None)
        if goes_on:
            continue
        if memento.tells:
            pipeline.rest(memento, buffer[1] if buffer is not None else None, reason=why_not(name))
            if pipeline.machines[name].resting is not None:
                resting[name] = pipeline.machines[name].reason
        else:
            afresh.append(name)
    for name, raw in found.beside.items():
        if not pipeline.relearner.restore(name, raw, beside or {}):
            afresh.append(f"{name}: its next profile")
    pipeline.recall(found.frames())
    return Stopped(resting, tuple(afresh))
