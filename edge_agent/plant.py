"""What commands reach beside alarms: the pipeline's machines and what the store keeps of them. Called between steps."""

from collections.abc import Mapping

from edge_agent.desk import Named
from edge_agent.errors import StateError
from edge_agent.pipeline import MachineStatus, Pipeline
from edge_agent.store import Store


class AgentPlant:
    """The agent's machines, as the desk's `Plant`."""

    def __init__(self, pipeline: Pipeline, store: Store) -> None:
        self._pipeline = pipeline
        self._store = store

    def machines(self) -> Mapping[str, MachineStatus]:
        """Every machine heard or restored."""
        return self._pipeline.machines()

    def label(self, machine: str, *, alarm: str, fault: str) -> Named:
        """Names are the central trainer's business: this agent's model cannot be taught one."""
        return Named("not_available", f"this agent cannot learn to call {alarm} of {machine} {fault}")

    def recommission(self, machine: str) -> str:
        """First what is kept, then what is known: a crash in between finds a machine that is new."""
        try:
            self._store.forget_profile(machine)
        except StateError as error:
            return error.reason
        self._pipeline.forget(machine)
        return ""
