"""What was said of a machine against what was injected: incidents, minutes shown as normal, faults told apart."""

from benchmarks.incidents.plans import LEARNT_ROWS, plans
from benchmarks.incidents.report import table
from benchmarks.incidents.verdict import Heard, Word, summarised, verdict

CONSTANT, PAIR = next(plans("constant")), next(plans("pair"))
START = CONSTANT.faults[0].start_row


def word(row: int, *, id: str = "a", onset: int | None = None, open: bool = True, back: int = 0) -> Word:  # noqa: A002 - as in the payload
    return Word(
        id, START + row, START + (row if onset is None else onset), open, unsettled=False, reopened=back
    )


def test_each_question_has_every_fault_of_the_three_plants_and_none_in_the_rows_that_are_learnt() -> None:
    assert (len([*plans("constant")]), len([*plans("pair")]), len([*plans("late")])) == (40, 20, 10)
    for question in ("constant", "pair", "late"):
        assert all(plan.faults[0].start_row >= LEARNT_ROWS for plan in plans(question))
        assert len({plan.name for plan in plans(question)}) == len([*plans(question)])
    assert all(first.fault != second.fault for first, second in (plan.faults for plan in plans("pair")))


def test_one_incident_from_its_first_word_to_its_end_is_what_is_wanted() -> None:
    told = verdict(CONSTANT, Heard([word(60, onset=50), word(900, back=1), word(3900, open=False, back=1)]))
    assert (told["incidents"], told["came_back"], told["normal_minutes"]) == (1, 1, 0.0)
    assert (told["onset_s"], told["told_s"], told["false"]) == (50, 60, 0)


def test_minutes_without_an_open_incident_count_and_so_does_a_second_incident_and_one_at_the_end() -> None:
    words = [
        word(60),
        word(600, open=False),
        word(660, id="b"),
        word(3500, id="b", open=False),
        word(3700, id="c"),
    ]
    told = verdict(CONSTANT, Heard(words))
    assert (told["incidents"], told["normal_minutes"]) == (3, round((60 + 100) / 60, 2))


def test_an_incident_before_the_fault_is_a_false_one() -> None:
    told = verdict(CONSTANT, Heard([word(-300), word(-100, open=False)]))
    assert (told["false"], told["found"]) == (1, False)


def test_two_faults_are_told_apart_by_an_incident_that_began_after_the_first() -> None:
    again = PAIR.faults[1].start_row - START
    one = [word(60), word(again + 60)]
    two = [word(60), word(again - 100, open=False), word(again + 60, id="b")]
    alone = [Heard([word(60)]), Heard([word(again + 60)])]
    told = [verdict(PAIR, Heard(words), alone=alone) for words in (one, two)]
    assert [(row["both_seen"], row["apart"]) for row in told] == [(True, False), (True, True)]


def test_a_pair_counts_where_each_of_its_faults_is_seen_without_the_other() -> None:
    first, second = PAIR.alone()
    assert (first.faults, second.faults) == (PAIR.faults[:1], PAIR.faults[1:])
    assert (first.seed, first.rows) == (PAIR.seed, PAIR.rows)
    alone = [Heard([word(60)]), Heard([])]
    assert not verdict(PAIR, Heard([word(60)]), alone=alone)["both_seen"]


def test_an_onset_is_held_against_the_first_window_above_the_threshold_though_it_raised_nothing() -> None:
    rows = [START - 40, START + 20, START + 300, START + 302]
    told = verdict(CONSTANT, Heard([word(310, onset=300)], rows))
    assert (told["onset_s"], told["onset_beyond_s"], told["waited"]) == (300, 280, False)
    waited = verdict(CONSTANT, Heard([word(900, onset=22)]), twin=Heard([], rows))
    assert (waited["onset_beyond_s"], waited["waited"]) == (2, True)
    assert summarised([told])["onset_beyond_s"] == {"median": 280, "p90": 280}


def test_the_table_holds_the_goals_and_every_constant_fault() -> None:
    rows = [
        verdict(CONSTANT, Heard([word(60)])),
        verdict(PAIR, Heard([word(60)]), alone=[Heard([]), Heard([])]),
    ]
    report = {
        "date": "",
        "commit": "",
        "command": "",
        "form": "",
        "figures": summarised(rows),
        "machines": rows,
    }
    said = table(report)
    assert CONSTANT.name in said
    assert "≤ 1.05" in said
