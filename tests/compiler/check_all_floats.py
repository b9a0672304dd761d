"""Checks vector functions for all 2^32 float32 numbers.

    python tests/compiler/check_all_floats.py [names] [--level avx2]

About three minutes for each function. Prints the greatest error in units of the last place and where it is; the test
suite only samples.
"""

import argparse
import time

import numpy as np
from vector_code import Compiled, errors, host_levels, true_values

from hotloop.compiler import vector_math

WIDTHS = {"avx512": 16, "avx2": 8, "sse4": 4, "sse2": 4}
# Small enough for the temporaries to stay in the cache.
CHUNK = 2**15


def check(name: str, level: str) -> None:
    """Print one line about one function."""
    function = Compiled(getattr(vector_math, name), "f32", WIDTHS[level], level)
    began, worst, place, n_over = time.perf_counter(), 0.0, np.float32(0), 0
    for start in range(0, 2**32, CHUNK):
        x = np.arange(start, start + CHUNK, dtype=np.uint32).view(np.float32)
        with np.errstate(invalid="ignore"):
            wide = x.astype(np.float64)
        off = errors(function(x), true_values(name, wide))
        n_over += int(np.count_nonzero(off > 1))
        chunk_worst = np.argmax(off)
        if off[chunk_worst] > worst:
            worst, place = float(off[chunk_worst]), x[chunk_worst]
    took = time.perf_counter() - began
    print(
        f"{name:<9} {level:<7} {worst:.4f} ulp at {float(place)!r}; over 1 ulp: {n_over / 2**32:.4%} ({took:.0f} s)",
        flush=True,
    )


def main() -> None:
    """Check the functions named on the command line, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "names", nargs="*", default=sorted(set(vector_math.__all__) - {"exp_up_to_zero", "log_from_one"})
    )
    parser.add_argument("--level", default=host_levels()[0], choices=host_levels())
    arguments = parser.parse_args()
    for name in arguments.names:
        check(name, arguments.level)


if __name__ == "__main__":
    main()
