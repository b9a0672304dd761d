"""``hotloop devices``: what it prints, and what it does not import."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from hotloop.cli import devices as command
from hotloop.hardware import Measured, describe


def test_text(capsys):
    command.devices()
    out, err = capsys.readouterr()
    assert out.startswith("CPU\n")
    assert err == ""
    for label in ("architecture", "cores", "threads", "vectors", "caches", "memory"):
        assert f"\n  {label} " in out


def test_json(capsys):
    command.devices(json=True)
    printed = json.loads(capsys.readouterr().out)
    assert printed["cpu"]["threads"] == describe().cpu.threads
    assert printed["cpu"]["measured"] == []


def test_measured_json_keeps_its_announcement_off_the_output(monkeypatch, capsys):
    def measure(machine):
        return replace(machine, cpu=replace(machine.cpu, measured=(Measured("1 core", 2.0),)))

    monkeypatch.setattr(command, "measure_machine", measure)
    command.devices(measure=True, json=True)
    out, err = capsys.readouterr()
    assert json.loads(out)["cpu"]["measured"][0]["gflop_per_s"] == 2.0
    assert err == "Measuring for some seconds ...\n"


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (None, "unknown"),
        (0, "0 bytes"),
        (1023, "1,020 bytes"),
        (48 << 10, "48 KiB"),
        (1280 << 10, "1.25 MiB"),
        (1000 << 20, "1,000 MiB"),
        (3 << 40, "3 TiB"),
    ],
)
def test_sizes(size_bytes, text):
    assert command._size(size_bytes) == text


def test_nothing_heavy_is_imported():
    code = (
        "import sys\nfrom hotloop.cli.devices import devices\ndevices()\n"
        "heavy = {'torch', 'numpy', 'polars', 'matplotlib', 'rich', 'scipy'} & set(sys.modules)\n"
        "print(sorted(heavy), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr == "[]\n"
    assert done.stdout.startswith("CPU\n")
