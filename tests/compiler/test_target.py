"""Levels, what they hold, and that a lower one is free of what a higher one has."""

from __future__ import annotations

import re

import pytest

import hotloop.compiler.target as target_module
from hotloop.compiler import TARGET_NAMES, Target, assembly, host_target, named_target
from hotloop.errors import ArgumentError, UnsupportedError


@pytest.mark.parametrize(
    ("name", "bits", "registers", "lanes", "fused"),
    [
        ("avx512", 512, 32, (16, 8), True),
        ("avx2", 256, 16, (8, 4), True),
        ("sse", 128, 16, (4, 2), False),
        ("neon", 128, 32, (4, 2), True),
    ],
)
def test_what_a_level_holds(name, bits, registers, lanes, fused):
    target = named_target(name)
    assert (target.name, target.vector_bits, target.n_registers, target.fused) == (name, bits, registers, fused)
    assert (target.lanes("f32"), target.lanes("f64")) == lanes
    assert target.triple.startswith(("aarch64", "arm64") if name == "neon" else "x86_64")


def test_the_host():
    host = host_target()
    assert host is host_target()
    assert host.name in TARGET_NAMES
    assert host.runs_here
    assert named_target(host.name) == host


def test_what_runs_here():
    host = host_target()
    order = ("neon",) if host.name == "neon" else ("sse", "avx2", "avx512")
    for name in TARGET_NAMES:
        assert named_target(name).runs_here == (name in order and order.index(name) <= order.index(host.name))


def test_an_unknown_name():
    with pytest.raises(ArgumentError, match="Did you mean 'avx512'"):
        named_target("avx521")


@pytest.mark.parametrize(
    ("name", "foreign"), [("sse", r"%[yz]mm|\tv[a-z]"), ("avx2", "%zmm|%[xy]mm(1[6-9]|[23])|%k[0-7]")]
)
def test_a_lower_level_uses_nothing_of_a_higher_one(saxpy, name, foreign):
    write, _ = saxpy
    target = named_target(name)
    assert not re.search(foreign, assembly(write(target), target))


FEATURES = {
    "avx512": {"sse2": True, "avx2": True, "fma": True, "sha512": True}
    | dict.fromkeys(("avx512f", "avx512bw", "avx512dq", "avx512vl", "avx10.1", "evex512"), True),
    "avx2": {"sse2": True, "avx": True, "avx2": True, "fma": True, "vaes": True, "avx512f": True},
    "sse": {"sse2": True, "sse4.2": True, "avx": True, "avx2": True, "fma": False},
}


@pytest.fixture
def pretend(monkeypatch):
    """Make this machine look like another one."""
    import llvmlite.binding as llvm

    def change(triple, features):
        monkeypatch.setattr(llvm, "get_process_triple", lambda: triple)
        monkeypatch.setattr(llvm, "get_host_cpu_features", lambda: features)
        monkeypatch.setattr(llvm, "get_host_cpu_name", lambda: "a-cpu")
        host_target.cache_clear()
        named_target.cache_clear()

    yield change
    monkeypatch.undo()
    host_target.cache_clear()
    named_target.cache_clear()


@pytest.mark.parametrize("level", ["avx512", "avx2", "sse"])
def test_the_best_level_of_a_machine(pretend, level):
    pretend("x86_64-unknown-linux-gnu", FEATURES[level])
    assert host_target().name == level
    names = ("sse", "avx2", "avx512")
    for name in names:
        target = named_target(name)
        lower = names.index(name) <= names.index(level)
        assert target.runs_here == lower
        assert (target.cpu == "a-cpu") == lower
    removed = named_target("sse").features.split(",")
    if level != "sse":
        assert {"+sse2", "-avx2", "-fma"} <= set(removed)
        assert [text for text in removed if text.startswith("+avx")] == []
        assert removed == sorted(removed, key=lambda text: text[0] == "-"), "what is off stands last"


def test_other_machines(pretend):
    pretend("arm64-apple-darwin24.0.0", {"neon": True, "fullfp16": True})
    assert host_target() == Target("neon", "arm64-apple-darwin24.0.0", "a-cpu", "+fullfp16,+neon", 128, 32)
    assert named_target("neon") is host_target()
    assert named_target("avx2").triple == "x86_64-unknown-linux-gnu"
    assert not named_target("avx2").runs_here
    pretend("x86_64-pc-windows-msvc", FEATURES["avx2"])
    assert host_target().triple == "x86_64-pc-windows-msvc-elf"
    pretend("powerpc64le-unknown-linux-gnu", {"altivec": True})
    with pytest.raises(UnsupportedError, match="powerpc64le"):
        host_target()
    assert named_target("neon").cpu == "generic"
    assert not named_target("neon").runs_here


def test_whole_vectors_are_asked_for():
    assert '"prefer-vector-width"="512"' in named_target("avx512").function_attributes()
    assert named_target("avx2").function_attributes() == "nounwind"
    assert target_module._X86_LEVELS == ("sse", "avx2", "avx512")
