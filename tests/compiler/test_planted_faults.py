"""Faults planted in generated code: the comparison that random programs go through must find them.

Most are one change of the text of LLVM IR; the others replace a function of the compiler or of the native engine.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest import mock

import numpy as np
import pytest
from compare import Mismatch, check
from programs import Case

from hotloop.compiler import (
    emit_gather,
    emit_once,
    emit_reductions,
    emit_row_order,
    emit_rows,
    emit_run,
    emit_update,
    pipeline,
    reuse_buffers,
)
from hotloop.engines import native
from hotloop.errors import CompilerError

CASES = (
    Case(
        widths=((5, True), (3, True)),
        loss="CrossEntropyLoss",
        target="labels",
        optimizer="Adam",
        clip=0.1,
        weighted=True,
        schedule=True,
        batch_size=7,
        validation_rows=11,
    ),
    Case(
        n_features=13,
        widths=((9, True), (21, True), (5, True)),
        activations=(("ReLU", ()),) * 2,
        rows=45,
        validation_rows=33,
    ),
    Case(
        widths=((19, True), (2, False)),
        groups=((("lr", 0.01), ("momentum", 0.9), ("weight_decay", 0.1)),),
        rows=100,
        batch_size=29,
        validation_rows=33,
    ),
    Case(n_features=18, widths=((24, True), (3, True)), rows=31, batch_size=12, dtype="float32"),
)


class NotApplicable(Exception):
    """The fault does not concern a case's code."""


@contextmanager
def text(function: str, pattern: str, replacement: str, *, every: bool = False) -> Iterator[None]:
    """Change the IR of the functions whose names match, at the first place or at every one."""
    write = emit_run.emit_program

    def faulty(plan, target):
        ir, changed = [], 0
        for part in re.split(r"(?=^define )", write(plan, target), flags=re.MULTILINE):
            if re.match(rf"define .*@{function}\(", part) and (every or not changed):
                part, count = re.subn(pattern, replacement, part, count=0 if every else 1)
                changed += count
            ir.append(part)
        if not changed:
            raise NotApplicable
        return "".join(ir)

    with mock.patch.object(emit_run, "emit_program", faulty):
        yield


def instead(owner: object, name: str, make: Callable) -> Callable:
    """Replace a function by what ``make`` makes of it."""
    return lambda: mock.patch.object(owner, name, make(getattr(owner, name)))


def ir(function: str, pattern: str, replacement: str, *, every: bool = False) -> Callable:
    return lambda: text(function, pattern, replacement, every=every)


