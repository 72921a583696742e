"""What the pipeline is told: its own limits, and the settings of the rooms that it joins."""

from dataclasses import dataclass, field, replace

from edge_agent.commissioning.settings import BudgetSettings
from edge_agent.cycles.rules import CycleRule, is_cycle, rule_of
from edge_agent.detect.off_delay import OffDelaySettings
from edge_agent.detect.trigger import OnDelaySettings, TriggerSettings, on_delay_windows
from edge_agent.diagnose.fault_naming import NamingSettings
from edge_agent.pipeline.condition import ConditionSettings
from edge_agent.records import Profile
from edge_agent.sensors.monitor import QualitySettings
from edge_agent.sensors.standstill import StateSettings
from edge_agent.signals.channel_rules import ChannelRule
from edge_agent.signals.machine_rules import MachineRule
from edge_agent.signals.settings import WindowSettings

GATHERED_BYTES = 8
"""Of a cell of rows that are to be learnt from: its value, whether it was observed, and room to grow."""
GATHERED_SHARE = 3
"""A third of what learning may take, beside it, is for the rows of all machines that are to be learnt."""

ON_DELAY_CYCLES = 2
"""What the threshold of cycles was set for, see `commissioning.cycle_baseline`."""


@dataclass(frozen=True, slots=True)
class PipelineSettings:
    """What the pipeline needs to know; the defaults are the product's.

    Attributes:
        commission_rows: N, normal rows that a new machine is learnt from.
        machines_limit, channels_limit: bounds against floods of topics and of channel names.
        learning_bytes: memory that learning a machine may take, see `commissioning.memory_bound`; a third as much
            the rows of all machines that are to be learnt. A gateway's is small, a desk's is not: by default no bound.
        seed: of everything random in learning.
        trigger: when the score is loud; `on_delay` sets its on-delay once a machine's pace is known.
        off_delay: when an incident is over.
        channel_rules: what people know of channels before anything is learnt.
        machine_rules: what people say of machines.
        cycle_rules: of machines that run a program.
    """

    commission_rows: int = 3600
    machines_limit: int = 1000
    channels_limit: int = 256
    learning_bytes: int = 1 << 50
    seed: int = 0
    trigger: TriggerSettings = field(default_factory=TriggerSettings)
    on_delay: OnDelaySettings = field(default_factory=OnDelaySettings)
    off_delay: OffDelaySettings = field(default_factory=OffDelaySettings)
    alarm: ConditionSettings = field(default_factory=ConditionSettings)
    state: StateSettings = field(default_factory=StateSettings)
    naming: NamingSettings = field(default_factory=NamingSettings)
    budget: BudgetSettings = field(default_factory=BudgetSettings)
    quality: QualitySettings = field(default_factory=QualitySettings)
    window: WindowSettings = field(default_factory=WindowSettings)
    channel_rules: tuple[ChannelRule, ...] = ()
    machine_rules: tuple[MachineRule, ...] = ()
    cycle_rules: tuple[CycleRule, ...] = ()

    def rows_to_learn(self, machine: str) -> int:
        """Normal rows that a machine is learnt from; of one whose rows are cycles, as many cycles as its rule says."""
        rule = rule_of(self.cycle_rules, machine) if is_cycle(machine) else None
        return self.commission_rows if rule is None else rule.learn_cycles

    def delays(self, profile: Profile) -> TriggerSettings:
        """When alarms of a machine begin and end, at its own pace; of cycles, two in a row begin one."""
        if is_cycle(profile.machine):
            return replace(self.trigger, on_delay_windows=ON_DELAY_CYCLES)
        hop_ns = profile.hop_rows * profile.period_ns
        return replace(self.trigger, on_delay_windows=on_delay_windows(self.on_delay, hop_ns=hop_ns))
