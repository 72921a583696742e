"""A message in the form of each kind of receiver: a web request or a mail. Pure; no connection, no secret is read.

Sources: ntfy "publish as JSON"; Slack "incoming webhooks"; Microsoft Teams "Post to a channel when a webhook request is
received" with an Adaptive Card 1.4; PagerDuty Events API v2. A new kind is one function and one line of `KINDS`.
"""

import html
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import msgspec

from edge_agent.alarms.payload import rfc3339
from edge_agent.notify.book import PeopleCall
from edge_agent.notify.words import CallWords, worst
from edge_agent.records import Severity

PAGERDUTY = "https://events.pagerduty.com/v2/enqueue"
_PAGERDUTY_SUMMARY_CHARACTERS = 1024
_PAGERDUTY_SEVERITY: Mapping[Severity, str] = {
    "notice": "info",
    "warning": "warning",
    "major": "error",
    "critical": "critical",
}
_NTFY_PRIORITY: Mapping[Severity, int] = {"notice": 2, "warning": 3, "major": 4, "critical": 5}
_TEXT_CHARACTERS = 3500
"""ntfy takes 4,096 bytes of message, Slack 40,000 characters; twenty alarms are shorter."""


@dataclass(frozen=True, slots=True)
class WebRequest:
    """What is posted: an address, a JSON body, and headers beside its type."""

    url: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


def json_request(call: PeopleCall, words: CallWords, *, url: str, token: str) -> WebRequest:
    """All facts as fields, for programs; a token goes as `Authorization: Bearer`."""
    return _posted(url, _facts(call, words), token=token)


def filled_request(
    call: PeopleCall, words: CallWords, *, url: str, token: str, template: Mapping[str, Any]
) -> WebRequest:
    """A body of the user's own, whose texts name facts in braces: `{title}`; see `PLACES`."""
    places = _places(call, words)
    return _posted(url, _filled(template, places), token=token)


def slack_request(call: PeopleCall, words: CallWords, *, url: str, token: str) -> WebRequest:
    """An incoming webhook of Slack, Mattermost or Rocket.Chat."""
    del token  # the address is the secret
    title, text = (html.escape(part, quote=False) for part in (words.title(call), _short(words.text(call))))
    link = words.link(call)
    return _posted(url, {"text": f"*{title}*\n{text}" + (f"\n<{link}|Open the page>" if link else "")})


def teams_request(call: PeopleCall, words: CallWords, *, url: str, token: str) -> WebRequest:
    """A workflow of Microsoft Teams, by an adaptive card."""
    del token
    link = words.link(call)
    block = {"type": "TextBlock", "wrap": True}
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [
            block | {"text": words.title(call), "weight": "Bolder", "size": "Medium"},
            block | {"text": _short(words.text(call))},
        ],
        "actions": [{"type": "Action.OpenUrl", "title": "Open the page", "url": link}] if link else [],
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "content": card}
    return _posted(url, {"type": "message", "attachments": [attachment]})


def pagerduty_request(call: PeopleCall, words: CallWords, *, url: str, token: str) -> WebRequest:
    """An event of PagerDuty; the alarm's id is its key, so that its end resolves the incident."""
    subject = call.subjects[0] if call.subjects else None
    event: dict[str, Any] = {
        "routing_key": token,
        "event_action": "resolve" if call.event == "over" else "trigger",
        "dedup_key": words.identity(call) if subject is None else f"{words.agent}/{subject.alarm}",
    }
    if call.event != "over":
        summary = words.text(call) if subject is not None else words.title(call)
        event["payload"] = {
            "summary": summary[:_PAGERDUTY_SUMMARY_CHARACTERS],
            "source": words.agent if subject is None else subject.machine,
            "severity": _PAGERDUTY_SEVERITY[worst(call)],
            "timestamp": rfc3339(call.made_ns),
            "custom_details": _facts(call, words),
        }
        if link := words.link(call):
            event["links"] = [{"href": link, "text": "The machine's page"}]
    return _posted(url or PAGERDUTY, event)


def ntfy_request(call: PeopleCall, words: CallWords, *, url: str, token: str) -> WebRequest:
    """A topic of ntfy, `https://ntfy.sh/topic`; as JSON, because its headers take ASCII alone."""
    parts = urlsplit(url)
    base, _, topic = parts.path.rpartition("/")
    message: dict[str, Any] = {
        "topic": topic,
        "title": words.title(call),
        "message": _short(words.text(call)),
        "priority": 3 if call.event != "alarm" else _NTFY_PRIORITY[worst(call)],
        "tags": ["white_check_mark" if call.event == "over" else "rotating_light"],
    }
    if link := words.link(call):
        message["click"] = link
    return _posted(urlunsplit((parts.scheme, parts.netloc, f"{base}/", "", "")), message, token=token)


KINDS: Mapping[str, Callable[..., WebRequest]] = {
    "json": json_request,
    "slack": slack_request,
    "teams": teams_request,
    "pagerduty": pagerduty_request,
    "ntfy": ntfy_request,
}
"""What is posted to receivers of each kind; `mail` is no request."""
PLACES = ("event", "title", "text", "severity", "machine", "location", "fault", "link", "agent", "id", "time")
"""What the texts of a template may name."""


def _facts(call: PeopleCall, words: CallWords) -> dict[str, Any]:
    return {
        "id": words.identity(call),
        "event": call.event,
        "agent": words.agent,
        "time": rfc3339(call.made_ns),
        "severity": worst(call),
        "title": words.title(call),
        "text": words.text(call),
        "link": words.link(call),
        "unacknowledged_s": call.unacknowledged_s,
        "alarms": [
            {
                "id": subject.alarm,
                "machine": subject.machine,
                "name": subject.name,
                "location": subject.location,
                "kind": subject.kind,
                "fault": subject.fault,
                "severity": subject.severity,
                "onset": rfc3339(subject.onset_ns),
                "summary": subject.summary,
                "what_to_do": subject.todo,
            }
            for subject in call.subjects
        ],
    }


def _places(call: PeopleCall, words: CallWords) -> dict[str, str]:
    facts = _facts(call, words)
    for name, field_of in (("machine", "machine"), ("location", "location"), ("fault", "fault")):
        facts[name] = ", ".join(dict.fromkeys(alarm[field_of] for alarm in facts["alarms"]))
    return {name: str(facts[name]) for name in PLACES}


def _filled(value: Any, places: Mapping[str, str]) -> Any:
    """Texts with their places filled, at any depth; what is filled in is not looked at again."""
    if isinstance(value, str):
        parts = value.split("{")
        filled = [parts[0]]
        for part in parts[1:]:
            name, closed, rest = part.partition("}")
            filled.append(places[name] + rest if closed and name in places else "{" + part)
        return "".join(filled)
    if isinstance(value, Mapping):
        return {key: _filled(one, places) for key, one in value.items()}
    return [_filled(one, places) for one in value] if isinstance(value, list | tuple) else value


def _short(text: str) -> str:
    return text if len(text) <= _TEXT_CHARACTERS else text[: _TEXT_CHARACTERS - 1] + "…"


def _posted(url: str, body: Mapping[str, Any], *, token: str = "") -> WebRequest:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return WebRequest(url, msgspec.json.encode(body), headers)
