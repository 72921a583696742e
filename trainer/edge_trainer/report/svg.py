"""A matplotlib figure as an SVG element for the middle of a page: no background, ink in the page's own colour.

Loads nothing from elsewhere; draws nothing itself.
"""

import io
import re

import matplotlib as mpl
from matplotlib.figure import Figure

_INK = ("#000000", "#404040", "#4c4c4c")
"""Black and the dark greys of `pictures`: on a dark page nobody would see them."""
_NO_METADATA: dict[str, str | None] = {"Date": None, "Creator": None, "Format": None, "Type": None}


def inline(figure: Figure, *, prefix: str) -> str:
    """The figure as one `<svg>` element.

    Args:
        figure: stays as it is but for its backgrounds, which become transparent.
        prefix: of every id in it, so that several figures live on one page.
    """
    figure.patch.set_alpha(0.0)
    for axes in figure.axes:
        axes.patch.set_alpha(0.0)
        if (legend := axes.get_legend()) is not None:
            legend.get_frame().set_alpha(0.0)
    buffer = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "edge-trainer"}):
        figure.savefig(buffer, format="svg", metadata=_NO_METADATA)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'(?<=\bid=")', f"{prefix}-", text)
    text = re.sub(r"(?<=url\(#)|(?<=href=\"#)", f"{prefix}-", text)
    text = re.sub(r'font: ([^;"]*?)\'?DejaVu Sans\'?[^;"]*', r"font: \1system-ui, sans-serif", text)
    for ink in _INK:
        text = text.replace(ink, "currentColor")
    # The page says how wide: the figure's own size is an upper bound, its shape stays.
    return re.sub(
        r'<svg ([^>]*?)width="([\d.]+)pt" height="[\d.]+pt"', r'<svg \1style="max-width: \2pt"', text, count=1
    )
