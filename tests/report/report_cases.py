"""Results to make pages of, by hand: a run and an explanation of the lesson, and names that mean harm."""

from __future__ import annotations

import dataclasses

import numpy as np

from hotloop.insight.explanation import (
    Advice,
    BreakEven,
    Explanation,
    Floor,
    Forecast,
    Ladder,
    Ledger,
    LedgerLine,
    Rung,
    Subject,
)
from hotloop.insight.interval import Interval
from hotloop.program.network import Network
from hotloop.runs import Run

HOSTILE = {
    "script": "<script>alert('hostile')</script>",
    "attribute": '"><img src=x onerror="alert(\'hostile\')">',
    "end of style": "</style><script>alert('hostile')</script><style>",
    "end of title": "</title><svg onload=alert('hostile')>",
    "template": "{{ 7 * 7 }}{% raw %}",
    "link": "javascript:alert('hostile')",
    "override": "abc\u202egnp.exe\u2066",
    "controls": "a\0b\x1b[31mc\x07\r\nd",
    "surrogate": "half \ud800 a sign",
    "long": "very_long_" * 2000,
    "percent": "%s %(x)s {0} {name} ${x} `x`",
    "chinese": "鸢尾花 <花>",
}


def make_run(**replaced) -> Run:
    """Return a run of 20,000 epochs like the lesson's, any field of it replaced."""
    network = Network.mlp(4, (10,), 3)
    epochs = np.arange(1, 20_001)
    fields = {
        "losses": 1.1 / (1 + (epochs / 900.0) ** 1.05) + 0.02 + 0.003 * np.sin(epochs / 7.0),
        "recorded_at": epochs,
        "validation_losses": np.empty(0),
        "validated_at": np.empty(0, dtype=np.int64),
        "epochs": 20_000,
        "best_epoch": None,
        "duration_s": 0.0093,
        "prepare_s": 0.16,
        "engine": "native",
        "device": "cpu",
        "why": "native, the fastest engine, can compile all of it",
        "stopped": "finished",
        "stopped_why": "all 20000 epochs done",
        "seed": 0,
        "notes": ("'species' holds 3 different texts: classification.",),
        "settings": {"loss": "CrossEntropyLoss", "optimizer": "SGD", "optimizer_lr": 0.01, "batch_size": 120},
        "network": network,
        "weights": network.initialise(0),
        "metrics": {"test_accuracy": 29 / 30},
        "module_name": "Network",
        "started_at": "2026-11-25T08:52:42+00:00",
    }
    return Run(**(fields | replaced))


def with_validation(**replaced) -> Run:
    """Return a run of 300 epochs with validation that gets worse again from epoch 120."""
    epochs = np.arange(1, 301)
    validated_at = epochs[4::5]
    losses = 0.9 * np.exp(-epochs / 60.0) + 0.12
    validation = 0.9 * np.exp(-validated_at / 60.0) + 0.2 + 3e-6 * np.maximum(0, validated_at - 90.0) ** 2
    best = int(validated_at[np.argmin(validation)])
    fields = {
        "losses": losses,
        "recorded_at": epochs,
        "validation_losses": validation,
        "validated_at": validated_at,
        "epochs": 300,
        "best_epoch": best,
        "stopped": "patience",
        "stopped_why": "no better validation loss for 150 epochs",
    }
    return make_run(**(fields | replaced))


def around(value: float, share: float = 0.02) -> Interval:
    """Return an interval of so large a share to either side."""
    return Interval(value * (1 - share), value, value * (1 + share))


def make_ledger(**replaced) -> Ledger:
    """Return the ledger of the lesson's step in eager torch."""
    parts = {
        "gather": 0.0,
        "forward": 27.93,
        "loss": 14.21,
        "zero_grad": 4.62,
        "backward": 47.38,
        "optimizer": 24.87,
        "record": 1.12,
        "python": 9.94,
    }
    wall = 131.4
    lines = tuple(LedgerLine(name, around(us, 0.015), us / wall) for name, us in parts.items() if us)
    fields = {
        "engine": "eager",
        "device": "cpu",
        "threads": 1,
        "lines": lines,
        "wall_us": Interval(130.2, wall, 132.9),
        "residual_us": Interval(-0.6, 1.33, 3.1),
        "observer_us": Interval(2.9, 3.6, 4.4),
    }
    return Ledger(**(fields | replaced))


def make_ladder() -> Ladder:
    """Return the rungs of the lesson's step."""
    steps = {"eager": 131.4, "no hooks": 128.9, "functional": 119.2, "no autograd": 61.7, "no optimizer": 38.4}
    steps |= {"native": 0.42, "floor": 0.17}
    rungs, before = [], None
    for name, us in steps.items():
        interval = around(us, 0.0 if name == "floor" else 0.015)
        saved = around(before - us, 0.06) if before else Interval(0.0, 0.0, 0.0)
        rungs.append(Rung(name, interval, saved))
        before = us
    return Ladder(tuple(rungs))


