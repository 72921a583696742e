"""What a camera costs a running agent in memory: `python -m benchmarks.pictures.memory`, needs mosquitto.

The shipped encoder, generated plates of 640 x 480 as JPEG, 50 of them learnt, then one a second. Resident set of the
process as Linux tells it, in MB: before the first picture, at its peak while it learns, and of the pictures after that
the median of ten looks a second.
"""

import io
import statistics
import sys
import tempfile
import time
from pathlib import Path

import paho.mqtt.client as mqtt
from PIL import Image

from benchmarks import ROOT
from benchmarks.harness.agent import Agent
from benchmarks.harness.broker import Broker
from benchmarks.harness.patience import wait_until
from simulator.parts import part

_SOURCE = (
    '[[source]]\ntopic = "cam/{machine}/{channel}"\nformat = "image"\n'
    '[source.image]\nsubject = "SUBJECT"\nevery_s = 0.0\n[limits]\npayload_bytes = 1_000_000\n'
)
_LEARNT, _WATCHED_S, _LOOKS = 50, 20, 10


def main() -> int:
    """Measure a scene and parts, and print a table."""
    print("| subject | before | peak | watching, median (95 %) | learning, s |")
    print("|---|---|---|---|---|")
    for subject in ("scene", "part"):
        with tempfile.TemporaryDirectory() as folder:
            before, peak, watching, took_s = _measure(Path(folder), subject)
        spread = statistics.quantiles(watching, n=20)[-1]
        middle = statistics.median(watching)
        print(f"| {subject} | {before:.0f} | {peak:.0f} | {middle:.0f} ({spread:.0f}) | {took_s:.1f} |")
    return 0


def _measure(folder: Path, subject: str) -> tuple[float, float, list[float], float]:
    broker = Broker(folder).start()
    agent = Agent(folder, bundle=ROOT / "edge_agent/models/pretrained", port=broker.port)
    agent.config.write_text(agent.config.read_text() + _SOURCE.replace("SUBJECT", subject))
    camera = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="camera")
    try:
        agent.start().ready()
        camera.connect("127.0.0.1", broker.port)
        camera.loop_start()
        before = agent.resident_kib() / 1024
        for number in range(_LEARNT):
            camera.publish("cam/press-4/cam1", _file(number), qos=1).wait_for_publish(60)
        began = time.monotonic()
        wait_until(lambda: agent.log("camera_learnt"), what="the camera to be learnt")
        took_s = time.monotonic() - began
        peak, watching = agent.peak_kib() / 1024, []
        for number in range(_WATCHED_S):
            camera.publish("cam/press-4/cam1", _file(number), qos=1).wait_for_publish(60)
            for _ in range(_LOOKS):
                time.sleep(1.0 / _LOOKS)
                watching.append(agent.resident_kib() / 1024)
    finally:
        camera.loop_stop()
        agent.kill()
        broker.kill()
    return before, peak, watching[_LOOKS:], took_s


def _file(number: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(part("plate", number)).resize((640, 480)).save(file, "JPEG", quality=90)
    return file.getvalue()


if __name__ == "__main__":
    sys.exit(main())
