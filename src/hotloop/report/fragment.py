"""Results in a notebook: a piece of HTML that a sanitiser lets pass, in the colours of whatever surrounds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hotloop.report.page import explained
from hotloop.sentence import Sentence

if TYPE_CHECKING:
    from hotloop.insight.explanation import Explanation
    from hotloop.runs import Run

__all__ = ["explanation_fragment", "run_fragment"]


def run_fragment(run: Run) -> str:
    """Return a run as HTML of some kilobytes: no script, no style sheet, no reference; style attributes only."""
    with explained(Sentence("cannot show this run")):
        from hotloop.report import run_view as view
        from hotloop.report.environment import render_template
        from hotloop.report.loss_chart import sparkline

        return render_template("run_fragment.html", run=run, view=view, sparkline=sparkline(run))


def explanation_fragment(explanation: Explanation) -> str:
    """Return an explanation as HTML: its conclusion, the ledger and the advice, as :func:`run_fragment` does."""
    with explained(Sentence("cannot show this explanation")):
        from hotloop.report import explanation_rows
        from hotloop.report import explanation_view as view
        from hotloop.report.environment import render_template

        return render_template("explanation_fragment.html", answer=explanation, view=view, rows=explanation_rows)
