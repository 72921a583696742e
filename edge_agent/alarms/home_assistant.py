"""What Home Assistant is told of machines, by its MQTT discovery: which entities there are, and where they are read.

A machine is a device with an alarm (on while one is open), a state, and its latest alarm in words. All three read what
the agent says anyway: its status message and its alerts. Nothing is published twice. Pure.

Templates are Jinja's. A machine's name goes into them as text with everything escaped that could end the text.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_SLUG = re.compile(r"[^A-Za-z0-9]+")
_PLAIN = frozenset(" _-.")
_SLUG_CHARS, _DIGEST_CHARS = 40, 8


@dataclass(frozen=True, slots=True)
class HomeAssistant:
    """Who tells whom.

    Attributes:
        prefix: of the topics that Home Assistant listens to.
        agent, version: ours.
        status_topic: of the agent. alert_topic: with `{machine}`.
    """

    prefix: str
    agent: str
    version: str
    status_topic: str
    alert_topic: str

    def entities(self, machine: str, *, called: str = "", location: str = "") -> Iterator[tuple[str, bytes]]:
        """(topic, payload) of each entity of a machine, to be retained; `called` and `location`: as people say.

        An empty message at the same topic takes an entity back.
        """
        name = _text(machine)
        known = f"value_json.machines[{name}]"
        alerts = self.alert_topic.replace("{machine}", machine)
        parts: dict[str, tuple[str, dict[str, Any]]] = {
            "alarm": (
                "binary_sensor",
                {
                    "name": "Alarm",
                    "device_class": "problem",
                    "state_topic": self.status_topic,
                    "value_template": f"{{% set m = {known} | default({{}}) %}}"
                    "{% set open = m.lifecycle is not defined or m.lifecycle.active %}"
                    "{{ 'ON' if m.alarm is defined and open else 'OFF' }}",
                    "json_attributes_topic": alerts,
                },
            ),
            "state": (
                "sensor",
                {
                    "name": "State",
                    "state_topic": self.status_topic,
                    "value_template": f"{{% set m = {known} | default({{}}) %}}"
                    "{{ 'silent' if m.silent_since is defined else m.state | default('unknown') }}",
                },
            ),
            "latest": (
                "sensor",
                {
                    "name": "Latest alarm",
                    "state_topic": alerts,
                    "value_template": "{{ value_json.summary[:250] }}",
                },
            ),
        }
        device: dict[str, Any] = {
            "identifiers": [self._id(machine)],
            "name": called or machine,
            "manufacturer": "edge-agent",
            "model": "machine",
            "sw_version": self.version,
        }
        if location:
            device["suggested_area"] = location
        for what, (component, entity) in parts.items():
            payload = {
                **entity,
                "unique_id": f"{self._id(machine)}_{what}",
                "availability_topic": self.status_topic,
                "availability_template": "{{ value_json.state }}",
                "device": device,
                "origin": {"name": "edge-agent", "sw_version": self.version},
            }
            yield self._topic(component, machine, what), json.dumps(payload, ensure_ascii=False).encode()

    def topics(self, machine: str) -> list[str]:
        """Where a machine's entities are retained."""
        return [topic for topic, _ in self.entities(machine)]

    def _topic(self, component: str, machine: str, what: str) -> str:
        return f"{self.prefix}/{component}/{self._id(machine)}/{what}/config"

    def _id(self, machine: str) -> str:
        """A name of letters, digits and _ that no other machine of any agent has."""
        digest = hashlib.sha256(f"{self.agent}\0{machine}".encode()).hexdigest()[:_DIGEST_CHARS]
        return f"edge_agent_{_SLUG.sub('_', machine)[:_SLUG_CHARS].strip('_')}_{digest}"


def own_filter(prefix: str) -> str:
    """The MQTT filter of what is told here; what other programs tell Home Assistant there is no sensor data either."""
    return f"{prefix}/+/+/+/config"


def _text(machine: str) -> str:
    """A name as text in a template, whatever is in it."""
    plain = (
        one if one.isascii() and (one.isalnum() or one in _PLAIN) else f"\\U{ord(one):08x}" for one in machine
    )
    return f'"{"".join(plain)}"'
