"""Work for a fork server under test; imported by the server's process."""

from __future__ import annotations

import os
import signal
import sys
import time

from hotloop.errors import ArgumentError, UnsupportedError
from hotloop.insight.fork_server import serve
from hotloop.language import _
from hotloop.sentence import Sentence

state = {"calls": 0}


def ten_times(number):
    return 10 * number


def count():
    state["calls"] += 1
    return state["calls"]


def raise_value_error():
    raise ValueError("no such number")


def raise_argument_error():
    raise ArgumentError(Sentence("unknown recipe {name!r}.{near}", name="leson", near=""), do="use another one")


class Refused(UnsupportedError):
    def __init__(self):
        super().__init__("cannot compile it", why="it is made of stone")


def raise_own_error():
    raise Refused


def speak():
    return _("unknown")


def leave():
    sys.exit(3)


def leave_as_if_all_were_well():
    os._exit(0)


def be_killed():
    os.kill(os.getpid(), signal.SIGKILL)


def talk():
    print("hello from a person's module")
    os.system("echo hello from the shell")
    return "said"


def sleep(seconds):
    time.sleep(seconds)
    return "slept"


def process_group():
    return os.getpgid(0)


def large(size):
    return "x" * size


def main():
    names = (
        *(ten_times, count, raise_value_error, raise_argument_error, raise_own_error, leave),
        *(leave_as_if_all_were_well, be_killed, speak, talk, sleep, process_group, large),
    )
    serve({function.__name__: function for function in names})
