"""One machine's rows, exported in every form that plants send, are the same rows; nothing is edited by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.reliability.exports import forms
from benchmarks.reliability.exports.machine import FAULT_ROW, LEARNT_ROWS, NAMES, Rows, made
from benchmarks.reliability.exports.table import FORMS
from edge_agent.detect.scorer import Scorer
from edge_agent.formats.mapping.times import TimeRule
from edge_agent.pipeline.settings import PipelineSettings
from edge_agent.recordings import tables
from edge_agent.recordings.replay import commission_recording, replay
from edge_agent.recordings.tables import Recording
from edge_agent.signals.settings import WindowSettings

ROWS = made()
SETTINGS = PipelineSettings(window=WindowSettings(hop_s=0.0))


def read(path: Path, form: forms.Form) -> Recording:
    path.write_bytes(form.content(ROWS))
    return tables.read(path, times=TimeRule(timezone=form.options[1] if form.options else ""))


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.file)
def test_every_form_holds_the_same_rows(tmp_path: Path, form: forms.Form) -> None:
    found = read(tmp_path / form.file, form)
    expected = ROWS.values.astype(np.float32)
    for row, channel in form.gaps:
        expected[row, channel] = np.nan
    assert found.channels == tuple(form.names)
    np.testing.assert_array_equal(found.times_ns, ROWS.times_ns)
    np.testing.assert_allclose(found.values, expected, rtol=1e-6)


def jittered(rows: Rows) -> bytes:
    """A row whose clock ticked late: it has the time of the row before."""
    text = forms.wide(rows).splitlines(keepends=True)
    text[402] = ",".join([text[401].split(",")[0], *text[402].split(",")[1:]])
    return "".join(text).encode()


ODD_TIMES = (
    *(form for form in FORMS if form.file in ("ms.csv", "repeated.csv", "newest-first.csv", "excel.csv")),
    forms.Form("a time that stands twice", "jittered.csv", jittered),
    forms.Form(
        "newest first in a zone",
        "zone-newest-first.csv",
        lambda rows: forms.newest_first(rows, time=forms.german),
        options=("--timezone", "Europe/Berlin"),
    ),
)


@pytest.mark.parametrize("form", ODD_TIMES, ids=lambda form: form.file)
def test_odd_times_give_the_same_alarms_at_the_same_true_times(
    tmp_path: Path, scorer: Scorer, form: forms.Form
) -> None:
    tidy = alarms(read(tmp_path / "tidy.csv", FORMS[0]), scorer)
    fault_ns = int(ROWS.times_ns[FAULT_ROW])
    assert fault_ns - 60 * 10**9 < tidy[0][1] < fault_ns + 60 * 10**9
    assert alarms(read(tmp_path / form.file, form), scorer) == tidy


def alarms(recording: Recording, scorer: Scorer) -> list[tuple[str, int, int, list[str]]]:
    """State, onset and time of every revision, and the channels in order of their share."""
    same = replace(recording, name="pump", channels=NAMES)
    profile = commission_recording(same, rows=LEARNT_ROWS, scorer=scorer, settings=SETTINGS)
    played = replay(same, scorer=scorer, settings=SETTINGS, profile=replace(profile, hop_rows=1))
    return [
        (alarm.state, alarm.onset_ns, alarm.time_ns, [channel.name for channel in alarm.channels])
        for alarm in played.alarms
    ]
