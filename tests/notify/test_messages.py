"""What each kind of receiver is sent, and what comes back in plain words."""

import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from edge_agent.notify.book import CallEvent, PeopleCall
from edge_agent.notify.sender import NotifyTarget, send
from edge_agent.notify.templates import KINDS, PAGERDUTY, filled_request
from edge_agent.notify.words import CallWords
from tests.support.calls import T0, Receiver, open_alarm, subject_of

WORDS = CallWords("gateway-3", "https://gateway-3.plant:9109")


def call(*names: str, event: CallEvent = "alarm", **more: Any) -> PeopleCall:
    subjects = tuple(subject_of(open_alarm(name, severity="critical")) for name in names)
    return PeopleCall(7, "night", event, subjects, T0, **more)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.close()


def body(
    kind: str, told: PeopleCall, *, url: str = "https://x.example/hook", key: str = ""
) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(KINDS[kind](told, WORDS, url=url, token=key).body)
    return found


def test_title_and_text_say_who_what_since_when_and_what_to_do() -> None:
    told = call("4")
    todo = structs.replace(told.subjects[0], todo="Close valve 3.")
    told = structs.replace(told, subjects=(todo,), unacknowledged_s=900.0)
    assert WORDS.title(told) == "CRITICAL: press-4"
    assert WORDS.text(told) == (
        "Nobody has acknowledged this alarm for 15 min.\n"
        "press-4 (hall 3): press-4 has probably had clogged filter (90 %). What to do: Close valve 3."
    )
    assert WORDS.title(call("1", "2", "3", "4", "5")) == (
        "CRITICAL: 5 alarms: press-1, press-2, press-3 and 2 more"
    )
    assert WORDS.title(call("4", event="over")) == "Over: press-4"
    assert WORDS.text(call("4", event="over")) == "The alarm of press-4 of Tue 22:12 UTC is closed."


def test_a_link_leads_to_the_machine_or_to_all_and_nowhere_without_an_address() -> None:
    assert WORDS.link(call("4")) == "https://gateway-3.plant:9109/#/machine/press-4"
    assert WORDS.link(call("4", "5")) == "https://gateway-3.plant:9109/"
    assert CallWords("a").link(call("4")) == ""


def test_json_has_all_as_fields_and_one_identity_for_all_attempts() -> None:
    told = body("json", call("4", "5"))
    assert told["id"] == "gateway-3/night/7"
    assert (told["event"], told["severity"], told["link"]) == (
        "alarm",
        "critical",
        "https://gateway-3.plant:9109/",
    )
    assert [alarm["machine"] for alarm in told["alarms"]] == ["press-4", "press-5"]


def test_slack_takes_no_markup_from_names() -> None:
    hostile = structs.replace(call("4").subjects[0], name="<!channel> & co", location="")
    told = body("slack", structs.replace(call("4"), subjects=(hostile,)))["text"]
    assert "&lt;!channel&gt; &amp; co" in told
    assert "<!channel>" not in told
    assert told.endswith("<https://gateway-3.plant:9109/#/machine/press-4|Open the page>")


def test_teams_gets_an_adaptive_card() -> None:
    (attachment,) = body("teams", call("4"))["attachments"]
    card = attachment["content"]
    assert (card["type"], card["body"][0]["text"]) == ("AdaptiveCard", "CRITICAL: press-4")
    assert card["actions"][0]["url"].endswith("press-4")


def test_pagerduty_resolves_what_it_triggered() -> None:
    begun, ended = (body("pagerduty", call("4", event=event), key="K") for event in ("alarm", "over"))
    assert (begun["event_action"], ended["event_action"]) == ("trigger", "resolve")
    assert begun["dedup_key"] == ended["dedup_key"] == "gateway-3/4"
    assert (begun["payload"]["severity"], begun["payload"]["source"]) == ("critical", "press-4")
    assert KINDS["pagerduty"](call("4"), WORDS, url="", token="").url == PAGERDUTY


def test_ntfy_is_published_as_json_at_the_servers_root() -> None:
    request = KINDS["ntfy"](call("4"), WORDS, url="https://ntfy.example/base/hall-3", token="t")  # noqa: S106 - no secret
    told = json.loads(request.body)
    assert request.url == "https://ntfy.example/base/"
    assert (told["topic"], told["priority"]) == ("hall-3", 5)
    assert request.headers["Authorization"] == "Bearer t"


def test_a_template_is_filled_once_and_keeps_what_it_does_not_know() -> None:
    hostile = structs.replace(call("4").subjects[0], machine='x"}, {title}')
    template = {"order": {"text": "{machine}: {severity} {unknown} {"}, "list": ["{event}", 3, True]}
    request = filled_request(
        structs.replace(call("4"), subjects=(hostile,)), WORDS, url="https://x", token="", template=template
    )
    assert json.loads(request.body) == {
        "order": {"text": 'x"}, {title}: critical {unknown} {'},
        "list": ["alarm", 3, True],
    }


