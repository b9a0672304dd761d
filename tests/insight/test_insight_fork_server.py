"""Processes from a fork server: their answers, their accidents, and that none of them stays."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from hotloop.errors import ArgumentError, HotloopError, UnsupportedError
from hotloop.insight import fork_server
from hotloop.insight.fork_server import ForkServer
from hotloop.language import shown

START = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); from served_work import main; main()"
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")


@pytest.fixture
def server():
    with ForkServer(START) as started:
        yield started


def test_answers_come_from_fresh_processes(server):
    assert server.call("ten_times", {"number": 4.2}) == 42
    assert [server.call("count", {}) for _ in range(3)] == [1, 1, 1]
    assert len(server.call("large", {"size": 300_000})) == 300_000


@pytest.mark.parametrize(
    ("work", "why"),
    [
        ("raise_value_error", "ValueError: no such number"),
        ("leave", "SystemExit: 3"),
        ("leave_as_if_all_were_well", "the process ended without an answer"),
        ("be_killed", "the process was ended by signal 9"),
    ],
)
@needs_fork
def test_accidents_are_told_and_the_server_goes_on(server, work, why):
    with pytest.raises(HotloopError) as raised:
        server.call(work, {})
    assert raised.value.why.lower() == why.lower()
    assert server.call("ten_times", {"number": 1}) == 10


def test_our_own_errors_come_as_they_were_raised(server, in_chinese):
    with pytest.raises(ArgumentError) as raised:
        server.call("raise_argument_error", {})
    assert str(raised.value) == "unknown recipe 'leson'.\n  Do:  use another one"
    assert shown(raised.value.what) == "未知的配方 'leson'。"
    with pytest.raises(UnsupportedError, match="it is made of stone") as raised:
        server.call("raise_own_error", {})
    assert type(raised.value) is UnsupportedError


def test_processes_speak_the_readers_language(in_chinese):
    with ForkServer(START) as server:
        assert server.call("speak", {}) == "未知"


def test_what_is_printed_does_not_mix_with_answers(server, capfd):
    assert server.call("talk", {}) == "said"
    server.close()
    printed = capfd.readouterr()
    assert printed.out == ""
    assert "hello from a person's module" in printed.err
    assert "hello from the shell" in printed.err


def test_what_takes_too_long_is_ended_and_a_new_server_starts(server):
    server.call("count", {})
    began_s = time.monotonic()
    with pytest.raises(HotloopError, match=r"longer than"):
        server.call("sleep", {"seconds": 60}, timeout_s=0.3)
    assert time.monotonic() - began_s < 20
    assert server.call("count", {}) == 1


def test_it_can_be_closed_twice_and_before_it_began(server):
    server.close()
    server.call("count", {})
    server.close()
    server.close()


def test_a_server_that_died_is_an_error_and_replaced(server):
    server.call("count", {})
    server._process.kill()
    server._process.wait()
    with pytest.raises(HotloopError, match="without an answer"):
        server.call("count", {})
    assert server.call("count", {}) == 1


@needs_fork
def test_an_interrupt_ends_everything_at_once():
    began_s = time.monotonic()
    main_thread = threading.main_thread().ident
    threading.Timer(1.0, signal.pthread_kill, [main_thread, signal.SIGINT]).start()
    with pytest.raises(KeyboardInterrupt), ForkServer(START) as server:  # noqa: PT012
        group = server.call("process_group", {})
        server.call("sleep", {"seconds": 60})
    assert time.monotonic() - began_s < 20
    assert is_gone(group)


@needs_fork
def test_nothing_stays_after_closing():
    with ForkServer(START) as server:
        group = server.call("process_group", {})
        server.call("count", {})
    assert is_gone(group)
    with pytest.raises(ChildProcessError):
        os.waitpid(group, os.WNOHANG)


def is_gone(group):
    """Whether no process of a group is left; what was killed may need a moment."""
    for _ in range(100):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def test_without_fork_each_request_gets_a_process_of_its_own(monkeypatch):
    monkeypatch.setattr(fork_server, "_CAN_FORK", False)
    start = f"import hotloop.insight.fork_server as f; f._CAN_FORK = False; {START}"
    with ForkServer(start) as server:
        assert [server.call("count", {}) for _ in range(2)] == [1, 1]
        with pytest.raises(HotloopError, match="ValueError"):
            server.call("raise_value_error", {})
        with pytest.raises(HotloopError, match="without an answer"):
            server.call("leave_as_if_all_were_well", {})
        assert server.call("count", {}) == 1


def test_the_servers_python_does_not_look_for_modules_in_the_current_folder(tmp_path, monkeypatch):
    (tmp_path / "json.py").write_text("raise SystemExit('taken for the real one')")
    monkeypatch.chdir(tmp_path)
    with ForkServer(START) as server:
        assert server.call("ten_times", {"number": 1}) == 10
