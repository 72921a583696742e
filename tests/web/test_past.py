"""The past as documents: from the history, with what waits for it, or from memory with a word about why."""

import csv
import io
import json
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_agent.alarms.state import AlarmState, MachineCalls
from edge_agent.metrics.snapshot import Health, Snapshot
from edge_agent.model import bundle
from edge_agent.store.history.database import HistoryDatabase
from edge_agent.store.history.incident import Amendment, IncidentAction
from edge_agent.store.history.minutes import MinuteGatherer
from edge_agent.store.history.reader import HistoryReader
from edge_agent.web import documents
from edge_agent.web.past import SPANS, PastPages
from edge_agent.web.view import Closeup, Curve, View
from tests.support.hall import ALARM, NOW_NS, READY, SECOND
from tests.support.past import AT_NS, channels, incident

NOW_S = NOW_NS // SECOND
HOT = channels(flow=("high", 0.9), pressure=("low", 0.1))
LABEL = IncidentAction(AT_NS + 900 * SECOND, "label", "anna", "bearing was dry", "bearing wear")


class Site:
    """A history, and the page's view of an agent beside it."""

    def __init__(self, folder: Path, model: Path) -> None:
        self.path = folder / "history.sqlite"
        self.database = HistoryDatabase(self.path)
        self.past = PastPages(HistoryReader(self.path), wall_s=lambda: NOW_S)
        self.view = View(
            time_ns=NOW_NS,
            made_s=0.0,
            agent="hall",
            version="1",
            provider="cpu",
            health=Health(alive=True, amiss=()),
            snapshot=Snapshot(),
            bundle=bundle.read(model),
            machines={"pump-1": READY},
            calls={},
            silent_s={},
            trends={},
            records=(),
            past=(),
            past_count=0,
            commands=(),
            closeups={"pump-1": Closeup(None, Curve(), Curve(), None)},
        )

    def curve(self, span: str, machine: str = "pump-1") -> dict[str, Any]:
        body = self.past.curve(span, machine)
        assert body is not None
        return dict(json.loads(body))


@pytest.fixture
def site(tmp_path: Path, tiny_bundle: Path) -> Site:
    return Site(tmp_path, tiny_bundle)


def test_what_closed_is_listed_with_what_waits_and_without_what_is_open_again(site: Site) -> None:
    site.database.write({"1": incident("a"), "2": incident("b", at_ns=AT_NS + SECOND)})
    waiting = (Amendment("a", LABEL), incident("c", at_ns=AT_NS + 2 * SECOND))
    view = replace(site.view, waiting=waiting, records=(AlarmState(replace(ALARM, id="b")),))
    told = site.past.listed(view)
    assert [(one["id"], one["fault"], one["comment"]) for one in told["history"]] == [
        ("c", "", ""),
        ("a", "bearing wear", "bearing was dry"),
    ]
    assert (told["history_count"], told["history_note"]) == (2, "")
    shown = json.loads(documents.state(view, told))
    assert shown["history"] == told["history"]
    assert site.past.listed(view, "fan-2")["history"] == []


def test_a_history_that_cannot_be_read_is_told_and_memory_takes_its_place(site: Site) -> None:
    other = sqlite3.connect(site.path)
    other.execute("PRAGMA user_version=99")
    other.close()
    told = site.past.listed(site.view)
    assert told.keys() == {"history_note"}
    assert "later release" in told["history_note"]
    assert site.curve("day") == {"span": "day", "kept": False, "why": site.curve("day")["why"]}
    assert site.past.alike(site.view, "pump-1") == []
    assert site.past.incident(site.view, "a") is None


