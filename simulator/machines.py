"""One machine with its constants and its factory's habits, to be run as often as one likes. No physics."""

from collections.abc import Sequence
from dataclasses import dataclass

from simulator.errors import UsageError
from simulator.habits import Habits, Trouble
from simulator.habits.draw import ordinary
from simulator.habits.presets import PRESETS
from simulator.kinds import EVERY_KIND
from simulator.records import Channel, Injection, Run
from simulator.simulation import START_TS, simulate


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine that stands somewhere.

    Attributes:
        kind: Key in `EVERY_KIND`.
        seed: Source of its constants.
        habits: What the factory around it does.
    """

    kind: str
    seed: int
    habits: Habits

    @property
    def channels(self) -> tuple[Channel, ...]:
        """Its own channels, then those of the instruments beside it, in the order of the columns."""
        return (*EVERY_KIND[self.kind].channels, *(each.channel for each in self.habits.appliances))

    def run(
        self,
        *,
        rows: int,
        seed: int,
        rate_hz: float = 1.0,
        start_ts: float = START_TS,
        injections: Sequence[Injection | Trouble] = (),
    ) -> Run:
        """Simulate some of its days; see `simulate`. Meters begin anew in each run: cut one run where they must not."""
        return simulate(
            self.kind,
            rows=rows,
            seed=seed,
            rate_hz=rate_hz,
            injections=injections,
            machine_seed=self.seed,
            habits=self.habits,
            start_ts=start_ts,
        )


def machine(kind: str, *, seed: int, habits: Habits | str | None = None) -> Machine:
    """A machine of that kind.

    Args:
        kind: Key in `EVERY_KIND`.
        seed: Source of its constants and, where none are given, of its habits.
        habits: What the factory around it does, or a key of `PRESETS`; None: drawn at random.

    Raises:
        UsageError: There is no such kind or preset.
    """
    if kind not in EVERY_KIND:
        raise UsageError(f"unknown kind of machine {kind!r}; known: {', '.join(EVERY_KIND)}")
    if isinstance(habits, str):
        if habits not in PRESETS:
            raise UsageError(f"unknown preset {habits!r}; known: {', '.join(PRESETS)}")
        habits = PRESETS[habits]
    return Machine(kind, seed, ordinary(EVERY_KIND[kind], seed=seed) if habits is None else habits)
