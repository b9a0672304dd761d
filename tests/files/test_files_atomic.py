"""A file or run directory is whole or absent, whatever happens while it is written."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hotloop.errors import ArgumentError, OutputError
from hotloop.files import check_writable, publish_directory, write_atomically

FORMER = b"former contents"


@pytest.fixture
def target(tmp_path):
    path = tmp_path / "out.csv"
    path.write_bytes(FORMER)
    return path


def names(directory):
    return sorted(path.name for path in directory.iterdir())


def refuse_write(number):
    def write(descriptor, data):
        raise OSError(number, os.strerror(number))

    return write


def test_writes_a_new_file_and_replaces_a_former_one(tmp_path):
    path = tmp_path / "a.csv"
    assert write_atomically(path, b"first") == path
    assert write_atomically(str(path), b"second") == path
    assert path.read_bytes() == b"second"
    assert names(tmp_path) == ["a.csv"]


def test_short_writes_are_continued(target, monkeypatch):
    real_write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real_write(descriptor, data[:3]))
    write_atomically(target, bytes(range(256)))
    assert target.read_bytes() == bytes(range(256))


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (errno.ENOSPC, "the disk is full. Free some space, or choose another path."),
        (errno.EDQUOT, "the disk quota is used up. Free some space"),
        (errno.EROFS, "the file system is read-only."),
        (errno.EACCES, "permission denied."),
        (errno.EIO, os.strerror(errno.EIO)),
    ],
)
def test_a_failed_write_is_one_clear_line_and_leaves_the_former_file(target, monkeypatch, number, sentence):
    monkeypatch.setattr(os, "write", refuse_write(number))
    with pytest.raises(OutputError) as caught:
        write_atomically(target, b"new")
    assert sentence.lower() in caught.value.one_line.lower()
    assert str(target) in caught.value.one_line
    assert "\n" not in caught.value.one_line
    assert target.read_bytes() == FORMER
    assert names(target.parent) == ["out.csv"]


def test_a_device_that_takes_nothing_is_an_error_not_a_loop(target, monkeypatch):
    monkeypatch.setattr(os, "write", lambda descriptor, data: 0)
    with pytest.raises(OutputError, match="takes no more"):
        write_atomically(target, b"new")
    assert target.read_bytes() == FORMER


def test_the_disk_fills_halfway(target, monkeypatch):
    real_write, calls = os.write, []

    def write(descriptor, data):
        calls.append(len(data))
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real_write(descriptor, data[: len(data) // 2])

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(OutputError, match="cannot write"):
        write_atomically(target, b"x" * 1000)
    assert target.read_bytes() == FORMER
    assert names(target.parent) == ["out.csv"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_an_interruption_at_any_step_leaves_the_former_file(target, monkeypatch, call):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(*((os, "fsync") if call == "fsync" else (Path, "replace")), interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(target, b"new")
    assert target.read_bytes() == FORMER
    assert names(target.parent) == ["out.csv"]


def test_contents_reach_the_disk_before_the_rename_and_the_rename_after(target, monkeypatch):
    events = []
    real_fsync, real_replace = os.fsync, Path.replace

    def fsync(descriptor):
        events.append("fsync directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "fsync file")
        real_fsync(descriptor)

    def replace(path, to):
        events.append("rename")
        assert target.read_bytes() == FORMER
        assert path.read_bytes() == b"new"
        return real_replace(path, to)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    write_atomically(target, b"new")
    assert events == ["fsync file", "rename", "fsync directory"]


def test_a_file_system_that_cannot_sync_directories_or_set_permissions_is_no_error(target, monkeypatch):
    real_fsync = os.fsync

    def fsync(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        real_fsync(descriptor)

    def chmod(path, mode):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "chmod", chmod)
    write_atomically(target, b"new")
    assert target.read_bytes() == b"new"


def test_private_while_written_then_as_the_umask_says(tmp_path, monkeypatch):
    real_write, modes = os.write, []

    def write(descriptor, data):
        modes.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        return real_write(descriptor, data)

    monkeypatch.setattr(os, "write", write)
    former_umask = os.umask(0o027)
    try:
        write_atomically(tmp_path / "new", b"x")
    finally:
        os.umask(former_umask)
    assert modes == [0o600]
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640


def test_a_replaced_file_keeps_its_permissions(target):
    target.chmod(0o604)
    write_atomically(target, b"new")
    assert stat.S_IMODE(target.stat().st_mode) == 0o604


def test_a_link_is_followed_not_replaced(target, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(target)
    write_atomically(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


def test_a_device_is_written_to_and_not_replaced():
    write_atomically("/dev/null", b"gone")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    with pytest.raises(OutputError, match="/dev/full") as caught:
        write_atomically("/dev/full", b"too much")
    assert caught.value.why == "the disk is full"
    assert stat.S_ISCHR(Path("/dev/full").stat().st_mode)


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        (".", "it is a directory"),
        ("out.csv/below", "a part of the path is a file"),
        ("missing/out.csv", "its folder does not exist"),
        ("n" * 300, "the name is too long"),
        ("nul\0byte", "no valid path"),
        ("/proc/hotloop", "its folder does not exist or takes no files"),
        ("circle", "symbolic links"),
    ],
)
def test_a_path_that_cannot_be_written(target, monkeypatch, path, sentence):
    monkeypatch.chdir(target.parent)
    Path("circle").symlink_to("circle")
    with pytest.raises(OutputError) as caught:
        write_atomically(path, b"x")
    assert sentence.lower() in caught.value.one_line.lower()
    assert names(target.parent) == ["circle", "out.csv"]


def test_a_file_size_limit_is_one_line(target):
    program = (
        "import resource, sys\n"
        "from hotloop.errors import OutputError\n"
        "from hotloop.files import write_atomically\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try:\n    write_atomically(sys.argv[1], b'x' * 5000)\n"
        "except OutputError as error:\n    print(error.one_line)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, target], capture_output=True, text=True, check=True)
    assert "A file of this size is not allowed here" in done.stdout
    assert target.read_bytes() == FORMER
    assert names(target.parent) == ["out.csv"]


def test_readers_see_whole_files_while_threads_write(target):
    versions = [bytes([65 + k]) * 100_000 for k in range(4)]
    stop = threading.Event()

    def write(data):
        while not stop.is_set():
            write_atomically(target, data)

    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(write, data) for data in versions]
        seen = [target.read_bytes() for _ in range(200)]
        stop.set()
        for future in futures:
            future.result()
    assert set(seen) <= {FORMER, *versions}
    assert names(target.parent) == ["out.csv"]


def test_publish_numbers_names_that_are_taken(tmp_path):
    runs = tmp_path / "a" / "runs"
    published = [publish_directory(runs, "iris", {"x": b"1", "path": lambda p: str(p).encode()}) for _ in range(3)]
    assert published == [runs / "iris", runs / "iris-2", runs / "iris-3"]
    for path in published:
        assert names(path) == ["path", "x"]
        assert (path / "path").read_text() == str(path)
    assert names(runs) == ["iris", "iris-2", "iris-3"]


def test_a_directory_reaches_the_disk_before_its_name_and_its_name_after(tmp_path, monkeypatch):
    events = []
    real_fsync, real_rename = os.fsync, Path.rename

    def fsync(descriptor):
        status = os.fstat(descriptor)
        is_parent = os.path.samestat(status, tmp_path.stat())
        events.append("parent" if is_parent else "directory" if stat.S_ISDIR(status.st_mode) else "file")
        real_fsync(descriptor)

    def rename(path, to):
        events.append("rename")
        return real_rename(path, to)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "rename", rename)
    publish_directory(tmp_path, "iris", {"a": b"1", "b": lambda final: b"2"})
    assert events == ["file", "file", "directory", "rename", "parent"]


@pytest.mark.parametrize("taken_by", ["directory", "file", "link"])
def test_whatever_has_the_name_is_left_alone(tmp_path, taken_by):
    taken = tmp_path / "iris"
    {"directory": taken.mkdir, "file": taken.touch, "link": lambda: taken.symlink_to("nowhere")}[taken_by]()
    inode = taken.lstat().st_ino
    assert publish_directory(tmp_path, "iris", {"x": b"1"}) == tmp_path / "iris-2"
    assert taken.lstat().st_ino == inode
    with pytest.raises(OutputError, match="exists already"):
        publish_directory(tmp_path, "iris", {"x": b"1"}, exact=True)
    assert names(tmp_path) == ["iris", "iris-2"]


def test_another_takes_the_name_at_the_last_moment(tmp_path):
    def contents(final):
        if final.name == "iris":
            publish_directory(tmp_path, "iris", {"x": b"the other's"})
        return str(final).encode()

    mine = publish_directory(tmp_path, "iris", {"x": b"mine", "path": contents})
    assert mine == tmp_path / "iris-2"
    assert (mine / "path").read_text() == str(mine)
    assert (mine / "x").read_bytes() == b"mine"
    assert (tmp_path / "iris" / "x").read_bytes() == b"the other's"
    assert names(tmp_path) == ["iris", "iris-2"]


def test_threads_that_publish_one_name_each_get_their_own(tmp_path):
    start = threading.Barrier(8)

    def publish(number):
        start.wait()
        return [publish_directory(tmp_path, "iris", {"n": b"%d" % number, "more": b"x" * 999}) for _ in range(5)]

    with ThreadPoolExecutor(8) as pool:
        published = list(pool.map(publish, range(8)))
    assert len({path for paths in published for path in paths}) == 40
    for number, paths in enumerate(published):
        assert all((path / "n").read_text() == str(number) for path in paths)
    assert {path.name for path in tmp_path.iterdir()} == {"iris", *(f"iris-{n}" for n in range(2, 41))}


def test_a_failed_publication_leaves_nothing(tmp_path, monkeypatch):
    def broken(final):
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError):
        publish_directory(tmp_path, "iris", {"x": b"1", "y": broken})
    assert names(tmp_path) == []
    monkeypatch.setattr(os, "write", refuse_write(errno.ENOSPC))
    with pytest.raises(OutputError, match="iris"):
        publish_directory(tmp_path, "iris", {"x": b"1"})
    assert names(tmp_path) == []


def test_a_rename_that_fails_for_another_reason_is_said(tmp_path, monkeypatch):
    def rename(path, to):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(OutputError) as caught:
        publish_directory(tmp_path, "iris", {"x": b"1"})
    assert caught.value.why == "the file system is read-only"
    assert names(tmp_path) == []


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a/"])
def test_a_name_that_is_none(tmp_path, name):
    with pytest.raises(ArgumentError, match="does not name"):
        publish_directory(tmp_path, name, {"x": b"1"})


def test_check_writable(tmp_path, target, monkeypatch):
    check_writable(tmp_path / "not" / "there" / "yet")
    monkeypatch.chdir(tmp_path)
    check_writable("runs")
    assert names(tmp_path) == ["out.csv"]
    for path in (target, target / "below", "/proc/self", "/dev/full"):
        with pytest.raises(OutputError, match="cannot write"):
            check_writable(path)
    monkeypatch.setattr(os, "write", refuse_write(errno.ENOSPC))
    with pytest.raises(OutputError) as caught:
        check_writable(tmp_path)
    assert caught.value.why == "the disk is full"
    assert names(tmp_path) == ["out.csv"]


PUBLISH_FOREVER = """
import itertools, sys
from pathlib import Path
from hotloop.files import publish_directory, seal, write_atomically
parent = Path(sys.argv[1])
print("ready", flush=True)
for number in itertools.count():
    document = seal({"number": number, "text": "x" * 20000})
    write_atomically(parent / "checkpoint", document)
    files = {"a": document, "b": b"b" * 50000, "path": lambda final: str(final).encode()}
    publish_directory(parent, "run", files)
"""


@pytest.mark.slow
def test_kill_9_at_any_moment_leaves_whole_files(tmp_path):
    from random import Random

    from hotloop.files import unseal

    random = Random(0)
    # Coverage measures every process it starts, and a kill would leave its own files broken.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    command = [sys.executable, "-c", PUBLISH_FOREVER, tmp_path]
    for _ in range(25):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
        with process:
            process.stdout.readline()
            threading.Event().wait(random.uniform(0, 0.15))
            process.kill()
    visible = [path for path in tmp_path.iterdir() if not path.name.startswith(".hotloop-")]
    assert len(visible) > 25
    unseal((tmp_path / "checkpoint").read_bytes(), "checkpoint")
    for run in visible:
        if run.name != "checkpoint":
            unseal((run / "a").read_bytes(), "a")
            assert (run / "b").read_bytes() == b"b" * 50000
            assert (run / "path").read_text() == str(run)
