"""A permanent fault is not told as a passing one: who is let in and lost again and again says so, and waits longer."""

from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from edge_agent.mqtt.bulk_client import BulkClient
from edge_agent.mqtt.connection import THROWN_OUT, BrokerAddress, Connection

_LOST = ReasonCode(PacketTypes.DISCONNECT, "Unspecified error")
_BREACH = ReasonCode(PacketTypes.DISCONNECT, "Protocol error")
_LET_IN = ReasonCode(PacketTypes.CONNACK, "Success")


class Line:
    """A connection whose broker is this test, without any network."""

    def __init__(self, retry_max_s: int = 30) -> None:
        self.now_s = 1000.0
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.connection = Connection(
            "egress",
            BrokerAddress("localhost", 1, retry_max_s=retry_max_s),
            client_id="edge-agent-hall-out",
            clean_session=True,
            keep_bytes=10,
            report=lambda event, **facts: self.told.append((event, facts)),
            monotonic=lambda: self.now_s,
        )
        self.client: BulkClient = self.connection._build()

    def let_in(self, *, for_s: float, code: ReasonCode = _LOST) -> None:
        self.connection._on_connect(self.client, None, mqtt.ConnectFlags(False), _LET_IN, None)
        self.now_s += for_s
        self.connection._on_disconnect(
            self.client,
            None,
            mqtt.DisconnectFlags(False),
            code,
            None,
        )

    @property
    def waits_s(self) -> int:
        return self.client._reconnect_min_delay


def test_two_quick_losses_in_a_row_are_told_with_what_they_mean() -> None:
    line = Line()
    line.let_in(for_s=1.0)
    assert line.connection.trouble == ""
    line.let_in(for_s=1.0)
    assert f"{THROWN_OUT} 2 times" in line.connection.trouble
    assert "another client uses the client id edge-agent-hall-out" in line.connection.trouble
    assert line.told[-1] == (
        "broker_lost",
        {"client": "egress", "reason": "Unspecified error", "hint": line.connection.trouble},
    )


def test_it_waits_longer_and_no_longer_than_it_may() -> None:
    line = Line(retry_max_s=8)
    waits = []
    for _ in range(6):
        line.let_in(for_s=1.0)
        waits.append(line.waits_s)
    assert waits == [1, 2, 4, 8, 8, 8]
    line.let_in(for_s=1000.0)
    assert line.waits_s == 1


@pytest.mark.parametrize(("for_s", "code"), [(3600.0, _LOST), (1.0, _BREACH)])
def test_a_connection_that_lasted_or_was_ended_by_us_is_no_quick_loss(for_s: float, code: ReasonCode) -> None:
    line = Line()
    for _ in range(5):
        line.let_in(for_s=for_s, code=code)
    assert line.connection.trouble == ""


def test_the_trouble_is_over_once_a_connection_lasts() -> None:
    line = Line()
    for _ in range(3):
        line.let_in(for_s=1.0)
    line.connection._on_connect(line.client, None, mqtt.ConnectFlags(False), _LET_IN, None)
    assert line.connection.trouble
    line.now_s += 60.0
    assert line.connection.trouble == ""
