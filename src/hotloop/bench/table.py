"""A workload's result as text: a table of at most 100 columns, or Markdown."""

from __future__ import annotations

from hotloop.bench.figures import count, interval, seconds, share, three_figures
from hotloop.bench.result import Benchmark, Timing, WorkloadResult
from hotloop.language import Sentence, _, pad, shown, wrap

__all__ = ["conditions_line", "contenders", "document", "legend", "machine_line", "render"]

_WIDTHS = (14, 3, 9, 9, 23, 9, 9, 9, 8, 7)
_LINE_WIDTH = 100


def render(result: WorkloadResult) -> str:
    """Return the table of a workload, and under it who is missing and how restless the machine was."""
    lines = [
        *wrap(f"{result.name}  {shown(result.origin)}: {_about(result)}", _LINE_WIDTH, rest=" " * 4),
        *(_line(list(line)) for line in zip(*map(_two_lines, _headings()), strict=True)),
        *(_line(cells(timing, result)) for timing in result.contenders),
    ]
    for absent in result.absent:
        lines += _named(absent.name, shown(absent.why))
    return "\n".join([*lines, *notes(result)])


def markdown(result: WorkloadResult) -> str:
    """Return the same as Markdown."""
    lines = [
        f"### {result.name}: {shown(result.origin)}",
        "",
        _about(result),
        "",
        _row([heading.replace("\n", " ") for heading in _headings()]),
        _row(["---"] + ["---:"] * (len(_WIDTHS) - 1)),
        *(_row(cells(timing, result)) for timing in result.contenders),
        "",
        *(f"* {absent.name}: {shown(absent.why)}" for absent in result.absent),
        *(f"* {text}" for text in notes(result)),
    ]
    return "\n".join(lines)


def document(benchmark: Benchmark) -> str:
    """Return all workloads and the conditions as a Markdown document."""
    who = "\n".join(f"* {name}: {shown(about)}" for name, about in benchmark.about.items())
    parts = [f"# {_('Training side by side')}", conditions_line(benchmark), who, legend()]
    return "\n\n".join([*parts, *map(markdown, benchmark.workloads)]) + "\n"


def conditions_line(benchmark: Benchmark) -> str:
    """Return what the figures hold for, in some lines."""
    texts = [shown(machine_line(benchmark)), *_run_lines(benchmark)]
    return "\n".join(line for text in texts for line in wrap(text, _LINE_WIDTH))


def machine_line(benchmark: Benchmark) -> Sentence:
    """Return processor, versions and date."""
    about = benchmark.conditions
    cpu = " ".join(str(about[key]) for key in ("cpu", "microarchitecture", "simd") if about.get(key))
    packages = ("hotloop", "torch", "jax", "scikit-learn")
    versions = [f"{name} {about[name]}" for name in packages if about.get(name)]
    rest = ", ".join([*versions, about["date"]])
    return Sentence("{cpu}, {threads} threads, {rest}", cpu=cpu, threads=about["threads"], rest=rest)


def _run_lines(benchmark: Benchmark) -> list[str]:
    about = benchmark.conditions
    texts = [_("{rounds} rounds of about {seconds:g} s for each contender.").format(**about)]
    loads = [load for load in about["load"] if load is not None]
    if loads:
        # This benchmark itself is about one of them.
        texts.append(_("Processes that wanted to run: {low:g} to {high:g}.").format(low=min(loads), high=max(loads)))
    return texts


def cells(timing: Timing, result: WorkloadResult) -> list[str]:
    """Return what stands in the columns for one of a result's contenders."""
    return [
        timing.name,
        str(timing.threads),
        three_figures(timing.least_us),
        three_figures(timing.median_us),
        interval(timing.ratio) if timing.ratio else "-",
        count(timing.rows_per_s),
        share(timing.peak_share),
        seconds(timing.prepare_s),
        _paid(timing, is_eager_known=result.timing("eager") is not None),
        "-" if timing.deviation is None else f"{timing.deviation:.0e}" if timing.deviation else "0",
    ]


def notes(result: WorkloadResult) -> list[str]:
    """Return what helps to judge the figures."""
    texts = []
    if result.floor_us is not None:
        peak = result.flop_per_step / result.floor_us / 1e3
        text = _("arithmetic alone, at the peak of one core ({peak:,.0f} GFLOP/s): {us} us a step")
        texts.append(text.format(us=three_figures(result.floor_us), peak=peak))
    if result.again is not None:
        text = _("hotloop against itself: {ratio}; 1 where nothing disturbs the machine")
        texts.append(text.format(ratio=interval(result.again)))
    return texts


def contenders(benchmark: Benchmark) -> str:
    """Return what each contender does, a line or two each."""
    return "\n".join(line for name, about in benchmark.about.items() for line in _named(name, shown(about)))


def legend() -> str:
    """Return what the columns mean."""
    texts = [
        _("least, median: wall time of a step over the rounds, in microseconds"),
        _("time by hotloop's: of the same round, with a 95 % interval over rounds"),
        _("of peak: the step's matrix arithmetic by the measured peak of the threads that may be used"),
        _("prepare: capture and compilation with empty caches, not in the time of a step"),
        _("paid after: from this step on it is ahead of eager, preparing included"),
        _("losses off: largest relative deviation of the loss curve from eager's, rows in the same order"),
    ]
    return "\n".join(line for text in texts for line in wrap(text, _LINE_WIDTH, rest="  "))


def _headings() -> list[str]:
    """Return what stands over the columns, in one line or two."""
    return [
        _("contender"),
        _("thr"),
        _("least,\nus"),
        _("median,\nus"),
        _("time by\nhotloop's"),
        _("rows\na second"),
        _("of\npeak"),
        _("prepare,\ns"),
        _("paid\nafter"),
        _("losses\noff"),
    ]


def _two_lines(heading: str) -> tuple[str, str]:
    above, _break, below = heading.rpartition("\n")
    return above, below


def _named(name: str, text: str) -> list[str]:
    return wrap(text, _LINE_WIDTH, first=f"{name:<13} ", rest=" " * _WIDTHS[0])


def _about(result: WorkloadResult) -> str:
    arithmetic = _("{million} MFLOP a step").format(million=f"{float(f'{result.flop_per_step / 1e6:.3g}'):g}")
    return f"{shown(result.description)}; {arithmetic}"


def _line(texts: list[str]) -> str:
    columns = enumerate(zip(texts, _WIDTHS, strict=True))
    return "".join(pad(text, width, right=place > 0) for place, (text, width) in columns).rstrip()


def _row(texts: list[str]) -> str:
    return "| " + " | ".join(text.replace("|", "\\|") for text in texts) + " |"


def _paid(timing: Timing, *, is_eager_known: bool) -> str:
    if timing.prepare_s == 0 or not is_eager_known:
        return "-"
    return _("never") if timing.pays_after_steps is None else count(timing.pays_after_steps)
