"""Fresh processes that have torch imported already: a server imports it once and forks for each request.

::

    with ForkServer("from hotloop.insight.claims.process import main; main()") as server:
        block = server.call("block", {"claim": "recording", ...})

A fresh process forgets what the last one did to allocators, caches and thread pools; importing torch in each would cost
seconds. The server never runs an operation of torch itself, since threads do not survive a fork. Requests and answers
are lines of JSON on pipes of our own. Where there is no fork (Windows), each request gets a process of its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any

from hotloop import errors
from hotloop.errors import HotloopError
from hotloop.language import _, current
from hotloop.sentence import from_json, to_json

__all__ = ["ForkServer", "Work", "serve"]

_CAN_FORK = hasattr(os, "fork")
_ANSWERED = 77

Work = Mapping[str, Callable[..., Any]]
"""What can be asked for: functions of what JSON can hold that return what JSON can hold."""


class ForkServer:
    """Starts processes that do pieces of work; a context manager, to be used from one thread.

    Parameters
    ----------
    start : str
        Line of Python with which the server starts: it calls :func:`serve`. Part of hotloop's sources, never data.
    """

    def __init__(self, start: str) -> None:
        self._start = start
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> ForkServer:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        if kind is not None:
            self._kill()
        self.close()

    def call(self, work: str, arguments: dict[str, Any], timeout_s: float | None = None) -> Any:
        """Return what comes of a piece of work in a fresh process.

        Parameters
        ----------
        work : str
            A key of the server's table.
        arguments : dict
            Its arguments by name; what JSON can hold.
        timeout_s : float, optional
            After which it is ended.

        Raises
        ------
        HotloopError
            What it raised itself, if that was one of ours; or it raised something else, was ended, or took too long.
        """
        process = self._started()
        late = threading.Event()
        timer = threading.Timer(timeout_s or threading.TIMEOUT_MAX, self._end_late, [late])
        timer.daemon = True
        if timeout_s is not None:
            timer.start()
        try:
            line = _asked(process, {"work": work, "arguments": arguments})
        finally:
            timer.cancel()
        if not _CAN_FORK or not line or late.is_set():
            self.close()
        answer = _parsed(line)
        if late.is_set():
            answer = {"error": _("it took longer than {seconds:.0f} s").format(seconds=timeout_s)}
        if "refusal" in answer:
            raise _refusal(answer)
        if "error" in answer:
            raise HotloopError(_("a measurement in a process of its own failed"), why=answer["error"])
        return answer["value"]

    def close(self) -> None:
        """Let the server end; it may be called again."""
        process, self._process = self._process, None
        if process is None:
            return
        for stream in (process.stdin, process.stdout):
            assert stream is not None
            with contextlib.suppress(BrokenPipeError):
                stream.close()
        process.wait()

    def _started(self) -> subprocess.Popen[str]:
        if self._process is None:
            # -P: a file of the person's that is called torch.py must not be taken for torch. A session of its own:
            # Ctrl-C reaches the one who asks, who ends the server and all that it has forked.
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", f"from hotloop.language import use; use({current()!r}); {self._start}"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                start_new_session=True,
            )
        return self._process

    def _end_late(self, late: threading.Event) -> None:
        late.set()
        self._kill()

    def _kill(self) -> None:
        process = self._process
        if process is None or process.poll() is not None:
            return
        with contextlib.suppress(OSError):
            if hasattr(os, "killpg"):
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()


def _parsed(line: str) -> dict[str, Any]:
    """Return an answer; one that was cut off is none."""
    with contextlib.suppress(ValueError):
        answer = json.loads(line)
        if isinstance(answer, dict):
            return answer
    return {"error": _("the process ended without an answer")}


def _asked(process: subprocess.Popen[str], request: dict[str, Any]) -> str:
    """Return the whole line that answers a request, or nothing."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
    except BrokenPipeError:
        return ""
    return line if line.endswith("\n") else ""


def serve(work: Work, imports: Sequence[Callable[[], object]] = ()) -> None:
    """Answer requests until there are no more; what functions print goes to standard error.

    Parameters
    ----------
    work : mapping of str to function
    imports : sequence of functions
        Called once, before the first fork: they import what every process needs.
    """
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for imported in imports:
        imported()
    # One by one: what is read ahead would be read by the forked process, too.
    while line := sys.stdin.readline():
        if not _CAN_FORK:
            _answer(work, line, answers)
            return
        child = os.fork()
        if child == 0:
            _answer(work, line, answers)
            os._exit(_ANSWERED)
        _, status = os.waitpid(child, 0)
        # A person's code may end its process, even as if all were well.
        if os.waitstatus_to_exitcode(status) != _ANSWERED:
            _write({"error": _why_ended(status)}, answers)


def _why_ended(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        return _("the process was ended by signal {number}").format(number=-code)
    return _("the process ended without an answer")


def _answer(work: Work, line: str, answers: IO[str]) -> None:
    request = json.loads(line)
    try:
        answer = {"value": work[request["work"]](**request["arguments"])}
    except HotloopError as error:
        answer = _described(error)
    # SystemExit from a file of the person's is an error as well.
    except (Exception, SystemExit) as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    _write(answer, answers)


def _described(error: HotloopError) -> dict[str, Any]:
    """Return an error as JSON can hold it: its parts, and the class of errors.py that it is one of."""
    kind = next(base.__name__ for base in type(error).__mro__ if base.__module__ == errors.__name__)
    return {"refusal": kind, "parts": [to_json(part) for part in (error.what, error.why, error.do, error.see)]}


def _refusal(answer: dict[str, Any]) -> HotloopError:
    """Return the error that :func:`_described` described."""
    what, why, do, see = map(from_json, answer["parts"])
    error: HotloopError = getattr(errors, answer["refusal"])(what, why=why, do=do, see=see)
    return error


def _write(answer: dict[str, Any], answers: IO[str]) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()
