"""The command line: one file for each command, each a function whose signature is its options.

Commands are imported when they are run, so that help appears at once. A mistake of the person's ends in one line on
standard error and an exit code: 1 could not be done, 2 wrong usage, 130 and 143 interrupted.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from hotloop.config import debug_level
from hotloop.errors import HotloopError, Interrupted

if TYPE_CHECKING:
    from cyclopts import App, CycloptsError

__all__ = ["main"]

# Name, where the function is, what the overview says about it.
_COMMANDS = (
    ("train", "hotloop.cli.train:train", "Train a network on a table."),
    ("predict", "hotloop.cli.predict:predict", "Predict with a saved run."),
    ("devices", "hotloop.cli.devices:devices", "Show what machine this is."),
    ("layers", "hotloop.cli.layers:layers", "Show which layers, losses and optimizers are compiled."),
)

_EXIT_USAGE = 2


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and leave with its exit code.

    Parameters
    ----------
    arguments : sequence of str, optional
        Those of the process by default.
    """
    sys.exit(_run(sys.argv[1:] if arguments is None else list(arguments)))


def _run(arguments: list[str]) -> int:
    from cyclopts import CycloptsError

    # A console that cannot show a character shows a question mark, and goes on.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    _stop_at_sigterm()
    debug = False
    try:
        debug = debug_level() > 0
        _app()(arguments, exit_on_error=False, print_error=False)
        sys.stdout.flush()
    except CycloptsError as error:
        return _fail(_usage_text(error), _EXIT_USAGE)
    except HotloopError as error:
        if debug:
            raise
        return _fail(error.one_line, error.exit_code)
    except Interrupted as interruption:
        return 128 + (interruption.signal_number or signal.SIGINT)
    except KeyboardInterrupt:
        return _fail("interrupted", 128 + signal.SIGINT)
    except BrokenPipeError:
        # Whoever read our output has left; Python must not complain about it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + 13
    except Exception as error:
        if debug:
            raise
        return _fail(f"a mistake in hotloop: {type(error).__name__}: {error}. HOTLOOP_DEBUG=1 shows where", 1)
    return 0


def _app() -> App:
    from cyclopts import App, Parameter
    from cyclopts.help import DefaultFormatter, PanelSpec
    from rich import box

    import hotloop

    app = App(
        name="hotloop",
        help="Train small PyTorch networks on tables, and see where the time goes.",
        version=hotloop.__version__,
        help_format="plaintext",
        help_formatter=DefaultFormatter(panel_spec=PanelSpec(box=box.SIMPLE, padding=(0, 0))),
        # --json has no --no-json: what is off by default needs no way to turn it off.
        default_parameter=Parameter(negative=(), show_default=False, show_choices=False),
        result_action="return_value",
        suppress_keyboard_interrupt=False,
    )
    for name, where, summary in _COMMANDS:
        app.command(where, name=name, help=summary)
    return app


def _usage_text(error: CycloptsError) -> str:
    command = " ".join(["hotloop", *(error.command_chain or ())])
    return f"{' '.join(str(error).split())} See {command} --help."


def _fail(text: str, exit_code: int) -> int:
    print(f"hotloop: {' '.join(text.split())}", file=sys.stderr)
    return exit_code


def _stop_at_sigterm() -> None:
    from hotloop.training.interruption import terminate

    signal.signal(signal.SIGTERM, terminate)
