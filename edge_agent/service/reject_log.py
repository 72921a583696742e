"""Tells of messages turned away, one line a reason and minute: a broken sensor must not fill the disk with logs."""

from collections.abc import Callable, Sequence

from edge_agent.logs import get_logger
from edge_agent.pipeline.results import Failure
from edge_agent.records import Delivery, Frame, Reject

log = get_logger()

_EVERY_S = 60.0
_KIND_CHARACTERS = 60


def failure_teller(*, monotonic: Callable[[], float]) -> Callable[[Sequence[Failure]], None]:
    """Tells of contained exceptions, one line for each kind of exception and minute."""
    told_s: dict[str, float] = {}
    untold: dict[str, int] = {}

    def tell(failures: Sequence[Failure]) -> None:
        now_s = monotonic()
        for failure in failures:
            kind = failure.error.partition("(")[0][:_KIND_CHARACTERS]
            if now_s - told_s.get(kind, -_EVERY_S) < _EVERY_S:
                untold[kind] = untold.get(kind, 0) + 1
                continue
            told_s[kind] = now_s
            log.error(
                "internal_error",
                subject=ascii(failure.subject[:120]),
                error=failure.error[:500],
                untold=untold.pop(kind, 0),
            )

    return tell


def told_rejects(
    decode: Callable[[Delivery], Frame | Reject], *, monotonic: Callable[[], float]
) -> Callable[[Delivery], Frame | Reject]:
    """The same decoder, which logs the first rejected message of each reason in a minute, and how many it kept."""
    told_s: dict[str, float] = {}
    untold: dict[str, int] = {}

    def watched(delivery: Delivery) -> Frame | Reject:
        decoded = decode(delivery)
        if isinstance(decoded, Reject):
            tell(decoded, delivery.topic)
        return decoded

    def tell(reject: Reject, topic: str) -> None:
        now_s = monotonic()
        if now_s - told_s.get(reject.reason, -_EVERY_S) < _EVERY_S:
            untold[reject.reason] = untold.get(reject.reason, 0) + 1
            return
        told_s[reject.reason] = now_s
        log.warning(
            "message_rejected",
            reason=reject.reason,
            detail=reject.detail,
            topic=ascii(topic[:120]),
            untold=untold.pop(reject.reason, 0),
        )

    return watched
