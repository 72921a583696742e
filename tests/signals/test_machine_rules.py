"""Each fact of a machine is told by the first rule that says it, and names match as in file names."""

import pytest

from edge_agent.signals.machine_rules import MachineFacts, MachineRule, facts_of

RULES = (
    MachineRule("press-1", display_name="Old press", units={"flow": "l/min"}),
    MachineRule(
        "press-*", display_name="A press", type="press", units={"flow": "m3/h", "t*": "°C"}, weight=5
    ),
    MachineRule("*", budget_per_week=2.0, location="hall 1"),
)


def test_the_first_rule_that_says_a_thing_counts() -> None:
    facts = facts_of(RULES, "press-1")
    assert (facts.display_name, facts.type, facts.location) == ("Old press", "press", "hall 1")
    assert (facts.weight, facts.budget_per_week) == (5, 2.0)
    assert (facts.unit("flow"), facts.unit("temp"), facts.unit("speed")) == ("l/min", "°C", "")


def test_what_to_do_is_said_by_fault_or_pattern_and_by_the_first_rule() -> None:
    rules = (
        MachineRule("press-1", runbooks={"clogged*": "Change filter F2."}),
        MachineRule("*", runbooks={"clogged filter": "Ask.", "*": "Call 112."}),
    )
    assert facts_of(rules, "press-1").what_to_do("clogged valve") == "Change filter F2."
    assert facts_of(rules, "press-2").what_to_do("clogged filter") == "Ask."
    assert facts_of(rules, "press-2").what_to_do("unknown") == "Call 112."
    assert facts_of((), "press-2").what_to_do("unknown") == ""


def test_nobody_says_anything_of_a_machine() -> None:
    assert facts_of((), "press-1") == MachineFacts()


@pytest.mark.parametrize("name", ["a[1]", "was? *wichtig*"])
def test_a_name_that_reads_like_a_pattern_matches_itself(name: str) -> None:
    assert MachineRule(name).covers(name)
