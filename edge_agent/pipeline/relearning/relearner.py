"""The next profiles of all machines: begun by a person or by a new channel, fed, compared, taken over. Pure.

Called by the pipeline with the machines that it holds; whoever drives the pipeline learns what is asked for
(`CommissionRequest.beside`), says what came of it (`learnt`, `fail`) and settles what was compared.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import msgspec

from edge_agent.commissioning.accepted_rows import AcceptedRows
from edge_agent.detect.scorer import Scorer
from edge_agent.model.lazy_arrays import LazyArrays
from edge_agent.pipeline import acceptance, level_offsets
from edge_agent.pipeline.machine import Machine
from edge_agent.pipeline.machines import Machines
from edge_agent.pipeline.notices import LEVEL
from edge_agent.pipeline.relearning.comparison import Comparison, seen_cases
from edge_agent.pipeline.relearning.from_rows import request_of
from edge_agent.pipeline.relearning.successor import Successor, SuccessorState
from edge_agent.pipeline.results import CommissionRequest, Compared, MachineStatus, Why
from edge_agent.pipeline.settings import PipelineSettings
from edge_agent.pipeline.validation import new_rows
from edge_agent.records import Alarm, Frame, Profile, ScoreBlock, Taken

_GATHERING_LIMIT = 64
"""Machines that gather by themselves at a time, for new channels: a row of all of them is kept twice."""


class Relearner:
    """Knows which machines have a next profile on its way."""

    def __init__(self, machines: Machines, *, scorer: Scorer, settings: PipelineSettings) -> None:
        self._machines = machines
        self._scorer = scorer
        self._settings = settings
        self._successors: dict[str, Successor] = {}
        self._previous: dict[str, Profile] = {}
        """What machines were watched with before, for people who want that back."""

    def adopt(self, *, scorer: Scorer, settings: PipelineSettings) -> None:
        """Go on with another model and other settings; what was learnt for another network is learnt anew."""
        anew = scorer.bundle.encoder != self._scorer.bundle.encoder
        self._scorer, self._settings = scorer, settings
        for name, before in [*self._successors.items()] if anew else []:
            if before.stage in ("learning", "comparing", "waiting"):
                self.begin(name, why=before.why, by=before.by, always=before.always)

    def get(self, name: str) -> Successor | None:
        """A machine's next profile; None where none is on its way."""
        return self._successors.get(name)

    def forget(self, name: str) -> None:
        """Nothing stands beside the machine's profile any more."""
        self._successors.pop(name, None)
        self._previous.pop(name, None)

    def statuses(self, plain: Mapping[str, MachineStatus]) -> Mapping[str, MachineStatus]:
        """The machines' states with what stands beside their profiles, where anything does."""
        return {
            name: replace(
                plain[name],
                successor=self._successors[name].status() if name in self._successors else None,
                previous=name in self._previous,
            )
            for name in plain.keys() & (self._successors.keys() | self._previous.keys())
        }

    def previous(self, name: str) -> Profile | None:
        """What the machine was watched with before."""
        return self._previous.get(name)

    def keep_previous(self, profile: Profile) -> None:
        """A machine that has a profile was watched with this one before."""
        if (machine := self._machines.get(profile.machine)) is not None and machine.profile is not None:
            self._previous[profile.machine] = profile

    def begin(self, name: str, *, why: Why, by: str = "", always: bool = False) -> Successor:
        """Gather rows for a next profile of a machine that is learnt; `always`: those of alarms, too."""
        machine, settings = self._machines[name], self._settings
        begun = self._successors[name] = Successor(
            new_rows(name, settings, scorer=self._scorer),
            why=why,
            by=by,
            always=always,
            wanted_rows=settings.rows_to_learn(name),
            known=tuple(machine.rows.store.channels),
        )
        return begun

    def learn_from(self, frame: Frame, *, beside: bool) -> CommissionRequest:
        """The request to learn a machine that is known from rows of a recording, whose times rise.

        A machine without a profile gathers no rows of its own meanwhile; `beside` a profile, that goes on watching.
        """
        if not beside:
            machine = self._machines[frame.machine]
            machine.state, machine.asked_row = "learning", machine.rows.store.row_count
        return request_of(frame, scorer=self._scorer, settings=self._settings, beside=beside)

    # -- rows -----------------------------------------------------------------------------------------------

    def hear(self, machine: Machine, frame: Frame) -> Taken | None:
        """Feed a frame, whole as it came, to the machine's next profile; None where none takes it.

        A channel that was never heard of a learnt machine begins one.
        """
        successor = self._successors.get(frame.machine)
        new = machine.rows.unknown(frame.channels)
        if new and (successor is None or (successor.stage == "failed" and set(new) - set(successor.new))):
            if not self._may_begin():
                return None
            successor = self.begin(frame.machine, why="new channels")
        if successor is None:
            return None
        calm = machine.condition.open_alarm is None
        return successor.take(frame, calm=calm, channels_limit=self._settings.channels_limit)

    def _may_begin(self) -> bool:
        """Whether one more machine may gather by itself; no channel can be added to a model that has its own."""
        if self._scorer.bundle.manifest.channels:
            return False
        gathering = sum(one.stage == "gathering" for one in self._successors.values())
        return gathering < _GATHERING_LIMIT

    # -- one step -------------------------------------------------------------------------------------------

    def note(self, *, scores: Sequence[ScoreBlock], alarms: Sequence[Alarm]) -> None:
        """What the profiles that watch have made of a step."""
        for block in scores:
            if (successor := self._successors.get(block.windows.machine)) is not None:
                successor.note_scores(block)
        for alarm in alarms:
            successor = self._successors.get(alarm.machine)
            if successor is not None and alarm.revision == 1 and alarm.state == "open":
                profile = self._machines[alarm.machine].profile
                span_ns = self._scorer.window_rows * (0 if profile is None else profile.period_ns)
                successor.drop_since(alarm.onset_ns, span_ns=span_ns)

    def advance(
        self, name: str, machine: Machine, successor: Successor
    ) -> tuple[Sequence[CommissionRequest], Sequence[Compared]]:
        """(what is to be learnt, what was compared) of a machine with new rows."""
        return successor.ask_to_learn(name), self._compare(name, machine, successor)

    def _compare(self, name: str, machine: Machine, successor: Successor) -> Sequence[Compared]:
        """Score what fell due by the next profile; what came of it once there is enough."""
        block, profile, comparison = successor.due(), successor.profile, successor.comparison
        if block is None or profile is None or comparison is None or machine.profile is None:
            return ()
        (scored,) = self._scorer.score([block], [profile])
        comparison.note_new(scored.value)
        if not comparison.complete:
            return ()
        self._ask_cases(machine, machine.profile, profile, comparison)
        successor.stage = "waiting"
        return (Compared(name, comparison.favourable, comparison.text()),)

    def _ask_cases(self, machine: Machine, old: Profile, new: Profile, comparison: Comparison) -> None:
        cases = machine.naming.library.cases
        by_old = seen_cases(cases, old, scorer=self._scorer)
        by_new = seen_cases(tuple(c for c in cases if c.alarm in by_old), new, scorer=self._scorer)
        names = {case.alarm: case.fault for case in cases}
        comparison.faults = tuple(sorted({names[alarm] for alarm in by_old}))
        comparison.missing = tuple(name for name in old.channels if name not in new.channels)
        comparison.lost = tuple(sorted({names[alarm] for alarm in by_old - by_new}))

    # -- what becomes of it ---------------------------------------------------------------------------------

    def learnt(self, profile: Profile) -> bool:
        """A next profile is there; whether its machine still wants it."""
        successor = self._learning(profile.machine)
        if successor is None:
            return False
        if profile.encoder != self._scorer.bundle.encoder:
            successor.stage = "gathering"
            return False
        successor.learnt(profile)
        return True

    def fail(self, name: str, reason: str) -> None:
        """Nothing could be learnt beside the old profile."""
        if (successor := self._learning(name)) is not None:
            successor.fail(reason)

    def decline(self, name: str, new: Sequence[str], *, by: str) -> None:
        """A person keeps the old profile: these channels, which it does not have, begin no other one."""
        self._successors.pop(name, None)
        if new:
            successor = self.begin(name, why="new channels", by=by)
            successor.rows.add_channels(new)
            successor.fail(f"not learnt: {by} keeps the old profile")

    def _learning(self, name: str) -> Successor | None:
        successor = self._successors.get(name)
        return successor if successor is not None and successor.stage == "learning" else None

    def taken(self, name: str) -> tuple[Profile, Profile] | None:
        """(the next profile to be installed, the old one), the machine's no longer; None where none is learnt.

        What people accepted of the old one holds for the new one, but for levels: those were learnt. So do the rows of
        accepted states, where both are of the same channels.
        """
        successor, old = self._successors.get(name), self._machines[name].profile
        if successor is None or successor.profile is None or old is None:
            return None
        del self._successors[name]
        self._previous[name] = old
        return _with_accepted(successor.profile, old), old

    # -- across restarts ------------------------------------------------------------------------------------

    def names(self) -> set[str]:
        """Machines whose next profile is on its way, or that could not be learnt with all their channels."""
        return set(self._successors)

    def save(self, name: str) -> bytes:
        """What to write down of a machine's next profile."""
        return msgspec.msgpack.encode(self._successors[name].save())

    def restore(self, name: str, raw: bytes, profiles: Mapping[str, Profile]) -> bool:
        """Go on where a next profile stood; `profiles` are those that were learnt, by machine. Whether it can."""
        machine = self._machines.get(name)
        if machine is None or machine.profile is None:
            return False
        try:
            state = msgspec.msgpack.decode(raw, type=SuccessorState)
            successor = self.begin(name, why=state.why, by=state.by, always=state.always)
            successor.restore(state, profiles.get(name))
        except (msgspec.MsgspecError, UnicodeDecodeError, ValueError):
            self._successors.pop(name, None)
            return False
        return True


def _with_accepted(new: Profile, old: Profile) -> Profile:
    """The new profile of a machine with what people have accepted of the old one."""
    entries = acceptance.read(old.memory)
    rows = AcceptedRows.read(old.memory, n_channels=len(old.channels))
    offsets = level_offsets.total(entries, old.channels)
    alike = new.channels == old.channels
    dropped = {LEVEL} if alike else {LEVEL, acceptance.STATE}
    memory = LazyArrays(new.memory)
    if held := [entry for entry in entries if entry.fault not in dropped]:
        memory = memory.joined(acceptance.arrays(held))
    if rows.alarms and alike:
        memory = memory.joined(rows._replace(rows=rows.rows + offsets).arrays())
    return replace(new, memory=memory)