# -- the door ------------------------------------------------------------------------------------------------


def test_what_a_receiver_takes_is_confirmed_with_its_words_in_one_printable_line(
    receiver: Receiver, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("s3cret\n")
    target = NotifyTarget(kind="json", url=receiver.url, token_file=token)
    outcome = send(target, call("4"), WORDS)
    assert (outcome.state, outcome.said) == ("confirmed", "HTTP 200: said [31mso")
    _, told, headers = receiver.taken[0]
    assert told["title"] == "CRITICAL: press-4"
    assert headers["Authorization"] == "Bearer s3cret"


@pytest.mark.parametrize(
    ("answer", "state", "said"),
    [
        ("error", "refused", "HTTP 503"),
        ("moved", "refused", "redirects are not followed"),
        ("lost", "unknown", "no whole answer"),
    ],
)
def test_what_is_not_taken_says_why_and_whether_it_may_have_arrived(
    receiver: Receiver, answer: Any, state: str, said: str
) -> None:
    receiver.answer = lambda: answer
    outcome = send(NotifyTarget(kind="json", url=receiver.url), call("4"), WORDS)
    assert outcome.state == state
    assert said in outcome.said


def test_nobody_there_is_refused_for_certain(receiver: Receiver) -> None:
    receiver.close()
    outcome = send(NotifyTarget(kind="json", url=receiver.url), call("4"), WORDS)
    assert (outcome.state, outcome.said) == ("refused", "Connection refused")


def test_a_receiver_that_never_answers_costs_the_timeout_and_is_unknown() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/x"
        outcome = send(NotifyTarget(kind="json", url=url, timeout_s=0.2), call("4"), WORDS)
    assert outcome.state == "unknown"
    assert "no answer in time" in outcome.said


@pytest.mark.parametrize("content", [None, b"", b"a\x00b", b"x" * 9000, b"\xff"])
def test_a_secret_that_cannot_be_used_names_its_file_and_not_its_content(
    receiver: Receiver, tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    outcome = send(NotifyTarget(kind="json", url=receiver.url, token_file=file), call("4"), WORDS)
    assert outcome.state == "refused"
    assert str(file) in outcome.said
    assert not receiver.taken


# -- mail ----------------------------------------------------------------------------------------------------


class MailServer:
    """Speaks as much SMTP as a mail needs; `turns_away` answers its recipients with 550."""

    def __init__(self, *, turns_away: bool = False) -> None:
        self.mails: list[bytes] = []
        self._turns_away = turns_away
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        connection, _ = self._socket.accept()
        with connection, connection.makefile("rwb") as stream:
            stream.write(b"220 test\r\n")
            stream.flush()
            while line := stream.readline():
                verb = line[:4].upper()
                if verb == b"DATA":
                    stream.write(b"354 go on\r\n")
                    stream.flush()
                    self.mails.append(b"".join(iter(stream.readline, b".\r\n")))
                refused = verb == b"RCPT" and self._turns_away
                stream.write(b"550 nobody of that name\r\n" if refused else b"250 ok\r\n")
                stream.flush()
        self._socket.close()


MAIL = NotifyTarget(
    kind="mail",
    host="127.0.0.1",
    tls="none",
    sender="agent@plant.example",
    to=("a@plant.example", "b@plant.example"),
)


def test_a_mail_says_the_same_and_has_one_identity_for_all_attempts() -> None:
    server = MailServer()
    outcome = send(replace(MAIL, port=server.port), call("4"), WORDS)
    assert (outcome.state, outcome.said) == ("confirmed", "127.0.0.1 has taken it")
    mail = message_from_bytes(server.mails[0], policy=default)
    assert (mail["Subject"], mail["To"]) == ("CRITICAL: press-4", "a@plant.example, b@plant.example")
    assert str(mail["Message-ID"]).endswith("@edge-agent>")
    assert "https://gateway-3.plant:9109/#/machine/press-4" in mail.get_content()


def test_a_mail_that_is_turned_away_says_for_whom() -> None:
    outcome = send(replace(MAIL, port=MailServer(turns_away=True).port), call("4"), WORDS)
    assert outcome.state == "refused"
    assert "a@plant.example" in outcome.said


def test_a_mail_server_without_tls_gets_no_mail_where_tls_is_asked_for() -> None:
    outcome = send(replace(MAIL, port=MailServer().port, tls="starttls"), call("4"), WORDS)
    assert outcome.state == "refused"
    assert "STARTTLS" in outcome.said
