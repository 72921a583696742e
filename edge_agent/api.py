"""The detector on rows in memory: what the agent and `edge-agent replay` do, for a notebook or a script.

    from edge_agent.api import AnomalyDetector

    detector = AnomalyDetector.load().fit(frame[:3600])     # numpy, pandas, polars, Arrow
    scores = detector.score(frame)                          # [R], 1 is the threshold
    for found in detector.explain(frame):
        print(found.first_row, found.summary)
    detector.save("pump-1.npz")
    detector.pack("bundles")                                # a bundle for `[model] bundle`

It is the shipped pipeline on the bundle in the wheel, so the same rows give the same scores as on a gateway.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge_agent.alarms.sentences import summary
from edge_agent.config.file import Config
from edge_agent.detect.scorer import Scorer
from edge_agent.errors import StateError, UsageError
from edge_agent.model import bundle as bundles
from edge_agent.model import profile as profiles
from edge_agent.pipeline.settings import PipelineSettings
from edge_agent.recordings.replay import Replay, commission_recording, replay
from edge_agent.recordings.tables import Recording
from edge_agent.records import Alarm, Float32, Profile
from edge_agent.service.wiring import bundle_profile, load_scorer, pipeline_settings

_NAME = "machine"


@dataclass(frozen=True, slots=True)
class FoundAnomaly:
    """An alarm that the rows would have raised.

    Attributes:
        first_row: row of its onset. last_row: the last row at which it was open.
        severity: warning, major or critical.
        channels: (channel, its share of the score), the guiltiest first.
        summary: the alert's sentence; times in UTC.
    """

    first_row: int
    last_row: int
    severity: str
    channels: tuple[tuple[str, float], ...]
    summary: str


class AnomalyDetector:
    """What is normal for one machine, and how far rows are from it.

    `fit` learns from rows of normal operation, at least 256 of them and better those of an hour or a day; nothing is
    trained, the pre-trained network reads them.
    """

    def __init__(
        self,
        scorer: Scorer,
        settings: PipelineSettings,
        *,
        profile: Profile | None = None,
        hop_s: float = 1.0,
    ) -> None:
        """As `load` makes it; `profile` is what was learnt before, `hop_s` the pace at which an agent looks."""
        self._scorer, self._settings, self._profile, self._hop_s = scorer, settings, profile, hop_s

    @classmethod
    def load(
        cls,
        bundle: Path | str | None = None,
        *,
        saved: Path | str | None = None,
        false_alarms_per_week: float = 1.0,
    ) -> Self:
        """A detector with a bundle's network.

        Args:
            bundle: folder of a bundle; the one in the wheel where None. One that `pack` or `edge-trainer calibrate` has
                written carries what was learnt: the detector is fitted then.
            saved: what `save` has written, instead of what the bundle carries.
            false_alarms_per_week: that may be raised on normal rows; the threshold follows from it when `fit` learns.

        Raises:
            BundleError: the bundle, or what was saved, is damaged or of another version.
            StateError: what was saved cannot be read.
        """
        told: dict[str, Any] = {"budget": {"false_alarms_per_week": false_alarms_per_week}}
        config = Config.model_validate(told | ({} if bundle is None else {"model": {"bundle": Path(bundle)}}))
        settings = pipeline_settings(config)
        settings = replace(settings, window=replace(settings.window, hop_s=0.0))
        profile = None
        if saved is not None:
            try:
                raw = Path(saved).read_bytes()
            except OSError as error:
                raise StateError(Path(saved), error.strerror or "cannot be read") from error
            profile = profiles.decode(Path(saved), raw)
        scorer = load_scorer(config, expecting=False)
        if profile is None and (carried := bundle_profile(scorer.bundle)) is not None:
            profile = replace(carried, hop_rows=1)
        return cls(scorer, settings, profile=profile, hop_s=config.window.hop_s)

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the C channels that were learnt.

        Raises:
            UsageError: nothing was learnt yet.
        """
        return self._learnt().channels

    def fit(self, rows: Any, *, times: Any = None) -> Self:
        """Learn what is normal from rows of normal operation; returns itself.

        Args:
            rows: [R, C] in physical units, NaN or infinite where missing: an array, or a frame of pandas, polars or
                another library that speaks Arrow (pyarrow, DuckDB) with a column a channel.
            times: [R] datetime64 or nanoseconds since 1970 UTC, or the name of the frame's column of them; a row a
                second where None.

        Raises:
            CommissionError: too few rows, or nothing can be learnt from them.
            UsageError: rows or times of a form that is not known.
        """
        recording = _recording(rows, times)
        profile = commission_recording(
            recording, rows=len(recording.values), scorer=self._scorer, settings=self._settings
        )
        self._profile = replace(profile, hop_rows=1)
        return self

    def score(self, rows: Any, *, times: Any = None) -> Float32:
        """[R] how far each row's window is from normal, causal: by the rows up to it. 1 is the threshold, 0 unknown.

        Args and Raises as of `fit`; UsageError as well where nothing was learnt, or the channels are others.
        """
        return self._play(rows, times).score

    def explain(self, rows: Any, *, times: Any = None) -> tuple[FoundAnomaly, ...]:
        """The alarms that the agent would have raised, in the order of their onsets. Args and Raises as of `score`."""
        recording = self._checked(rows, times)
        played = self._replay(recording)
        stamps = (
            np.arange(len(recording.values)) * 10**9 if recording.times_ns is None else recording.times_ns
        )
        latest = {alarm.id: alarm for alarm in played.alarms if alarm.kind == "machine"}
        named: dict[str, Alarm] = {}
        for alarm in played.alarms:  # the closing one says nothing of the channels
            if alarm.channels:
                named[alarm.id] = alarm
        return tuple(
            sorted(
                (_found(alarm, named.get(alarm.id, alarm), stamps) for alarm in latest.values()),
                key=lambda found: found.first_row,
            )
        )

    def save(self, path: Path | str) -> None:
        """Write down what was learnt, for `load`; the bundle is not in it.

        Raises:
            UsageError: nothing was learnt yet.
            StateError: the file cannot be written.
        """
        raw = profiles.encode(self._learnt())
        try:
            Path(path).write_bytes(raw)
        except OSError as error:
            raise StateError(Path(path), error.strerror or "cannot be written") from error

    def pack(self, folder: Path | str) -> Path:
        """Write the network and what was learnt as a bundle `<name>-<digest>` into a folder; returns its path.

        An agent whose configuration has it as `[model] bundle` watches with it every machine of these very channels.

        Raises:
            UsageError: nothing was learnt yet.
            BundleError: the bundle cannot be written.
        """
        profile, before = self._learnt(), self._scorer.bundle
        facts = {"machine": profile.machine, "channels": list(profile.channels), "rows": profile.rows}
        manifest = msgspec.structs.replace(
            before.manifest,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            training={**before.manifest.training, "learnt": facts},
            release=msgspec.UNSET,  # who signed the network has not seen what was learnt
        )
        contents = {name: (before.path / name).read_bytes() for name in before.manifest.files}
        hop_rows = max(1, round(self._hop_s * 1e9 / max(profile.period_ns, 1)))
        contents[bundles.PROFILE] = profiles.encode(replace(profile, hop_rows=hop_rows))
        return bundles.write(Path(folder), manifest, contents)

    def _learnt(self) -> Profile:
        if self._profile is None:
            raise UsageError("nothing was learnt yet: call fit, or load what was saved")
        return self._profile

    def _checked(self, rows: Any, times: Any) -> Recording:
        recording, known = _recording(rows, times), self._learnt().channels
        if set(recording.channels) != set(known):
            told, learnt = ", ".join(recording.channels), ", ".join(known)
            raise UsageError(f"the rows have the channels {told}; learnt were {learnt}")
        return recording

    def _play(self, rows: Any, times: Any) -> Replay:
        return self._replay(self._checked(rows, times))

    def _replay(self, recording: Recording) -> Replay:
        return replay(recording, scorer=self._scorer, settings=self._settings, profile=self._learnt())


