"""Peers that are libraries: what each does with a row, behind paho in a process of its own.

python -m benchmarks.performance.peers.models NAME PORT    # started by `run`, which asks it how far it is
"""

import json
import sys
from collections.abc import Callable
from typing import Any, Protocol

CHANNELS, RATE_HZ, WINDOW_ROWS = 8, 20, 128


class Model(Protocol):
    """What a peer does with a row of a machine."""

    def __call__(self, machine: str, names: list[str], row: list[float]) -> None:
        """Judge one row."""


def river() -> Model:
    """Half-space trees for each machine, which learn each row after they have scored it."""
    from river.anomaly import HalfSpaceTrees  # noqa: PLC0415 - only where it is raced

    trees: dict[str, Any] = {}

    def judge(machine: str, names: list[str], row: list[float]) -> None:
        known = trees.get(machine)
        if known is None:
            known = trees[machine] = HalfSpaceTrees(n_trees=25, height=8, window_size=250, seed=0)
        point = {name: value / 100.0 for name, value in zip(names, row, strict=True)}
        known.score_one(point)
        known.learn_one(point)

    return judge


def rcf3() -> Model:
    """A random cut forest over the newest 8 rows of each machine."""
    from rcf3 import Forest  # noqa: PLC0415

    forests: dict[str, Any] = {}

    def judge(machine: str, names: list[str], row: list[float]) -> None:
        known = forests.get(machine)
        if known is None:
            known = forests[machine] = Forest(len(names), shingle_size=8, num_trees=50, capacity=256, seed=0)
        known.update_and_score(row)

    return judge


def pandas_torch() -> Model:
    """A convolutional autoencoder on the last window of each machine, once a second: pandas scales, torch rebuilds."""
    from collections import deque  # noqa: PLC0415

    import pandas as pd  # noqa: PLC0415
    import torch  # noqa: PLC0415
    from torch import nn  # noqa: PLC0415

    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv1d(CHANNELS, 32, 7, stride=2, padding=3),
        nn.ReLU(),
        nn.Conv1d(32, 16, 7, stride=2, padding=3),
        nn.ReLU(),
        nn.ConvTranspose1d(16, 32, 8, stride=2, padding=3),
        nn.ReLU(),
        nn.ConvTranspose1d(32, CHANNELS, 8, stride=2, padding=3),
    ).eval()
    rows: dict[str, Any] = {}
    counts: dict[str, int] = {}

    def judge(machine: str, names: list[str], row: list[float]) -> None:
        kept = rows.setdefault(machine, deque(maxlen=WINDOW_ROWS))
        kept.append(dict(zip(names, row, strict=True)))
        counts[machine] = counts.get(machine, 0) + 1
        if len(kept) < WINDOW_ROWS or counts[machine] % RATE_HZ:
            return
        frame = pd.DataFrame(list(kept))
        scaled = (frame - frame.mean()) / (frame.std() + 1e-6)
        window = torch.tensor(scaled.to_numpy().T, dtype=torch.float32)[None]
        with torch.no_grad():
            error = (model(window) - window).abs().mean(dim=(0, 2))
        bool(error.max() > 3.0)

    return judge


MODELS: dict[str, Callable[[], Model]] = {
    "empty": lambda: lambda _machine, _names, _row: None,
    "river": river,
    "rcf3": rcf3,
    "pandas-torch": pandas_torch,
}


def serve(name: str, port: int) -> None:
    """A peer's process: answers each line on its input with the messages it has worked off."""
    import paho.mqtt.client as mqtt  # noqa: PLC0415

    model = MODELS[name]()
    heard = 0

    def on_message(client: mqtt.Client, _: object, message: mqtt.MQTTMessage) -> None:
        nonlocal heard
        if name != "empty":
            told = json.loads(message.payload)
            machine, values = message.topic.rpartition("/")[2], told["values"]
            names = list(values)
            if isinstance(told["ts"], list):
                for row in zip(*values.values(), strict=True):
                    model(machine, names, list(row))
            else:
                model(machine, names, list(values.values()))
        heard += 1
        client.ack(message.mid, message.qos)

    client = mqtt.Client(
        mqtt.CallbackAPIVersion.VERSION2, client_id=name, clean_session=False, manual_ack=True
    )
    client.max_inflight_messages_set(1000)
    client.on_message = on_message
    client.on_connect = lambda client, *_: client.subscribe("sensors/#", 1)
    client.connect("127.0.0.1", port)
    client.loop_start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for _ in sys.stdin:
        sys.stdout.write(f"{heard}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
