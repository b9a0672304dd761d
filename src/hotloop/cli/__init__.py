"""The command line: one file for each command, each a function whose signature is its options.

Commands are imported when they are run, so that help appears at once. A mistake of the person's ends in one line on
standard error and an exit code: 1 could not be done, 2 wrong usage, 130 and 143 interrupted.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from hotloop.cli.choose_language import choose_language
from hotloop.cli.error_line import error_line
from hotloop.cli.stopping import INTERRUPTED, stop_at_once
from hotloop.config import debug_level
from hotloop.errors import HotloopError, Interrupted
from hotloop.language import Sentence, _, shown
from hotloop.language.glyphs import make_streams_safe
from hotloop.language.one_line import one_line

if TYPE_CHECKING:
    from cyclopts import App

__all__ = ["main"]

# Name, where the function is, what the overview says about it.
_COMMANDS = (
    ("train", "hotloop.cli.train:train", Sentence("Train a network on a table.")),
    ("predict", "hotloop.cli.predict:predict", Sentence("Predict with a saved run.")),
    ("devices", "hotloop.cli.devices:devices", Sentence("Show what machine this is.")),
    ("explain", "hotloop.cli.explain:explain", Sentence("Show where the time goes and what to change.")),
    ("call", "hotloop.cli.call:call", Sentence("Show what model(x) does, step by step.")),
    ("claim", "hotloop.cli.claim:claim", Sentence("Test what people say about training by measuring it.")),
    ("bench", "hotloop.cli.bench:bench", Sentence("Train side by side with eager torch, JAX and scikit-learn.")),
    ("layers", "hotloop.cli.layers:layers", Sentence("Show which layers, losses and optimizers are compiled.")),
    ("ir", "hotloop.cli.ir:ir", Sentence("Show what the compiler makes of a network.")),
)

_EXIT_USAGE = 2
_LEAST_COLUMNS, _MOST_COLUMNS = 40, 500


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and leave with its exit code.

    Parameters
    ----------
    arguments : sequence of str, optional
        Those of the process by default.
    """
    sys.exit(_run(sys.argv[1:] if arguments is None else list(arguments)))


def _run(arguments: list[str]) -> int:
    stop_at_once()
    try:
        _make_streams_safe()
        _quieten_matplotlib()
        _widen_console()
        return _command(arguments)
    except Interrupted as interruption:
        # The command has said how to go on.
        return 128 + (interruption.signal_number or signal.SIGINT)
    except KeyboardInterrupt:
        return _fail(shown(INTERRUPTED), 128 + signal.SIGINT)
    except SystemExit as left:
        if left.code != 128 + signal.SIGTERM:
            raise
        return _fail(shown(INTERRUPTED), 128 + signal.SIGTERM)


def _command(arguments: list[str]) -> int:
    from cyclopts import CycloptsError

    debug = False
    try:
        arguments = choose_language(arguments)
        debug = debug_level() > 0
        _app()(arguments, exit_on_error=False, print_error=False)
        sys.stdout.flush()
    except CycloptsError as error:
        from hotloop.cli.usage_line import usage_line

        return _fail(usage_line(error), _EXIT_USAGE)
    except HotloopError as error:
        if debug:
            raise
        line = error_line(error, " ".join(["hotloop", *arguments[:1]]), _options(arguments))
        return _fail(line, error.exit_code)
    except BrokenPipeError:
        # Whoever read our output has left.
        _drop_output()
        return 128 + 13
    except Exception as error:
        if debug:
            raise
        # Where a file is at fault, the system's error names it, or we raise our own.
        if isinstance(error, OSError) and error.filename is None and error.strerror:
            _drop_output()
            return _fail(_("cannot write to standard output: {reason}").format(reason=error.strerror), 1)
        mistake = _("a mistake in hotloop: {kind}: {reason}. HOTLOOP_DEBUG=1 shows where")
        return _fail(mistake.format(kind=type(error).__name__, reason=error), 1)
    return 0


def _app() -> App:
    from cyclopts import App, Parameter
    from cyclopts.help import PanelSpec
    from rich import box

    import hotloop
    from hotloop.cli.help import TranslatedHelp

    app = App(
        name="hotloop",
        help=Sentence("Train small PyTorch networks on tables, and see where the time goes."),
        version=hotloop.__version__,
        help_format="plaintext",
        help_formatter=TranslatedHelp(panel_spec=PanelSpec(box=box.SIMPLE, padding=(0, 0))),
        # --json has no --no-json: what is off by default needs no way to turn it off.
        default_parameter=Parameter(negative=(), show_default=False, show_choices=False),
        result_action="return_value",
        suppress_keyboard_interrupt=False,
    )
    for name, where, summary in _COMMANDS:
        app.command(where, name=name, help=summary)
    return app


def _options(arguments: list[str]) -> dict[str, str]:
    """Return how the command that was given spells its settings, by their names in Python."""
    name = arguments[0] if arguments else ""
    if name not in {known for known, *_where in _COMMANDS}:
        return {}
    found = _app()[name].assemble_argument_collection()
    return {each.field_info.name: each.name for each in found if each.name.startswith("--")}


def _fail(text: str, exit_code: int) -> int:
    with contextlib.suppress(OSError):
        print(f"hotloop: {one_line(text)}", file=sys.stderr, flush=True)
    return exit_code


def _drop_output() -> None:
    """Let standard output lead nowhere, so that Python does not complain about what is left in it at exit."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _make_streams_safe() -> None:
    # A stream that was closed before we began is None; what would be written to it is lost, and nothing else.
    sys.stdout = sys.stdout or Path(os.devnull).open("w")  # noqa: SIM115, open for as long as the process
    sys.stderr = sys.stderr or Path(os.devnull).open("w")  # noqa: SIM115
    make_streams_safe(sys.stdout, sys.stderr)


def _widen_console() -> None:
    """Keep help from being laid out in a few columns or in millions, which takes for ever."""
    import shutil

    given = os.environ.get("COLUMNS", "")
    columns = shutil.get_terminal_size().columns
    sensible = min(max(columns, _LEAST_COLUMNS), _MOST_COLUMNS)
    if given != str(sensible) and (given or columns != sensible):
        os.environ["COLUMNS"] = str(sensible)


def _quieten_matplotlib() -> None:
    """Keep matplotlib from telling where its cache is."""
    import logging

    logging.getLogger("matplotlib").setLevel(logging.ERROR)
