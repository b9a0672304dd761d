"""Passports with round constants, of machines that do not exist."""

from __future__ import annotations

from hotloop.insight.machines.passport import (
    HOST_COSTS,
    TABLES,
    VECTOR_COSTS,
    AcceleratorCosts,
    NativeCosts,
    Passport,
    Spread,
    TorchCosts,
)
from hotloop.insight.machines.size_table import SizeTable

SPREAD = Spread(0.8, 1.0, 1.25, 5)


def _table(n_axes, us_per_million):
    """Time in proportion to the product of all sizes, from 10 to 10,000 each."""
    axes = ((10, 1000, 10_000),) * n_axes
    sizes = [(a,) for a in axes[0]]
    for _ in range(n_axes - 1):
        sizes = [(*some, each) for some in sizes for each in axes[0]]
    us = []
    for some in sizes:
        product = 1
        for each in some:
            product *= each
        us.append(product / 1e6 * us_per_million)
    return SizeTable(axes, tuple(us))


def torch_costs(threads=1, host_us=10.0, us_per_million=100.0, spread=SPREAD):
    host = dict.fromkeys(HOST_COSTS, host_us) | {"order of a row": 0.0}
    return TorchCosts(threads, host, {name: _table(n, us_per_million) for name, n in TABLES.items()}, spread)


def synthetic_cpu(**changes):
    """Issues an operation in 10 us, does a million elements or products in 100 us, and a vector operation in 1 ns."""
    fields = {
        "name": "Synthetic CPU",
        "device": "cpu",
        "machine": {"cpu": "Synthetic CPU", "threads": "4"},
        "versions": {"hotloop": "0.1.0", "torch": "0.0.synthetic"},
        "measured_on": "2026-01-31",
        "took_s": 0.0,
        "torch": (torch_costs(1), torch_costs(4, us_per_million=25.0)),
        "native": NativeCosts(16, 1 << 20, dict.fromkeys(VECTOR_COSTS, 1.0), 100.0, SPREAD),
        "notes": ("synthetic: no such machine was ever measured",),
    }
    return Passport(**{**fields, **changes})


def synthetic_gpu(**changes):
    """Issues an operation in 20 us, and does a million elements or products in 0.1 us."""
    fields = {
        "name": "Synthetic GPU",
        "device": "cuda",
        "machine": {"gpu": "Synthetic GPU"},
        "versions": {"torch": "0.0.synthetic"},
        "measured_on": "2026-01-31",
        "took_s": 0.0,
        "torch": (torch_costs(None, host_us=20.0, us_per_million=0.1),),
        "accelerator": AcceleratorCosts(5.0, 2.0, 1.0, None, 15.0, 10.0, 20.0, 3000.0, 50_000.0),
        "notes": ("synthetic: no such machine was ever measured",),
    }
    return Passport(**{**fields, **changes})
