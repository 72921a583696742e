"""An edge node of the library pysparkplug, run as a program of that library's own environment; knows no agent.

Commands come as lines of JSON on standard input: `born` (aliases by metric), `tell` (rows), `device_reborn` (aliases),
`rebirth`, `quit`. Every state of the device's metrics that the node announces is written to standard output before it
is sent, as is every rebirth request: the node's own ledger. Births and data are made and sent by the library; what it
leaves to its user, the answer to a rebirth request and data by alias alone, is made here of the library's parts.
"""

import json
import sys
import threading
import time

from pysparkplug import DataType, DData, Device, EdgeNode, Message, MessageType, Metric, QoS, Topic

GROUP, NODE, DEVICE = "G", "N", "D"


class Plant:
    """One node, one device, two metrics."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.values = {"pressure": 5.0, "flow": 400.0}
        self.aliases: dict[str, int] = {}
        self.stamp_ms = int(time.time() * 1000)
        self.node: EdgeNode | None = None

    def metrics(self) -> tuple[Metric, ...]:
        """In the order of their aliases: names and places change with every birth."""
        names = sorted(self.aliases, key=lambda name: self.aliases[name])
        return tuple(
            Metric(
                timestamp=self.stamp_ms,
                name=name,
                datatype=DataType.DOUBLE,
                value=self.values[name],
                alias=self.aliases[name],
            )
            for name in names
        )

    def born(self, aliases: dict[str, int]) -> None:
        """Connect; where it was connected, the device restarts."""
        if self.node is not None:
            self.node.disconnect()
        self.aliases = aliases
        node = self.node = EdgeNode(GROUP, NODE, (), cmd_callback=self.heard)
        node.register(Device(DEVICE, self.metrics()))
        self.note()
        connected = threading.Event()  # the library subscribes, then publishes its births, when it is let in
        node._client._client.on_subscribe = lambda *_: connected.set()
        node.connect("127.0.0.1", port=self.port)
        assert connected.wait(60)

    def rebirth(self) -> None:
        """All births again: the library makes them when it connects."""
        self.born(self.aliases)

    def device_reborn(self, aliases: dict[str, int]) -> None:
        """The device dies and is born with other aliases while its node lives."""
        assert self.node is not None
        self.node.deregister(DEVICE)
        self.aliases = aliases
        self.note()
        self.node.register(Device(DEVICE, self.metrics()))

    def tell(self, rows: list[dict[str, float]]) -> None:
        """Data by alias alone."""
        assert self.node is not None
        for row in rows:
            time.sleep(0.005)  # no two states in a millisecond: the library stamps births with the clock, too
            self.stamp_ms = int(time.time() * 1000)
            self.values |= row
            self.note()
            changed = tuple(
                Metric(
                    timestamp=self.stamp_ms,
                    name=None,
                    datatype=DataType.DOUBLE,
                    value=value,
                    alias=self.aliases[name],
                )
                for name, value in row.items()
            )
            topic = Topic(message_type=MessageType.DDATA, group_id=GROUP, edge_node_id=NODE, device_id=DEVICE)
            data = DData(timestamp=self.stamp_ms, seq=self.node._seq, metrics=changed)
            self.node._client.publish(Message(topic=topic, payload=data, qos=QoS.AT_MOST_ONCE, retain=False))

    def heard(self, _node: EdgeNode, message: Message) -> None:
        """A command came."""
        say(command=[metric.name for metric in message.payload.metrics])

    def note(self) -> None:
        """Write the present state down."""
        say(time_ms=self.stamp_ms, **self.values)


def say(**what: object) -> None:
    """A line of the ledger."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Do as told until told to quit."""
    plant = Plant(int(sys.argv[1]))
    plant.values |= json.loads(sys.argv[2])
    for line in sys.stdin:
        order = json.loads(line)
        name = order.pop("do")
        if name == "quit":
            break
        getattr(plant, name)(**order)
        say(done=name)
    if plant.node is not None:
        plant.node.disconnect()


if __name__ == "__main__":
    main()
