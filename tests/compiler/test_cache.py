"""What the cache gives back is what was put there, or nothing."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import hotloop.compiler.cache as cache_module
import hotloop.compiler.cache_keys as keys_module
from hotloop.compiler import ObjectCache, cache_directory, cache_key
from hotloop.errors import ArgumentError

posix = pytest.mark.skipif(sys.platform == "win32", reason="file modes and owners are POSIX's")


@pytest.fixture
def cache(tmp_path):
    return ObjectCache(tmp_path)


def only_entry(directory):
    (path,) = directory.glob("*.object")
    return path


def key_of_a_sweep():
    """Return a key whose entry lets the cache look at its size."""
    return next(key for key in map(str, range(10_000)) if cache_module._file_name(key)[0] == "0")


def test_what_is_put_comes_back(cache, tmp_path):
    assert cache.get("key") is None
    for data in (b"", b"\0code", bytes(range(256)) * 4096):
        cache.put("key", data)
        assert cache.get("key") == data
        assert cache.get("other") is None
    assert [path.name for path in tmp_path.iterdir()] == [only_entry(tmp_path).name]


def test_every_flipped_byte_is_a_miss_and_is_replaced(cache, tmp_path):
    cache.put("key", b"machine code")
    entry = only_entry(tmp_path)
    whole = entry.read_bytes()
    for position in range(len(whole)):
        for change in (1, 128, 255):
            entry.write_bytes(whole[:position] + bytes([whole[position] ^ change]) + whole[position + 1 :])
            assert cache.get("key") is None
    cache.put("key", b"machine code")
    assert cache.get("key") == b"machine code"


def test_every_cut_and_added_byte_is_a_miss(cache, tmp_path):
    cache.put("key", b"machine code")
    entry = only_entry(tmp_path)
    whole = entry.read_bytes()
    for damaged in [*(whole[:length] for length in range(len(whole))), whole + b"\0", b"\0" + whole]:
        entry.write_bytes(damaged)
        assert cache.get("key") is None


def test_an_entry_under_another_key_is_a_miss(cache, tmp_path):
    cache.put("key", b"code")
    entry = only_entry(tmp_path)
    entry.rename(tmp_path / cache_module._file_name("other"))
    assert cache.get("other") is None


@posix
def test_what_is_no_file_of_ours_is_a_miss_and_is_replaced(cache, tmp_path):
    path = tmp_path / cache_module._file_name("key")
    cache.put("key", b"code")
    elsewhere = tmp_path / "elsewhere"
    path.rename(elsewhere)

    path.symlink_to(elsewhere)
    assert cache.get("key") is None
    path.unlink()
    os.mkfifo(path)
    assert cache.get("key") is None  # and does not wait
    cache.put("key", b"code")
    assert cache.get("key") == b"code"
    path.chmod(0o620)
    assert cache.get("key") is None
    cache.put("key", b"code")
    assert cache.get("key") == b"code"
    path.unlink()
    path.mkdir()
    cache.put("key", b"code")
    assert cache.get("key") is None


@posix
def test_a_file_of_another_user_is_a_miss(cache, monkeypatch):
    cache.put("key", b"code")
    monkeypatch.setattr(os, "getuid", lambda: 12345678)
    assert cache.get("key") is None


@posix
def test_the_directory_is_made_for_its_owner_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("HOTLOOP_CACHE_DIR", str(tmp_path / "a" / "b"))
    directory = cache_directory()
    assert directory == tmp_path / "a" / "b"
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


@posix
@pytest.mark.parametrize("mode", [0o770, 0o707, 0o720, 0o1777])
def test_a_directory_that_others_write_is_not_used(tmp_path, monkeypatch, mode):
    monkeypatch.setenv("HOTLOOP_CACHE_DIR", str(tmp_path))
    tmp_path.chmod(mode)
    assert cache_directory() is None
    tmp_path.chmod(0o755)  # reading is harmless
    assert cache_directory() == tmp_path


@posix
def test_a_directory_of_another_user_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setenv("HOTLOOP_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(os, "getuid", lambda: 12345678)
    assert cache_directory() is None


def test_a_directory_that_cannot_be_made_is_not_used(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("HOTLOOP_CACHE_DIR", str(tmp_path / "file" / "below"))
    assert cache_directory() is None


@pytest.mark.parametrize(
    ("platform", "environment", "expected"),
    [
        ("linux", {}, "home/.cache/hotloop"),
        ("linux", {"XDG_CACHE_HOME": "{}/xdg"}, "xdg/hotloop"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, "home/.cache/hotloop"),
        ("darwin", {}, "home/Library/Caches/hotloop"),
        ("win32", {"LOCALAPPDATA": "{}/local"}, "local/hotloop"),
        ("win32", {}, "home/AppData/Local/hotloop"),
    ],
)
def test_each_system_has_its_folder(tmp_path, monkeypatch, platform, environment, expected):
    for name in ("HOTLOOP_CACHE_DIR", "HOTLOOP_NO_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value.format(tmp_path))
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    assert cache_directory() == tmp_path / expected


def test_without_a_home_there_is_no_cache(monkeypatch):
    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("HOTLOOP_CACHE_DIR", raising=False)
    assert cache_directory() is None


def test_it_can_be_turned_off(tmp_path, monkeypatch):
    monkeypatch.setenv("HOTLOOP_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("HOTLOOP_NO_CACHE", "1")
    assert cache_directory() is None
    assert not (tmp_path / "cache").exists()
    monkeypatch.setenv("HOTLOOP_NO_CACHE", "yes")
    with pytest.raises(ArgumentError, match="HOTLOOP_NO_CACHE"):
        cache_directory()


def test_without_a_directory_nothing_is_kept():
    cache = ObjectCache(None)
    cache.put("key", b"code")
    assert cache.get("key") is None


def test_a_disk_that_refuses_raises_nothing(cache, tmp_path, monkeypatch):
    cache.put("key", b"code")

    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fdopen", full)
    cache.put("key", b"other code")
    cache.put(key_of_a_sweep(), b"other code")
    assert cache.get("key") is None
    monkeypatch.undo()
    assert cache.get("key") == b"code"
    assert list(tmp_path.glob(".hotloop-*")) == []


def test_a_directory_that_vanished_raises_nothing(tmp_path):
    cache = ObjectCache(tmp_path / "gone")
    cache.put(key_of_a_sweep(), b"code")
    assert cache.get(key_of_a_sweep()) is None


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_leaves_nothing_half_written(cache, tmp_path, monkeypatch):
    real = os.open
    monkeypatch.setattr(
        os, "open", lambda path, flags, *mode: real("/dev/full" if flags & os.O_CREAT else path, flags & ~os.O_EXCL)
    )
    cache.put("key", b"code" * 100_000)
    assert list(tmp_path.iterdir()) == []


def test_the_oldest_use_goes_first(tmp_path):
    cache = ObjectCache(tmp_path, capacity_bytes=10_500)
    sweep = key_of_a_sweep()
    keys = [f"key {number}" for number in range(2000) if cache_module._file_name(f"key {number}")[0] != "0"][:11]
    for age, key in enumerate(keys):
        cache.put(key, bytes(1000))
        os.utime(tmp_path / cache_module._file_name(key), (1000 + age, 1000 + age))
    (tmp_path / "foreign").write_bytes(bytes(50_000))
    assert cache.get(keys[0]) is not None  # used now

    cache.put(sweep, bytes(1000))
    left = [key for key in [*keys, sweep] if (tmp_path / cache_module._file_name(key)).exists()]
    assert left == [keys[0], *keys[6:], sweep]
    assert (tmp_path / "foreign").exists()


def test_an_entry_larger_than_the_cache_is_not_kept(tmp_path):
    ObjectCache(tmp_path, capacity_bytes=100).put("key", bytes(101))
    assert list(tmp_path.iterdir()) == []


def test_what_killed_processes_left_is_deleted_after_an_hour(cache, tmp_path):
    old, new = (tmp_path / f".hotloop-{digit * 16}.partial" for digit in "01")
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 3700,) * 2)
    cache.put(key_of_a_sweep(), b"code")
    assert not old.exists()
    assert new.exists()


WRITER = """
import sys
from pathlib import Path
from hotloop.compiler.cache import ObjectCache
cache = ObjectCache(Path(sys.argv[1]), capacity_bytes=200_000)
number = int(sys.argv[2])
for turn in range(200):
    cache.put("same", bytes([number]) * (1000 + 100 * number))
    data = cache.get("same")
    assert data is None or (len(set(data)) == 1 and len(data) == 1000 + 100 * data[0]), "torn"
    cache.put(f"{number} {turn}", bytes(10_000))
