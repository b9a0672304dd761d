"""Templates: everything that is put into one is made visible, escaped, and in the reader's language."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from hotloop.language import _, current, shown
from hotloop.report.svg import shortened

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["TEMPLATES", "read_asset", "render_template"]

_MOST_SIGNS = 1000  # of one text; a longer one is cut

TEMPLATES = Path(__file__).parent / "templates"


def render_template(name: str, **values: Any) -> str:
    """Return a template with values filled in; a name that it uses and nobody gave is an error."""
    environment = _environment()
    return environment.get_template(name).render(_=_, language=_tag(current()), **values)


@cache
def read_asset(name: str) -> Markup:
    """Return a style sheet or script, which goes into a page as it is."""
    return Markup((TEMPLATES / name).read_text(encoding="utf-8"))


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        finalize=_finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )


def _finalize(value: Any) -> Any:
    """Make text visible before it is escaped: no control signs, no overrides of direction, no lone surrogates."""
    if hasattr(value, "__html__"):
        return value
    return shortened(shown(value) if isinstance(value, str) else str(value), _MOST_SIGNS)


def _tag(language: str) -> str:
    return {"zh": "zh-Hans"}.get(language, language)
