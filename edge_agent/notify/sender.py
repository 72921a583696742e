"""The one door to receivers: posts a request or hands a mail over, once, and says what came back. Waits; keeps nothing.

Bounded in time and size. TLS is checked by the system's authorities or by a file of the user's own; redirects are
refused, because a secret must not be carried to another place. Secrets are read at each attempt, so that files that
were exchanged count at once, and are in no error and no log. A proxy is taken from the environment (`https_proxy`).
"""

import smtplib
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, HTTPSHandler, OpenerDirector, Request, build_opener

from edge_agent import __version__
from edge_agent.notify.book import PeopleCall, SendOutcome
from edge_agent.notify.templates import KINDS, WebRequest, filled_request
from edge_agent.notify.words import CallWords

_ANSWER_BYTES = 2048
_SECRET_BYTES = 8192
_CERTAIN = (ConnectionRefusedError, socket.gaierror, ssl.SSLError, TimeoutError)
"""Errors before anything was sent: a request of ours is shorter than what the network takes without an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifyTarget:
    """Where the messages of one rule go.

    Attributes:
        kind: of `templates.KINDS`, or `mail`.
        url, url_file: of a web receiver; the file where the address is a secret.
        token_file: bearer token, or PagerDuty's routing key.
        template: a body of the user's own for `json`.
        host, port, tls, username, password_file, sender, to: of a mail server; `tls` is starttls, tls or none.
        timeout_s: for each step of an attempt.
    """

    kind: str
    url: str = ""
    url_file: Path | None = None
    token_file: Path | None = None
    template: Mapping[str, Any] = field(default_factory=dict)
    ca_file: Path | None = None
    host: str = ""
    port: int = 587
    tls: str = "starttls"
    username: str = ""
    password_file: Path | None = None
    sender: str = ""
    to: tuple[str, ...] = ()
    timeout_s: float = 10.0


def send(target: NotifyTarget, call: PeopleCall, words: CallWords) -> SendOutcome:
    """One attempt; never raises what networks and files may do."""
    try:
        if target.kind == "mail":
            return _mail(target, call, words)
        url = target.url if target.url_file is None else _secret(target.url_file)
        token = "" if target.token_file is None else _secret(target.token_file)
        if target.template:
            request = filled_request(call, words, url=url, token=token, template=target.template)
        else:
            request = KINDS[target.kind](call, words, url=url, token=token)
        context = _context(target.ca_file)
    except (OSError, ValueError) as error:
        return SendOutcome("refused", _plain(error))
    return _post(request, context=context, timeout_s=target.timeout_s)


class _NoRedirects(HTTPRedirectHandler):
    """Another address than the one that was configured gets nothing of ours."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        """Follow none: the answer is an error like any other."""
        del req, fp, code, msg, headers, newurl


def _opener(context: ssl.SSLContext) -> OpenerDirector:
    return build_opener(_NoRedirects, HTTPSHandler(context=context))


def _post(request: WebRequest, *, context: ssl.SSLContext, timeout_s: float) -> SendOutcome:
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"edge-agent/{__version__}",
        **request.headers,
    }
    try:
        posted = Request(request.url, data=request.body, headers=headers, method="POST")  # noqa: S310 - the configuration takes http and https alone
        with _opener(context).open(posted, timeout=timeout_s) as answer:
            return SendOutcome("confirmed", f"HTTP {answer.status}{_snippet(answer)}")
    except HTTPError as error:
        with error:
            where = " (redirects are not followed)" if 300 <= error.code < 400 else ""
            return SendOutcome("refused", f"HTTP {error.code} {error.reason}{where}{_snippet(error)}")
    except URLError as error:
        certain = isinstance(error.reason, (*_CERTAIN, str))
        return SendOutcome("refused" if certain else "unknown", _plain(error.reason))
    except (OSError, HTTPException) as error:
        return SendOutcome("unknown", f"no whole answer: {_plain(error)}")
    except ValueError as error:  # an address that is none
        return SendOutcome("refused", _plain(error))


def _snippet(answer: Any) -> str:
    """The beginning of what a receiver says, in one line."""
    try:
        said = answer.read(_ANSWER_BYTES).decode("utf-8", "replace")
    except (OSError, HTTPException):
        return ""
    line = " ".join("".join(one if one.isprintable() else " " for one in said).split())[:200]
    return f": {line}" if line else ""


def _mail(target: NotifyTarget, call: PeopleCall, words: CallWords) -> SendOutcome:
    message = _message(target, call, words)
    context = _context(target.ca_file)
    password = "" if target.password_file is None else _secret(target.password_file)
    try:
        server: smtplib.SMTP = (
            smtplib.SMTP_SSL(target.host, target.port, timeout=target.timeout_s, context=context)
            if target.tls == "tls"
            else smtplib.SMTP(target.host, target.port, timeout=target.timeout_s)
        )
    except (OSError, smtplib.SMTPException) as error:
        return SendOutcome("refused", _plain(error))
    try:
        try:
            if target.tls == "starttls":
                server.starttls(context=context)
            if target.username:
                server.login(target.username, password)
        except (OSError, smtplib.SMTPException, ValueError) as error:
            return SendOutcome("refused", _plain(error))
        try:
            turned_away = server.send_message(message)
        except (smtplib.SMTPRecipientsRefused, smtplib.SMTPResponseException) as error:
            return SendOutcome("refused", _plain(error))
        except (OSError, smtplib.SMTPException) as error:
            return SendOutcome("unknown", f"no whole answer: {_plain(error)}")
    finally:
        server.close()
    refused = f", not for {', '.join(turned_away)}" if turned_away else ""
    return SendOutcome("confirmed", f"{target.host} has taken it{refused}")


def _message(target: NotifyTarget, call: PeopleCall, words: CallWords) -> EmailMessage:
    message = EmailMessage()
    message["Subject"] = " ".join(words.title(call).split())
    message["From"] = target.sender
    message["To"] = ", ".join(target.to)
    message["Date"] = format_datetime(datetime.fromtimestamp(call.made_ns // 1_000_000_000, UTC))
    number = words.identity(call).encode().hex()
    message["Message-ID"] = f"<{number}.{call.made_ns}@edge-agent>"
    link = words.link(call)
    message.set_content(words.text(call) + (f"\n\n{link}" if link else "") + f"\n\n-- \n{words.agent}\n")
    return message


def _context(ca_file: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _secret(path: Path) -> str:
    """The first line of a file, without its end.

    Raises:
        OSError: it cannot be read, is too long, or no line of text.
    """
    try:
        raw = path.read_bytes()[: _SECRET_BYTES + 1]
    except OSError as error:
        raise OSError(f"{path}: {error.strerror or 'cannot be read'}") from error
    try:
        text = raw.decode("utf-8").strip()
    except UnicodeDecodeError:
        text = ""
    if not text or len(raw) > _SECRET_BYTES or not text.isprintable():
        raise OSError(f"{path}: holds no line of text")
    return text


def _plain(error: object) -> str:
    """An error of a library in words."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return "refused for " + ", ".join(error.recipients)
    if isinstance(error, smtplib.SMTPResponseException):
        said = error.smtp_error
        return (
            f"SMTP {error.smtp_code}: {said.decode('utf-8', 'replace') if isinstance(said, bytes) else said}"
        )
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        return str(error.strerror)
    return str(error) or type(error).__name__