def test_the_last_times_an_open_alarm_happened_are_told_with_what_it_was(site: Site) -> None:
    site.database.write(
        {
            "1": incident("named", channels=HOT),
            "2": Amendment("named", LABEL),
            "3": incident("other", channels=channels(vibration=("noisier", 1.0))),
            "4": incident("kin", machine="pump-9", family="", channels=HOT),
        }
    )
    record = AlarmState(replace(ALARM, id="now", channels=HOT))
    near = replace(site.view.closeups["pump-1"], kin=("pump-9",))
    view = replace(
        site.view, calls={"pump-1": MachineCalls(record)}, records=(record,), closeups={"pump-1": near}
    )
    found = site.past.alike(view, "pump-1")
    assert [(one["id"], one["fault"], one["likeness"]) for one in found] == [
        ("named", "bearing wear", 1.0),
        ("kin", "", 1.0),
    ]
    assert site.past.alike(site.view, "pump-1") == []


def test_each_span_ends_now_and_lies_beside_the_same_time_before(site: Site) -> None:
    gatherer = MinuteGatherer()
    start_s = NOW_S - 40 * 86_400
    times = np.arange(start_s, NOW_S, 600, dtype=np.int64)
    days_ago = (NOW_S - times) / 86_400
    gatherer.take_scores([("pump-1", times * SECOND, days_ago.astype(np.float32))])
    site.database.write_minutes(gatherer, now_ns=NOW_NS)
    for span, (long_s, stretch_s, earlier_s) in SPANS.items():
        told = site.curve(span)
        assert told["kept"]
        assert (told["to"] - told["from"], told["stretch_s"]) == (long_s, stretch_s)
        known = [value for value in told["scores"] if value is not None]
        assert max(known) == pytest.approx(long_s / 86_400, abs=2 * stretch_s / 86_400 + 0.02)
        assert told["scores"][-1] is None or told["scores"][-1] < 0.1
        if earlier_s:
            before = [value for value in told["before"]["scores"] if value is not None]
            assert min(before) >= earlier_s / 86_400 - stretch_s / 86_400 - 0.02
        else:
            assert told["before"] is None
    assert site.past.curve("century", "pump-1") is None


def test_one_incident_is_told_with_all_that_is_kept(site: Site) -> None:
    rows = np.array([[1.0, 2.0], [3.0, np.nan]], np.float32)
    one = incident("a", channels=HOT, window=rows[:, :1].tobytes(), actions=(LABEL,))
    site.database.write({"1": one})
    body = site.past.incident(site.view, "a")
    assert body is not None
    told = json.loads(body)["incident"]
    assert [channel["name"] for channel in told["channels"]] == ["flow", "pressure"]
    assert told["window"]["channels"] == [{"name": "flow", "rows": [1.0, 3.0]}]
    assert [(deed["by"], deed["what"], deed["fault"]) for deed in told["actions"]] == [
        ("anna", "label", "bearing wear")
    ]
    assert site.past.incident(site.view, "nobody's") is None


def test_what_closed_is_given_to_spreadsheets_the_latest_last_with_what_waits_and_no_formula(
    site: Site,
) -> None:
    site.database.write({"1": incident("a", fault="=cmd()"), "2": incident("b", at_ns=AT_NS + SECOND)})
    waiting = (Amendment("a", LABEL), incident("c", at_ns=AT_NS + 2 * SECOND))
    view = replace(site.view, waiting=waiting, records=(AlarmState(replace(ALARM, id="b")),))
    body = site.past.table(view)
    assert body is not None
    assert body.startswith(b"\xef\xbb\xbfid,machine,")
    rows = list(csv.DictReader(io.StringIO(body.decode("utf-8-sig"))))
    assert [row["id"] for row in rows] == ["a", "c"]
    assert rows[0]["comments"] == "anna: bearing was dry"
    assert [row["fault"][:1] for row in rows if row["id"] != "a"] == [""]
    assert not any(cell.startswith("=") for row in rows for cell in row.values())


def test_an_empty_history_is_a_table_of_names_alone_and_a_broken_one_none(site: Site) -> None:
    assert (site.past.table(site.view) or b"").decode("utf-8-sig").splitlines()[1:] == []
    site.database.close()
    site.path.write_bytes(b"no database" * 100)
    assert site.past.table(site.view) is None
