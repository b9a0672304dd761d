"""Rounds: everyone in each, the first twice, and whoever fails leaves without taking the others along."""

from __future__ import annotations

import pytest

from hotloop.bench.rounds import run_rounds
from hotloop.insight.measure import A_A, ratio


def test_everyone_runs_once_a_round_and_the_base_twice():
    log, numbers = [], []
    contenders = {"a": lambda: log.append("a") or 1e-6, "b": lambda: log.append("b") or 2e-6}
    rounds = run_rounds(contenders, 5, on_round=lambda number: (numbers.append(number), log.append(number)))
    assert numbers == [0, 1, 2, 3, 4, 5]
    by_round = [log[log.index(n) + 1 : log.index(n + 1) if n < 5 else None] for n in numbers]
    assert all(sorted(ran) == ["a", "a", "b"] for ran in by_round)
    assert len({tuple(ran) for ran in by_round}) > 1
    assert rounds.us_per_step("b") == pytest.approx([2] * 5)
    assert ratio(rounds.measurements, "b", "a").exp().value == pytest.approx(2)


def test_the_warming_round_does_not_count():
    times = iter([100e-6] * 2 + [1e-6] * 6)
    rounds = run_rounds({"a": lambda: next(times)}, 3)
    assert rounds.us_per_step("a") == pytest.approx([1] * 3)
    assert rounds.us_per_step(A_A) == pytest.approx([1] * 3)


@pytest.mark.parametrize("fails_at", [0, 1, 3, 6])
def test_who_fails_is_told_of_once_and_the_others_go_on(fails_at):
    calls = iter(range(100))

    def fails():
        if next(calls) == fails_at:
            raise MemoryError("no room\nleft")
        return 1e-6

    rounds = run_rounds({"good": lambda: 3e-6, "bad": fails}, 6)
    assert [(absent.name, absent.why) for absent in rounds.failed] == [("bad", "MemoryError: no room left")]
    assert rounds.measurements.names == ("good", A_A)
    assert len(rounds.us_per_step("good")) == 6


def test_the_base_fails():
    def fails():
        raise ValueError

    rounds = run_rounds({"bad": fails, "good": lambda: 3e-6}, 2)
    assert [absent.why for absent in rounds.failed] == ["ValueError: without a word"]
    assert rounds.measurements.names == ("good",)
    assert run_rounds({"bad": fails}, 2).measurements is None


def test_ctrl_c_ends_the_rounds():
    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_rounds({"a": interrupted}, 2)
