"""Compiles one vector function for one feature level and calls it on arrays; measures errors in ulp."""

import ctypes
import platform
from collections.abc import Callable

import llvmlite.binding as llvm
import numpy as np
import torch

from hotloop.compiler.lanes import Lanes
from hotloop.compiler.target import named_target

# What the levels are called in LLVM, with what the host must have for them. LLVM prefers 256 bits on some hosts.
LEVELS = {
    "avx512": ("x86-64-v4", "-prefer-256-bit", "avx512dq"),
    "avx2": ("x86-64-v3", "", "avx2"),
    "sse4": ("x86-64-v2", "", "sse4.2"),
    "sse2": ("x86-64", "", "sse2"),
}
REAL = {"f32": np.float32, "f64": np.float64}


def host_levels() -> list[str]:
    """Return the feature levels that this machine can run: none where it is no x86-64."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return []
    features = llvm.get_host_cpu_features()
    return [level for level, (_, _, needed) in LEVELS.items() if features.get(needed)]


def write_function(function: Callable[[Lanes, str], str], element: str, width: int, lookup: str = "") -> str:
    """Return a module with ``void f(ptr in, ptr out, i64 n_bytes)``, which applies the function to each vector."""
    lanes = Lanes(element, width, lookup=lookup)
    with lanes.loop(0, "%n", width * lanes.size_bytes) as loop:
        lanes.store(function(lanes, lanes.load(lanes.offset("%in", loop.index))), lanes.offset("%out", loop.index))
    body = "\n".join(["entry:", *lanes.lines, "  ret void"])
    return "\n".join(sorted(lanes.declared)) + f"\ndefine void @f(ptr %in, ptr %out, i64 %n) {{\n{body}\n}}\n"


class Compiled:
    """A vector function in machine code."""

    def __init__(
        self, function: Callable[[Lanes, str], str], element: str, width: int, level: str, *, looks_up: bool = False
    ):
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        cpu, features, _ = LEVELS[level]
        target = llvm.Target.from_default_triple()
        self._machine = target.create_target_machine(cpu=cpu, features=features, opt=3, jit=True)
        lookup = named_target(level).lookup(element) if looks_up else ""
        assert bool(lookup) == looks_up, "this level looks nothing up"
        self.text = write_function(function, element, width, lookup)
        module = llvm.parse_assembly(self.text)
        module.verify()
        module.triple, module.data_layout = target.triple, str(self._machine.target_data)
        tuning = llvm.create_pipeline_tuning_options(3)
        passes = llvm.create_pass_builder(self._machine, tuning)
        passes.getModulePassManager().run(module, passes)
        self.assembly = self._machine.emit_assembly(module)
        self._engine = llvm.create_mcjit_compiler(module, self._machine)
        self._engine.finalize_object()
        signature = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)
        self.run = signature(self._engine.get_function_address("f"))
        self.real, self.width = REAL[element], width

    def __call__(self, values: np.ndarray) -> np.ndarray:
        padded = aligned(-(-values.size // self.width) * self.width, self.real)
        padded[: values.size] = values
        padded[values.size :] = 1
        self.run(padded.ctypes.data, padded.ctypes.data, padded.nbytes)
        return padded[: values.size]


def aligned(size: int, real: type[np.floating]) -> np.ndarray:
    """Return an array that begins at a multiple of 64 bytes."""
    raw = np.empty(size * np.dtype(real).itemsize + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + size * np.dtype(real).itemsize].view(real)


def errors(results: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return |results - truth| in units of the last place that the results' type has at the truth.

    ``truth`` is of a wider type. Infinity must stand where the truth rounds to it and only there, and NaN where the
    truth is NaN; elsewhere the error is infinite.
    """
    with np.errstate(all="ignore"):
        rounded = truth.astype(results.dtype)
        distance = np.abs(results.astype(truth.dtype) - truth) / last_places(truth, results.dtype)
    special = np.flatnonzero(~(np.isfinite(rounded) & np.isfinite(results)))
    same = (results[special] == rounded[special]) | (np.isnan(results[special]) & np.isnan(truth[special]))
    distance[special] = np.where(same, 0, np.inf)
    return distance


def last_places(truth: np.ndarray, narrower: np.dtype) -> np.ndarray:
    """Return the distance between neighbours of the narrower type around each number."""
    info = np.finfo(narrower)
    if truth.dtype == np.float64:
        # Much faster than frexp: the bits of the exponent alone are a power of two.
        power = (truth.view(np.int64) & 0x7FF0000000000000).view(np.float64)
        return np.maximum(power * 2.0**-info.nmant, float(info.smallest_subnormal))
    _, exponent = np.frexp(truth)
    return np.ldexp(np.ones_like(truth), np.maximum(exponent - 1, info.minexp) - info.nmant)


def true_values(name: str, x: np.ndarray) -> np.ndarray:
    """Return what a vector function should give, worked out in the type of x."""
    with np.errstate(all="ignore"):
        return TRUTH[name](x)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    small = np.exp(-np.abs(x))
    return np.where(x < 0, small, x.dtype.type(1)) / (1 + small)


def _softplus(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def _erf(x: np.ndarray) -> np.ndarray:
    """Return erf: torch's, or for more digits its power series, near 1 the continued fraction of what is missing.

    Sources: NIST Digital Library of Mathematical Functions, 7.6.2 and 7.9.3.
    """
    if x.dtype == np.float64:
        return torch.erf(torch.from_numpy(x)).numpy()
    size = np.minimum(np.abs(x), 10)
    square = size * size
    series, term = np.zeros_like(x), np.ones_like(x)
    for n in range(1, 90):
        series += term
        term = term * 2 * square / (2 * n + 1)
    root_pi = np.sqrt(4 * np.arctan(x.dtype.type(1)))
    near = 2 * size / root_pi * np.exp(-square) * series
    fraction = np.zeros_like(x)
    for n in range(120, 0, -1):
        fraction = n / x.dtype.type(2) / (size + fraction)
    far = 1 - np.exp(-square) / root_pi / (size + fraction)
    return np.copysign(np.where(size < 2, near, far), x)


TRUTH: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "erf": _erf,
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "sigmoid": _sigmoid,
    "softplus": _softplus,
    "tanh": np.tanh,
}
