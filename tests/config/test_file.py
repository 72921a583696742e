"""A configuration is taken whole or refused with every finding."""

import tomllib
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from edge_agent.config.alarms import MaintenanceSection
from edge_agent.config.cycles import CycleSection
from edge_agent.config.file import Config, defaults, load
from edge_agent.config.machines import MachineSection
from edge_agent.config.notify import NotifySection
from edge_agent.config.sections import SHIPPED_BUNDLE, SHIPPED_BUNDLES, ChannelSection
from edge_agent.cycles.rules import CycleStart
from edge_agent.errors import ConfigError
from edge_agent.formats.routing import delivery_decoder
from edge_agent.model import bundle
from edge_agent.records import Delivery, Frame

SAMPLE = Path(__file__).parents[2] / "deploy" / "agent.toml"


def write(folder: Path, text: str) -> Path:
    path = folder / "agent.toml"
    path.write_text(text, encoding="utf-8")
    return path


def findings(folder: Path, text: str) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        load(write(folder, text))
    assert caught.value.exit_code == 2
    return dict(caught.value.findings)


def test_an_empty_file_means_the_defaults(tmp_path: Path) -> None:
    assert load(write(tmp_path, "")) == defaults()


def test_the_sample_file_shows_the_defaults_and_every_setting() -> None:
    assert load(SAMPLE) == defaults()
    shown = tomllib.loads("\n".join(line.removeprefix("#: ") for line in SAMPLE.read_text().splitlines()))
    known = defaults().model_dump() | {
        "maintenance": [dict.fromkeys(MaintenanceSection.model_fields)],
        "machine": [dict.fromkeys(MachineSection.model_fields)],
        "channel": [dict.fromkeys(ChannelSection.model_fields)],
        "notify": [dict.fromkeys(NotifySection.model_fields)],
        "cycle": [dict.fromkeys(CycleSection.model_fields)],
    }
    assert settings_of(shown) == settings_of(known)


def test_the_sample_files_maintenance_windows_are_good(tmp_path: Path) -> None:
    lines = SAMPLE.read_text().splitlines()
    first = lines.index("#: [[maintenance]]")
    text = "\n".join(line.removeprefix("#: ") for line in lines[first : lines.index("", first)])
    config = load(write(tmp_path, text))
    assert [section.machines for section in config.maintenance] == [("pump-1", "pump-2"), ("*",)]


def test_the_sample_files_machines_are_good(tmp_path: Path) -> None:
    lines = SAMPLE.read_text().splitlines()
    first = lines.index("#: [[machine]]")
    text = "\n".join(line.removeprefix("#: ") for line in lines[first : lines.index("", first)])
    (section,) = load(write(tmp_path, text)).machine
    assert (section.weight, section.units["temp*"]) == (1.0, "°C")


def settings_of(table: dict[str, Any]) -> set[str]:
    """Dotted names of all settings."""
    names = set()
    for section, content in table.items():
        for part in content if isinstance(content, (list, tuple)) else [content]:
            names |= {f"{section}.{key}" for key in part}
    return names


