"""What to change, in sentences, each with the measured figure that it rests on; no figure, no sentence."""

from __future__ import annotations

import math
from collections.abc import Iterator

from hotloop.insight.explanation import Advice, BreakEven, Forecast, Ladder, Ledger, Subject
from hotloop.sentence import Sentence

__all__ = ["advise"]

# Below these, a change is not worth a sentence that asks for it.
_WORTH_IT = 1.15
_WORTH_RECORDING_LESS = 0.05
_WORTH_GATHERING_LESS = 0.2


def advise(
    subject: Subject,
    ledger: Ledger,
    ladder: Ladder,
    ways: tuple[Forecast, ...],
    break_even: BreakEven | None,
    remedy: str | None = None,
) -> tuple[Advice, ...]:
    """Return advice on engine, threads, device, recording and batch size; "nothing" where all is well.

    Parameters
    ----------
    subject : Subject
    ledger : Ledger
        Where it refuses to conclude, nothing rests on it.
    ladder : Ladder
    ways : tuple of Forecast
        Engines and devices, measured where that was possible.
    break_even : BreakEven, optional
    remedy : str, optional
        What to change in a loop that nothing compiles, as a clause.
    """
    found = [
        *_engine(subject, ladder, ways, remedy),
        *_threads(ways),
        *_device(ways, break_even),
        *_recording(ledger),
        *_batch(subject, ledger),
    ]
    if not found and any(way.measured_us is not None for way in ways):
        nothing = Sentence(
            "Nothing to change: no setting that was tried is faster by more than {share:.0%}.", share=_WORTH_IT - 1
        )
        found = [Advice("nothing", nothing, _WORTH_IT, "times")]
    return tuple(found)


def _engine(subject: Subject, ladder: Ladder, ways: tuple[Forecast, ...], remedy: str | None) -> Iterator[Advice]:
    native = next((way for way in ways if way.engine == "native" and way.machine is None), None)
    # Measured in the same blocks as machine code; the ledger's wall time is not, and may have been refused.
    eager_us = next((rung.us.value for rung in ladder.rungs if rung.name == "eager"), None)
    if native is None or eager_us is None:
        return
    if native.unavailable is not None:
        yield _not_compiled(ladder, eager_us, native.unavailable, remedy)
        return
    if native.measured_us is None:
        return
    times = eager_us / native.measured_us.value
    saved_s = (eager_us - native.measured_us.value) * subject.steps / 1e6 - native.prepare_s
    if times < _WORTH_IT:
        return
    if saved_s <= 0:
        from_step = math.ceil(1e6 * native.prepare_s / (eager_us - native.measured_us.value))
        sentence = Sentence(
            "Compiled, a step takes {us} us, {times} times less, but compiling takes {prepare:.2g} s: "
            "it pays from {n:,} steps on, and this run has {steps:,}.",
            us=_figure(native.measured_us.value),
            times=_times(times),
            prepare=native.prepare_s,
            n=from_step,
            steps=subject.steps,
        )
        yield Advice("engine", sentence, times, "times")
        return
    sentence = Sentence(
        "Train with hotloop.fit or hotloop train: compiled, a step takes {us} us, {times} times less; "
        "the {steps:,} steps of this run take {saved_s:.3g} s less, compiling counted.",
        us=_figure(native.measured_us.value),
        times=_times(times),
        steps=subject.steps,
        saved_s=saved_s,
    )
    yield Advice("engine", sentence, times, "times")


def _not_compiled(ladder: Ladder, eager_us: float, why: str, remedy: str | None) -> Advice:
    # Machine code has a rung where only hooks stand in its way.
    unhooked_us = next((rung.us.value for rung in ladder.rungs if rung.name == "native"), None)
    if unhooked_us is not None:
        times = eager_us / unhooked_us
        sentence = Sentence(
            "Remove the hooks: then the loop compiles, and a step takes {us} us, {times} times less ({why}).",
            us=_figure(unhooked_us),
            times=_times(times),
            why=why,
        )
        return Advice("engine", sentence, times, "times")
    where = Sentence("hotloop call shows what each module takes, hotloop layers what is covered")
    told = where if remedy is None else Sentence("to compile it, {remedy}; {where}", remedy=remedy, where=where)
    sentence = Sentence("Nothing compiles this loop: {why}. What helps: {told}.", why=why, told=told)
    return Advice("engine", sentence, eager_us, "us a step")


