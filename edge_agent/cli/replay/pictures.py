"""A folder of pictures through the agent's own camera: learnt from the first ones, judged picture by picture."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from rich.text import Text

from edge_agent.alarms import payload
from edge_agent.alarms.local_time import moment
from edge_agent.cli.replay.play import alarms_file
from edge_agent.cli.tables import grid, show
from edge_agent.config.file import Config
from edge_agent.errors import RecordingError
from edge_agent.formats.image.decoder import ImageSettings, pictures
from edge_agent.formats.image.pixels import missing
from edge_agent.formats.mapping.times import TimeRule, text_ns
from edge_agent.formats.origin import Origin
from edge_agent.pipeline.cameras.learning import learn
from edge_agent.records import Alarm, Frame, Reject
from edge_agent.service.cameras.running import new_desk

INDEX = "index.csv"
_CAMERA = "cam1"
_ENDINGS = frozenset({".jpg", ".jpeg", ".png", ".webp"})
_START_NS, _SECOND_NS = 1_000_000_000 * 1_600_000_000, 1_000_000_000
"""Of pictures without times: a second apart."""
_COLUMNS = ("file", "time", "score", "alarm", "why")


def run(config: Config, *, folders: Sequence[Path], frames: int | None, out: Path, times: TimeRule) -> None:
    """Replay folders, each a machine of its name with one camera.

    A folder's pictures follow each other by name, a second apart; or as its `index.csv` says, with columns `file` and
    `timestamp`. How they are read is what the first source of format `image` says. Writes `<folder>.scores.csv` and
    `alarms.jsonl`.

    Args:
        config: as for `run`.
        folders: of pictures.
        frames: first pictures to learn from; where None, as many as the configuration says.
        out: folder to write to.
        times: zone and form of times that say none.

    Raises:
        RecordingError: a folder holds no picture, or its index cannot be read.
    """
    if lacking := missing():
        raise RecordingError(folders[0], lacking)
    summary = grid("camera", "pictures", "learnt from", "turned away", "alarms")
    told: list[Text] = []
    with alarms_file(out) as lines:
        for folder in folders:
            named = _listed(folder, times)
            rows, alarms, learnt = _play(config, folder.name, named, frames=frames)
            with (out / f"{folder.name}.scores.csv").open("w", encoding="utf-8", newline="") as file:
                _write(file, rows)
            zone = config.site.zone
            lines.writelines(
                payload.encode(one, agent=config.agent.name, zone=zone).decode() + "\n" for one in alarms
            )
            away = sum(row[4] != "" and row[2] == "" for row in rows[learnt:])
            opened = [one for one in alarms if one.revision == 1]
            summary.add_row(folder.name, str(len(rows)), str(learnt), str(away), str(len(opened)))
            told += [
                Text(f"{folder.name}: {one.fault} at {moment(one.onset_ns, zone, beside_ns=0)}")
                for one in opened
            ]
    show(summary, *told)


def _listed(folder: Path, times: TimeRule) -> list[tuple[Path, int]]:
    """Pictures and their times in nanoseconds, in the order of time."""
    index = folder / INDEX
    if not index.is_file():
        files = sorted(file for file in folder.iterdir() if file.suffix.lower() in _ENDINGS)
        found = [(file, _START_NS + at * _SECOND_NS) for at, file in enumerate(files)]
    else:
        with index.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        found = []
        for row in rows:
            name, stamp = row.get("file") or "", row.get("timestamp") or ""
            time_ns = text_ns(stamp, times, near_ns=0)
            if not name or time_ns is None:
                raise RecordingError(index, f"a row without file, or with timestamp {stamp[:40]!r}")
            found.append((folder / name, time_ns))
    if not found:
        raise RecordingError(folder, "holds no .jpg, .png or .webp")
    return sorted(found, key=lambda one: one[1])


def _play(
    config: Config, machine: str, named: Sequence[tuple[Path, int]], *, frames: int | None
) -> tuple[list[tuple[str, ...]], list[Alarm], int]:
    """(a row of `_COLUMNS` of each picture, every revision, how many pictures were learnt from)."""
    settings = next((source.image for source in config.source if source.image is not None), ImageSettings())
    commission = (
        config.commission if frames is None else config.commission.model_copy(update={"frames": frames})
    )
    desk = new_desk(config.model_copy(update={"commission": commission}))
    rows: list[tuple[str, ...]] = []
    decode, alarms = pictures(settings), []
    for file, time_ns in named:
        try:
            decoded = decode(file.read_bytes(), Origin(machine, _CAMERA, time_ns, _SECOND_NS))
        except OSError as error:
            raise RecordingError(file, error.strerror or "cannot be read") from error
        outcome = (
            desk.take(decoded, decoded.picture) if isinstance(decoded, Frame) and decoded.picture else decoded
        )
        for request in desk.requests():
            desk.install(learn(request))
        desk.gathered()
        alarms += desk.alarms()
        score, why = "", ""
        if isinstance(outcome, Reject):
            why = f"{outcome.reason}: {outcome.detail}"
        elif (sight := desk.of(machine)[0].sight) is not None and sight.time_ns == time_ns:
            score, why = "" if sight.score is None else f"{sight.score:.4g}", sight.why
        state = desk.of(machine)[0].state.alarm if desk.of(machine) else None
        rows.append((file.name, payload.rfc3339(time_ns), score, "" if state is None else state.id, why))
    return rows, alarms, min(desk.frames, len(rows))


def _write(file: TextIO, rows: Sequence[tuple[str, ...]]) -> None:
    writer = csv.writer(file)
    writer.writerow(_COLUMNS)
    writer.writerows(rows)