def _recording(rows: Any, times: Any) -> Recording:
    """Rows of any kind, as a table would give them.

    Raises:
        UsageError: they are of none.
    """
    names: Sequence[str]
    if hasattr(rows, "__arrow_c_stream__") and not hasattr(rows, "to_numpy"):
        found = _arrow_columns(rows)
        if isinstance(times, str) and times not in found:
            raise UsageError(f"the table has no column {times}")
        stamps = found.pop(times) if isinstance(times, str) else times
        names, columns = list(found), list(found.values())
    elif hasattr(rows, "columns") and hasattr(rows, "to_numpy"):
        stamps = rows[times].to_numpy() if isinstance(times, str) else times
        keep = [name for name in rows.columns if not (isinstance(times, str) and name == times)]
        names, columns = [str(name) for name in keep], [rows[name].to_numpy() for name in keep]
    else:
        table, stamps = np.asarray(rows), times
        if table.ndim != 2 or isinstance(times, str):
            raise UsageError(
                "rows are [R, C], an array or a frame with a column a channel; times their own array"
            )
        names, columns = [f"channel_{at}" for at in range(table.shape[1])], [*table.T]
    try:
        values = np.stack([np.asarray(column, np.float32) for column in columns], axis=1)
    except (TypeError, ValueError) as error:
        raise UsageError(f"a column holds no numbers; leave it out or name it as times: {error}") from error
    values[~np.isfinite(values)] = np.nan  # as of a file: what is no number is missing
    return Recording(_NAME, tuple(names), _nanoseconds(stamps, len(values)), values, None)


def _arrow_columns(rows: Any) -> dict[str, Any]:
    """Columns by name, [R] each, by Arrow's own interface.

    Raises:
        UsageError: pyarrow is not installed.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise UsageError("an Arrow table needs pyarrow: install edge-agent[recordings]") from error
    table = pa.table(rows)
    return {name: table.column(name).to_numpy() for name in table.column_names}


def _nanoseconds(stamps: Any, count: int) -> NDArray[np.int64] | None:
    if stamps is None:
        return None
    try:
        found = np.asarray(stamps)
        found = found if found.dtype.kind in "iu" else found.astype("datetime64[ns]")
        times = found.astype(np.int64)
    except (TypeError, ValueError, OverflowError) as error:
        raise UsageError(f"times are datetime64 or nanoseconds since 1970: {error}") from error
    if times.shape != (count,) or not bool((np.diff(times) > 0).all()):
        raise UsageError(f"times are one a row, {count} of them, each later than the one before")
    return times


def _found(last: Alarm, named: Alarm, stamps: NDArray[np.int64]) -> FoundAnomaly:
    end_ns = stamps[-1] if last.closed_ns is None else last.closed_ns
    first = int(np.searchsorted(stamps, last.onset_ns))
    return FoundAnomaly(
        first_row=min(first, len(stamps) - 1),
        last_row=max(first, int(np.searchsorted(stamps, end_ns, side="right")) - 1),
        severity=named.severity,
        channels=_shares(named),
        summary=summary(named, zone=UTC),
    )


def _shares(alarm: Alarm) -> tuple[tuple[str, float], ...]:
    told: Iterable[tuple[str, float]] = ((one.name, float(one.contribution)) for one in alarm.channels)
    return tuple(sorted(told, key=lambda pair: -pair[1]))
