"""The `[[notify]]` part of the configuration: who is called, when, and by what. Parsing only; no file is read."""

from datetime import time, tzinfo
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

import msgspec
from pydantic import Field, field_validator, model_validator

from edge_agent.alarms.maintenance import DAYS, Weekly
from edge_agent.config.sections import Port, Section
from edge_agent.notify.rules import NotifyRule
from edge_agent.notify.sender import NotifyTarget
from edge_agent.records import Severity
from edge_agent.topics import is_name

NOTIFY_FILES = ("url_file", "token_file", "password_file", "ca_file")
_RULE, _TARGET = NotifyRule(name=""), NotifyTarget(kind="json")
"""What holds where the file says nothing."""
_TEMPLATE_BYTES = 8192

Pattern = Annotated[str, Field(min_length=1, max_length=120)]
Patterns = Annotated[tuple[Pattern, ...], Field(max_length=200)]
Line = Annotated[str, Field(max_length=200)]
Span = Annotated[float, Field(ge=0, le=86_400 * 7, allow_inf_nan=False)]


class HoursSection(Section):
    """Days of the week between two times of day; the same time twice is the whole day."""

    days: Annotated[
        tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...], Field(max_length=7)
    ] = ()
    begins: time = time()
    ends: time = time()

    def weekly(self, zone: tzinfo) -> Weekly:
        """Ready to be asked."""
        return Weekly(frozenset(DAYS.index(day) for day in self.days or DAYS), self.begins, self.ends, zone)


class NotifySection(Section):
    """One receiver of calls, and when it is called."""

    name: str
    kind: Literal["json", "slack", "teams", "pagerduty", "ntfy", "mail"]
    url: Line = ""
    url_file: Path | None = None
    token_file: Path | None = None
    template: Annotated[dict[str, Any], Field(default_factory=dict)]
    ca_file: Path | None = None
    host: Line = ""
    port: Port = _TARGET.port
    tls: Literal["starttls", "tls", "none"] = "starttls"
    username: Line = ""
    password_file: Path | None = None
    sender: Line = ""
    to: Annotated[tuple[Line, ...], Field(max_length=50)] = ()
    timeout_s: Annotated[float, Field(gt=0, le=60, allow_inf_nan=False)] = _TARGET.timeout_s
    severity: Severity = _RULE.severity
    kinds: tuple[Literal["machine", "sensor", "state", "picture"], ...] = ()
    machines: Annotated[Patterns, Field(min_length=1)] = ("*",)
    locations: Patterns = ()
    shifts: Annotated[tuple[HoursSection, ...], Field(max_length=50)] = ()
    quiet: Annotated[tuple[HoursSection, ...], Field(max_length=50)] = ()
    after_s: Span = _RULE.after_s
    cool_down_s: Span = _RULE.cool_down_s
    group_s: Span = _RULE.group_s
    over: bool = _RULE.over
    give_up_s: Annotated[float, Field(gt=0, le=86_400 * 7, allow_inf_nan=False)] = _RULE.give_up_s

    @field_validator("name")
    @classmethod
    def _is_a_name(cls, value: str) -> str:
        if not is_name(value) or len(value) > 60:
            raise ValueError("names it in metrics and logs: printable, not empty, without / + #")
        return value

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        if not value:
            return value
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or not value.isascii():
            raise ValueError("is an address that begins with https:// or http://")
        if parts.username is not None or not value.isprintable() or " " in value:
            raise ValueError("holds no user and no blank; secrets go into token_file or url_file")
        return value

    @field_validator("sender", "to")
    @classmethod
    def _are_mail_addresses(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        for one in [value] if isinstance(value, str) else value:
            if one and ("@" not in one or not one.isprintable() or "," in one):
                raise ValueError("is a mail address, name@host")
        return value

    @field_validator("template")
    @classmethod
    def _is_short(cls, value: dict[str, Any]) -> dict[str, Any]:
        try:
            long = len(msgspec.json.encode(value)) > _TEMPLATE_BYTES
        except (TypeError, ValueError) as error:
            raise ValueError("holds what is no JSON") from error
        if long:
            raise ValueError(f"is longer than {_TEMPLATE_BYTES} bytes")
        return value

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> Self:
        if self.kind == "mail":
            if not (self.host and self.sender and self.to):
                raise ValueError("mail needs host, sender and to")
            if bool(self.username) != (self.password_file is not None):
                raise ValueError("username and password_file go together")
            if self.username and self.tls == "none":
                raise ValueError("a password goes over no open connection; set tls to starttls or tls")
            return self
        if self.url and self.url_file is not None:
            raise ValueError("url and url_file exclude each other")
        if self.kind == "pagerduty" and self.token_file is None:
            raise ValueError("pagerduty needs token_file with the routing key")
        if self.kind != "pagerduty" and not self.url and self.url_file is None:
            raise ValueError(f"{self.kind} needs url or url_file")
        if self.kind == "ntfy" and self.url and not urlsplit(self.url).path.strip("/"):
            raise ValueError("ntfy needs the topic in its url: https://ntfy.sh/topic")
        if self.template and self.kind != "json":
            raise ValueError("only json takes a template")
        return self

    def rule(self, zone: tzinfo) -> NotifyRule:
        """Who is called when; its hours are of `zone`."""
        return NotifyRule(
            name=self.name,
            severity=self.severity,
            kinds=self.kinds,
            machines=self.machines,
            locations=self.locations,
            shifts=tuple(hours.weekly(zone) for hours in self.shifts),
            quiet=tuple(hours.weekly(zone) for hours in self.quiet),
            after_s=self.after_s,
            cool_down_s=self.cool_down_s,
            group_s=self.group_s,
            single=self.kind == "pagerduty",
            over=self.over,
            give_up_s=self.give_up_s,
        )

    @property
    def target(self) -> NotifyTarget:
        """Where its messages go."""
        return NotifyTarget(
            kind=self.kind,
            url=self.url,
            url_file=self.url_file,
            token_file=self.token_file,
            template=self.template,
            ca_file=self.ca_file,
            host=self.host,
            port=self.port,
            tls=self.tls,
            username=self.username,
            password_file=self.password_file,
            sender=self.sender,
            to=self.to,
            timeout_s=self.timeout_s,
        )
