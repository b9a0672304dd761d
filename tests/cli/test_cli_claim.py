"""``hotloop claim`` as a person meets it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from hotloop.cli.duration import seconds_of
from hotloop.errors import ArgumentError

MODEL = """
import torch
print("noise of a person's module")

class Small(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(3, 2)

    def forward(self, x):
        return self.layer(x)


def Frozen():
    return torch.nn.Linear(3, 2).requires_grad_(False)
"""
# With a line of progress as soon as there is something to say, not every five seconds.
TALKATIVE = "import hotloop.cli.claim as c; c._BETWEEN_LINES_S = 0.2; from hotloop.cli import main; main()"
COMMAND = [sys.executable, "-c", "from hotloop.cli import main; main()", "claim"]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def hotloop(*arguments, cwd=None):
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=120, cwd=cwd, env=ENVIRONMENT)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Return the folder of a claim that was measured for a few seconds, and what was shown."""
    folder = tmp_path_factory.mktemp("claim")
    (folder / "model.py").write_text(MODEL)
    done = hotloop("append", "model.py:Small", "--budget", "5s", "--out", "raw.json", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder, done


def test_a_claim_about_a_model_of_ones_own(recorded):
    _, done = recorded
    for part in ("belief", "verdict", "Does appending take longer", "A/A", "Small"):
        assert part in done.stdout
    assert "noise of a person's module" not in done.stdout
    # Told once, not for each process.
    assert done.stderr.count("noise of a person's module") <= 1
    assert "hotloop claim --judge raw.json" in done.stderr


def test_judging_again_shows_the_same(recorded, in_process):
    folder, done = recorded
    again = hotloop("--judge", "raw.json", cwd=folder)
    assert again.stdout == done.stdout
    found = json.loads(in_process("claim", "--judge", str(folder / "raw.json"), "--json").stdout)
    assert found["claim"] == "append"
    assert found["answers"][0]["key"] == "append"


def test_a_damaged_file_is_refused_in_a_line(recorded, in_process):
    folder, _ = recorded
    data = bytearray((folder / "raw.json").read_bytes())
    data[500] ^= 1
    (folder / "damaged.json").write_bytes(data)
    for file in ("damaged.json", "model.py"):
        done = in_process("claim", "--judge", str(folder / file))
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 1
        assert f"{file}' is damaged" in done.stderr
        assert done.stderr.endswith("Use a file that hotloop claim --out has written, or measure again.\n")


def test_without_a_name_the_claims_are_listed(in_process):
    done = in_process("claim")
    assert "recording" in done.stdout
    assert "A GPU is faster for this model." in done.stdout
    listed = json.loads(in_process("claim", "--json").stdout)
    assert len(listed) >= 10
    assert all(set(each) == {"name", "belief"} for each in listed)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["recordin"], 2, "Did you mean 'recording'"),
        (["recording", "--budget", "soon"], 2, "takes a duration"),
        (["recording", "--budget", "1s"], 2, "5s"),
        (["recording", "--judge", "x"], 2, "--judge"),
        (["--judge", "missing.json"], 1, "cannot read"),
    ],
)
def test_mistakes_are_told_in_a_line(arguments, code, said, in_process):
    done = in_process("claim", *arguments)
    assert done.returncode == code
    assert said in done.stderr
    assert done.stderr.startswith("hotloop: ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("subject", "said"),
    [
        ("model.py:Nothing", "hotloop: model.py has no 'Nothing'. Write one of model.py:Small."),
        ("model.py:Frozen", "hotloop: Frozen has no weights to train."),
        pytest.param("missing.csv", "hotloop: cannot read 'missing.csv': there is no", marks=pytest.mark.slow),
    ],
)
def test_what_cannot_be_trained_is_told_once(subject, said, recorded):
    folder, _ = recorded
    done = hotloop("append", subject, "--budget", "6s", cwd=folder)
    assert done.returncode == (2 if "model.py" in subject else 1)
    assert done.stderr.splitlines()[-1].startswith(said)
    assert " blocks" not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("text", "seconds"), [("30", 30), ("30s", 30), ("2m", 120), ("1.5m", 90), ("1h", 3600)])
def test_durations(text, seconds):
    assert seconds_of(text, "--budget", 5) == seconds


@pytest.mark.parametrize("text", ["", "s", "30x", "-30s", "nan", "inf", "1e9", "3O"])
def test_what_is_no_duration(text):
    with pytest.raises(ArgumentError):
        seconds_of(text, "--budget", 5)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="signals of another system")
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)]
)
def test_an_interrupt_ends_it_at_once_and_keeps_what_was_measured(number, code, tmp_path, in_process):
    arguments = ["recording", "iris", "--budget", "120s", "--out", "raw.json"]
    process = subprocess.Popen(
        [sys.executable, "-c", TALKATIVE, "claim", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=ENVIRONMENT,
    )
    # The first such line comes while blocks are measured.
    for line in process.stderr:
        if " blocks, " in line and ": 0 blocks" not in line:
            break
    began_s = time.monotonic()
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == code, said
    assert time.monotonic() - began_s < 10
    assert "hotloop: interrupted" in said
    assert in_process("claim", "--judge", "raw.json").returncode == 0
