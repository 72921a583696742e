"""A Sparkplug edge node with one device at a real broker: it speaks as the specification says, or as a test wants."""

import json
import threading
import time
from collections.abc import Mapping

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.harness.patience import WaitedInVainError
from edge_agent.formats.sparkplug import sparkplug_b_pb2 as wire

_INT64, _DOUBLE = 4, 10


class EdgeNodeDouble:
    """Publishes births, data and deaths; answers rebirth requests; hears the host's STATE."""

    def __init__(
        self, port: int, *, host_id: str, group: str = "G", node: str = "N", device: str = "D"
    ) -> None:
        self.states: list[dict[str, object]] = []
        self.rebirths = 0
        self.sent = 0
        self.bd_seq = 0
        self.aliases: dict[str, int] = {}
        self.ask_again: dict[str, float] = {}
        """What a rebirth announces of the device; empty: requests are only counted."""
        self._seq = 0
        self._lock = threading.RLock()
        self._group, self._node, self._device = group, node, device
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = self._on_message
        ready = threading.Event()
        self._client.on_subscribe = lambda *_: ready.set()
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        self._client.subscribe([(f"spBv1.0/{group}/NCMD/{node}", 1), (f"spBv1.0/STATE/{host_id}", 1)])
        if not ready.wait(30):
            raise WaitedInVainError("waited 30 s in vain for the edge node's subscription")

    def birth(self, values: Mapping[str, float], *, time_ms: int | None = None, lose: bool = False) -> None:
        """NBIRTH and DBIRTH with the present aliases; `lose`: the device's never arrives."""
        with self._lock:
            self._seq = 0
            self._send("NBIRTH", (("bdSeq", self.bd_seq, None),), device=False, time_ms=time_ms)
            metrics = tuple((name, value, self.aliases.get(name)) for name, value in values.items())
            if lose:
                self._seq = (self._seq + 1) % 256
            else:
                self._send("DBIRTH", metrics, device=True, time_ms=time_ms)

    def data(self, values: Mapping[str, float], *, time_ms: int | None = None) -> None:
        """DDATA: by alias where there is one."""
        with self._lock:
            metrics = tuple(
                ("" if name in self.aliases else name, value, self.aliases.get(name))
                for name, value in values.items()
            )
            self._send("DDATA", metrics, device=True, time_ms=time_ms)

    def device_dies(self) -> None:
        """DDEATH."""
        with self._lock:
            self._send("DDEATH", (), device=True, time_ms=None)

    def die(self) -> None:
        """NDEATH of this session."""
        with self._lock:
            message = wire.Payload(timestamp=int(time.time() * 1000))
            message.metrics.add(name=b"bdSeq", datatype=_INT64, long_value=self.bd_seq)
            self.publish("NDEATH", message.SerializeToString(), device=False)

    def publish(self, kind: str, payload: bytes, *, device: bool) -> None:
        """Anything at all, as a message of this node."""
        tail = f"/{self._device}" if device else ""
        info = self._client.publish(f"spBv1.0/{self._group}/{kind}/{self._node}{tail}", payload, qos=0)
        info.wait_for_publish(10)
        self.sent += 1

    def close(self) -> None:
        """Leave, without a word of death."""
        self._client.disconnect()
        self._client.loop_stop()
        self._client.on_message = None

    def _send(
        self,
        kind: str,
        metrics: tuple[tuple[str, float, int | None], ...],
        *,
        device: bool,
        time_ms: int | None,
    ) -> None:
        message = wire.Payload(timestamp=time_ms or int(time.time() * 1000), seq=self._seq)
        self._seq = (self._seq + 1) % 256
        for name, value, alias in metrics:
            metric = message.metrics.add()
            if name:
                metric.name = name.encode()
                metric.datatype = _INT64 if name == "bdSeq" else _DOUBLE
            if alias is not None:
                metric.alias = alias
            if name == "bdSeq":
                metric.long_value = int(value)
            else:
                metric.double_value = value
        self.publish(kind, message.SerializeToString(), device=device)

    def _on_message(self, _client: mqtt.Client, _userdata: object, message: mqtt.MQTTMessage) -> None:
        if message.topic.startswith("spBv1.0/STATE/"):
            self.states.append(json.loads(message.payload))
            return
        self.rebirths += 1
        if self.ask_again:
            # Not from the network thread: publishing waits for it.
            threading.Thread(target=self.birth, args=(dict(self.ask_again),), daemon=True).start()
