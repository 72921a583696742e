"""The one place that books what became of a message, and of the values and windows in it. Pure.

Rules:
- A message is booked once, with its outcome, where that is known: here nothing is taken back.
- Received = accepted + duplicate + rejected + late + shed, at every moment: a booking counts on both sides.
- What an exception cut short is booked at the end of the turn, as `internal_error`.
"""

from typing import Literal

from edge_agent.records import Ledger, Reject, RejectReason


class Bookkeeper:
    """Books outcomes into a `Ledger`, which others read."""

    def __init__(self) -> None:
        self.ledger = Ledger()

    def book(
        self, outcome: Literal["accepted", "duplicate", "late", "shed"] | Reject, count: int = 1
    ) -> None:
        """So many messages had this outcome."""
        ledger = self.ledger
        ledger.received += count
        if isinstance(outcome, Reject):
            ledger.rejected[outcome.reason] = ledger.rejected.get(outcome.reason, 0) + count
        elif outcome == "accepted":
            ledger.accepted += count
        elif outcome == "duplicate":
            ledger.duplicate += count
        elif outcome == "late":
            ledger.late += count
        else:
            ledger.shed += count

    def book_rest(self, received: int) -> None:
        """An exception ended a turn: those of the messages, so many since the start, that have no outcome yet."""
        self.book(Reject("internal_error"), received - self.ledger.received)

    def book_values(self, reason: RejectReason, count: int = 1) -> None:
        """So many values were turned away, whatever became of the rest of their messages."""
        rejected = self.ledger.values_rejected
        rejected[reason] = rejected.get(reason, 0) + count

    def book_scored(self, windows: int) -> None:
        """So many windows were scored."""
        self.ledger.windows_scored += windows

    def book_skipped(self, windows: int) -> None:
        """So many windows could not be scored."""
        skipped = self.ledger.windows_skipped
        skipped["internal_error"] = skipped.get("internal_error", 0) + windows
