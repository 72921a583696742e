"""Every message is booked once, and the ledger balances at every moment."""

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.pipeline.ledger import Bookkeeper
from edge_agent.records import Reject

OUTCOMES = st.sampled_from(["accepted", "duplicate", "late", "shed", Reject("not_json"), Reject("surplus")])


@given(st.lists(st.tuples(OUTCOMES, st.integers(0, 5))))
def test_received_is_the_sum_of_the_outcomes(bookings: list[tuple[object, int]]) -> None:
    books = Bookkeeper()
    for outcome, count in bookings:
        books.book(outcome, count)
        assert books.ledger.balance() == 0
    assert books.ledger.received == sum(count for _, count in bookings)


def test_each_outcome_has_a_count_of_its_own() -> None:
    books = Bookkeeper()
    for count, outcome in enumerate(["accepted", "duplicate", "late", "shed", Reject("not_json")], start=1):
        books.book(outcome, count)
    ledger = books.ledger
    assert (ledger.accepted, ledger.duplicate, ledger.late, ledger.shed) == (1, 2, 3, 4)
    assert ledger.rejected == {"not_json": 5}


def test_what_an_exception_cut_short_is_an_internal_error() -> None:
    books = Bookkeeper()
    books.book("accepted", 3)
    books.book_rest(10)
    assert books.ledger.rejected == {"internal_error": 7}
    assert books.ledger.balance() == 0
