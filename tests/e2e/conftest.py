"""What tests over a real broker share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.harness.broker import Broker


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """A mosquitto that anybody may use; whoever needs another one names it `broker`, too."""
    broker = Broker(tmp_path).start()
    yield broker
    broker.kill()
