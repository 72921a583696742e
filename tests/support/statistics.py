"""The shipped model without its network: what is tested then does not depend on what a network has learnt."""

from edge_agent.detect.scorer import Scorer


def alone(scorer: Scorer) -> Scorer:
    """A scorer that learns and alarms by statistics."""
    found = Scorer(scorer.session, expecting=scorer.expecting)
    found.judge = None
    return found
