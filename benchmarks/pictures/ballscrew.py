"""A camera that comes back to ten stations of a ball screw every four hours, through the product's own desk."""

import csv
import time
from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.pictures.looks import Look
from benchmarks.pictures.measures import auroc
from edge_agent.formats.image.decoder import ImageSettings, pictures
from edge_agent.formats.origin import Origin
from edge_agent.pipeline.cameras.desk import CameraDesk, CameraSettings
from edge_agent.pipeline.cameras.learning import learn
from edge_agent.records import Frame


def measure(data: Path, look: Look, *, learnt: int, stations: int | None) -> Mapping[str, Any]:
    """Figures over the stations; `stations`: so many of the ten."""
    rows: dict[str, list[dict[str, str]]] = defaultdict(list)
    with (data / "ballscrew_images" / "index.csv").open() as file:
        for row in csv.DictReader(file):
            rows[row["station"]].append(row)
    told = [_station(data, rows[name], look, learnt=learnt) for name in sorted(rows)[:stations]]
    areas = [one["auroc"] for one in told]
    late = [one["late"] for one in told if one["late"] is not None]
    after = [by for by in late if by >= 0]
    return {
        "auroc": float(np.mean(areas)),
        "least auroc": min(areas),
        "first alarm after the first label": len(after),
        "stations": len(told),
        "missed": sum(one["late"] is None for one in told),
        "frames late, median": float(np.median(after)) if after else None,
        "alarms before the first label": sum(one["before"] for one in told),
        "pictures not judged": sum(one["hidden"] for one in told),
        "cpu_ms": float(np.median([one for each in told for one in each["cpu_ms"]])),
        "cpu_ms_p99": float(np.quantile([one for each in told for one in each["cpu_ms"]], 0.99)),
        "learn_cpu_s": float(np.median([one["learn_s"] for one in told])),
    }


def _station(data: Path, rows: list[dict[str, str]], look: Look, *, learnt: int) -> dict[str, Any]:
    desk = CameraDesk(look, network="x", settings=CameraSettings(frames=learnt))
    decode, scores, raised, spent, learn_s = pictures(ImageSettings()), [], [], [], 0.0
    for row in rows:
        time_ns = int(datetime.fromisoformat(row["timestamp"]).timestamp() * 1e9)
        file = (data / "ballscrew_images" / row["file"]).read_bytes()
        began = time.process_time()
        frame = decode(file, Origin("screw", "cam", time_ns, 10**9))
        assert isinstance(frame, Frame)  # noqa: S101 - the set holds nothing but good files
        assert frame.picture is not None  # noqa: S101
        desk.take(frame, frame.picture)
        spent.append(1e3 * (time.process_time() - began))
        for request in desk.requests():
            began = time.process_time()
            desk.install(learn(request))
            learn_s = time.process_time() - began
        sight = desk.of("screw")[0].sight
        scores.append(None if sight is None else sight.score)
        told = [alarm for alarm in desk.alarms() if alarm.pictured is not None]
        raised.append(any(alarm.revision == 1 for alarm in told))
    faulty = np.array([row["label"] == "1" for row in rows])
    judged = np.array([score is not None for score in scores])
    values = np.array([0.0 if score is None else score for score in scores])
    first = int(np.flatnonzero(faulty)[0])
    alarms = np.flatnonzero(raised)
    return {
        "auroc": auroc(values[judged & faulty].tolist(), values[judged & ~faulty].tolist()),
        "late": int(alarms[0]) - first if len(alarms) else None,
        "before": int((alarms < first).sum()),
        "hidden": int((~judged[learnt:]).sum()),
        "cpu_ms": spent[learnt:],
        "learn_s": learn_s,
    }