def _threads(ways: tuple[Forecast, ...]) -> Iterator[Advice]:
    eager = [way for way in ways if (way.engine, way.device, way.machine) == ("eager", "cpu", None)]
    measured = {way.threads: way.measured_us for way in eager if way.measured_us is not None}
    one, most = measured.get(1), max((count for count in measured if count is not None), default=1)
    if one is None or most == 1:
        return
    all_of_them = measured[most]
    if all_of_them.low <= one.high and one.low <= all_of_them.high:
        # They were measured one after the other: intervals that overlap tell nothing.
        return
    times = all_of_them.value / one.value
    if times > _WORTH_IT:
        sentence = Sentence(
            "In eager torch, set torch.set_num_threads(1): {n} threads take {times} times as long.",
            n=most,
            times=_times(times),
        )
        yield Advice("threads", sentence, times, "times")
    elif times < 1 / _WORTH_IT:
        sentence = Sentence(
            "In eager torch, use all {n} threads: one takes {times} times as long.", n=most, times=_times(1 / times)
        )
        yield Advice("threads", sentence, 1 / times, "times")


def _device(ways: tuple[Forecast, ...], break_even: BreakEven | None) -> Iterator[Advice]:
    fastest = _fastest(way for way in ways if way.device == "cpu" and way.machine is None)
    gpu = _fastest(way for way in ways if way.device != "cpu")
    if fastest is None or gpu is None:
        return
    here, there = _best(fastest), _best(gpu)
    facts = {
        "name": gpu.machine or (break_even.gpu if break_even else gpu.device),
        "us": _figure(there),
        "kind": Sentence("measured") if gpu.measured_us is not None else Sentence("forecast"),
    }
    if there * _WORTH_IT < here:
        times = here / there
        sentence = Sentence(
            "Use {name}: a step there takes {us} us, {times} times less ({kind}).", times=_times(times), **facts
        )
    else:
        times = there / here
        sentence = Sentence(
            "Stay on the CPU: on {name} a step takes {us} us, {times} times as long ({kind}).",
            times=_times(times),
            **facts,
        )
    yield Advice("device", sentence, times, "times")


def _recording(ledger: Ledger) -> Iterator[Advice]:
    record = next((line for line in ledger.lines if line.name in ("record", "waiting")), None)
    if record is None or ledger.refusal is not None:
        return
    us, share = record.us.value, 100 * record.share
    if record.share < _WORTH_RECORDING_LESS:
        sentence = Sentence(
            "Record every loss if you like: it takes {us:.2g} us, {share:.2g} % of an eager step.", us=us, share=share
        )
    else:
        sentence = Sentence(
            "Record less often in a loop of your own: each record takes {us:.2g} us, {share:.2g} % of a step.",
            us=us,
            share=share,
        )
    yield Advice("record_every", sentence, share, "%")


def _batch(subject: Subject, ledger: Ledger) -> Iterator[Advice]:
    gather = next((line for line in ledger.lines if line.name == "gather"), None)
    if gather is None or ledger.refusal is not None or gather.share < _WORTH_GATHERING_LESS:
        return
    share = 100 * gather.share
    sentence = Sentence(
        "Gathering {rows:,} rows takes {share:.0f} % of an eager step; a larger batch_size gathers less often.",
        rows=subject.batch_size,
        share=share,
    )
    yield Advice("batch_size", sentence, share, "%")


def _figure(value: float) -> str:
    """Return a number with three figures, without exponents."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _times(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _best(way: Forecast) -> float:
    us = way.measured_us or way.forecast_us
    assert us is not None
    return us.value


def _fastest(ways: Iterator[Forecast]) -> Forecast | None:
    known = [way for way in ways if way.unavailable is None and (way.measured_us or way.forecast_us) is not None]
    return min(known, key=_best, default=None)
