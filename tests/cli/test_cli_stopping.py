"""Signals before and after training."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
LINE = "hotloop: interrupted\n"


@pytest.mark.parametrize(("number", "exit_code"), SIGNALS)
def test_a_signal_that_an_import_swallows_still_ends_the_process(tmp_path, number, exit_code):
    # Python discards what is raised while it imports for a destructor, as it does in its import locks.
    (tmp_path / "signalling.py").write_text(f"import os; os.kill(os.getpid(), {int(number)})\n")
    code = (
        "from hotloop.cli.stopping import stop_at_once; stop_at_once()\n"
        "class Dying:\n"
        "    def __del__(self): import signalling\n"
        "Dying()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (exit_code, "", LINE)


@pytest.mark.parametrize(("number", "stopped_by"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
def test_a_signal_outside_an_import_unwinds(number, stopped_by):
    from hotloop.cli.stopping import stop_at_once

    former = {which: signal.getsignal(which) for which in (signal.SIGINT, signal.SIGTERM)}
    stop_at_once()
    try:
        with pytest.raises(stopped_by):
            os.kill(os.getpid(), number)
    finally:
        for which, handler in former.items():
            signal.signal(which, handler)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "exit_code"), SIGNALS)
@pytest.mark.parametrize("library", ["cyclopts", "polars", "llvmlite", "torch"])
def test_a_signal_during_start_up_is_one_line(tmp_path, library, number, exit_code):
    # The library's first lines are run, and then the signal arrives, as if a person had been that quick.
    code = (
        "import os, sys\n"
        "class Signalling:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.startswith(sys.argv[1] + '.'):\n"
        "            sys.meta_path.remove(self)\n"
        "            os.kill(os.getpid(), int(sys.argv[2]))\n"
        "sys.meta_path.insert(0, Signalling())\n"
        "from hotloop.cli import main\n"
        "main(['train', 'flowers.csv', '--epochs', '3', '--no-plot', '--print-every', '0', *sys.argv[3:]])\n"
    )
    flowers = "a,b\n" + "1,x\n2,y\n" * 20
    (tmp_path / "flowers.csv").write_text(flowers)
    engine = ["--engine", "eager"] if library == "torch" else []
    command = [sys.executable, "-c", code, library, str(int(number)), *engine]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (exit_code, LINE)
    assert not list(tmp_path.glob("runs/flowers*"))


@pytest.mark.parametrize(("number", "exit_code"), SIGNALS)
def test_a_signal_outside_an_import_is_the_same_line(tmp_path, number, exit_code):
    code = (
        "import os, sys\n"
        "import hotloop.cli\n"
        "hotloop.cli._app = lambda: os.kill(os.getpid(), int(sys.argv[1]))\n"
        "hotloop.cli.main([])\n"
    )
    command = [sys.executable, "-c", code, str(int(number))]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (exit_code, "", LINE)
