"""`[[notify]]`: what makes no sense is said, secrets are files, hours are of the site's zone."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from edge_agent.config.file import Config, load

JSON = {"name": "a", "kind": "json", "url": "https://x.example/hook"}
MAIL = {"name": "a", "kind": "mail", "host": "mail", "sender": "a@b", "to": ["c@d"]}


@pytest.mark.parametrize(
    ("section", "said"),
    [
        (JSON | {"name": "a/b"}, "printable"),
        (JSON | {"url": "ftp://x"}, "begins with https"),
        (JSON | {"url": "https://user:word@x.example/"}, "holds no user"),
        (JSON | {"url": ""}, "needs url"),
        (JSON | {"url_file": "f"}, "exclude each other"),
        (JSON | {"kind": "pagerduty"}, "routing key"),
        (JSON | {"kind": "ntfy", "url": "https://ntfy.sh/"}, "topic"),
        (JSON | {"kind": "slack", "template": {"a": "b"}}, "template"),
        (JSON | {"template": {"a": "b" * 9000}}, "longer"),
        (JSON | {"cool_down_s": -1}, "greater than or equal"),
        (JSON | {"severity": "bad"}, "notice"),
        (MAIL | {"to": []}, "mail needs"),
        (MAIL | {"to": ["c"]}, "mail address"),
        (MAIL | {"sender": "a@b\nBcc: x@y"}, "mail address"),
        (MAIL | {"username": "u"}, "go together"),
        (MAIL | {"username": "u", "password_file": "f", "tls": "none"}, "open connection"),
    ],
)
def test_what_makes_no_sense_is_said(section: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Config.model_validate({"notify": [section]})
    assert said in str(caught.value)


def test_two_of_one_name_are_refused() -> None:
    with pytest.raises(ValidationError, match="same name"):
        Config.model_validate({"notify": [JSON, JSON]})


def test_secrets_are_relative_to_the_file_or_credentials_and_a_missing_one_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / "token").write_text("t")
    file = tmp_path / "agent.toml"
    text = '[[notify]]\nname = "a"\nkind = "json"\nurl = "https://x"\ntoken_file = "credential:token"'
    text += '\nca_file = "token"'
    file.write_text(text)
    target = load(file).notify[0].target
    assert (target.token_file, target.ca_file) == (tmp_path / "token", tmp_path / "token")
    file.write_text(text.replace("credential:token", "gone"))
    with pytest.raises(Exception, match=r"notify.*token_file.*gone is no readable file"):
        load(file)


def test_hours_are_days_of_the_sites_zone_and_the_same_time_twice_is_the_whole_day() -> None:
    hours = [{"days": ["sat"]}]
    config = Config.model_validate(
        {"site": {"timezone": "Europe/Berlin"}, "notify": [JSON | {"shifts": hours}]}
    )
    (shift,) = config.notify[0].rule(config.site.zone).shifts
    saturday_noon_ns = 1_700_305_200 * 1_000_000_000
    assert shift.around(saturday_noon_ns) == (
        saturday_noon_ns - 12 * 3600 * 1_000_000_000,
        saturday_noon_ns + 12 * 3600 * 1_000_000_000,
    )
    assert shift.around(saturday_noon_ns + 24 * 3600 * 1_000_000_000) is None
