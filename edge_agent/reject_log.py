"""Tells of messages turned away, one line a reason and minute: a broken sensor must not fill the disk with logs."""

from collections.abc import Callable

import structlog

from edge_agent.contract.records import Delivery, Frame, Reject

log = structlog.get_logger()

_EVERY_S = 60.0


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
