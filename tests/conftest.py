"""What all tests share: the lesson's rows, and the command line in a fresh process."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

# Texts are compared in English, whatever the language of whoever runs the tests; processes started here inherit it.
os.environ.update(LANGUAGE="en", LC_ALL="", LC_MESSAGES="", LANG="en_US.UTF-8")
# They keep the byte code of what they import, as a person's do: it is half of a short command's time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# A shell lets what it starts in the background ignore Ctrl-C, and Python keeps to that; tests send it to themselves.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Tests of GPUs run where there is little more than torch.
with contextlib.suppress(ImportError):
    from hypothesis import settings

    # How long an example takes says how busy the machine is, and is no property.
    settings.register_profile("any machine", deadline=None)
    settings.load_profile("any machine")


def pytest_addoption(parser):
    parser.addoption("--update-golden", action="store_true", help="write what the tests in compiler/golden expect")


@pytest.fixture(autouse=True)
def signals_as_they_were():
    """Put back whoever handles Ctrl-C, and say which test took its place: all tests after it would depend on it."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    yield
    after = [signal.getsignal(number) for number in numbers]
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)
    assert after == before, "a test has left a handler of signals behind"


@pytest.fixture
def in_chinese(monkeypatch):
    """Show texts in Chinese while a test lasts."""
    from hotloop.language import reader

    monkeypatch.setattr(reader, "_reading", None)
    reader.use("zh")


@pytest.fixture
def golden(request):
    """Compare a text with the file of this name in ``golden/`` beside the test, or write it there."""

    def check(name: str, text: str) -> None:
        path = request.path.parent / "golden" / name
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8"), "if the change is meant: pytest --update-golden"

    return check


@pytest.fixture(scope="session")
def lesson_data():
    """X and y as the lesson prepares them, by scikit-learn: float32 (120, 4) and int64 (120,)."""
    from sklearn.datasets import load_iris
    from sklearn.model_selection import train_test_split
    from sklearn.preprocessing import MinMaxScaler

    data = load_iris()
    X_train, _, y_train, _ = train_test_split(data.data, data.target, test_size=0.2, random_state=42)
    return MinMaxScaler().fit_transform(X_train).astype("float32"), y_train


@pytest.fixture
def hotloop_cli(tmp_path):
    """Run ``hotloop ARGUMENTS`` in a fresh process inside ``tmp_path``."""

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(Path(sys.executable).with_name("hotloop")), *arguments],
            cwd=tmp_path,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=120,
            check=False,
        )

    return run
