from __future__ import annotations

import subprocess

import pytest


@pytest.fixture
def in_process(tmp_path, monkeypatch, capsys):
    """Run ``hotloop ARGUMENTS`` in this process inside ``tmp_path``: quicker, and seen by coverage."""
    from hotloop.cli import main

    monkeypatch.chdir(tmp_path)
    # The command line makes itself the handler of signals; tests must not keep that.
    monkeypatch.setattr("hotloop.cli.stop_at_once", lambda: None)
    monkeypatch.setattr("hotloop.cli.train.stop_at_once", lambda: None)
    monkeypatch.setattr("hotloop.cli.train.stop_at_whole_steps", lambda: None)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main(arguments)
        shown = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, left.value.code or 0, shown.out, shown.err)

    return run
