"""A result as one HTML file: nothing is loaded from anywhere, nothing in it runs but our own script.

The content security policy allows the style sheet and the script by their hashes and nothing else; the page says
everything without the script, which only zooms the loss curve.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hotloop import __version__
from hotloop.errors import OutputError
from hotloop.sentence import Sentence

if TYPE_CHECKING:
    from markupsafe import Markup

    from hotloop.insight.explanation import Explanation
    from hotloop.runs import Run

__all__ = ["explained", "render_explanation", "render_run"]


def render_run(run: Run) -> str:
    """Return the page of a training run.

    Parameters
    ----------
    run : Run
        Any number of records, finite or not; texts may hold anything.

    Returns
    -------
    str
        HTML; some 0.1 MB for 20,000 losses, and never much more.

    Raises
    ------
    OutputError
        Jinja2 cannot be used as it is installed.
    """
    with explained(Sentence("cannot make the report of this run")):
        from hotloop.report import run_view as view
        from hotloop.report.environment import read_asset
        from hotloop.report.loss_chart import loss_chart, loss_table

        chart = loss_chart(run)
        return _page(
            "run.html",
            script=read_asset("zoom.js") if chart else None,
            run=run,
            view=view,
            chart=chart,
            table=loss_table(run),
            headline=view.run_headline(run),
        )


def render_explanation(explanation: Explanation) -> str:
    """Return the page of an explanation: ledger, ladder, floor, forecasts, break-even map and advice.

    Raises
    ------
    OutputError
        Jinja2 cannot be used as it is installed.
    """
    with explained(Sentence("cannot make the report of this explanation")):
        from hotloop.report import bars, break_even_map, explanation_rows, labels, numbers
        from hotloop.report import explanation_view as view

        return _page(
            "explanation.html",
            script=None,
            answer=explanation,
            view=view,
            rows=explanation_rows,
            bars=bars,
            map=break_even_map,
            labels=labels,
            numbers=numbers,
            headline=view.explanation_headline(explanation),
        )


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Raise one error that we know for whatever Jinja2 as it is installed may raise."""
    try:
        yield
    except OutputError:
        raise
    except Exception as error:
        why = f"{type(error).__name__}: {(str(error) or 'without a word').splitlines()[0]}"
        raise OutputError(what, why=why, do="Check how Jinja2 is installed.") from error


def _page(template: str, script: Markup | None, **values: Any) -> str:
    from hotloop.report.environment import read_asset, render_template

    style = read_asset("style.css")
    scripts = _source(script) if script else "'none'"
    policy = f"default-src 'none'; style-src {_source(style)}; script-src {scripts}"
    return render_template(
        template,
        policy=f"{policy}; base-uri 'none'; form-action 'none'",
        style=style,
        script=script,
        version=__version__,
        **values,
    )


def _source(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