"""


def test_many_processes_write_the_same_entry(tmp_path):
    """Nobody sees a torn entry, fails, or leaves a temporary file, while entries are thrown out as well."""
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    processes = [subprocess.Popen([*command, str(number)], stderr=subprocess.PIPE, text=True) for number in range(8)]
    assert [(process.communicate(timeout=60)[1], process.returncode) for process in processes] == [("", 0)] * 8
    assert list(tmp_path.glob(".hotloop-*")) == []
    assert 0 < sum(path.stat().st_size for path in tmp_path.iterdir()) < 2_000_000


def test_many_threads(cache):
    def work(number):
        for turn in range(50):
            cache.put("same", bytes([number]) * 500)
            data = cache.get("same")
            assert data is not None
            assert len(data) == 500, turn
            assert len(set(data)) == 1

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))


def test_a_key_tells_all_of_its_parts_apart(monkeypatch):
    parts = [("a", "b"), ("ab",), ("ab", ""), ("a", "b", ""), ("b", "a"), ('a", "b',), ()]
    keys = [cache_key(*each) for each in parts]
    assert len(set(keys)) == len(parts)
    assert keys == [cache_key(*each) for each in parts]
    versions = keys_module._versions()
    for position in range(len(versions)):
        changed = (*versions[:position], "other", *versions[position + 1 :])
        monkeypatch.setattr(keys_module, "_versions", lambda changed=changed: changed)
        assert cache_key("a", "b") != keys[0]


def test_a_key_depends_on_the_compiler_itself(tmp_path, monkeypatch):
    (tmp_path / "compiler").mkdir()
    (tmp_path / "compiler" / "link.py").write_text("one")
    monkeypatch.setattr(keys_module, "_PACKAGE", tmp_path)
    before = keys_module._digest_of_sources()
    (tmp_path / "compiler" / "link.py").write_text("two")
    assert keys_module._digest_of_sources() != before