def test_every_finding_comes_at_once_with_its_line(tmp_path: Path) -> None:
    found = findings(
        tmp_path,
        """
        [broker]
        port = 70000
        hots = "example"

        [[source]]
        topic = "a/{machine}"

        [[source]]
        topic = "b/#"

        [budget]
        false_alarms_per_week = nan
        [colour]
        """,
    )
    assert set(found) == {
        "broker.port (line 3)",
        "broker.hots (line 4)",
        "source.2.topic (line 10)",
        "budget.false_alarms_per_week (line 13)",
        "colour (line 14)",
    }
    assert found["broker.hots (line 4)"] == "is no setting; did you mean 'host'?"
    assert found["source.2.topic (line 10)"] == "lacks {machine}"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[agent]\nname = 'a/b'", "topic level"),
        ("[[source]]\ntopic = 's/{machine}'\nformat = 'number'", "needs {channel}"),
        ("[[source]]\ntopic = 's/{machine}'\nchannel = '{tag}.{name}'", "channel: lacks {tag}"),
        ("[[source]]\ntopic = 's/{machine}'\npreset = 'nothing'", "known: chirpstack"),
        ("[[source]]\ntopic = 's/{machine}'\ntimezone = 'Europe/Nowhere'", "is not known"),
        ("[[source]]\ntopic = 's/{machine}'\ntime_format = '%H'", "gives no day"),
        (
            "[[source]]\ntopic = 's/{machine}/{channel}'\nformat = 'number'\nmachine = '{/id}'",
            "has no places",
        ),
        ("[[source]]\ntopic = 's/{machine}'\nquality = {place = 'q'}", "goes with [source.map]"),
        ("[[source]]\ntopic = 's/{line}'", "lacks {machine}"),
        ("[[source]]\ntopic = 's/{machine}'\nmachine = '{site}.{machine}'", "lacks {site}"),
        ("[[source]]\ntopic = 's/{machine}'\nmachine = '{machine}/x'", "gives no name"),
        ("[[source]]\ntopic = 's/{machine}'\nshare = 'a/b'", "names a group"),
        ("[[machine]]\nmatch = 'line1/*'", "matches no machine"),
        ("[[machine]]\nmatch = 'a'\nweight = 0", "greater than 0"),
        ("[[machine]]\nmatch = 'a'\nbudget_per_week = inf", "finite number"),
        ("[[machine]]\nmatch = 'a'\nunits = {a = \"\\u0007\"}", "cannot be printed"),
        ("[[machine]]\ndisplay_name = 'a'", "required"),
        ("[sharing]\ngroup = 'a/b'", "topic level"),
        (
            "[sharing]\ngroup = 'plant'\n[[source]]\ntopic = 's/{machine}'\nshare = 'gateways'",
            "every member must hear every topic",
        ),
        (
            "[sharing]\ngroup = 'plant'\n[[source]]\nformat = 'sparkplug'\nsparkplug = {host_id = 'h'}",
            "cannot be shared",
        ),
        ("[[source]]\ntopic = 's/{machine}'\nformat = 'json_path'", "needs [source.map]"),
        ("[[source]]\ntopic = 's/{machine}'\n[source.map]\ntime = '/ts'", "takes no [source.map]"),
        (
            "[[source]]\ntopic = 's/{machine}'\nformat = 'json_path'\n[source.map]\ntime = 'ts'",
            "is no JSON pointer",
        ),
        (
            "[[source]]\ntopic = 's/{machine}'\nformat = 'xml'",
            "known: cbor, image, json, json_path, line, number, senml, senml_cbor",
        ),
        ("source = []", "at least 1"),
        ("[alerts]\ntopic = 'alerts'", "lacks {machine}"),
        ("[alerts]\nstatus_topic = '{machine}/status'", "unknown placeholder"),
        ("[broker]\npassword_file = 'x'", "needs username"),
        ("[broker]\nusername = 'u'\nusername_file = 'x'", "exclude each other"),
        ("[broker]\ntls_key_file = 'x'", "needs tls_cert_file"),
        ("[broker]\ntls_insecure = true", "needs tls"),
        ("[broker]\nhost = 'user:word@example'", "settings of their own"),
        ("[broker]\ntls_cert_file = 'absent'", "no readable file"),
        ("[broker]\nusername_file = 'credential:user'", "no readable file"),
        ("[model]\nrequire_signature = true", "needs trusted_keys"),
        ("[model]\ntrusted_keys = ['absent']", "no readable file"),
        ("[broker]\nusername = 'u'\npassword_file = 'absent'", "no readable file"),
        ("[model]\nprovider = 'gpu'", "cuda"),
        ("[commission]\nrows = 'many'", "integer"),
        ("[window]\nhop_s = 0", "greater than 0"),
        ("this is not toml", "not TOML"),
    ],
)
def test_values_that_make_no_sense_are_named(tmp_path: Path, text: str, complaint: str) -> None:
    assert any(complaint in what for what in findings(tmp_path, text).values())


