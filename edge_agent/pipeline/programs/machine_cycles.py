"""The cycles of all machines of a pipeline: rows in, cycles out, and what outlives a restart. Pure; scores nothing."""

from collections import Counter
from collections.abc import Mapping, Sequence

from edge_agent.cycles.maker import CycleMaker
from edge_agent.cycles.rules import CycleRule, is_cycle, rule_of
from edge_agent.pipeline.settings import PipelineSettings
from edge_agent.records import Frame
from edge_agent.signals.channel_rules import kind_of
from edge_agent.signals.row_store import RowStore

_KEPT = "cycles/"
_KEPT_LIMIT = 1000
"""Machines whose bands wait to be taken up."""


def kept_name(machine: str) -> str:
    """Under which name a machine's cycles are kept."""
    return _KEPT + machine


class MachineCycles:
    """Counts cycles of the machines that the settings name; of all others it knows nothing."""

    def __init__(self, settings: PipelineSettings) -> None:
        self._settings = settings
        self._makers: dict[str, CycleMaker] = {}
        self._rows: dict[str, int] = {}
        """Row count up to which a machine's rows have been looked at."""
        self._kept: dict[str, bytes] = {}

    def adopt(self, settings: PipelineSettings) -> None:
        """Go by other settings from the next row on; a machine with another rule begins afresh."""
        before, self._settings = self._settings, settings
        for name in [*self._makers]:
            if rule_of(before.cycle_rules, name) != rule_of(settings.cycle_rules, name):
                self.forget(name)

    def get(self, machine: str) -> CycleMaker | None:
        """Who counts a machine's cycles; None where none was counted yet."""
        return self._makers.get(machine)

    def take(self, name: str, store: RowStore) -> Sequence[Frame]:
        """The cycles that ended within the rows of a machine that are new."""
        maker = self._maker(name)
        if maker is None:
            return ()
        count = store.row_count - self._rows.get(name, 0)
        self._rows[name] = store.row_count
        if count <= 0:
            return ()
        kept = store.kept
        new = slice(max(0, len(kept) - count), None)
        return maker.take(store.channels, kept.times[new], kept.values[new])

    def reread(self, name: str, store: RowStore) -> None:
        """Look at the kept rows of a machine for a cycle that has begun; those that have ended were told."""
        if (maker := self._maker(name)) is not None:
            self._rows[name] = store.row_count
            maker.reread(store.channels, store.kept.times, store.kept.values)

    def forget(self, name: str) -> None:
        """Know nothing of a machine's cycles any more."""
        for known in (self._makers, self._rows, self._kept):
            known.pop(name, None)

    @property
    def outcomes(self) -> Mapping[str, int]:
        """What became of the cycles of all machines that began."""
        found: Counter[str] = Counter()
        for maker in self._makers.values():
            found.update(maker.counts)
        return found

    def changes(self) -> dict[str, bytes]:
        """What is to be written down of machines, by the names that it is kept under; each change once."""
        changed = {name: maker for name, maker in self._makers.items() if maker.changed}
        for maker in changed.values():
            maker.changed = False
        return {kept_name(name): maker.save() for name, maker in changed.items()}

    def restore(self, kept: Mapping[str, bytes]) -> None:
        """Of all that is kept by name, take up what was written down of a machine's cycles when it is heard again."""
        for name, raw in kept.items():
            if name.startswith(_KEPT) and len(self._kept) < _KEPT_LIMIT:
                self._kept[name.removeprefix(_KEPT)] = raw

    def _maker(self, name: str) -> CycleMaker | None:
        maker = self._makers.get(name)
        if maker is not None or not self._settings.cycle_rules or is_cycle(name):
            return maker
        rule = rule_of(self._settings.cycle_rules, name)
        if rule is None:
            return None
        maker = self._makers[name] = self._new(name, rule)
        return maker

    def _new(self, name: str, rule: CycleRule) -> CycleMaker:
        rules = self._settings.channel_rules

        def measured(channel: str) -> bool:
            return kind_of(rules, machine=name, channel=channel) in (None, "analog")

        maker = CycleMaker(name, rule, measured, self._settings.channels_limit)
        if (raw := self._kept.pop(name, None)) is not None:
            try:
                maker.restore(raw)
            except ValueError:  # of another version, or damaged: its recipes' curves are learnt anew
                return CycleMaker(name, rule, measured, self._settings.channels_limit)
        return maker
