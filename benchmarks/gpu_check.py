"""Measure a GPU's passport, and check its forecasts against measured steps: run this where there is an NVIDIA GPU.

    python benchmarks/gpu_check.py [--out FOLDER] [--networks 12] [--seed 1] [--rounds 5] [--device cuda]

Needs torch, NumPy and hotloop's sources (``PYTHONPATH=src``) alone. Writes to FOLDER:

* ``passport.json``: the GPU as ``hotloop explain --machine passport.json`` takes it on any machine;
* ``cpu-passport.json``: the host's processor, unless ``--no-cpu`` is given;
* ``forecasts.json``: each network's forecast and medians of eager torch on the GPU, and the median error.

With ``--device cpu --quick`` all of it runs in seconds without a GPU, on coarse grids: to try the script.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from forecast_check import Case, draw
from hotloop.insight.forecasting.forecast import eager_us
from hotloop.insight.interval import Interval
from hotloop.insight.machines.measure_passport import EXAMPLES, GPU_EFFORT, Effort, measure_device
from hotloop.insight.machines.measure_torch_costs import eager_session, eager_step_us
from hotloop.insight.machines.passport import Passport, save_passport
from hotloop.insight.machines.torch_operations import Grid

_LEAST_S = 0.03
# Widths and rows at which a GPU has something to do, beside those drawn for a CPU.
_SCALES = (1, 1, 4, 16)

QUICK = Effort(
    grid=Grid(rows=(16, 256), widths=(4, 64), elements=(4096, 65536), outputs=(2, 16), activations=("relu", "tanh")),
    rounds=1,
    examples=EXAMPLES[:2],
    peaks={"n": 256, "copy_bytes": 1 << 20},
)


@dataclass(frozen=True)
class Check:
    """A network's forecast and its median, in microseconds a step."""

    case: Case
    forecast: Interval
    measured_us: float

    @property
    def error(self) -> float:
        """Share of the measured time by which the forecast is off; signed."""
        return self.forecast.value / self.measured_us - 1

    def to_json(self) -> dict[str, Any]:
        """Return the figures with the network's description."""
        forecast = self.forecast
        bounds = {"low_us": forecast.low, "forecast_us": forecast.value, "high_us": forecast.high}
        return {"network": str(self.case), **bounds, "measured_us": self.measured_us, "error": self.error}


def cases(seed: int, n_networks: int) -> list[Case]:
    """Return random networks, some of them wider and on more rows than a CPU would be given."""
    chance = random.Random(f"gpu {seed}")
    return [_scaled(case, chance.choice(_SCALES)) for case in draw(seed, n_networks)]


def _scaled(case: Case, factor: int) -> Case:
    layers = case.network
    hidden = tuple(factor * n_out for _, n_out in case.work.linears[:-1])
    activation = case.work.activations[0][0]
    network = type(layers).mlp(layers.n_inputs, hidden, layers.n_outputs, activation)
    work = type(case.work).of_network(
        network, case.work.loss, case.work.optimizer, factor * case.work.batch_rows, gathers=case.work.gathers
    )
    return replace(case, network=network, work=work)


def check(case: Case, passport: Passport, rounds: int) -> Check:
    """Forecast a network, then measure it."""
    costs = passport.torch[0]
    forecast = costs.spread.around(eager_us(case.work, costs, overlaps=passport.device != "cpu"))
    session = eager_session(case.work, case.network, passport.device, costs.threads, n_batches=case.n_batches)
    once = eager_step_us(session, costs.threads, _LEAST_S)
    return Check(case, forecast, statistics.median(once() for _ in range(rounds)))


def report(passport: Passport, checks: Sequence[Check]) -> dict[str, Any]:
    """Return the figures as JSON has them."""
    within = sum(each.forecast.contains(each.measured_us) for each in checks)
    return {
        "machine": passport.name,
        "versions": dict(passport.versions),
        "measured_on": passport.measured_on,
        "median_error": statistics.median(abs(each.error) for each in checks),
        "within_bounds": within / len(checks),
        "networks": [each.to_json() for each in checks],
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, write and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("gpu-check"), metavar="FOLDER")
    parser.add_argument("--networks", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--quick", action="store_true", help="coarse grids: to try the script")
    parser.add_argument("--no-cpu", action="store_true", help="leave out the host's processor")
    given = parser.parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    effort = QUICK if given.quick else GPU_EFFORT
    passport = measure_device(given.device, effort)
    save_passport(passport, given.out / "passport.json")
    print(f"{passport.name}, measured in {passport.took_s} s: {passport.versions}")
    print(f"  issuing {passport.torch[0].host_us}")
    print(f"  {passport.accelerator}")
    if given.device != "cpu" and not given.no_cpu:
        save_passport(measure_device("cpu"), given.out / "cpu-passport.json")
    checks = []
    print("     low us   forecast    high us   measured   error  network")
    for case in cases(given.seed, given.networks):
        each = check(case, passport, given.rounds)
        checks.append(each)
        times = each.forecast.low, each.forecast.value, each.forecast.high, each.measured_us
        print("".join(f"{us:11.1f}" for us in times), f"{each.error:+7.0%}  {case}", flush=True)
    figures = report(passport, checks)
    (given.out / "forecasts.json").write_text(json.dumps(figures, indent=1) + "\n")
    print(f"median error {figures['median_error']:.1%}, within bounds {figures['within_bounds']:.0%}")


if __name__ == "__main__":
    main()
