"""What to change, in sentences, each with the measured figure that it rests on; no figure, no sentence."""

from __future__ import annotations

from collections.abc import Iterator

from hotloop.insight.explanation import Advice, BreakEven, Forecast, Ledger, Subject
from hotloop.language import _

__all__ = ["advise"]

# Below these, a change is not worth a sentence that asks for it.
_WORTH_IT = 1.15
_WORTH_RECORDING_LESS = 0.05


def advise(
    subject: Subject, ledger: Ledger, ways: tuple[Forecast, ...], break_even: BreakEven | None
) -> tuple[Advice, ...]:
    """Return advice on engine, threads, device, recording and batch size; "nothing" where all is well.

    Parameters
    ----------
    subject : Subject
    ledger : Ledger
    ways : tuple of Forecast
        Engines and devices, measured where that was possible.
    break_even : BreakEven, optional
    """
    found = [
        *_engine(subject, ledger, ways),
        *_threads(ways),
        *_device(ways, break_even),
        *_recording(ledger),
        *_batch(subject, ledger),
    ]
    if not found:
        nothing = _("Nothing to change: no setting that was tried is faster by more than {share:.0%}.")
        found = [Advice("nothing", nothing.format(share=_WORTH_IT - 1), _WORTH_IT, "times")]
    return tuple(found)


def _engine(subject: Subject, ledger: Ledger, ways: tuple[Forecast, ...]) -> Iterator[Advice]:
    native = next((way for way in ways if way.engine == "native" and way.machine is None), None)
    if native is None:
        return
    if native.unavailable is not None:
        sentence = _("Nothing compiles this loop: {why}. See hotloop layers for what is covered.")
        yield Advice("engine", sentence.format(why=native.unavailable), ledger.wall_us.value, "us a step")
        return
    if native.measured_us is None:
        return
    times = ledger.wall_us.value / native.measured_us.value
    saved_s = (ledger.wall_us.value - native.measured_us.value) * subject.steps / 1e6 - native.prepare_s
    if times < _WORTH_IT or saved_s <= 0:
        return
    sentence = _(
        "Train with hotloop.fit or hotloop train: compiled, a step takes {us:.3g} us, {times:.0f} times less; "
        "the {steps:,} steps of this run take {saved_s:.3g} s less, compiling counted."
    )
    text = sentence.format(us=native.measured_us.value, times=times, steps=subject.steps, saved_s=saved_s)
    yield Advice("engine", text, times, "times")


def _threads(ways: tuple[Forecast, ...]) -> Iterator[Advice]:
    eager = [way for way in ways if (way.engine, way.device, way.machine) == ("eager", "cpu", None)]
    measured = {way.threads: way.measured_us.value for way in eager if way.measured_us is not None}
    if len(measured) < 2:
        return
    one, most = measured.get(1), max(count for count in measured if count is not None)
    if one is None or most == 1:
        return
    times = measured[most] / one
    if times > _WORTH_IT:
        sentence = _("In eager torch, set torch.set_num_threads(1): {n} threads take {times:.2g} times as long.")
        yield Advice("threads", sentence.format(n=most, times=times), times, "times")
    elif times < 1 / _WORTH_IT:
        sentence = _("In eager torch, use all {n} threads: one takes {times:.2g} times as long.")
        yield Advice("threads", sentence.format(n=most, times=1 / times), 1 / times, "times")


def _device(ways: tuple[Forecast, ...], break_even: BreakEven | None) -> Iterator[Advice]:
    fastest = _fastest(way for way in ways if way.device == "cpu" and way.machine is None)
    gpu = _fastest(way for way in ways if way.device != "cpu")
    if fastest is None or gpu is None:
        return
    here, there = _best(fastest), _best(gpu)
    name = gpu.machine or (break_even.gpu if break_even else gpu.device)
    kind = _("measured") if gpu.measured_us is not None else _("forecast")
    if there * _WORTH_IT < here:
        sentence = _("Use the GPU ({name}): a step there takes {us:.3g} us, {times:.2g} times less ({kind}).")
        yield Advice(
            "device", sentence.format(name=name, us=there, times=here / there, kind=kind), here / there, "times"
        )
    else:
        sentence = _("Stay on the CPU: on {name} a step takes {us:.3g} us, {times:.2g} times as long ({kind}).")
        yield Advice(
            "device", sentence.format(name=name, us=there, times=there / here, kind=kind), there / here, "times"
        )


def _recording(ledger: Ledger) -> Iterator[Advice]:
    record = next((line for line in ledger.lines if line.name in ("record", "waiting")), None)
    if record is None or ledger.refusal is not None:
        return
    if record.share < _WORTH_RECORDING_LESS:
        sentence = _("Record every loss if you like: it takes {us:.2g} us a step, {share:.2g} % of it.")
    else:
        sentence = _("Record less often in a loop of your own: each record takes {us:.2g} us, {share:.2g} % of a step.")
    yield Advice("record_every", sentence.format(us=record.us.value, share=100 * record.share), 100 * record.share, "%")


def _batch(subject: Subject, ledger: Ledger) -> Iterator[Advice]:
    gather = next((line for line in ledger.lines if line.name == "gather"), None)
    if gather is None or ledger.refusal is not None or subject.batch_size >= subject.rows or gather.share < 0.2:
        return
    sentence = _(
        "Gathering rows takes {share:.0f} % of an eager step: a larger batch_size gathers the same rows in fewer."
    )
    yield Advice("batch_size", sentence.format(share=100 * gather.share), 100 * gather.share, "%")


def _best(way: Forecast) -> float:
    us = way.measured_us or way.forecast_us
    assert us is not None
    return us.value


def _fastest(ways: Iterator[Forecast]) -> Forecast | None:
    known = [way for way in ways if way.unavailable is None and (way.measured_us or way.forecast_us) is not None]
    return min(known, key=_best, default=None)
