"""The same training gives the same bytes: again, in another process, from the cache, in other chunks, beside others."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from lesson import N_STEPS, TASKS, digest_of, train

from hotloop.compiler import pipeline

FOLDER = Path(__file__).parent
EACH = pytest.mark.parametrize("name", TASKS)


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HOTLOOP_CACHE_DIR", str(tmp_path / "cache"))
    forget(monkeypatch)


def forget(monkeypatch) -> None:
    """Let this process forget what it compiled."""
    monkeypatch.setattr(pipeline, "_kept", type(pipeline._kept)())


def entries(tmp_path) -> list[Path]:
    return sorted((tmp_path / "cache").glob("*.object"))


@EACH
def test_twice(name):
    assert train(TASKS[name]()) == train(TASKS[name]())


@pytest.mark.slow
@EACH
@pytest.mark.usefixtures("own_cache")
def test_in_other_processes_and_from_the_cache(name, tmp_path):
    code = f"from lesson import digest_of; print(digest_of({name!r}))"

    def elsewhere() -> str:
        done = subprocess.run([sys.executable, "-c", code], cwd=FOLDER, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    assert elsewhere() == digest_of(name)
    (entry,) = entries(tmp_path)
    written = entry.stat().st_ino
    assert elsewhere() == digest_of(name)
    assert entry.stat().st_ino == written, "the second process took what the first had compiled"


@EACH
@pytest.mark.usefixtures("own_cache")
def test_compiled_again(name, monkeypatch):
    first = train(TASKS[name]())
    monkeypatch.setenv("HOTLOOP_NO_CACHE", "1")
    forget(monkeypatch)
    assert train(TASKS[name]()) == first


@pytest.mark.usefixtures("own_cache")
def test_a_damaged_entry_is_compiled_again(tmp_path, monkeypatch):
    name = "full"
    first = train(TASKS[name]())
    (entry,) = entries(tmp_path)
    whole = entry.read_bytes()
    for at in (0, 20, len(whole) // 2, len(whole) - 1):
        damaged = bytearray(whole)
        damaged[at] ^= 0xFF
        entry.write_bytes(damaged)
        forget(monkeypatch)
        assert train(TASKS[name]()) == first
        assert entry.read_bytes() == whole


@pytest.mark.slow
@pytest.mark.no_cover
@EACH
@pytest.mark.parametrize("chunks", [[1] * N_STEPS, [7, 1, 30, 22], [3, N_STEPS - 3], [N_STEPS - 1, 1]])
def test_in_other_chunks(name, chunks):
    assert sum(chunks) == N_STEPS
    assert train(TASKS[name](), chunks) == train(TASKS[name]())


@pytest.mark.slow
@pytest.mark.no_cover
@EACH
def test_while_other_threads_train(name):
    alone = {other: train(TASKS[other]()) for other in TASKS}
    is_over = threading.Event()
    wrong: list[str] = []

    def others(other: str) -> None:
        while not is_over.is_set():
            if train(TASKS[other]()) != alone[other]:
                wrong.append(other)

    threads = [threading.Thread(target=others, args=(other,)) for other in (*TASKS, name)]
    for thread in threads:
        thread.start()
    try:
        beside = {train(TASKS[name]()) for _ in range(20)}
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
    assert beside == {alone[name]}
    assert wrong == []
