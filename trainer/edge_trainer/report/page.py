"""Pages from templates: every value is escaped but what a template calls safe. Holds no words of its own."""

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

_PAGES = Environment(
    loader=PackageLoader(__package__),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


def _figure(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _words(name: str) -> str:
    return name.replace("_", " ")


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


_PAGES.filters |= {"figure": _figure, "words": _words}
_PAGES.tests |= {"list": _is_list}


def render(template: str, **facts: Any) -> str:
    """The page of a template in `templates/`.

    Raises:
        UndefinedError: the template asks for what was not given.
    """
    return _PAGES.get_template(template).render(**facts)


def markup(html: str) -> Markup:
    """HTML that we made ourselves, such as a picture: goes into the page as it is."""
    return Markup(html)  # noqa: S704 - of our own making, see the callers
