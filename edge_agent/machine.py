"""One machine as the pipeline holds it: rows, profile, decider, alarm book, and what survives a restart. Pure."""

from dataclasses import dataclass
from typing import Literal

from edge_agent.alarm import AlarmBook, BookState
from edge_agent.contract.records import THRESHOLD, Profile
from edge_agent.decide import Decider, DeciderState
from edge_agent.window import RingState, RowBuffer

MachineState = Literal["commissioning", "learning", "ready", "failed"]


@dataclass(frozen=True, slots=True)
class MachineStatus:
    """What the status message says of one machine."""

    state: MachineState
    rows_heard: int
    rows_wanted: int
    channels: tuple[str, ...]
    last_time_ns: int | None
    last_score: float | None
    threshold: float | None
    open_alarm: str | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Memento:
    """What a machine remembers across restarts, beside its rows and its profile.

    Attributes:
        profile: which profile it was scored with, see `profile_identity`; "" while there is none.
    """

    machine: str
    state: MachineState
    wanted_at: int
    reason: str
    profile: str
    decider: DeciderState
    book: BookState

    def goes_on_with(self, profile: Profile | None) -> bool:
        """Whether scores by this profile mean what they meant when this was written down."""
        return not self.profile or self.profile == profile_identity(profile)


def profile_identity(profile: Profile | None) -> str:
    """Equal for profiles whose scores mean the same: another model or another learning makes another one."""
    if profile is None:
        return ""
    return "/".join([profile.encoder, str(profile.learnt_ns), *profile.channels])


@dataclass(slots=True)
class Machine:
    """What the pipeline knows of a machine."""

    rows: RowBuffer
    decider: Decider
    book: AlarmBook
    state: MachineState = "commissioning"
    wanted_at: int = 0
    """Row count from which the machine is learnt."""
    profile: Profile | None = None
    last_score: float | None = None
    reason: str = ""

    def save(self, name: str) -> Memento:
        """What to write down beside the rows. Learning does not survive a restart: it is asked for again."""
        return Memento(
            machine=name,
            state="commissioning" if self.state == "learning" else self.state,
            wanted_at=self.wanted_at,
            reason=self.reason,
            profile=profile_identity(self.profile),
            decider=self.decider.save(),
            book=self.book.save(),
        )

    def restore(self, memento: Memento, ring: RingState | None) -> None:
        """Go on where the memento was taken.

        Raises:
            ValueError: the ring's arrays do not fit each other.
        """
        if ring is not None:
            self.rows.restore(ring)
        self.state, self.reason = memento.state, memento.reason
        if memento.state == "failed" and ring is not None:
            self.wanted_at = memento.wanted_at
        self.decider.restore(memento.decider)
        self.book.restore(memento.book)

    def status(self) -> MachineStatus:
        """What the status message says."""
        alarm = self.book.open_alarm
        return MachineStatus(
            state=self.state,
            rows_heard=self.rows.row_count,
            rows_wanted=self.wanted_at,
            channels=tuple(self.rows.channels),
            last_time_ns=self.rows.last_time_ns,
            last_score=self.last_score,
            threshold=THRESHOLD if self.profile else None,
            open_alarm=alarm.id if alarm else None,
            reason=self.reason,
        )
