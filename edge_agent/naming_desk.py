"""Named alarms between the pipeline, the state directory and the `label` command: wiring, no judgement."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import structlog

from edge_agent import casefiles, label_command
from edge_agent.contract.records import Alarm, Delivery
from edge_agent.naming import Refused
from edge_agent.pipeline import Pipeline

log = structlog.get_logger()


class NamingDesk:
    """Takes names for alarms and keeps them."""

    def __init__(
        self,
        pipeline: Pipeline,
        *,
        state_dir: Path,
        agent: str,
        watched: Callable[[], AbstractContextManager[None]],
    ) -> None:
        """`watched` reports a disk that does not take what is saved within it."""
        self._pipeline = pipeline
        self._state_dir = state_dir
        self.topic = label_command.topic(agent)
        self._watched = watched

    def restore(self) -> None:
        """Give the pipeline what was named before.

        Raises:
            StateError: the state directory cannot be read.
        """
        casebooks, aside = casefiles.load(self._state_dir)
        for path, reason in aside:
            log.warning("state_file_set_aside", path=str(path), reason=reason)
        for casebook in casebooks:
            self._pipeline.install_faults(casebook)

    def obey(self, deliveries: Sequence[Delivery]) -> tuple[list[Delivery], list[Alarm]]:
        """Carry out the commands among them; returns the other deliveries, and the revisions that names made."""
        alarms = []
        for delivery in deliveries:
            if delivery.topic == self.topic:
                alarms += self._label(label_command.decode(delivery.payload))
        return [delivery for delivery in deliveries if delivery.topic != self.topic], alarms

    def _label(self, command: label_command.LabelCommand | None) -> list[Alarm]:
        if command is None:
            log.warning("command_refused", reason="malformed")
            return []
        machine = self._pipeline.machine_of(command.alarm)
        labelled = self._pipeline.label(machine, alarm=command.alarm, fault=command.fault)
        if isinstance(labelled, Refused):
            log.warning(
                "command_refused", alarm=command.alarm, reason=labelled.reason, detail=labelled.detail
            )
            return []
        with self._watched():
            casefiles.save(self._state_dir, labelled.casebook)
        log.info("fault_named", machine=machine, alarm=command.alarm, fault=labelled.fault, by=command.by)
        return [] if labelled.alarm is None else [labelled.alarm]