def make_break_even(**replaced) -> BreakEven:
    """Return a map on which a GPU begins to pay at about 4,000 rows of width 256."""
    rows, widths = (32, 128, 512, 2048, 8192, 32768), (8, 16, 64, 256, 1024, 4096)

    def ratio(n_rows: int, width: int) -> Interval:
        flop = 6.0 * n_rows * width * width
        times = (1 + flop / 1.2e5) / (60 + flop / 2e7)
        return Interval(times / 2.5, times, times * 2.5)

    fields = {
        "rows": rows,
        "widths": widths,
        "ratio": tuple(tuple(ratio(n_rows, width) for width in widths) for n_rows in rows),
        "here": (120.0, 10.0),
        "cpu": "AMD EPYC 9R45, 1 core",
        "gpu": "NVIDIA H100 80GB HBM3",
        "engine_cpu": "native",
        "engine_gpu": "graph",
    }
    return BreakEven(**(fields | replaced))


def make_explanation(**replaced) -> Explanation:
    """Return what explaining the lesson could say, any field of it replaced."""
    gpu = "NVIDIA H100 80GB HBM3"
    forecasts = (
        Forecast("eager", "cpu", None, 1, Interval(104.0, 139.0, 186.0), Interval(130.2, 131.4, 132.9)),
        Forecast("eager", "cpu", None, 2, Interval(98.0, 128.0, 172.0), Interval(125.1, 127.7, 131.0)),
        Forecast("native", "cpu", None, 1, Interval(0.33, 0.45, 0.62), Interval(0.417, 0.42, 0.425), 0.16),
        Forecast("eager", "cuda", gpu, None, Interval(280.0, 390.0, 540.0), None),
        Forecast("graph", "cuda", None, None, None, None, unavailable="there is no GPU here that torch can use"),
    )
    advice = (
        Advice("engine", "Use the native engine: a step takes 0.42 µs instead of 131 µs.", 313.0, "times"),
        Advice("device", "Stay on the CPU: a GPU would take 390 µs a step for so small a network.", 390.0, "us a step"),
        Advice("record_every", "Recording every epoch costs 0.9 % of a step; recording less gains nothing.", 0.9, "%"),
    )
    fields = {
        "subject": Subject("iris", "4-10-3 ReLU", 83, 120, 4, 120, 20_000, "SGD", "CrossEntropyLoss"),
        "ledger": make_ledger(),
        "floor": Floor(41_040.0, 3_264.0, 0.174, 0.068, 0.174, 236.0, 48.0),
        "ladder": make_ladder(),
        "forecasts": forecasts,
        "break_even": make_break_even(),
        "advice": advice,
        "conditions": {
            "machine": "AMD EPYC 9R45, 2 of 2 cores, AVX-512",
            "torch": "2.13.0",
            "hotloop": "0.1.0",
            "date": "2026-11-25",
        },
        "took_s": 24.3,
    }
    return Explanation(**(fields | replaced))


def hostile_run(name: str) -> Run:
    """Return a run in which every text is ``name``."""
    weights = {f"{name}{index}": value for index, value in enumerate(np.ones((3, 2, 2)))}
    return with_validation(
        network=None,
        module_name=name,
        weights=weights,
        engine=name,
        device=name,
        why=name,
        stopped=name,
        stopped_why=name,
        notes=(name, name),
        settings={name: name, "nested": [name, {name: name}]},
        metrics={name: 0.5},
        started_at=name,
    )


def hostile_explanation(name: str) -> Explanation:
    """Return an explanation in which every text is ``name``."""
    plain = make_explanation()
    lines = tuple(dataclasses.replace(line, name=name) for line in plain.ledger.lines)
    ledger = dataclasses.replace(plain.ledger, lines=lines, engine=name, device=name, refusal=name)
    rungs = tuple(dataclasses.replace(rung, name=name) for rung in plain.ladder.rungs)
    forecasts = tuple(
        dataclasses.replace(one, engine=name, device=name, machine=name, unavailable=name) for one in plain.forecasts
    )
    return make_explanation(
        subject=dataclasses.replace(plain.subject, name=name, network=name, optimizer=name, loss=name),
        ledger=ledger,
        ladder=Ladder(rungs),
        forecasts=forecasts,
        break_even=make_break_even(cpu=name, gpu=name, engine_cpu=name, engine_gpu=name),
        advice=(Advice(name, name, 1.0, name),),
        conditions={name: name},
    )
