"""A finding says where and what in the words of who wrote the file."""

import tomllib

import pytest
from pydantic import ValidationError

from edge_agent.config.file import Config
from edge_agent.config.findings import findings, located

TEXT = """\
agent = 3
naming = 4
[[source]]
topic = "a/{machine}"
[window]
hop = 2
"hop_s" = 0
"""


def test_sections_and_keys_are_named_with_their_lines_and_never_a_class_of_ours() -> None:
    with pytest.raises(ValidationError) as caught:
        Config.model_validate(tomllib.loads(TEXT))
    found = dict(findings(caught.value, TEXT, whole=Config))
    assert found["agent (line 1)"] == found["naming (line 2)"] == "is a section: a table of keys"
    assert found["window.hop (line 6)"] == "is no setting; did you mean 'hop_s'?"
    assert found["window.hop_s (line 7)"].endswith("greater than 0")
    assert not any("Section" in what or "Settings" in what for what in found.values())


def test_a_setting_that_is_not_written_is_found_at_its_section_or_nowhere() -> None:
    assert located(("source", 0, "format"), TEXT) == "source.1.format (line 3)"
    assert located(("page", "listen"), TEXT) == "page.listen"
