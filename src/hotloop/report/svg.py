"""SVG as text: elements with everything in them escaped.

Positions along a chart are percentages of its width, so that charts stretch with the page while text and strokes keep
their size.
"""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup, escape

from hotloop.language import shown
from hotloop.language.one_line import one_line

__all__ = ["described", "element", "line", "percentage", "polyline", "rect", "shortened", "text"]


def element(name: str, *children: str, **attributes: object) -> Markup:
    """Return ``<name ...>children</name>``; ``class_`` is class, ``text_anchor`` is text-anchor, None is left out.

    Children that are not Markup are escaped, and so is every attribute.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_attribute(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    inner = "".join(child if isinstance(child, Markup) else escape(one_line(child)) for child in children)
    return Markup(f"<{name}{written}>{inner}</{name}>")


def percentage(share: float) -> str:
    """Return a share of the chart's width or height as a coordinate."""
    return f"{_number(100 * share)}%"


def line(x1: object, y1: object, x2: object, y2: object, class_: str) -> Markup:
    """Return a straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def rect(x: object, y: object, width: object, height: object, class_: str, **more: object) -> Markup:
    """Return a rectangle."""
    return element("rect", x=x, y=y, width=width, height=height, class_=class_, **more)


def text(x: object, y: object, words: str, class_: str = "tick", **more: object) -> Markup:
    """Return a line of text."""
    return element("text", words, x=x, y=y, class_=class_, **more)


def described(name: str, title: str, description: str, *children: str, **attributes: object) -> Markup:
    """Return a picture that a screen reader announces by ``title`` and ``description``; ``name`` is one of a page."""
    return element(
        "svg",
        element("title", title, id=f"{name}-title"),
        element("desc", description, id=f"{name}-desc"),
        *children,
        role="img",
        aria_labelledby=f"{name}-title",
        aria_describedby=f"{name}-desc",
        **attributes,
    )


def polyline(points: Iterable[tuple[float, float]], decimals: int = 1) -> str:
    """Return the ``d`` of a path through ``points``."""
    form = f"%.{decimals}f %.{decimals}f"
    joined = "L".join([form % point for point in points])
    return f"M{joined}" if joined else ""


def shortened(words: str, most: int) -> str:
    """Return at most so many signs of a text in the reader's language, on one line."""
    line_of_text = one_line(shown(words)[: 4 * most])
    return line_of_text if len(line_of_text) <= most else line_of_text[: most - 1] + "…"


def _attribute(value: object) -> str:
    return _number(value) if isinstance(value, float) else str(escape(one_line(str(value))))


def _number(value: float) -> str:
    written = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if written == "-0" else written
