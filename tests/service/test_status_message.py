"""The status message says of each machine whether it is watched, and nothing that changes with every row."""

import json
from dataclasses import replace
from typing import Any

import numpy as np

from edge_agent.pipeline.results import MachineStatus
from edge_agent.service.health import MACHINES_LIMIT, status_payload
from edge_agent.signals.row_buffer import RowBuffer
from edge_agent.signals.settings import WindowSettings
from tests.support.hall import NOW_NS, READY, SECOND


def said(machine: MachineStatus, **known: Any) -> Any:
    raw = status_payload(
        agent="hall",
        version="1",
        online=True,
        model="m",
        provider="cpu",
        machines={"press": machine},
        **known,
    )
    return json.loads(raw)


def test_a_silent_machine_says_since_when() -> None:
    silent = said(READY, silent_since_ns={"press": NOW_NS})
    assert silent["machines"]["press"] == {"state": "ready", "silent_since": "2027-01-15T08:00:00.000Z"}
    assert said(READY)["machines"]["press"] == {"state": "ready"}


def test_until_when_a_machine_is_learnt_is_said_to_the_minute() -> None:
    young = replace(READY, state="commissioning", ready_ns=NOW_NS + SECOND)
    told = said(young)["machines"]["press"]
    assert told["learnt_about"] == "2027-01-15T08:01:00.000Z"
    assert said(replace(young, ready_ns=NOW_NS + 59 * SECOND))["machines"]["press"] == told


def test_the_zone_is_said_where_the_site_has_one() -> None:
    assert "timezone" not in said(READY)
    assert said(READY, timezone="Europe/Berlin")["timezone"] == "Europe/Berlin"


def test_the_pace_of_rows_counts_their_pauses() -> None:
    rows = RowBuffer("press", WindowSettings(), window_rows=4, keep_rows=100)
    assert rows.pace_ns() == 0
    rows.store.add_channels(["flow"])
    rows.store.append_rows(np.array([0, 1, 2, 9]) * SECOND, np.ones((4, 1), np.float32))
    assert (rows.period_ns(), rows.pace_ns()) == (SECOND, 3 * SECOND)


def test_where_there_are_more_machines_than_a_message_has_room_for_invented_ones_hide_no_learnt_one() -> None:
    ghost = replace(READY, state="commissioning")
    machines = {f"ghost-{number}": ghost for number in range(MACHINES_LIMIT)}
    raw = status_payload(
        agent="hall",
        version="1",
        online=True,
        model="m",
        provider="cpu",
        machines={**machines, "press": READY},
    )
    told = json.loads(raw)
    assert told["machine_count"] == MACHINES_LIMIT + 1
    assert len(told["machines"]) == MACHINES_LIMIT
    assert told["machines"]["press"]["state"] == "ready"
