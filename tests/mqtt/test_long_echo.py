"""A broker that acknowledges long messages and drops them is noticed, and asked no more than is needed."""

from edge_agent.mqtt.long_echo import LongEcho


class Broker:
    """Gives back what is no longer than its limit; hangs up on the rest where it is of that kind."""

    def __init__(self, limit: int, *, hangs_up: bool = False) -> None:
        self.echo = LongEcho(boot="this")
        self.limit, self.hangs_up = limit, hangs_up
        self.session, self.sent = 1, 0

    def run(self, longest: int, *, seconds: int, start_s: int = 0) -> str:
        for now_s in range(start_s, start_s + seconds):
            message = self.echo.next_message(longest, session=self.session, now_s=float(now_s))
            self.echo.take_echoes([b'{"boot": "this", "number": 7}'])
            if message is None:
                continue
            self.sent += 1
            assert len(message) == longest
            if len(message) <= self.limit:
                self.echo.take_echoes([message[:100]])  # whoever reads keeps the beginning alone
            elif self.hangs_up:
                self.session += 1
        return self.echo.trouble


def test_what_comes_back_is_asked_once_for_each_greater_length() -> None:
    broker = Broker(10_000)
    assert broker.run(1000, seconds=100) == ""
    assert broker.run(500, seconds=100, start_s=100) == ""
    assert broker.run(2000, seconds=100, start_s=200) == ""
    assert broker.sent == 2


def test_what_is_dropped_is_told_within_half_a_minute_and_until_it_comes_back() -> None:
    broker = Broker(4000)
    assert broker.run(1000, seconds=30) == ""
    assert "5,000 bytes" in broker.run(5000, seconds=30, start_s=30)
    assert broker.sent == 2
    broker.limit = 10_000
    assert broker.run(5000, seconds=700, start_s=60) == ""


def test_a_broker_that_hangs_up_is_asked_twice_and_no_more() -> None:
    broker = Broker(4000, hangs_up=True)
    assert "5,000 bytes" in broker.run(5000, seconds=3000)
    assert broker.sent == 2


def test_an_echo_that_nobody_may_hear_says_nothing() -> None:
    echo = LongEcho(boot="this")
    assert echo.next_message(100, session=1, now_s=0.0)
    for now_s in range(1, 100):
        echo.next_message(100, session=1, now_s=float(now_s))
    assert echo.trouble == ""