def test_a_missing_file_is_a_finding(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load(tmp_path / "absent.toml")


def test_a_secret_in_the_wrong_place_is_not_repeated(tmp_path: Path) -> None:
    found = findings(tmp_path, "[broker]\npassword = 'hunter2'\nport = 'hunter2'")
    assert not any("hunter2" in what for what in found.values())


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    config = load(write(tmp_path, "[agent]\nstate_dir = 'state'\n[model]\nbundle = 'bundles/one'"))
    assert config.agent.state_dir == tmp_path / "state"
    assert config.model.path == tmp_path / "bundles" / "one"
    assert defaults().model.path == SHIPPED_BUNDLE


@pytest.mark.parametrize("name", SHIPPED_BUNDLES)
def test_an_encoder_that_comes_with_the_agent_is_named_without_a_path(tmp_path: Path, name: str) -> None:
    config = load(write(tmp_path, f"[model]\nbundle = '{name}'"))
    assert config.model.path == SHIPPED_BUNDLES[name]
    assert bundle.read(config.model.path).manifest.window_rows == 128


def test_the_client_id_is_fixed_by_the_agents_name() -> None:
    assert Config.model_validate({"agent": {"name": "hall-3"}}).client_id == "edge-agent-hall-3"
    assert Config.model_validate({"broker": {"client_id": "x"}}).client_id == "x"


def test_a_source_says_where_a_vendors_message_keeps_what(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    path.write_text(
        """
        [[source]]
        topic = "{site}/plc/+/{machine}/#"
        machine = "{site}.{machine}"
        format = "json_path"
        share = "halls"
        [source.map]
        time = "/header/t"
        time_unit = "ms"
        values = ["/body"]
        rename = { p1 = "pressure" }
        """
    )
    (source,) = load(path).source
    assert source.subscription == "$share/halls/+/plc/+/+/#"
    decode = delivery_decoder([source.route], payload_limit_bytes=999, future_tolerance_s=60)
    payload = b'{"header": {"t": 1700000000500}, "body": {"p1": 2.5}}'
    frame = decode(Delivery("north/plc/x/press/any", payload, 1_700_000_000_000_000_000))
    assert isinstance(frame, Frame)
    assert (frame.machine, frame.channels, frame.times_ns) == (
        "north.press",
        ("pressure",),
        (1_700_000_000_500_000_000,),
    )


def test_credentials_come_from_where_systemd_puts_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / "mqtt").write_text("word")
    text = "[broker]\nusername = 'u'\npassword_file = 'credential:mqtt'"
    assert load(write(tmp_path, text)).broker.password_file == tmp_path / "credentials" / "mqtt"
    found = findings(tmp_path, text.replace("credential:mqtt", "credential:../mqtt"))
    assert "no readable file" in found["broker.password_file (line 3)"]


def test_encryption_is_on_where_any_of_its_files_is_named() -> None:
    def uses_tls(**settings: Any) -> bool:
        return Config.model_validate({"broker": settings}).broker.uses_tls

    assert not uses_tls()
    assert uses_tls(tls=True)
    assert uses_tls(tls_ca_file="x")
    assert uses_tls(tls_cert_file="x")


def test_signatures_are_required_where_keys_are_named() -> None:
    def required(**settings: Any) -> bool:
        return Config.model_validate({"model": settings}).model.signature_required

    assert not required()
    assert required(trusted_keys=["x"])
    assert not required(trusted_keys=["x"], require_signature=False)


def test_settling_is_gone_and_a_file_that_asks_for_it_is_told_so(tmp_path: Path) -> None:
    assert load(write(tmp_path, "[commission]\nsettle = false")) == defaults()
    found = findings(tmp_path, "[commission]\nsettle = true")
    assert "settle is gone" in found["commission (line 1)"]


def test_the_zone_of_a_site_is_known_by_its_name(tmp_path: Path) -> None:
    assert str(load(write(tmp_path, '[site]\ntimezone = "Europe/Berlin"')).site.zone) == "Europe/Berlin"
    assert defaults().site.zone is UTC
    found = findings(tmp_path, '[agent]\nname = "hall"\n\n[site]\ntimezone = "Europe/Berln"')
    assert "'Europe/Berln' is no known time zone" in found["site.timezone (line 5)"]


def test_a_source_of_wills_tells_whether_machines_are_there_and_reads_no_rows(tmp_path: Path) -> None:
    config = load(
        write(
            tmp_path,
            """
[[source]]
topic = "tele/{machine}/LWT"
format = "will"
[source.will]
gone = ["Offline", "weg"]
[[source]]
topic = "tele/{machine}/{channel}"
format = "number"
reports = "changes"
""",
        )
    )
    assert [one.settings.gone for one in config.wills] == [("Offline", "weg")]
    assert [one.reports for one in config.routes] == ["changes"]
    assert config.subscriptions == ("tele/+/LWT", "tele/+/+")


@pytest.mark.parametrize(
    "text",
    [
        '[[source]]\ntopic = "a/{machine}"\nformat = "will"\nclock = "arrival"',
        '[[source]]\ntopic = "a/b"\nformat = "will"',
        '[[source]]\ntopic = "a/{machine}"\nformat = "will"\nmachine = "{/name}"',
        '[[source]]\ntopic = "a/{machine}"\nformat = "json"\n[source.will]\ngone = ["x"]',
        '[[source]]\ntopic = "a/{machine}"\nformat = "will"\n[source.will]\ngone = []',
        '[[source]]\ntopic = "a/{machine}"\nformat = "will"\n[source.will]\nplace = "state"',
        '[[source]]\ntopic = "a/{machine}"\nreports = "never"',
    ],
)
def test_a_source_of_wills_that_makes_no_sense_is_a_finding(tmp_path: Path, text: str) -> None:
    assert findings(tmp_path, text)


def test_files_that_are_missing_are_told_in_one_round_with_values_that_make_no_sense(tmp_path: Path) -> None:
    text = """
[window]
hopp_s = 1
[broker]
tls_ca_file = "nowhere"
[[source]]
topic = "alerts/{machine}"
format = "json"
[[sauce]]
topic = "x"
"""
    assert findings(tmp_path, text).keys() == {
        "window.hopp_s (line 3)",
        "broker.tls_ca_file (line 5)",
        "source.1.topic (line 7)",
        "sauce (line 9)",
    }


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("", "say one of them"),
        ("period_s = 60\nstart = { channel = 'step', becomes = 1 }", "say one of them"),
        ("start = { channel = 'step' }", "says one of"),
        ("start = { channel = 'step', becomes = 1, changes = true }", "says one of"),
        ("start = { channel = 'a/b', changes = true }", "names no channel"),
        ("start = { channel = 'step', becomes = nan }", "finite number"),
        ("period_s = 60\nshortest_s = 100\nlongest_s = 200", "period_s must lie within"),
        ("period_s = 60\nshortest_s = 100\nlongest_s = 50", "shortest_s must be below"),
        ("period_s = 60\nstep = 'x'\nrecipe = 'x'", "two channels"),
        ("period_s = 60\nrecipe = 'x'\ngiven = ['x*']", "the recipe already"),
        ("machine = 'a/b'\nperiod_s = 60", "matches no machine"),
        ("period_s = 60\nlearn_cycles = 5", "greater than or equal to 20"),
    ],
)
def test_cycles_that_make_no_sense_are_refused(tmp_path: Path, lines: str, told: str) -> None:
    (said,) = findings(tmp_path, f"[[cycle]]\n{lines}\n").values()
    assert told in said


def test_a_cycle_section_is_a_rule(tmp_path: Path) -> None:
    text = "[[cycle]]\nmachine = 'robot-*'\nstart = { channel = 'step', becomes = 1 }\nstep = 'step'\ngiven = ['sp*']\n"
    (section,) = load(write(tmp_path, text)).cycle
    assert section.rule.start == CycleStart("step", "becomes", 1.0)
    assert section.rule.gives("sp_heat")
