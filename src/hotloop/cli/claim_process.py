"""What the fork server of ``hotloop claim`` runs: as that of tables, and models from a person's own file."""

from __future__ import annotations

from hotloop.insight.claims.process import import_what_loops_need, work
from hotloop.insight.fork_server import serve
from hotloop.insight.loop import Loop, loop_of_module, loop_of_table

__all__ = ["START", "loop_of", "main"]

START = "from hotloop.cli.claim_process import main; main()"
"""How :class:`hotloop.insight.fork_server.ForkServer` starts it."""

_ROWS = 128


def main() -> None:
    """Serve claims about tables and models."""
    serve(work(loop_of), [import_what_loops_need])


def loop_of(subject: str) -> Loop:
    """Return the loop of "iris", a table's file, or FILE.py:NAME, which is executed and trained on random rows."""
    from hotloop.cli.python_file import is_python_file, load_module

    if not is_python_file(subject):
        return loop_of_table(subject)
    return loop_of_module(subject.rpartition(":")[2], load_module(subject), rows=_ROWS)
