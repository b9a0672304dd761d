"""Container limits, on trees written for the purpose."""

from __future__ import annotations

from pathlib import Path

import pytest

from hotloop.hardware.cgroup import cpu_quota, group_directories, memory_left_bytes, memory_limit_bytes

GIB = 1 << 30


def process(tmp_path: Path, membership: str, *mounts: str) -> Path:
    directory = tmp_path / "proc"
    directory.mkdir()
    (directory / "cgroup").write_text(membership + "\n")
    lines = [f"{30 + k} 23 0:{k} {mount}" for k, mount in enumerate(mounts)]
    (directory / "mountinfo").write_text("\n".join(lines) + "\n")
    return directory


def write(directory: Path, **files: str) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (directory / name.replace("__", ".")).write_text(text + "\n")
    return directory


def test_version_2_the_nearest_limit_of_the_group_and_those_above_counts(tmp_path):
    top = tmp_path / "cg"
    write(top / "a", cpu__max="400000 100000", memory__max=str(2 * GIB), memory__current=str(GIB))
    write(top / "a/b", cpu__max="150000 100000", memory__max="max")
    groups = group_directories(process(tmp_path, "0::/a/b", f"/ {top} rw - cgroup2 cgroup2 rw"))
    assert groups == (top / "a/b", top / "a", top)
    assert cpu_quota(groups) == 1.5
    assert memory_limit_bytes(groups) == 2 * GIB
    assert memory_left_bytes(groups) == GIB


def test_files_not_used_lately_count_as_free(tmp_path):
    statistics = f"anon 5\ninactive_file {GIB}\nactive_file 7"
    write(tmp_path, memory__max=str(4 * GIB), memory__current=str(3 * GIB), memory__stat=statistics)
    assert memory_left_bytes((tmp_path,)) == 2 * GIB


def test_nothing_is_left_below_a_limit_already_passed(tmp_path):
    write(tmp_path, memory__max=str(GIB), memory__current=str(2 * GIB))
    assert memory_left_bytes((tmp_path,)) == 0


def test_version_1_each_controller_in_its_own_tree(tmp_path):
    cpu, memory = tmp_path / "c p u", tmp_path / "memory"
    write(cpu / "box", cpu__cfs_quota_us="50000", cpu__cfs_period_us="100000")
    write(cpu, cpu__cfs_quota_us="-1", cpu__cfs_period_us="100000")
    write(memory / "box", memory__limit_in_bytes=str(GIB), memory__usage_in_bytes=str(GIB // 4))
    write(memory, memory__limit_in_bytes="9223372036854771712")
    membership = "4:memory:/box\n3:pids:/elsewhere\n2:cpu,cpuacct:/box\n1:name=systemd:/\n0::/"
    escaped = str(cpu).replace(" ", "\\040")
    mounts = (
        f"/ {escaped} rw - cgroup cgroup rw,cpu,cpuacct",
        f"/ {memory} rw - cgroup cgroup rw,memory",
        f"/ {tmp_path / 'pids'} rw - cgroup cgroup rw,pids",
    )
    groups = group_directories(process(tmp_path, membership, *mounts))
    assert groups == (memory / "box", memory, cpu / "box", cpu)
    assert cpu_quota(groups) == 0.5
    assert memory_limit_bytes(groups) == GIB
    assert memory_left_bytes(groups) == GIB - GIB // 4


@pytest.mark.parametrize(
    ("root", "group", "inside"),
    [
        ("/docker/x", "/docker/x", ""),
        ("/docker/x", "/docker/x/y", "y"),
        ("/docker/x", "/other", ""),
        ("/docker/x", "/docker/xy", ""),
        ("/", "/../../sibling", ""),
    ],
)
def test_a_container_sees_its_own_part_of_the_tree(tmp_path, root, group, inside):
    top = tmp_path / "cg"
    groups = group_directories(process(tmp_path, f"0::{group}", f"{root} {top} rw - cgroup2 cgroup2 rw"))
    assert groups[0] == top / inside
    assert groups[-1] == top


def test_without_control_groups_there_are_no_limits(tmp_path):
    assert group_directories(tmp_path / "nowhere") == ()
    assert cpu_quota(()) is memory_limit_bytes(()) is memory_left_bytes(()) is None
    assert cpu_quota((tmp_path,)) is memory_limit_bytes((tmp_path,)) is memory_left_bytes((tmp_path,)) is None


def test_unlimited_and_damaged_files_are_no_limit(tmp_path):
    write(tmp_path, cpu__max="max 100000", memory__max="many", memory__current="?", memory__stat="x")
    assert cpu_quota((tmp_path,)) is None
    assert memory_left_bytes((tmp_path,)) is None