def _without_rest(spans):
    def first_spans(self, size, tile):
        # A loop's tiles must be taken to its end.
        found = list(spans(self, size, tile)) if size <= 4 * tile else spans(self, size, tile)
        yield from found[: size // tile] if isinstance(found, list) else found

    return first_spans


def _shorter(lifetimes):
    def too_short(plan):
        return {name: (made, max(made, last - 1)) for name, (made, last) in lifetimes(plan).items()}

    return too_short


def _one_feature_further(start):
    def further(self, which, feature):
        return start(self, which, feature.plus(1) if which == 1 and self._sizes[1] > 1 else feature)

    return further


def _zeros(first_sums):
    def zeros(self, kernel, feature, n):
        return [self._lanes.constant(0.0) for _ in first_sums(self, kernel, feature, n)]

    return zeros


def _backwards(emit):
    """Rows with their features side by side in reverse order, the others as they should be."""

    def backwards(self, starts, feature, count):
        emit(self, starts[::-1], feature, count)
        self._as_read, as_read = None, self._as_read
        emit(self, starts, feature, count)
        self._as_read = as_read

    return backwards


FAULTS = {
    # Sums over rows.
    "a sum over rows subtracts": ir(r"step_sums_\d+", r"fadd", "fsub"),
    "sums over rows leave out each second frame": ir(r"step_sums_\d+", r"(%v\d+ = add nsw i64 %v\d+), 1\b", r"\1, 2"),
    "products of the wrong feature": instead(emit_reductions._Sums, "_start", _one_feature_further),
    "the features that remain after the tiles are left out": instead(emit_reductions._Sums, "_spans", _without_rest),
    "sums are not set to zero": instead(emit_once.Once, "clear_sums", lambda clear: lambda self: None),
    "sums of the evaluation are not set to zero": ir(
        "evaluate", r"store (<\d+ x double>) splat \(double 0x0000000000000000\)", r"store \1 undef"
    ),
    # Kernels.
    "the bias is forgotten": instead(emit_rows._Tile, "_first_sums", _zeros),
    "relu keeps what lies below zero": ir(r"step_rows_0", "fcmp olt", "fcmp ogt"),
    "relu's gradient is that of the other side": ir(r"step_rows_\d+", "fcmp ole", "fcmp ogt"),
    "a product is subtracted": ir(r"step_rows_\d+", r"fmul contract nsz", "fadd contract nsz"),
    "a lane beyond the last row counts": ir(r"step_rows_\d+", r"icmp slt (<\d+ x i\d+>)", r"icmp sle \1", every=True),
    "lanes beyond the last row are not zero": instead(
        emit_rows._Tile,
        "_expanded",
        lambda expanded: lambda self, operation, at, j: self._fetch(operation.operands[0], at.__class__(0), j),
    ),
    "blocks that remain are left out": ir(
        r"step_rows_0", r"icmp sgt i64 (%v\d+), 0\n(.*label %rest)", r"icmp sgt i64 \1, 9\n\2"
    ),
    "memory is taken again too early": instead(reuse_buffers, "_lifetimes", _shorter),
    "labels are counted from one": instead(
        emit_rows._Tile, "_index", lambda index: lambda self, at: index(self, at.plus(1))
    ),
    # Rows.
    "a round of the permutation is missing": instead(emit_row_order, "FEISTEL_ROUNDS", lambda rounds: rounds - 1),
    "frames done at once have the first one's rows": instead(
        emit_row_order.Permutation, "of", lambda of: lambda self, given: of(self, given)[:1] * len(given)
    ),
    "rows as they are read are in another order": instead(emit_gather._Copy, "_emit_features", _backwards),
    "rows are not permuted": ir("gather_step", r"icmp ne ptr %keys, null", "icmp ne ptr %keys, %keys"),
    "each epoch has the first one's keys": ir("run", r"i64 0, i64 32\b", "i64 0, i64 0"),
    "a remainder batch counts as a whole one": ir("run", r"sitofp i64 %v\d+", "sitofp i64 %v4"),
    "the side of the permuted square is wrong": instead(
        native, "CompiledSteps", lambda steps: lambda *given: _with_side(steps(*given))
    ),
    # Updates.
    "an update beside sums leaves out a number": instead(
        emit_update.UpdateCode,
        "emit",
        lambda emit: lambda self, gradient, at, n: emit(self, gradient, at, max(n - 1, 1)),
    ),
    "an update beside sums takes the first lanes of all": instead(
        emit_reductions._Sums,
        "_store_run",
        lambda store: lambda self, total, lane, count, target: store(self, total, 0, count, target),
    ),
    "a slot is not kept": ir("update_0", r"(?s)\n  store [^\n]*((?:(?!\n  store).)*)\Z", r"\1"),
    "the wrong scalar": ir("update_0", r"ptr %scalars, i64 8\b", "ptr %scalars, i64 0"),
    "two scalars are exchanged": ir("update_0", r"ptr %scalars, i64 16\b", "ptr %scalars, i64 24"),
    "the mean is not corrected": ir(
        "update_0", r"call (<\d+ x double>) @llvm\.sqrt\.\w+\(\1 (%v\d+)\)", r"fadd \1 \2, \2"
    ),
    "the first step's learning rate is kept": ir(
        "run",
        r"mul nsw i64 %v\d+, (%v\d+)(\n  %v\d+ = getelementptr i8, ptr %v\d+, i64 %v\d+\n  %v\d+ = icmp slt i64)",
        r"mul nsw i64 0, \1\2",
    ),
    "the norm lacks a weight": ir(
        "run", r"@llvm\.fmuladd\.f64\(double %v\d+, double %v\d+,", "@llvm.fmuladd.f64(double 0.0, double 0.0,"
    ),
    "small gradients are clipped, large ones not": ir(
        "run", "fcmp olt double 0x3FF0000000000000", "fcmp ogt double 0x3FF0000000000000"
    ),
    # The engine.
    "the optimizer's state is not taken over": instead(
        native, "read_slots", lambda read: lambda *given: {k: np.zeros_like(v) for k, v in read(*given).items()}
    ),
    "a step too few is counted": instead(
        native,
        "write_slots",
        lambda write: lambda optimizer, group, slots, done: write(optimizer, group, slots, done - 1),
    ),
}


def _with_side(steps):
    steps._call.words.side += 1
    return steps


def _is_caught(fault: Callable, case: Case) -> bool | None:
    """Whether the comparison finds a fault; None if the case has no such code."""
    pipeline._kept.clear()
    try:
        with fault():
            check(case)
    except NotApplicable:
        return None
    except (Mismatch, CompilerError, ZeroDivisionError):  # torch divides by what a wrong count gives
        return True
    return False


@pytest.fixture(autouse=True)
def _own_code(monkeypatch):
    monkeypatch.setenv("HOTLOOP_NO_CACHE", "1")
    yield
    pipeline._kept.clear()


@pytest.mark.no_cover
@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
def test_without_a_fault_nothing_is_found(case):
    check(case)


@pytest.mark.slow
@pytest.mark.no_cover
def test_planted_faults_are_found():
    missed = []
    for name, fault in FAULTS.items():
        found = []
        for case in CASES:
            found += [_is_caught(fault, case)]
            if found[-1]:
                break
        found = [caught for caught in found if caught is not None]
        assert found, f"no case has code for {name!r}"
        if not any(found):
            missed.append(name)
    assert not missed
