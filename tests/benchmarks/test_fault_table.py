"""The table of faults says how many faults were put in, as the tests themselves counted them."""

from pathlib import Path

from benchmarks.reliability.fault_table import filled, left_by_other_runs, run_suite, table

SUITE = """
import os
import pytest

@pytest.mark.parametrize("kinds", [3, 5])
def test_some(kinds, record_property):
    record_property("faults", kinds * int(os.environ["HOW_OFTEN"]))
    record_property("kinds", kinds)
    record_property("windows_lost", 0)
    record_property("pause_p99_ms", kinds / 2)

def test_none():
    pass

def test_that_fails(record_property):
    record_property("faults", 1000)
    assert False

@pytest.mark.skip("not here")
def test_elsewhere(record_property):
    record_property("faults", 1000)
"""


def test_faults_are_summed_and_of_failed_tests_none_counts(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(SUITE)
    entry = run_suite("it breaks", str(tmp_path / "test_it.py"), sizes={"HOW_OFTEN": (2, 100)})
    assert (entry["count"], entry["lost"], entry["doubles"]) == (16, 0, None)
    assert entry["figures"] == {"tests": 4, "failed": 1, "kinds": 5, "windows_lost": 0, "pause_p99_ms": 2.5}
    text = table({"faults": {"it": entry}})
    row = next(line for line in text.splitlines() if "it breaks" in line)
    assert row.startswith(
        "| it breaks | 16 | 0 | - | kinds 5; windows_lost 0; pause_p99_ms 2.5; tests 4; failed 1 |"
    )


def test_only_what_is_between_the_marks_is_replaced() -> None:
    page = "before\n<!-- faults: begin -->\nold\n<!-- faults: end -->\nafter\n"
    assert filled(page, "new") == page.replace("old", "new")
    assert filled("no marks", "new") == "no marks"


def test_a_run_begins_with_an_empty_table_of_its_own_form() -> None:
    entries = {"killed": {"form": "short"}, "killed_long": {"form": "long"}, "soak": {"form": "short"}}
    assert left_by_other_runs(entries).keys() == {"killed_long", "soak"}
