"""Reads a metrics page that an agent wrote: for the command line, which asks a running agent."""

from collections.abc import Mapping

from prometheus_client.parser import text_string_to_metric_families

Samples = Mapping[tuple[str, str], float]
"""(series, value of its label) -> value."""


def read_samples(page: str) -> Samples:
    """The samples of a metrics page that have one label or none.

    Raises:
        ValueError: it is no metrics page.
    """
    return {
        (sample.name, next(iter(sample.labels.values()), "")): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if len(sample.labels) <= 1
    }
