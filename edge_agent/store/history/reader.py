"""What the history says, read beside whoever writes it: each question by a connection of its own, from any thread.

Nothing is ever written here: a file of a later release is not even looked at, one that is not there has no past.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from edge_agent.errors import DatabaseError
from edge_agent.records import Alarm
from edge_agent.store.history import incident as incidents
from edge_agent.store.history.curves import PastCurve, read_curve, read_moments
from edge_agent.store.history.database import STEPS, too_new
from edge_agent.store.history.incident import Incident
from edge_agent.store.sqlite_file import Connection, read_only

_CANDIDATES_LIMIT = 1000
"""Latest incidents that are compared with one."""
_MINUTES_FORM = 2
_ALIKE = 0.4
"""Likeness from which on a person is told."""

Found = TypeVar("Found")
_Signature = dict[str, tuple[str, float]]


@dataclass(frozen=True, slots=True)
class SimilarIncident:
    """An incident that looked like another one; `likeness` is 0 to 1."""

    incident: Incident
    likeness: float


class HistoryReader:
    """One history."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def incidents(self, machine: str | None = None, *, since_ns: int = 0, limit: int) -> tuple[Incident, ...]:
        """What closed, the latest first: of one machine or of all, from a time on.

        Raises:
            DatabaseError: the history cannot be read.
        """
        which = "" if machine is None else "machine = :machine AND "
        query = f"SELECT body FROM incidents WHERE {which}closed_ns >= :since ORDER BY closed_ns DESC LIMIT :limit"  # noqa: S608 - a condition of ours
        asked = {"machine": machine, "since": since_ns, "limit": limit}
        none: tuple[Incident, ...] = ()
        return self._read(lambda connection: _decoded(connection.execute(query, asked)), nothing=none)

    def incident(self, name: str) -> Incident | None:
        """The incident of an alarm's id; None where it is not kept.

        Raises:
            DatabaseError: the history cannot be read.
        """
        query = "SELECT body FROM incidents WHERE id = ?"
        none: tuple[Incident, ...] = ()
        found = self._read(lambda connection: _decoded(connection.execute(query, (name,))), nothing=none)
        return found[0] if found else None

    def count(self, machine: str | None = None) -> int:
        """How many incidents are kept.

        Raises:
            DatabaseError: the history cannot be read.
        """
        query = "SELECT count(*) FROM incidents WHERE ?1 IS NULL OR machine = ?1"
        if machine is not None:  # by its index
            query = "SELECT count(*) FROM incidents WHERE machine = ?1"
        return self._read(
            lambda connection: int(connection.execute(query, (machine,)).fetchone()[0]), nothing=0
        )

    def facts(self) -> Mapping[str, str]:
        """What is said of the history itself.

        Raises:
            DatabaseError: the history cannot be read.
        """
        query = "SELECT name, value FROM facts"
        return self._read(lambda connection: dict(connection.execute(query).fetchall()), nothing={})

    def similar(
        self, alarm: Alarm, *, family: str, kin: Collection[str] = (), limit: int
    ) -> tuple[SimilarIncident, ...]:
        """The incidents most like an alarm, of its machine, of its family and of `kin`: machines of its type.

        Equally alike are sorted by what is known of them: named ones first, then its own machine's, then the latest.

        Raises:
            DatabaseError: the history cannot be read.
        """
        wanted = incidents.signature(alarm)

        def look(connection: Connection) -> tuple[SimilarIncident, ...]:
            scored = []
            for name, machine, raw, closed_ns in self._candidates(connection, alarm, family=family, kin=kin):
                alike = incidents.likeness(wanted, _signature(raw))
                if alike >= _ALIKE:
                    scored.append((round(alike, 1), machine == alarm.machine, closed_ns, name, alike))
            found = []
            for *_, name, alike in sorted(scored, reverse=True)[: 4 * limit]:
                rows = connection.execute("SELECT body FROM incidents WHERE id = ?", (name,))
                found += [SimilarIncident(incident, alike) for incident in _decoded(rows)]
            found.sort(key=lambda one: (round(one.likeness, 1), bool(one.incident.fault)), reverse=True)
            return tuple(found[:limit])

        return self._read(look, nothing=()) if wanted else ()

    @staticmethod
    def _candidates(
        connection: Connection, alarm: Alarm, *, family: str, kin: Collection[str]
    ) -> Iterable[tuple[str, str, bytes, int]]:
        """(id, machine, signature, end) of the latest that may be like it."""
        marks = ", ".join("?" for _ in kin)
        # "+" keeps the indexes of machine and family out: with them each row's body is read, and all are sorted.
        query = (
            "SELECT id, machine, signature, closed_ns FROM incidents WHERE id <> ? AND kind = ?"  # noqa: S608 - question marks of ours
            f" AND (+machine = ? OR (+family = ? AND family <> '') OR +machine IN ({marks}))"
            " ORDER BY closed_ns DESC LIMIT ?"
        )
        asked = (alarm.id, alarm.kind, alarm.machine, family, *kin, _CANDIDATES_LIMIT)
        return connection.execute(query, asked)

    def curve(
        self, machine: str, *, start_s: int, end_s: int, stretch_s: int, channels: bool = False
    ) -> PastCurve | None:
        """How the machine did from one time to another; None where nothing is kept of any.

        Raises:
            DatabaseError: the history cannot be read.
        """
        none: PastCurve | None = None

        def look(connection: Connection) -> PastCurve | None:
            return read_curve(
                connection, machine, start_s=start_s, end_s=end_s, stretch_s=stretch_s, channels=channels
            )

        return self._read(look, nothing=none, form=_MINUTES_FORM)

    def moments(self) -> Mapping[int, Mapping[str, float]]:
        """The highest score of each machine in each of the latest moments, by the moment's beginning.

        Raises:
            DatabaseError: the history cannot be read.
        """
        none: Mapping[int, Mapping[str, float]] = {}
        return self._read(read_moments, nothing=none, form=_MINUTES_FORM)

    def _read(self, look: Callable[[Connection], Found], *, nothing: Found, form: int = 1) -> Found:
        """What `look` finds; `nothing` where the file is not there, or of a form before the one that is needed."""

        def checked(connection: Connection) -> Found:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version > len(STEPS):
                raise DatabaseError(self.path, too_new(version))
            return look(connection) if version >= form else nothing

        return read_only(self.path, checked, nothing=nothing)


def _decoded(rows: Iterable[tuple[bytes]]) -> tuple[Incident, ...]:
    """Those that can be read; damaged ones are left out."""
    found = (incidents.decode(raw) for (raw,) in rows)
    return tuple(incident for incident in found if isinstance(incident, Incident))


def _signature(raw: bytes) -> _Signature:
    try:
        return msgspec.msgpack.decode(raw, type=_Signature)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return {}
