"""Who may read and who may command: hosts, origins, tokens."""

from pathlib import Path

import pytest

from edge_agent.web.auth import TokenGuard, host_allowed, same_origin

TOKEN = "sixteen-characters-and-more"  # noqa: S105 - of this test alone


class _Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.mark.parametrize(
    "host", ["127.0.0.1:9109", "[::1]:9109", "10.0.0.7", "localhost", "LOCALHOST.:80", "line.local"]
)
def test_addresses_and_own_names_are_ours(host: str) -> None:
    assert host_allowed(host, ("Line.local",))


@pytest.mark.parametrize(
    "host", ["", "evil.example", "localhost.evil.example", "127.0.0.1.nip.io:9109", "line.local.evil"]
)
def test_names_that_a_stranger_points_here_are_not_ours(host: str) -> None:
    assert not host_allowed(host, ("line.local",))


@pytest.mark.parametrize(
    ("headers", "same"),
    [
        ({}, True),
        ({"Origin": "http://h:1", "Sec-Fetch-Site": "same-origin"}, True),
        ({"Origin": "https://h:1"}, True),
        ({"Origin": "null"}, False),
        ({"Origin": "http://evil.example"}, False),
        ({"Origin": "http://h:2"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "none"}, False),
    ],
)
def test_a_browser_must_say_that_the_page_itself_asks(headers: dict[str, str], *, same: bool) -> None:
    assert same_origin(headers, "h:1") is same


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    return file


@pytest.mark.parametrize(
    "shown", ["", TOKEN, "Bearer", "Bearer ", f"Bearer {TOKEN}x", f"Basic {TOKEN}", "Bearer \u20ac"]
)
def test_anything_but_the_whole_token_is_wrong(file: Path, shown: str) -> None:
    assert TokenGuard(file, monotonic=_Clock()).judge(shown, "a") == "wrong_token"


def test_the_token_may_be_exchanged_while_the_agent_runs(file: Path) -> None:
    guard = TokenGuard(file, monotonic=_Clock())
    assert guard.judge(f"bearer {TOKEN}", "a") == "welcome"
    file.write_text("another-one-of-length")
    assert guard.judge(f"Bearer {TOKEN}", "a") == "wrong_token"
    assert guard.judge("Bearer another-one-of-length", "a") == "welcome"
    file.unlink()
    assert guard.judge("Bearer another-one-of-length", "a") == "no_token_set"


@pytest.mark.parametrize("text", ["", "short", "x" * 2000])
def test_a_token_that_could_be_guessed_or_is_none_lets_nobody_in(file: Path, text: str) -> None:
    file.write_text(text)
    guard = TokenGuard(file, monotonic=_Clock())
    assert not guard.usable
    assert guard.judge(f"Bearer {text}", "a") == "no_token_set"


def test_without_a_file_the_page_is_for_reading_only() -> None:
    assert TokenGuard(None, monotonic=_Clock()).judge("Bearer ", "a") == "no_token_set"


def test_who_guesses_must_wait_and_the_right_token_is_welcome_at_any_time(file: Path) -> None:
    clock = _Clock()
    guard = TokenGuard(file, monotonic=clock)
    answers = [guard.judge("Bearer guess", "10.0.0.9") for _ in range(12)]
    assert answers == ["wrong_token"] * 10 + ["too_often"] * 2
    assert guard.judge(f"Bearer {TOKEN}", "10.0.0.9") == "welcome", (
        "a stranger behind the same proxy locks nobody out"
    )
    assert guard.judge("Bearer guess", "10.0.0.9") == "too_often", "and is not freed by it"
    assert guard.judge("Bearer guess", "10.0.0.8") == "wrong_token"
    clock.now_s += 61
    assert guard.judge("Bearer guess", "10.0.0.9") == "wrong_token"


def test_many_addresses_cost_no_more_memory_than_allowed(file: Path) -> None:
    guard = TokenGuard(file, monotonic=_Clock())
    for number in range(1000):
        guard.judge("Bearer guess", f"10.0.{number // 256}.{number % 256}")
    assert len(guard._failures) <= 256
